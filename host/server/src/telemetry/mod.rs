//! What the host says about itself.
//!
//! - [`logs`]: structured logs that never hold up the work they tell of.
//! - [`metrics`]: counters and gauges, read at `/metrics`. One registry a host,
//!   nothing global, so two hosts fit in one process. `aliases` tells them under
//!   further names, `catalogue` knows which there may be.
//! - [`pace`]: messages of the last minute, for health.
//! - [`spans`]: the traces of messages, sent to a collector by OTLP.

mod aliases;
mod cache_stats;
pub(crate) mod catalogue;
mod guard_stats;
pub mod logs;
pub mod metrics;
mod model_stats;
mod otlp;
pub mod pace;
mod process;
mod runtime_stats;
pub mod spans;
mod sql_stats;

pub use aliases::{Alias, AliasSet};
pub use logs::{LogHandle, Logs};
pub use metrics::Metrics;
pub use segue_runtime::trace::TraceContext;
