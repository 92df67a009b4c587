//! Built for `segue:plugin@0.2.0`, which does not exist yet: a host of 0.1 must
//! refuse it when it is loaded, and name the version that it wants.
#![cfg(target_family = "wasm")]
#![allow(unsafe_code, rust_2018_idioms, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    world: "handler",
    path: "wit",
    generate_all,
});

struct Newer;

impl Guest for Newer {
    fn handle(request: Request) -> Result<(), Error> {
        segue::plugin::reply::send(&request.content, &request.language)
    }
}

export!(Newer);
