//! How a model's server does, as far as its last completion and the last look
//! ([`probe`](super::probe)) tell.
//!
//! Nobody asks a model only to see whether it is there: that costs money. So
//! what is known of it without looks is what became of the last completion, and
//! the next one is tried whatever that was. The log is told when this changes, and
//! not once for every completion that a dead server fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::fault::Kind;

#[derive(Debug, Default)]
pub(super) struct Health {
    last: Mutex<Last>,
    /// The last look found nobody.
    is_down: AtomicBool,
}

/// How the last completion went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    NotAsked,
    Answered,
    Failed(Kind),
}

impl Health {
    /// Whether the server was there, unless nobody has asked it yet, and a line
    /// that says so.
    pub(super) fn state(&self) -> (bool, String) {
        if self.is_down() {
            return (false, String::from("it does not answer the health check"));
        }
        match *self.last() {
            Last::NotAsked => (true, String::from("not asked yet")),
            Last::Answered => (true, String::from("the last completion went well")),
            Last::Failed(kind) => {
                // The others are answers too: of a server that is there.
                let is_there = !matches!(kind, Kind::Unavailable | Kind::Timeout);
                (
                    is_there,
                    format!("the last completion failed with {}", kind.code()),
                )
            }
        }
    }

    /// Whether the last look found nobody.
    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// What a look has found; an error says why nobody is there.
    pub(super) fn looked(&self, model: &str, found: Result<(), String>) {
        let was_down = self.is_down.swap(found.is_err(), Ordering::Relaxed);
        match found {
            Err(detail) if !was_down => {
                tracing::warn!(model, detail, "a model's server does not answer the health check");
            }
            Ok(()) if was_down => tracing::info!(model, "a model's server answers the health check again"),
            _ => {}
        }
    }

    pub(super) fn answered(&self, model: &str) {
        let before = self.replace(Last::Answered);
        if matches!(before, Last::Failed(_)) {
            tracing::info!(model, "a model answers again");
        }
    }

    pub(super) fn failed(&self, model: &str, kind: Kind, detail: &str) {
        let before = self.replace(Last::Failed(kind));
        let code = kind.code();
        if before == Last::Failed(kind) {
            tracing::debug!(model, code, detail, "a completion failed as the one before");
        } else {
            tracing::warn!(model, code, detail, "a completion failed");
        }
    }

    fn replace(&self, last: Last) -> Last {
        std::mem::replace(&mut *self.last(), last)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
