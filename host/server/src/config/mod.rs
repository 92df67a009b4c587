//! The configuration: `segue.toml`, overridden by the environment and by a
//! `.env` file beside it.
//!
//! A text is read once ([`load`], [`parse`]); all its faults are found in that
//! pass, each with its place and what mends it; what comes out is a [`Config`]
//! of plain values, within their bounds, that is handed down. There is no
//! global configuration, so two hosts fit in one process.
//!
//! | file | holds |
//! |---|---|
//! | `model.rs`, `backends.rs` | every key: meaning, unit, default, bounds |
//! | `resilience.rs` | what stands around dependencies and handlers |
//! | `throttle.rs`, `watched.rs` | what clients may ask, when the host has enough, what it is not ready without |
//! | `metrics.rs`, `telemetry.rs` | further names of metrics; where traces go |
//! | `sections.rs`, `backends/`, `grants.rs`, `routes.rs` | reading and checking them |
//! | `reader.rs`, `value.rs` | tables and values with their places |
//! | `overrides.rs`, `strays.rs` | variables; keys and variables that set nothing |
//! | `load.rs`, `follow.rs` | reading it once, and again when it changes |
//! | `patience.rs` | timeouts that two sections speak of |
//! | `faults.rs`, `secret.rs`, `redact.rs` | what is told, and what is not |

mod backends;
mod exposure;
mod faults;
mod follow;
mod grants;
mod load;
mod metrics;
mod model;
mod overrides;
mod patience;
mod reader;
mod redact;
mod resilience;
mod routes;
mod secret;
mod sections;
mod strays;
mod telemetry;
#[cfg(test)]
mod tests;
mod throttle;
mod value;
mod watched;

use std::collections::BTreeMap;
use std::time::Duration;

pub use backends::{
    Backends, Budget, BudgetPer, Cache, DatabaseUrl, Http, KeyValue, Llm, ModelServer, OpenAi, Search, Sql,
    Target,
};
pub use exposure::exposure;
pub use faults::{Fault, Faults, Place};
pub(crate) use follow::follow;
pub use load::{LoadFailure, check, load, parse};
pub use metrics::Metrics;
pub use model::{
    Admin, Endpoint, Fallback, Forwarded, Limits, Log, LogFormat, Mode, OnFull, Outbox, Plugins, Route,
    Runtime, Server, Session, Telemetry,
};
pub use resilience::{InForce, KINDS, Knob, Resilience, Setting};
pub use routes::{RESERVED_PATHS, winner};
pub use secret::Secret;
pub use throttle::{Overload, Per, RateLimit};
pub use watched::{Dependency, Health};

/// Everything `segue.toml` says, checked and complete. Its `Debug` shows no
/// secret.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub admin: Admin,
    pub plugins: Plugins,
    pub runtime: Runtime,
    pub limits: Limits,
    pub max_limits: Limits,
    pub session: Session,
    pub outbox: Outbox,
    pub log: Log,
    pub metrics: Metrics,
    pub telemetry: Telemetry,
    /// In the order of the file; [`winner`] chooses.
    pub routes: Vec<Route>,
    pub endpoints: Vec<Endpoint>,
    /// What plugins may be granted.
    pub backends: Backends,
    /// What stands around it, and around handlers.
    pub resilience: Resilience,
    /// How often clients may ask.
    pub rate_limits: Vec<RateLimit>,
    pub overload: Overload,
    pub health: Health,
    /// What the file names and was not there when it was read.
    absences: Vec<Fault>,
    /// Where each key that is not at its default was set.
    places: BTreeMap<String, Place>,
}

impl Config {
    /// What the plugin runtime is started with.
    pub fn runtime_settings(&self) -> segue_runtime::Settings {
        segue_runtime::Settings {
            dir: self.plugins.dir.clone(),
            cache: Some(self.plugins.cache.clone()),
            cache_max_bytes: self.plugins.cache_max,
            max_file_bytes: self.plugins.max_file,
            max_plugins: self.plugins.max_count,
            compile_threads: self.plugins.compile_threads,
            guest_threads: self.runtime.guest_threads,
            instances: self.runtime.instances,
            per_plugin: self.runtime.per_plugin,
            default_limits: self.limits.into(),
            max_limits: self.max_limits.into(),
            capabilities: segue_runtime::Capabilities::new(segue_capabilities::all()),
            max_grants: self.plugins.max_grants.clone(),
            auto_widen: self.plugins.auto_widen,
            settle: Duration::from_millis(250),
            rescan: Duration::from_secs(10),
        }
    }

    /// Databases and folders that the file names and that were not there when it
    /// was read. A host starts without them; `segue check` has them as faults.
    pub fn absences(&self) -> &[Fault] {
        &self.absences
    }

    /// Puts [`Config::absences`] into the log.
    pub(crate) fn tell_absences(&self) {
        for Fault {
            place, message, mend, ..
        } in &self.absences
        {
            tracing::warn!(%place, mend, "{message}");
        }
    }

    /// Where the key (`server.listen`) was set; `None` if it is at its default
    /// or stands in an array of tables.
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key)
    }

    /// The plugins that routes and endpoints name, each once, with the first
    /// line that names it.
    pub fn handlers(&self) -> BTreeMap<&str, usize> {
        let routes =
            (self.routes.iter()).flat_map(|route| route.every_handler().map(|name| (name, route.line)));
        let endpoints = (self.endpoints.iter()).map(|e| (e.handler.as_str(), e.line));
        let mut named = BTreeMap::new();
        for (name, line) in routes.chain(endpoints) {
            named.entry(name).or_insert(line);
        }
        named
    }
}

impl From<Limits> for segue_runtime::Limits {
    fn from(limits: Limits) -> Self {
        segue_runtime::Limits {
            deadline: limits.deadline,
            memory_bytes: limits.memory,
            reply_bytes: limits.reply,
            chunks: limits.chunks,
        }
    }
}
