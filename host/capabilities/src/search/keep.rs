//! Keeps an index like its folder. Blocking: one pass at a time, each of which
//! looks at what it is told to, reads what is new or changed, and forgets what
//! is gone.
//!
//! In this order, so that at no moment anything wrong can be found: what is gone
//! leaves the shelf at once; what is new enters it when it can be searched; a
//! changed document takes the place of the old one in one step.

mod files;
mod folders;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tantivy::TantivyError;
use tokio_util::sync::CancellationToken;

use super::scope::Scope;
use super::settings::Index;
use super::shared::Shared;
use super::shelf::Document;
use super::store::Writer;
use super::walk;
use super::watch::{Dirty, Looks, Watches};
use files::File;
use folders::KnownFolder;

/// While it can be searched, what was read is made known this often.
const COMMIT_EVERY: Duration = Duration::from_millis(400);
/// Lines of log about single files in one pass.
const MAX_LINES: usize = 20;

pub(super) struct Keeper {
    settings: Arc<Index>,
    shared: Arc<Shared>,
    dirty: Arc<Dirty>,
    scope: Arc<Scope>,
    stop: CancellationToken,
    root: Option<PathBuf>,
    watches: Option<Watches>,
    /// Counts passes; what was not seen in the last one is gone.
    pass: u64,
    files: BTreeMap<Arc<str>, File>,
    /// Read so soon after a change that the next one might not show, and when.
    fresh: BTreeMap<Arc<str>, Instant>,
    folders: BTreeMap<String, KnownFolder>,
    /// Versions that are still in the store, but not on the shelf.
    old: Vec<u64>,
    /// Versions that are in the store, but not yet on the shelf.
    new: Vec<Arc<Document>>,
    new_bytes: u64,
    writer: Option<Writer>,
    /// When the writer was used last.
    used: Instant,
    said: Said,
    /// The store may hold what an earlier keeper left behind.
    pub(super) anew: bool,
}

/// What was logged already.
#[derive(Default)]
struct Said {
    lines: usize,
    paths: BTreeSet<String>,
    too_many: bool,
    unwatched: bool,
}

impl Keeper {
    pub(super) fn new(
        settings: Arc<Index>,
        shared: Arc<Shared>,
        dirty: Arc<Dirty>,
        stop: CancellationToken,
    ) -> Keeper {
        Keeper {
            scope: Arc::new(Scope::of(&settings)),
            settings,
            shared,
            dirty,
            stop,
            root: None,
            watches: None,
            pass: 0,
            files: BTreeMap::new(),
            fresh: BTreeMap::new(),
            folders: BTreeMap::new(),
            old: Vec::new(),
            new: Vec::new(),
            new_bytes: 0,
            writer: None,
            used: Instant::now(),
            said: Said::default(),
            anew: false,
        }
    }

    /// Looks, reads and forgets; how long it took to look. A stop ends it early.
    pub(super) fn pass(&mut self, looks: &Looks) -> Result<Duration, TantivyError> {
        let began = Instant::now();
        self.pass += 1;
        self.said.lines = 0;
        if std::mem::take(&mut self.anew) {
            self.start_anew()?;
        }
        let Some((root, looks)) = self.root(looks) else {
            return Ok(began.elapsed());
        };
        let changed = self.look(&root, &looks);
        let looking = began.elapsed();
        // What was not looked at to its end says nothing about what is gone.
        if let Some(changed) = changed
            && !self.stop.is_cancelled()
        {
            self.forget_what_is_gone(&looks);
            self.read(&root, changed)?;
            self.publish()?;
            if self.is_there() {
                self.rest()?;
            }
        }
        Ok(looking)
    }

    /// What is to be looked at again after [`TICK`](super::inside::TICK).
    pub(super) fn fresh(&self) -> Vec<String> {
        self.fresh.keys().map(|path| path.to_string()).collect()
    }

    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Ends the writer with its threads and its memory, until it is needed.
    pub(super) fn rest(&mut self) -> Result<(), TantivyError> {
        self.writer.take().map_or(Ok(()), Writer::close)
    }

    /// Since when the writer has not been used; `None` while it is closed.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.writer.as_ref().map(|_| self.used)
    }

    /// What events say, and whoever adds to it.
    pub(super) fn dirty(&self) -> Arc<Dirty> {
        Arc::clone(&self.dirty)
    }

    /// Forgets what an earlier keeper left behind, in the store too.
    fn start_anew(&mut self) -> Result<(), TantivyError> {
        self.shared.shelf.clear();
        let writer = self.writer()?;
        writer.remove_all()?;
        writer.commit()
    }

    /// The folder, and what to look at in it: all of it, if it is another one.
    fn root(&mut self, looks: &Looks) -> Option<(PathBuf, Looks)> {
        let mut looks = looks.clone();
        let root = match std::fs::canonicalize(&self.settings.path) {
            Ok(root) => root,
            Err(error) => {
                self.gone(&error.to_string());
                return None;
            }
        };
        if self.root.as_ref() != Some(&root) {
            self.root = Some(root.clone());
            self.shared.shelf.set_root(&root);
            looks.renew = true;
        }
        if looks.renew {
            self.watches = None;
        }
        // A path counts only in a folder that is looked into.
        let strange = looks
            .paths
            .iter()
            .any(|path| path.is_empty() || !self.is_known(parent(path)));
        looks.all |= looks.renew || self.watches.is_none() || strange;
        Some((root, looks))
    }

    /// The files that are new or changed; `None` if the folder cannot be read.
    fn look(&mut self, root: &Path, looks: &Looks) -> Option<Vec<Arc<str>>> {
        let scope = Arc::clone(&self.scope);
        if self.watches.is_none() {
            self.folders.clear();
            self.watch(root);
        }
        for path in &looks.paths {
            self.forget_watches(path);
        }
        if looks.all {
            let mut look = Look::new(self);
            let walked = walk::folder(root, "", false, &scope, &mut look);
            let (changed, too_many, links) = (look.changed, look.too_many, look.links);
            self.dirty.links.store(links, Ordering::Relaxed);
            if let Err(error) = walked {
                self.gone(&error.to_string());
                return None;
            }
            self.too_many(too_many);
            return Some(changed);
        }
        let mut changed = Vec::new();
        for path in &looks.paths {
            let linked = self.is_linked(parent(path));
            let mut look = Look::new(self);
            walk::path(root, path, linked, &scope, &mut look);
            changed.append(&mut look.changed);
            if look.links {
                self.dirty.links.store(true, Ordering::Relaxed);
            }
        }
        // Paths may lie within each other.
        changed.sort_unstable();
        changed.dedup();
        Some(changed)
    }

    fn gone(&mut self, reason: &str) {
        self.watches = None;
        let mut status = self.shared.status();
        let before = status.gone.replace(reason.to_owned());
        drop(status);
        if before.is_none() {
            tracing::error!(
                index = self.shared.name,
                "the folder {} cannot be read ({reason}): its documents cannot be searched until it is there; see that the path in [search.{}] is right and that the host's user may read it",
                self.settings.path.display(),
                self.shared.name,
            );
        }
    }

    /// Whether this is the end of the first reading.
    fn is_there(&mut self) -> bool {
        let mut status = self.shared.status();
        let first = !std::mem::replace(&mut status.read, true);
        let was_gone = status.gone.take().is_some();
        drop(status);
        if was_gone {
            tracing::info!(
                index = self.shared.name,
                "the folder {} can be read",
                self.settings.path.display()
            );
        }
        first
    }

    /// Makes what was read known, and what is gone forgotten by the store too.
    fn publish(&mut self) -> Result<(), TantivyError> {
        if self.new.is_empty() && self.old.is_empty() {
            return Ok(());
        }
        let new = std::mem::take(&mut self.new);
        for document in &new {
            if let Some(before) = self.shared.shelf.by_path(&document.path) {
                self.old.push(before.number);
            }
        }
        let old = std::mem::take(&mut self.old);
        let writer = self.writer()?;
        for number in old {
            writer.remove(number);
        }
        writer.commit()?;
        self.shared.shelf.put(new);
        self.new_bytes = 0;
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut Writer, TantivyError> {
        self.used = Instant::now();
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.shared.store.writer()?,
        };
        Ok(self.writer.insert(writer))
    }

    /// Logs one line about one file, unless there are too many.
    fn say(&mut self, path: &str, reason: &str) {
        self.said.lines += 1;
        let index = &self.shared.name;
        if self.said.lines <= MAX_LINES {
            tracing::warn!(index, document = path, "left out: {reason}");
        } else if self.said.lines == MAX_LINES + 1 {
            tracing::warn!(index, "more files are left out; further ones are not named");
        }
    }
}

/// Takes down what a look finds.
struct Look<'a> {
    keeper: &'a mut Keeper,
    changed: Vec<Arc<str>>,
    too_many: usize,
    /// There are links.
    links: bool,
}

impl<'a> Look<'a> {
    fn new(keeper: &'a mut Keeper) -> Look<'a> {
        Look {
            keeper,
            changed: Vec::new(),
            too_many: 0,
            links: false,
        }
    }
}

/// The folder that a path is in.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
