//! The plugin runtime of Segue: loads, checks, sandboxes, calls and swaps
//! WebAssembly components.
//!
//! The way of a file: [`folder`] sees it settle and reads it once with its
//! [`sidecar`]; [`check`] says whether it is a plugin this host can run;
//! [`compile`] turns it into code or finds it in the [`cache`]; [`registry`]
//! links it and swaps it in as a [`generation`].
//!
//! The way of a call: [`Runtime::call`] -> [`admission`] -> a fresh instance
//! ([`call`], bounded by [`limits`] and the [`engine`]'s ticks) -> the host's
//! functions ([`host`], each through the [`gate`]) -> pieces of reply ->
//! [`Outcome`].
//!
//! It knows no sockets, no sessions, no SQL and no language model, and holds no
//! global state: two runtimes fit in one process.

mod admission;
mod bindings;
mod cache;
mod call;
mod capability;
mod check;
mod compile;
mod engine;
mod error;
mod folder;
mod gate;
mod generation;
mod grants;
mod host;
mod json;
mod limits;
mod manifest;
mod registry;
mod runtime;
mod settings;
mod sidecar;
mod spec;
mod stats;
mod status;
mod text;
pub mod trace;
pub mod units;

pub use call::{Call, Source};
pub use capability::{Capabilities, Capability, HostFunction, Interface, Meters, Services};
pub use check::{Inspection, World, describe};
pub use error::{LoadError, SidecarFault};
pub use gate::{Denied, Gate, HostCallStats, Pass};
pub use generation::{Generation, version_of};
pub use grants::Grants;
pub use host::CallState;
pub use manifest::{Isolation, Manifest};
pub use registry::PromoteError;
pub use runtime::Runtime;
pub use settings::{Limits, Settings, StartError};
pub use sidecar::Sidecar;
pub use spec::{
    CallError, CallSpec, Context, EndpointKind, HandlerError, Outcome, Part, Payload, Reply, Request, Scope,
    Usage,
};
pub use status::{
    AccessStatus, LoadFailure, PendingVersion, PluginEvent, PluginState, PluginStats, PluginStatus, Stats,
    VersionState, VersionStatus,
};

/// The types of `segue:plugin` that the interfaces of capabilities use.
pub mod wit {
    pub use crate::bindings::segue::plugin::types;
}
