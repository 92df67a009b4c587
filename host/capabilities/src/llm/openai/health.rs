//! How a model does, as far as its last completion tells.
//!
//! Nobody asks a model only to see whether it is there: that costs money. So
//! what is known of it is what became of the last completion, and the next one
//! is tried whatever that was. The log is told when this changes, and not once
//! for every completion that a dead server fails.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::fault::Kind;

#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Last>);

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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
