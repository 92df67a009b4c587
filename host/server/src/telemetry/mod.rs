//! What the host says about itself.
//!
//! - [`logs`]: structured logs that never hold up the work they tell of.
//! - [`metrics`]: counters and gauges, read at `/metrics`. One registry a host,
//!   nothing global, so two hosts fit in one process. `aliases` tells them under
//!   further names, `catalogue` knows which there may be.
//! - [`pace`]: messages of the last minute, for health.
//! - [`trace`]: the W3C trace context that ties a message's lines together.

mod aliases;
mod cache_stats;
pub(crate) mod catalogue;
mod guard_stats;
pub mod logs;
pub mod metrics;
mod model_stats;
pub mod pace;
mod process;
mod runtime_stats;
mod sql_stats;
pub mod trace;

pub use aliases::{Alias, AliasSet};
pub use logs::{LogHandle, Logs};
pub use metrics::Metrics;
pub use trace::TraceContext;
