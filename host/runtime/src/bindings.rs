//! Rust types and traits made from `wit/plugin`, for the world `handler`.
//!
//! The functions of `reply` may wait for the client, so the host implements
//! them as futures: the guest's stack is suspended meanwhile. Those of `call`
//! and of logging answer from memory and stay plain functions, which are
//! cheaper. All may trap, which is how the gate refuses a function whose WIT
//! has no error.

wasmtime::component::bindgen!({
    path: "../../wit/plugin",
    world: "segue:plugin/handler",
    imports: {
        "segue:plugin/reply": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
