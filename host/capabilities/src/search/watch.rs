//! The system's events about a folder of documents, boiled down to the paths
//! that are to be looked at. An event only says where to look, never what to
//! find; what events do not tell, a look at everything finds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::scope::Scope;

/// Paths that are remembered; past it, everything is looked at.
const MAX_PATHS: usize = 512;
/// Editors and copies write in pieces: a look waits for a pause this long,
const QUIET: Duration = Duration::from_millis(50);
/// but not longer than this.
const LONGEST: Duration = Duration::from_millis(300);

/// What to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks {
    pub(super) paths: BTreeSet<String>,
    pub(super) all: bool,
    /// Events were lost, and perhaps watches with them.
    pub(super) renew: bool,
}

impl Looks {
    pub(super) fn all() -> Looks {
        Looks {
            all: true,
            ..Looks::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.all
    }
}

/// What events left to look at.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    looks: Mutex<Looks>,
    changed: Notify,
    /// Documents are reached by links, so that any entry may matter.
    pub(super) links: AtomicBool,
}

impl Dirty {
    /// Adds paths to look at, as an event would.
    pub(super) fn add(&self, paths: impl IntoIterator<Item = String>) {
        let mut looks = self.lock();
        looks.paths.extend(paths);
        if looks.paths.len() > MAX_PATHS {
            looks.paths.clear();
            looks.all = true;
        }
        drop(looks);
        self.changed.notify_one();
    }

    fn lost(&self) {
        let mut looks = self.lock();
        looks.all = true;
        looks.renew = true;
        drop(looks);
        self.changed.notify_one();
    }

    /// What there is to look at, once it has been quiet for a moment.
    /// Cancel-safe.
    pub(super) async fn settled(&self) -> Looks {
        while self.lock().is_empty() {
            self.changed.notified().await;
        }
        let latest = Instant::now() + LONGEST;
        loop {
            let quiet = latest.min(Instant::now() + QUIET);
            tokio::select! {
                () = sleep_until(quiet) => return std::mem::take(&mut *self.lock()),
                () = self.changed.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the folders of one root, each by itself, so that those which are left
/// out cost nothing. Dropping it ends its thread.
pub(super) struct Watches {
    watcher: RecommendedWatcher,
    root: PathBuf,
}

impl Watches {
    pub(super) fn new(root: &Path, scope: Arc<Scope>, dirty: Arc<Dirty>) -> notify::Result<Watches> {
        let base = root.to_owned();
        let watcher = notify::recommended_watcher(move |event| match event {
            Ok(event) => hear(&base, &scope, &dirty, &event),
            Err(error) => {
                tracing::debug!(%error, "watching a folder of documents");
                dirty.lost();
            }
        })?;
        Ok(Watches {
            watcher,
            root: root.to_owned(),
        })
    }

    pub(super) fn add(&mut self, path: &str) -> notify::Result<()> {
        self.watcher
            .watch(&self.root.join(path), RecursiveMode::NonRecursive)
    }

    /// Fails when the system ended the watch already, which is as well.
    pub(super) fn remove(&mut self, path: &str) {
        let _ = self.watcher.unwatch(&self.root.join(path));
    }
}

fn hear(root: &Path, scope: &Scope, dirty: &Dirty, event: &Event) {
    if event.need_rescan() {
        return dirty.lost();
    }
    let moved = match event.kind {
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => true,
        EventKind::Modify(_) | EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        // Reading, ours among it, changes nothing.
        EventKind::Access(_) | EventKind::Any | EventKind::Other => return,
    };
    let paths = event.paths.iter().filter_map(|path| {
        let path = path.strip_prefix(root).ok()?.to_str()?;
        // A folder can be anything that is not left out.
        let matters = scope.has(path) || path.is_empty() || (moved && scope.enters(path));
        let through_link = moved && dirty.links.load(Ordering::Relaxed);
        match (matters, through_link) {
            (true, _) => Some(path.to_owned()),
            (false, true) => Some(String::new()),
            (false, false) => None,
        }
    });
    let paths: Vec<String> = paths.collect();
    if !paths.is_empty() {
        dirty.add(paths);
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind};

    use super::super::settings::Index;
    use super::*;

    fn looks_after(links: bool, events: &[(EventKind, &str)]) -> Looks {
        let dirty = Dirty::default();
        dirty.links.store(links, Ordering::Relaxed);
        let scope = Scope::of(&Index {
            exclude: vec!["target/**".to_owned()],
            ..Index::at("/docs".into())
        });
        for (kind, path) in events {
            let event = Event::new(*kind).add_path(PathBuf::from(path));
            hear(Path::new("/docs"), &scope, &dirty, &event);
        }
        std::mem::take(&mut *dirty.lock())
    }

    fn paths(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn only_what_may_concern_a_document_is_looked_at() {
        let create = EventKind::Create(CreateKind::Any);
        let remove = EventKind::Remove(RemoveKind::Any);
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let touched = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        let events = [
            (written, "/docs/a.md"),
            (opened, "/docs/b.md"),
            (touched, "/docs/c.md"),
            (written, "/docs/d.o"),
            (create, "/docs/folder"),
            (remove, "/docs/.e.md.swp"),
            (create, "/docs/target/x.md"),
            (create, "/elsewhere/f.md"),
            (remove, "/docs/..data"),
        ];
        assert_eq!(
            looks_after(false, &events).paths,
            paths(&["a.md", "c.md", "folder"])
        );
        assert_eq!(looks_after(true, &events[8..]).paths, paths(&[""]));
    }

    #[test]
    fn past_its_bound_and_after_a_loss_everything_is_looked_at() {
        let many = (0..=MAX_PATHS).map(|n| format!("{n}.md"));
        let dirty = Dirty::default();
        dirty.add(many);
        assert_eq!(*dirty.lock(), Looks::all());
        let event = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        hear(
            Path::new("/docs"),
            &Scope::of(&Index::at("/docs".into())),
            &dirty,
            &event,
        );
        assert!(dirty.lock().renew);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_waits_for_a_pause_but_not_for_long() {
        let dirty = Dirty::default();
        let began = Instant::now();
        dirty.add(["a.md".to_owned()]);
        let write = async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                dirty.add(["b.md".to_owned()]);
            }
        };
        tokio::select! {
            looks = dirty.settled() => assert_eq!(looks.paths, paths(&["a.md", "b.md"])),
            () = write => {}
        }
        assert_eq!(began.elapsed(), LONGEST);
    }
}
