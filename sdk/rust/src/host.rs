//! The host's functions, as the rest of this crate calls them: the real ones in
//! a component, a fake that a test has set up everywhere else. Both speak of the
//! call that runs, so neither needs a handle.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::segue::plugin::{call, reply};
#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::wasi::logging::logging;

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::test::fake::{call, logging, reply};
