//! Who sends a request, and the room that it takes for as long as it is open.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::grant::Grant;
use super::origin::Origin;
use crate::share::{Full, Place, Places};

/// Requests that one call may have open, each until its answer is read or
/// dropped.
pub(super) const CALL_MAX: usize = 64;

/// A call of a plugin. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Caller {
    plugin: String,
    slots: Arc<Semaphore>,
    over: CancellationToken,
    /// When the call ends.
    deadline: Option<Instant>,
    /// The line of the grants that opened the way.
    line: Option<Grant>,
}

impl Caller {
    /// `over` tells that whoever writes the bodies of its requests is gone.
    pub fn new(plugin: impl Into<String>, over: CancellationToken) -> Caller {
        Caller {
            plugin: plugin.into(),
            slots: Arc::new(Semaphore::new(CALL_MAX)),
            over,
            deadline: None,
            line: None,
        }
    }

    /// No request is tried again after this.
    #[must_use]
    pub fn until(self, deadline: std::time::Instant) -> Caller {
        Caller {
            deadline: Some(deadline.into()),
            ..self
        }
    }

    /// The same call, on a way that this line opened.
    pub(super) fn under(&self, line: Option<Grant>) -> Caller {
        Caller { line, ..self.clone() }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What the guard of its requests to `origin` is called: by the line of the
    /// grants, since a plugin may make up names below a granted domain, and by the
    /// plugin, since none may close an origin to the others.
    pub(super) fn guarded_as(&self, origin: &Origin) -> String {
        match &self.line {
            Some(line) => format!("{line}#{}", self.plugin),
            None => format!("{origin}#{}", self.plugin),
        }
    }

    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }
}

/// One of the requests that may be open at once; dropping it makes room.
#[derive(Debug)]
pub(super) struct Ticket {
    _of_call: OwnedSemaphorePermit,
    _of_all: Place,
}

impl Ticket {
    /// One more than `open`, if that stays within `limit` and leaves the other
    /// plugins and the call's own bound alone.
    pub(super) fn take(open: &Arc<Places>, limit: usize, caller: &Caller) -> Result<Ticket, Failure> {
        let slot = Arc::clone(&caller.slots).try_acquire_owned();
        let slot = slot.map_err(|_| Failure::CallBusy(CALL_MAX))?;
        let place = open.take(&caller.plugin, limit).map_err(|full| match full {
            Full::All(limit) => Failure::Busy(limit),
            Full::Share(share) => Failure::PluginBusy(share),
        })?;
        Ok(Ticket {
            _of_call: slot,
            _of_all: place,
        })
    }
}
