//! What `wit-bindgen` makes of the world `handler` and every capability. On wasm
//! these functions are the host's; natively only the types are used, and calling
//! a function panics.
//!
//! One world holds them all: the linker drops what a plugin never calls, so its
//! imports, and with them its wants, are what it uses.
#![allow(
    unsafe_code,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    inline: "
        package segue:sdk@0.1.0;

        world plugin {
            include segue:plugin/handler@0.1.0;
            import segue:sql/query@0.1.0;
            import segue:sql/schema@0.1.0;
            import segue:search/search@0.1.0;
            import segue:llm/llm@0.1.0;
            import segue:session/state@0.1.0;
            import segue:session/history@0.1.0;
            import segue:cache/cache@0.1.0;
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/atomics@0.2.0-draft;
            import wasi:keyvalue/batch@0.2.0-draft;
            import wasi:config/store@0.2.0-rc.1;
        }
    ",
    world: "plugin",
    path: [
        "../../wit/plugin",
        "../../wit/sql",
        "../../wit/search",
        "../../wit/llm",
        "../../wit/session",
        "../../wit/cache",
        "../../wit/keyvalue",
        "../../wit/config",
    ],
    generate_all,
    additional_derives: [PartialEq],
    // It holds a resource.
    additional_derives_ignore: ["found"],
    export_macro_name: "export_handler",
    pub_export_macro: true,
    default_bindings_module: "::segue_sdk::bindings",
});
