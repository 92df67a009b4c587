//! What a plugin did with its capabilities, over all its versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;

use crate::grants::{Grants, has};

/// The counters of one plugin, by capability.
#[derive(Debug, Default)]
pub(crate) struct Access {
    rows: Mutex<BTreeMap<&'static str, Counts>>,
    /// What a version that waits was granted: what serves meanwhile reaches no
    /// further than both.
    narrowed: ArcSwapOption<Grants>,
}

/// Different denials that an operator is told of, for each capability. The rest
/// are counted.
const TOLD_MAX: usize = 16;

/// What a plugin did with one capability.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) used: u64,
    pub(crate) denied: u64,
    /// The line that the last denial told the operator.
    pub(crate) last_denial: Option<String>,
    /// When that was.
    pub(crate) last_denied_at: Option<SystemTime>,
    told: BTreeSet<String>,
}

impl Access {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<&'static str, Counts>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn used(&self, capability: &'static str) {
        self.rows().entry(capability).or_default().used += 1;
    }

    /// `true` if the operator is to be told: not twice the same, and no end of
    /// different ones.
    pub(super) fn denied(&self, capability: &'static str, line: &str) -> bool {
        let mut rows = self.rows();
        let counts = rows.entry(capability).or_default();
        counts.denied += 1;
        counts.last_denied_at = Some(SystemTime::now());
        if counts.last_denial.as_deref() == Some(line) {
            return false;
        }
        counts.last_denial = Some(line.to_owned());
        counts.told.len() < TOLD_MAX && counts.told.insert(line.to_owned())
    }

    /// Holds every version of the plugin to these grants, beside its own.
    pub(crate) fn narrow(&self, to: Option<Grants>) {
        self.narrowed.store(to.map(Arc::new));
    }

    pub(super) fn permits(&self, capability: &str, scope: &str) -> bool {
        let narrowed = self.narrowed.load();
        narrowed
            .as_ref()
            .is_none_or(|grants| has(grants, capability, scope))
    }

    pub(crate) fn read(&self) -> BTreeMap<&'static str, Counts> {
        self.rows().clone()
    }
}
