//! Knows Segue's types and functions and exports no world of Segue's: it must be
//! refused when it is loaded.
#![cfg(target_family = "wasm")]
#![allow(unsafe_code, rust_2018_idioms, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    world: "acme:wrong/wrong",
    path: ["../../../wit/plugin", "wit"],
    generate_all,
});

struct Wrong;

impl Guest for Wrong {
    fn answer(request: Request) -> Result<(), Error> {
        segue::plugin::reply::send(&request.id)
    }
}

export!(Wrong);
