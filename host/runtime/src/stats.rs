//! Counters of one plugin, kept over all its versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::gate::Access;
use crate::generation::InFlight;
use crate::spec::CallError;
use crate::status::PluginStats;

/// What all versions of a plugin have in common.
pub(crate) struct Tenure {
    /// Its share of the host's instances.
    pub(crate) share: Arc<Semaphore>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) access: Arc<Access>,
    pub(crate) loaded: AtomicU64,
    pub(crate) refused: AtomicU64,
    calls_ok: AtomicU64,
    calls_failed: [AtomicU64; CallError::CODES.len()],
}

impl Tenure {
    pub(crate) fn new(share: Arc<Semaphore>) -> Tenure {
        Tenure {
            share,
            in_flight: Arc::new(InFlight::default()),
            access: Arc::default(),
            loaded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            calls_ok: AtomicU64::new(0),
            calls_failed: Default::default(),
        }
    }

    /// Counts a call that is over.
    pub(crate) fn count_call(&self, result: &Result<(), CallError>) {
        let counter = match result {
            Ok(()) => Some(&self.calls_ok),
            Err(error) => CallError::CODES
                .iter()
                .position(|code| *code == error.code())
                .and_then(|at| self.calls_failed.get(at)),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, name: &str) -> PluginStats {
        let failed = CallError::CODES.iter().copied().zip(&self.calls_failed);
        let counts = std::iter::once(("ok", &self.calls_ok)).chain(failed);
        PluginStats {
            name: String::from(name),
            in_flight: self.in_flight.count(),
            calls: counts
                .map(|(code, count)| (code, count.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            loaded: self.loaded.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_counter_of_its_own() {
        let tenure = Tenure::new(Arc::new(Semaphore::new(1)));
        tenure.count_call(&Ok(()));
        tenure.count_call(&Err(CallError::Cancelled));
        let internal = CallError::Internal {
            message: String::new(),
        };
        tenure.count_call(&Err(internal.clone()));
        tenure.count_call(&Err(internal));
        let calls = tenure.read("a").calls;
        assert_eq!(calls, [("ok", 1), ("cancelled", 1), ("internal", 2)]);
    }
}
