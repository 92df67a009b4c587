//! The host's functions, as the rest of this crate calls them: the real ones in
//! a component, a fake that a test has set up everywhere else. Both speak of the
//! call that runs, so neither needs a handle.

#[cfg(target_family = "wasm")]
mod of {
    pub(crate) use crate::bindings::segue::cache::cache;
    pub(crate) use crate::bindings::segue::llm::llm;
    pub(crate) use crate::bindings::segue::plugin::{call, reply};
    pub(crate) use crate::bindings::segue::search::search;
    pub(crate) use crate::bindings::segue::session::{history, state};
    pub(crate) use crate::bindings::segue::sql::{query, schema};
    pub(crate) use crate::bindings::wasi::config::store as config;
    pub(crate) use crate::bindings::wasi::keyvalue::{atomics, batch, store};
    pub(crate) use crate::bindings::wasi::logging::logging;
    pub(crate) use crate::http::wasi as http;
}

#[cfg(not(target_family = "wasm"))]
mod of {
    pub(crate) use crate::test::cache::host as cache;
    pub(crate) use crate::test::config;
    pub(crate) use crate::test::fake::{call, logging, reply};
    pub(crate) use crate::test::http::host as http;
    pub(crate) use crate::test::keyvalue::{atomics, batch, store};
    pub(crate) use crate::test::llm::host as llm;
    pub(crate) use crate::test::search::host as search;
    pub(crate) use crate::test::session::{history, state};
    pub(crate) use crate::test::sql::{query, schema};
}

pub(crate) use of::*;
