//! The Segue server: it holds the sockets, the sessions and the resilience, and
//! leaves what to do with a message to plugins.
//!
//! The path of a message, in the order of the modules:
//!
//! 1. [`edge`]: TCP and HTTP, bounds, `Host` and `Origin`.
//! 2. [`ws`], [`http`]: a WebSocket or an HTTP reply becomes frames.
//! 3. [`session`]: one client's conversation, its queue and its outbox.
//! 4. [`dispatch`]: takes a message, answers it, ends it in one frame;
//!    [`fallback`]: what is done when nobody can answer.
//! 5. [`route`], [`part`], [`guarded`], [`target`]: who answers, one handler's
//!    part, what stands around the handler, a call.
//!
//! Beside it: [`limits`] and [`overload`], which refuse; [`standing`], how what the
//! host depends on stands; [`config`], [`admin`], [`telemetry`], [`drain`], and [`host`],
//! which starts and stops it all.

pub mod admin;
pub mod config;
mod dispatch;
mod drain;
pub mod edge;
mod errors;
mod fallback;
mod guarded;
pub mod host;
pub mod http;
mod ids;
mod limits;
mod overload;
mod part;
mod route;
pub mod session;
mod standing;
mod state;
mod target;
pub mod telemetry;
mod ws;

pub use config::Config;
pub use host::{Drain, Host, HostOptions, ReloadError, StartError};
pub use state::App;
pub use target::{NativeFuture, NativeHandler, NativeHandlers};
