//! The plugin folder: from files to offers, without a file ever stopping the host.
//!
//! `NAME.wasm` and an optional `NAME.toml` are one pair, read once both are quiet
//! and offered to the registry as one. What this guarantees:
//!
//! - A complete file (closed after writing, renamed into place) is read at once,
//!   any other once it is quiet; a half copied one is never offered as long as
//!   its writer holds it open.
//! - A pair that cannot be read, or is no plugin, is refused with its reason and
//!   changes nothing about what serves. The same content is refused once.
//! - What events do not tell (bind mounts, network filesystems, overflows) a scan
//!   finds, every `rescan`.
//! - A `.wasm` that is gone for the settle time unloads its plugin. A folder that
//!   is gone, or was replaced by an empty one, unloads nothing.
//! - Nothing here blocks the caller's runtime, and queues, reads, names and bytes
//!   in flight are bounded.
//!
//! The way of a change: `watch` (an event) or `scan` (a difference) -> `settle`
//! (when) -> `read` (what) -> `load` (offer or refuse); `task` ties them together.

mod load;
mod look;
mod name;
mod read;
mod scan;
mod scans;
mod settle;
mod task;
mod watch;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch as value};
use tokio_util::sync::CancellationToken;

use crate::registry::Registry;
use crate::settings::Settings;

/// Callers of [`FolderHandle::rescan`] that may queue; the next one waits.
const COMMANDS: usize = 16;

/// A wish to look at the whole folder now.
#[derive(Debug)]
struct Rescan {
    /// Also at what has not changed.
    everything: bool,
    done: oneshot::Sender<()>,
}

/// Speaks to the folder's task. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FolderHandle {
    scanned: value::Receiver<bool>,
    rescans: mpsc::Sender<Rescan>,
}

/// Starts to follow the folder, until `stop`. Must be called inside a tokio
/// runtime.
pub(crate) fn start(
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    stop: CancellationToken,
) -> FolderHandle {
    let (scanned_sender, scanned) = value::channel(false);
    let (rescans, commands) = mpsc::channel(COMMANDS);
    let task = task::Task::new(settings, registry, scanned_sender);
    tokio::spawn(task.run(commands, stop));
    FolderHandle { scanned, rescans }
}

impl FolderHandle {
    /// Returns once the first scan is through: every pair it found is loaded or
    /// refused, or is being written still.
    pub(crate) async fn scanned(&self) {
        let mut scanned = self.scanned.clone();
        // Fails when the task has ended, and then nothing more will come.
        let _ = scanned.wait_for(|scanned| *scanned).await;
    }

    /// Looks at the whole folder now and returns once what it found is loaded or
    /// refused, or is being written still.
    pub(crate) async fn rescan(&self) {
        self.look(false).await;
    }

    /// The same, and every pair is read and offered again: what was decided about
    /// it may not hold any more.
    pub(crate) async fn reread(&self) {
        self.look(true).await;
    }

    async fn look(&self, everything: bool) {
        let (done, through) = oneshot::channel();
        if self.rescans.send(Rescan { everything, done }).await.is_ok() {
            let _ = through.await;
        }
    }
}

#[cfg(test)]
mod tests;
