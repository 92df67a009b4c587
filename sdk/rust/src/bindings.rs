//! What `wit-bindgen` makes of the world `handler`. On wasm these functions are
//! the host's; natively only the types are used, and calling a function panics.
#![allow(
    unsafe_code,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    world: "handler",
    path: "../../wit/plugin",
    generate_all,
    additional_derives: [PartialEq],
    export_macro_name: "export_handler",
    pub_export_macro: true,
    default_bindings_module: "::segue_sdk::bindings",
});
