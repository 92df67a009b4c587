//! What a plugin did with its capabilities, over all its versions.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counters of one plugin, by capability.
#[derive(Debug, Default)]
pub(crate) struct Access {
    rows: Mutex<BTreeMap<&'static str, Counts>>,
}

/// What a plugin did with one capability.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) used: u64,
    pub(crate) denied: u64,
    /// The line that the last denial told the operator.
    pub(crate) last_denial: Option<String>,
}

impl Access {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<&'static str, Counts>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn used(&self, capability: &'static str) {
        self.rows().entry(capability).or_default().used += 1;
    }

    /// `true` if the operator has not just been told the same.
    pub(super) fn denied(&self, capability: &'static str, line: &str) -> bool {
        let mut rows = self.rows();
        let counts = rows.entry(capability).or_default();
        counts.denied += 1;
        let news = counts.last_denial.as_deref() != Some(line);
        if news {
            counts.last_denial = Some(line.to_owned());
        }
        news
    }

    pub(crate) fn read(&self) -> BTreeMap<&'static str, Counts> {
        self.rows().clone()
    }
}
