//! What is known of one plugin beside the version that serves: its past
//! versions and its last failure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::Built;
use crate::error::LoadError;
use crate::generation::{Identity, InFlight};
use crate::stats::Tenure;
use crate::status::{LoadFailure, PluginState, PluginStatus, VersionState, VersionStatus};

/// Versions that are neither active nor draining, kept for the admin API.
const PAST_VERSIONS: usize = 15;

/// Draining versions listed. More can only drain, unlisted, if this many were
/// loaded within one deadline.
const DRAINING_VERSIONS: usize = 64;

/// The mutable part of a plugin's slot.
#[derive(Default)]
pub(super) struct Record {
    loading: bool,
    removed: bool,
    last_error: Option<LoadFailure>,
    active: Option<Active>,
    /// Oldest first.
    versions: VecDeque<Version>,
}

/// What the version that serves is.
struct Active {
    identity: Arc<Identity>,
    wants: Vec<String>,
    bytes: u64,
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

    /// The newest file is what serves already.
    pub(super) fn settled(&mut self) {
        self.last_error = None;
    }

    pub(super) fn loaded(&mut self, built: &Built) {
        let generation = &built.generation;
        self.retire();
        self.loading = false;
        self.removed = false;
        self.last_error = None;
        self.active = Some(Active {
            identity: Arc::clone(&generation.identity),
            wants: built.wants.clone(),
            bytes: built.bytes,
        });
        self.push(Version {
            serial: Some(built.serial),
            version: String::from(generation.version()),
            state: VersionState::Active,
            in_flight: Arc::clone(&generation.in_flight),
            at: generation.loaded_at,
        });
    }

    /// Notes a refusal. `false` if the same one was noted last.
    pub(super) fn refused(&mut self, error: &LoadError, version: Option<&str>) -> bool {
        self.loading = false;
        self.removed = false;
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
            return false;
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
        true
    }

    pub(super) fn removed(&mut self) {
        self.retire();
        self.loading = false;
        self.removed = true;
        self.last_error = None;
        self.active = None;
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
            limits: active.map(|active| active.identity.limits),
            bytes: active.map_or(0, |active| active.bytes),
        }
    }

    fn state(&self) -> PluginState {
        if self.active.is_some() {
            PluginState::Active
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
