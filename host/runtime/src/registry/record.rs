//! What is known of one plugin beside the version that serves: its past
//! versions and its last failure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use super::Built;
use crate::error::LoadError;
use crate::generation::{Identity, InFlight};
use crate::manifest::Manifest;
use crate::stats::Tenure;
use crate::status::{
    AccessStatus, LoadFailure, PendingVersion, PluginState, PluginStatus, VersionState, VersionStatus,
};

/// Versions that are neither active nor draining, kept for the admin API.
const PAST_VERSIONS: usize = 15;

/// Draining versions listed. More can only drain, unlisted, if this many were
/// loaded within one deadline.
const DRAINING_VERSIONS: usize = 64;

/// Why nothing was promoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromoteError {
    #[error("there is no plugin `{0}` in the plugin folder")]
    Unknown(String),
    #[error("no version of it waits: what is in the folder serves, or was refused")]
    NothingWaits,
    #[error("another version waits, {waits}: look at what it asks for, then promote that one")]
    OtherVersion { waits: String },
}

/// The mutable part of a plugin's slot.
#[derive(Default)]
pub(super) struct Record {
    loading: bool,
    removed: bool,
    last_error: Option<LoadFailure>,
    active: Option<Active>,
    /// What could serve, and what it asks for beyond what does.
    pending: Option<(Built, Vec<String>)>,
    /// Oldest first.
    versions: VecDeque<Version>,
}

/// What the version that serves is.
struct Active {
    identity: Arc<Identity>,
    wants: Vec<String>,
    manifest: Option<Manifest>,
    bytes: u64,
    digest: String,
}

struct Version {
    /// `None` for one that was refused.
    serial: Option<u64>,
    version: String,
    state: VersionState,
    in_flight: Arc<InFlight>,
    at: SystemTime,
}

impl Record {
    pub(super) fn is_loaded_or_loading(&self) -> bool {
        self.active.is_some() || self.loading
    }

    pub(super) fn loading(&mut self) {
        self.loading = true;
        self.removed = false;
    }

    /// The newest file is what serves already. What waited is not wanted any
    /// more; it goes to the caller, who drops it without the record's lock.
    pub(super) fn settled(&mut self) -> Option<Built> {
        self.last_error = None;
        self.loading = false;
        self.pending.take().map(|(built, _)| built)
    }

    /// Something could serve, and waits. What waited before goes to the caller.
    pub(super) fn pending(&mut self, built: Built, widens: Vec<String>) -> Option<Built> {
        self.loading = false;
        self.last_error = None;
        self.pending.replace((built, widens)).map(|(built, _)| built)
    }

    /// What waits, if it is of this version.
    pub(super) fn take_pending(&mut self, version: Option<&str>) -> Result<Built, PromoteError> {
        let Some((built, _)) = &self.pending else {
            return Err(PromoteError::NothingWaits);
        };
        let waits = built.generation.version();
        if version.is_some_and(|version| version != waits) {
            return Err(PromoteError::OtherVersion {
                waits: String::from(waits),
            });
        }
        let pending = self.pending.take().map(|(built, _)| built);
        pending.ok_or(PromoteError::NothingWaits)
    }

    /// Returns what waited, as [`settled`](Self::settled) does.
    pub(super) fn loaded(&mut self, built: &Built) -> Option<Built> {
        let generation = &built.generation;
        self.retire();
        self.loading = false;
        self.removed = false;
        self.last_error = None;
        self.active = Some(Active {
            identity: Arc::clone(&generation.identity),
            wants: generation.wants.clone(),
            manifest: built.manifest.clone(),
            bytes: built.bytes,
            digest: built.digest.clone(),
        });
        self.push(Version {
            serial: Some(built.serial),
            version: String::from(generation.version()),
            state: VersionState::Active,
            in_flight: Arc::clone(&generation.in_flight),
            at: generation.loaded_at,
        });
        self.pending.take().map(|(built, _)| built)
    }

    /// Notes a refusal. `false` if the same one was noted last. What waited is
    /// not in the folder any more and goes to the caller.
    pub(super) fn refused(&mut self, error: &LoadError, version: Option<&str>) -> (bool, Option<Built>) {
        self.loading = false;
        self.removed = false;
        let waited = self.pending.take().map(|(built, _)| built);
        let failure = LoadFailure {
            at: SystemTime::now(),
            code: error.code(),
            message: error.to_string(),
            version: version.map(String::from),
        };
        let known = self.last_error.as_ref().is_some_and(|last| {
            (last.code, &last.message, &last.version) == (failure.code, &failure.message, &failure.version)
        });
        if known {
            return (false, waited);
        }
        if let Some(version) = version {
            self.push(Version {
                serial: None,
                version: String::from(version),
                state: VersionState::Refused,
                in_flight: Arc::default(),
                at: failure.at,
            });
        }
        self.last_error = Some(failure);
        (true, waited)
    }

    pub(super) fn removed(&mut self) -> Option<Built> {
        self.retire();
        self.loading = false;
        self.removed = true;
        self.last_error = None;
        self.active = None;
        self.pending.take().map(|(built, _)| built)
    }

    pub(super) fn freed(&mut self, serial: u64) {
        let mut versions = self.versions.iter_mut();
        if let Some(version) = versions.find(|version| version.serial == Some(serial)) {
            version.state = VersionState::Freed;
        }
        self.trim();
    }

    /// Whether the plugin is gone and nothing of it is left in memory.
    pub(super) fn is_over(&self) -> bool {
        let mut versions = self.versions.iter();
        self.removed && !versions.any(|version| version.state == VersionState::Draining)
    }

    /// What served drains from now on.
    fn retire(&mut self) {
        for version in &mut self.versions {
            if version.state == VersionState::Active {
                version.state = VersionState::Draining;
            }
        }
    }

    fn push(&mut self, version: Version) {
        self.versions.push_back(version);
        self.trim();
    }

    fn trim(&mut self) {
        self.drop_oldest(DRAINING_VERSIONS, |state| state == VersionState::Draining);
        self.drop_oldest(PAST_VERSIONS, |state| {
            matches!(state, VersionState::Freed | VersionState::Refused)
        });
    }

    /// Drops the oldest versions in such a state until `keep` are left.
    fn drop_oldest(&mut self, keep: usize, such: fn(VersionState) -> bool) {
        let found = self.versions.iter().filter(|version| such(version.state));
        let mut excess = found.count().saturating_sub(keep);
        self.versions.retain(|version| {
            let drop = excess > 0 && such(version.state);
            excess -= usize::from(drop);
            !drop
        });
    }

    pub(super) fn status(&self, name: &str, tenure: &Tenure) -> PluginStatus {
        let active = self.active.as_ref();
        let serves = self
            .versions
            .iter()
            .find(|version| version.state == VersionState::Active);
        PluginStatus {
            name: String::from(name),
            state: self.state(),
            version: serves.map(|version| version.version.clone()),
            loaded_at: serves.map(|version| version.at),
            in_flight: tenure.in_flight.count(),
            last_error: self.last_error.clone(),
            versions: self.versions.iter().map(Version::status).collect(),
            wants: active.map(|active| active.wants.clone()).unwrap_or_default(),
            granted: active.map(Active::granted).unwrap_or_default(),
            access: self.access(tenure),
            manifest: active.and_then(|active| active.manifest.clone()),
            pending: self.pending.as_ref().map(|(built, widens)| PendingVersion {
                version: String::from(built.generation.version()),
                widens: widens.clone(),
            }),
            limits: active.map(|active| active.identity.limits),
            bytes: active.map_or(0, |active| active.bytes),
            digest: active.map(|active| active.digest.clone()),
        }
    }

    /// Every capability that the plugin asks for, was granted or has tried.
    fn access(&self, tenure: &Tenure) -> Vec<AccessStatus> {
        let mut rows: BTreeMap<String, AccessStatus> = BTreeMap::new();
        let mut row = |capability: &str, with: &mut dyn FnMut(&mut AccessStatus)| {
            let status = rows.entry(String::from(capability)).or_default();
            with(status);
        };
        if let Some(active) = &self.active {
            for capability in &active.wants {
                row(capability, &mut |status| status.wanted = true);
            }
            for (capability, scopes) in &active.identity.grants {
                row(capability, &mut |status| status.granted.clone_from(scopes));
            }
        }
        for (capability, counts) in tenure.access.read() {
            row(capability, &mut |status| {
                status.used = counts.used;
                status.denied = counts.denied;
                status.last_denial.clone_from(&counts.last_denial);
                status.last_denied_at = counts.last_denied_at;
            });
        }
        for (capability, status) in &mut rows {
            status.capability.clone_from(capability);
        }
        rows.into_values().collect()
    }

    fn state(&self) -> PluginState {
        if self.active.is_some() {
            PluginState::Active
        } else if self.pending.is_some() {
            PluginState::Waiting
        } else if self.loading {
            PluginState::Loading
        } else if self.removed {
            PluginState::Removed
        } else {
            PluginState::Refused
        }
    }
}

impl Active {
    fn granted(&self) -> Vec<String> {
        let grants = self.identity.grants.iter();
        grants
            .map(|(capability, scopes)| format!("{capability}: {}", scopes.join(", ")))
            .collect()
    }
}

impl Version {
    fn status(&self) -> VersionStatus {
        VersionStatus {
            version: self.version.clone(),
            state: self.state,
            in_flight: self.in_flight.count(),
            loaded_at: Some(self.at),
        }
    }
}
