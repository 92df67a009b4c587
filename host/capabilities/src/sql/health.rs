//! How a database stands, as readiness and the log tell it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How old what is known may be before it is looked after again.
const FRESH: Duration = Duration::from_secs(1);

/// How a database stands, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub name: String,
    pub ready: bool,
    /// What is wrong, and nothing when nothing is.
    pub detail: String,
    /// Connections that are open, in use or not.
    pub connections: usize,
    /// Queries that run now, and that may run at a time.
    pub active: usize,
    pub max_active: usize,
    /// Queries that took as long as `slow_query` says, since the start.
    pub slow_queries: u64,
    pub slow_queries_last_hour: u64,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    fault: Option<String>,
    good: bool,
    /// Nothing before the first look.
    at: Option<Instant>,
    looking: bool,
}

impl Health {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn good(&self, database: &str) {
        let mut known = self.known();
        if known.fault.take().is_some() {
            tracing::info!(database, "the database can be read again");
        }
        (known.good, known.at) = (true, Some(Instant::now()));
    }

    pub(super) fn bad(&self, database: &str, path: &Path, detail: String) {
        let mut known = self.known();
        if known.fault.as_ref() != Some(&detail) {
            tracing::warn!(database, path = %path.display(), "the database cannot be read: {detail}");
        }
        known.fault = Some(detail);
        (known.good, known.at) = (false, Some(Instant::now()));
    }

    pub(super) fn state(&self, database: &str) -> State {
        let known = self.known();
        let unknown = match known.good {
            true => "",
            false => "it was not looked at yet",
        };
        State {
            name: database.to_owned(),
            ready: known.good,
            detail: known.fault.clone().unwrap_or_else(|| unknown.to_owned()),
            ..State::default()
        }
    }

    /// Whether somebody should look; then nobody else is told to until
    /// [`looked`](Health::looked).
    pub(super) fn is_due(&self) -> bool {
        let mut known = self.known();
        let due = !known.looking && known.at.is_none_or(|at| at.elapsed() >= FRESH);
        known.looking |= due;
        due
    }

    pub(super) fn looked(&self) {
        self.known().looking = false;
    }
}
