//! What the runtime tells about its plugins: for the admin API, the metrics and
//! whoever waits for an event.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::gate::HostCallStats;
use crate::manifest::Manifest;
use crate::settings::Limits;

/// One plugin as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PluginStatus {
    pub name: String,
    pub state: PluginState,
    /// What serves now.
    pub version: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    pub loaded_at: Option<SystemTime>,
    /// Calls that run, on any version.
    pub in_flight: usize,
    /// Why the newest file was refused; `None` once a good one is loaded.
    pub last_error: Option<LoadFailure>,
    /// The newest last, at most 16 beside those that still drain.
    pub versions: Vec<VersionStatus>,
    /// The capabilities that its imports ask for.
    pub wants: Vec<String>,
    /// The capabilities that the operator granted, each with its scope:
    /// `sql: shop, hr`.
    pub granted: Vec<String>,
    /// By capability, what it asks for, may do and has done.
    pub access: Vec<AccessStatus>,
    /// Who it says it is.
    pub manifest: Option<Manifest>,
    /// A version that could serve and waits for the operator's word.
    pub pending: Option<PendingVersion>,
    pub limits: Option<Limits>,
    /// The size of the component.
    pub bytes: u64,
    /// `sha256:` and the digest of the component alone, as `segue inspect` tells it.
    pub digest: Option<String>,
}

/// What a plugin has to do with one capability. Counters count since the start,
/// over all versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AccessStatus {
    pub capability: String,
    /// Whether its imports ask for it.
    pub wanted: bool,
    /// The names within it that the operator granted.
    pub granted: Vec<String>,
    pub used: u64,
    pub denied: u64,
    /// The line of configuration that the last denial asked for.
    pub last_denial: Option<String>,
    /// When that was.
    #[serde(serialize_with = "rfc3339")]
    pub last_denied_at: Option<SystemTime>,
}

/// A version that reaches further than the one that serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PendingVersion {
    pub version: String,
    /// What it would reach in addition: `sql: shop`.
    pub widens: Vec<String>,
}

/// Whether a plugin serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// A version serves, though a newer one may have been refused.
    Active,
    /// The first version is being checked and compiled.
    Loading,
    /// No version serves; one could, and waits for the operator's word.
    Waiting,
    /// No version serves; the last one was refused.
    Refused,
    /// The file is gone; calls that began before still run.
    Removed,
}

/// One version of a plugin, past or present.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionStatus {
    pub version: String,
    pub state: VersionState,
    pub in_flight: usize,
    /// When it was loaded, or refused.
    #[serde(serialize_with = "rfc3339")]
    pub loaded_at: Option<SystemTime>,
}

/// Where a version is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    Active,
    /// Replaced or removed; the calls that began on it go on.
    Draining,
    /// Its last call is over and its code is out of memory.
    Freed,
    /// Never served.
    Refused,
}

/// Why a file was refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadFailure {
    #[serde(serialize_with = "rfc3339_at")]
    pub at: SystemTime,
    pub code: &'static str,
    pub message: String,
    /// Of the refused file, if it could be read.
    pub version: Option<String>,
}

/// What happens to plugins, in order for each of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PluginEvent {
    /// A version serves from now on. `ms` is what loading it took.
    Loaded {
        name: String,
        version: String,
        previous: Option<String>,
        ms: f64,
    },
    Refused {
        name: String,
        code: &'static str,
        message: String,
    },
    /// A version could serve, but reaches further than the one that does.
    Pending {
        name: String,
        version: String,
        widens: Vec<String>,
    },
    Removed {
        name: String,
    },
    /// The last call of a replaced version is over; its code is out of memory.
    Freed {
        name: String,
        version: String,
    },
}

/// The runtime in numbers. Counters count since the start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Admission units in use, of `instances`.
    pub instances_in_use: u32,
    pub instances: u32,
    pub plugins: Vec<PluginStats>,
    /// One row for each host function, always the same ones.
    pub host_calls: Vec<HostCallStats>,
    /// Components taken from the compile cache.
    pub compile_hits: u64,
    /// Components that were compiled.
    pub compile_misses: u64,
}

/// One plugin in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PluginStats {
    pub name: String,
    pub in_flight: usize,
    /// By how they ended: `ok` or the code of a `CallError`. Outcomes that
    /// never came up are left out.
    pub calls: Vec<(&'static str, u64)>,
    pub loaded: u64,
    pub refused: u64,
}

fn rfc3339_at<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    // A time before 1970 has no such text.
    let at = (*at).max(UNIX_EPOCH);
    serializer.collect_str(&humantime::format_rfc3339_millis(at))
}

fn rfc3339<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339_at(at, serializer),
        None => serializer.serialize_none(),
    }
}
