//! The system's events about the folder, boiled down to what matters.
//!
//! The queue is bounded. An event that finds it full is dropped and leaves the
//! word that something was lost, which stands for "look at everything again".

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::name::{FileName, Part};
use super::settle::Happened;

/// Events that may wait to be read.
const QUEUE: usize = 1024;

/// What the folder's task is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    File {
        name: String,
        part: Part,
        what: Happened,
    },
    /// Some other entry came, went or was replaced: a link that plugins are
    /// reached by may lead elsewhere now.
    Other,
    /// Events were lost, or the folder itself was moved or removed.
    Lost,
}

/// The sending end: what a watcher calls.
#[derive(Clone)]
pub(super) struct Ear {
    dir: PathBuf,
    changes: mpsc::Sender<Change>,
    lost: Arc<AtomicBool>,
}

/// The receiving end.
pub(super) struct Changes {
    changes: mpsc::Receiver<Change>,
    lost: Arc<AtomicBool>,
}

pub(super) fn channel(dir: &Path) -> (Ear, Changes) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicBool::new(false));
    let ear = Ear {
        dir: dir.to_owned(),
        changes: sender,
        lost: Arc::clone(&lost),
    };
    let changes = Changes {
        changes: receiver,
        lost,
    };
    (ear, changes)
}

impl Ear {
    /// Watches the folder as it is under its path now. Blocking. Dropping the
    /// watcher ends it.
    pub(super) fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let ear = self.clone();
        let mut watcher = notify::recommended_watcher(move |event| ear.hear(event))?;
        watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    fn hear(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) => changes_of(&self.dir, &event, |change| self.tell(change)),
            Err(error) => {
                tracing::debug!(%error, "watching the plugin folder");
                self.tell(Change::Lost);
            }
        }
    }

    /// Never waits: this is the watcher's only thread.
    fn tell(&self, change: Change) {
        if self.changes.try_send(change).is_err() {
            self.lost.store(true, Ordering::Release);
            // If the queue was emptied in between, this wakes its reader; if it
            // is full still, the reader has yet to come by and see the flag.
            let _ = self.changes.try_send(Change::Lost);
        }
    }
}

impl Changes {
    /// The next change. Cancel-safe. Never ends while an [`Ear`] lives.
    pub(super) async fn next(&mut self) -> Option<Change> {
        if self.lost.swap(false, Ordering::AcqRel) {
            return Some(Change::Lost);
        }
        self.changes.recv().await
    }
}

fn changes_of(dir: &Path, event: &Event, mut tell: impl FnMut(Change)) {
    if event.need_rescan() {
        return tell(Change::Lost);
    }
    let Some(what) = happened(event.kind) else {
        return;
    };
    for path in &event.paths {
        let Ok(rest) = path.strip_prefix(dir) else {
            continue;
        };
        let mut parts = rest.components();
        match (parts.next(), parts.next()) {
            // The folder itself. Its times change with every entry; that it is
            // gone matters.
            (None, _) if what == Happened::Gone => tell(Change::Lost),
            (Some(file), None) => match FileName::of(file.as_os_str()) {
                FileName::Plugin(name, part) => tell(Change::File { name, part, what }),
                FileName::Wrong(_) | FileName::Other => {
                    if matches!(what, Happened::Created | Happened::Placed | Happened::Gone) {
                        tell(Change::Other);
                    }
                }
            },
            _ => {}
        }
    }
}

/// `None` for events that change nothing, such as our own reading.
fn happened(kind: EventKind) -> Option<Happened> {
    match kind {
        EventKind::Create(_) => Some(Happened::Created),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Happened::Closed),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Happened::Placed),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => Some(Happened::Gone),
        // Follows its two halves, which were told already.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => Some(Happened::Written),
        EventKind::Modify(_) => Some(Happened::Touched),
        EventKind::Access(_) | EventKind::Any | EventKind::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind};

    use super::*;

    fn hear(ear: &Ear, kind: EventKind, path: &str) {
        ear.hear(Ok(Event::new(kind).add_path(PathBuf::from(path))));
    }

    #[tokio::test]
    async fn only_what_may_concern_a_plugin_is_told() {
        let (ear, mut changes) = channel(Path::new("/plugins"));
        let create = EventKind::Create(CreateKind::File);
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let touched = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        for (kind, path) in [
            (opened, "/plugins/echo.wasm"),
            (touched, "/plugins"),
            (written, "/plugins/.echo.wasm.tmp"),
            (written, "/plugins/README.md"),
            (create, "/plugins/deep/echo.wasm"),
            (create, "/elsewhere/echo.wasm"),
            (create, "/plugins/..data"),
            (written, "/plugins/echo.toml"),
        ] {
            hear(&ear, kind, path);
        }
        assert_eq!(changes.next().await, Some(Change::Other));
        let (name, part, what) = ("echo".to_owned(), Part::Toml, Happened::Written);
        assert_eq!(changes.next().await, Some(Change::File { name, part, what }));
    }

    #[tokio::test]
    async fn what_is_lost_is_told() {
        let (ear, mut changes) = channel(Path::new("/plugins"));
        hear(
            &ear,
            EventKind::Remove(notify::event::RemoveKind::Folder),
            "/plugins",
        );
        assert_eq!(changes.next().await, Some(Change::Lost));
        ear.hear(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert_eq!(changes.next().await, Some(Change::Lost));
        ear.hear(Err(notify::Error::generic("no")));
        assert_eq!(changes.next().await, Some(Change::Lost));
    }

    #[tokio::test]
    async fn a_full_queue_drops_events_and_says_so() {
        let (ear, mut changes) = channel(Path::new("/plugins"));
        for _ in 0..QUEUE + 10 {
            hear(&ear, EventKind::Create(CreateKind::File), "/plugins/echo.wasm");
        }
        assert_eq!(changes.next().await, Some(Change::Lost));
        for _ in 0..QUEUE {
            assert!(matches!(changes.next().await, Some(Change::File { .. })));
        }
        hear(&ear, EventKind::Create(CreateKind::File), "/plugins/x");
        assert_eq!(changes.next().await, Some(Change::Other));
    }
}
