//! The task that follows the folder: one loop that owns what is known of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use notify::RecommendedWatcher;
use tokio::sync::{mpsc, watch as value};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use super::load::{Ended, Loader};
use super::look::{FolderId, PairLook};
use super::scans::{Done, Scanned, Scans, Waiters};
use super::settle::{CLOSES_ARE_TOLD, Due, Settle};
use super::watch::{self, Change, Changes, Ear};
use super::{Rescan, read, scan};
use crate::error::LoadError;
use crate::registry::Registry;
use crate::settings::Settings;

/// However it is set, the folder is not read more often than this by the clock.
const MIN_RESCAN: Duration = Duration::from_millis(100);

pub(super) struct Task {
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    loader: Arc<Loader>,
    settle: Settle,
    /// The plugins that have a place, at most `max_plugins`.
    entries: BTreeMap<String, Entry>,
    /// Those that found no place.
    excess: BTreeSet<String>,
    wrong: BTreeSet<String>,
    loads: JoinSet<Result<Ended, JoinError>>,
    loading: HashMap<Id, String>,
    /// Loads whose result is not to be remembered.
    stale: BTreeSet<String>,
    scans: Scans,
    waiters: Waiters,
    ear: Ear,
    changes: Option<Changes>,
    folder: Folder,
}

/// What is known of a plugin's pair.
#[derive(Default)]
struct Entry {
    /// What it looked like when it was dealt with last.
    known: Option<PairLook>,
    /// What it looked like when it began to wait.
    expected: Option<PairLook>,
    /// The digest of what was dealt with last.
    content: Option<[u8; 32]>,
    /// It was found empty, and has had its settle time.
    was_empty: bool,
}

/// The state of the folder itself.
#[derive(Default)]
struct Folder {
    /// The folder that the entries were found in.
    id: Option<FolderId>,
    watched: Option<FolderId>,
    watcher: Option<RecommendedWatcher>,
    /// It is gone, or was replaced by an empty one; said once.
    adrift: bool,
    /// It cannot be watched; said once.
    unwatched: bool,
    /// Plugins are reached through links, which other entries may carry.
    links: bool,
}

impl Task {
    pub(super) fn new(
        settings: Arc<Settings>,
        registry: Arc<Registry>,
        scanned: value::Sender<bool>,
    ) -> Self {
        let (ear, changes) = watch::channel(&settings.dir);
        let max_pairs = settings.max_plugins.saturating_mul(2).saturating_add(8);
        let mut scans = Scans::new(settings.settle);
        scans.want(Instant::now(), true, Some(Done::First(scanned)));
        Self {
            loader: Arc::new(Loader::new(Arc::clone(&settings), Arc::clone(&registry))),
            settle: Settle::new(settings.settle, CLOSES_ARE_TOLD, max_pairs),
            entries: BTreeMap::new(),
            excess: BTreeSet::new(),
            wrong: BTreeSet::new(),
            loads: JoinSet::new(),
            loading: HashMap::new(),
            stale: BTreeSet::new(),
            scans,
            waiters: Waiters::default(),
            ear,
            changes: Some(changes),
            folder: Folder::default(),
            settings,
            registry,
        }
    }

    pub(super) async fn run(mut self, mut rescans: mpsc::Receiver<Rescan>, stop: CancellationToken) {
        let Some(mut changes) = self.changes.take() else {
            return;
        };
        let period = self.settings.rescan.max(MIN_RESCAN);
        let mut rescan = interval_at(Instant::now() + period, period);
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.start_what_is_due();
            self.waiters.tell(&self.settle, Instant::now());
            let wake = self.next_wake();
            let may_wait = self.waiters.have_room();
            tokio::select! {
                () = stop.cancelled() => return,
                Some(change) = changes.next() => self.changed(change),
                Some(Rescan { everything, done }) = rescans.recv(), if may_wait => {
                    if everything {
                        self.forget_what_is_known();
                    }
                    self.scans.want(Instant::now(), true, Some(Done::Caller(done)));
                }
                Some(ended) = self.loads.join_next_with_id() => self.ended(ended),
                scanned = self.scans.over() => self.scanned(scanned),
                _ = rescan.tick() => self.scans.want_soon(false),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// What is loading now was begun before, so it is read once more.
    fn forget_what_is_known(&mut self) {
        for entry in self.entries.values_mut() {
            entry.known = None;
            entry.content = None;
        }
        for name in self.loading.values() {
            self.stale.insert(name.clone());
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let scan = self.scans.next_at();
        match (self.settle.next_due(), scan) {
            (Some(due), Some(scan)) => Some(due.min(scan)),
            (due, scan) => due.or(scan),
        }
    }

    fn start_what_is_due(&mut self) {
        let now = Instant::now();
        for due in self.settle.take_due(now) {
            self.start_load(due);
        }
        if self.scans.next_at().is_some_and(|at| at <= now) {
            self.scans.start(scan::Order {
                dir: self.settings.dir.clone(),
                known: self.entries.keys().cloned().collect(),
                max_plugins: self.settings.max_plugins,
                watched: self.folder.watched,
                ear: self.ear.clone(),
            });
        }
    }

    fn start_load(&mut self, due: Due) {
        let Due { name, certain } = due;
        let has_place = self.entries.contains_key(&name);
        if !has_place && self.entries.len() >= self.settings.max_plugins {
            self.settle.release(&name);
            self.scans.want_soon(false);
            return;
        }
        let entry = self.entries.entry(name.clone()).or_default();
        let expected = entry.expected.take();
        let order = read::Order {
            dir: self.settings.dir.clone(),
            folder: self.folder.id,
            name: name.clone(),
            known: entry.known.clone().filter(|_| !certain),
            expected: expected.filter(|_| !certain),
            content: entry.content,
            empty_counts: entry.was_empty,
        };
        let loader = Arc::clone(&self.loader);
        let load = self.loads.spawn(async move { loader.load(order).await });
        self.loading.insert(load.id(), name);
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::File { name, part, what } => {
                let now = Instant::now();
                if !self.settle.happened(&name, part, what, now) || self.folder.adrift {
                    self.scans.want_soon(false);
                }
            }
            // Only links make other entries matter; those are swapped whole.
            Change::Other if self.folder.links || self.folder.adrift => self.scans.want_soon(true),
            Change::Other => {}
            Change::Lost => {
                // A watch that ended, or is of a folder that was moved away,
                // cannot be told from one that lost events: all are renewed.
                self.folder.watched = None;
                self.scans.want_soon(false);
            }
        }
    }
}

/// The end of a load.
impl Task {
    fn ended(&mut self, ended: Result<(Id, Result<Ended, JoinError>), JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(name) = self.loading.remove(&id) else {
            return;
        };
        match ended {
            Ok(ended) => self.settled(&name, ended),
            // Its entry stays as it was, so the next scan tries again.
            Err(error) => tracing::error!(plugin = name, %error, "loading failed inside the host"),
        }
        self.settle.release(&name);
        if self.stale.remove(&name)
            && let Some(entry) = self.entries.get_mut(&name)
        {
            entry.known = None;
            entry.content = None;
            self.scans.want_soon(true);
        }
    }

    fn settled(&mut self, name: &str, ended: Ended) {
        let now = Instant::now();
        let Some(entry) = self.entries.get_mut(name) else {
            return;
        };
        let was_empty = std::mem::take(&mut entry.was_empty);
        match ended {
            Ended::Same(look) => entry.known = Some(look),
            Ended::Dealt { look, content } => {
                entry.known = Some(look);
                entry.content = content;
            }
            Ended::Unquiet(look) => {
                entry.expected = Some(look);
                self.settle.postpone(name, now);
            }
            Ended::Empty => {
                entry.was_empty = true;
                self.settle.postpone(name, now);
            }
            Ended::FolderGone => {
                entry.was_empty = was_empty;
                self.scans.want_soon(false);
            }
            Ended::Absent => {
                self.entries.remove(name);
                self.registry.remove(name);
                if !self.excess.is_empty() {
                    self.scans.want_soon(true);
                }
            }
        }
    }
}

/// The end of a scan.
impl Task {
    fn scanned(&mut self, scanned: Scanned) {
        let now = Instant::now();
        match scanned.listing {
            Ok(listing) => self.apply(listing, scanned.at_once, now),
            Err(error) => self.gone(&error.to_string()),
        }
        for done in scanned.waiting {
            let names = self.entries.keys().cloned();
            self.waiters.add(done, names, now);
        }
    }

    /// Nothing is unloaded: a folder that is gone is an accident of mounts and
    /// deployments, and what it held still answers.
    fn gone(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.folder.adrift, true) {
            let dir = self.settings.dir.display();
            tracing::error!(
                "the plugin folder {dir} cannot be read any more ({reason}): what is loaded goes on, and the folder is read again once it is back"
            );
        }
        self.folder.watched = None;
    }

    fn apply(&mut self, listing: scan::Listing, at_once: bool, now: Instant) {
        self.watched(listing.folder, listing.watcher);
        self.folder.links = listing.links;
        let another = self.folder.id.is_some_and(|id| id != listing.folder);
        if another && listing.pairs.is_empty() && !self.entries.is_empty() {
            if !std::mem::replace(&mut self.folder.adrift, true) {
                let dir = self.settings.dir.display();
                tracing::error!(
                    "another folder is at {dir} now, and it holds no plugin: what is loaded goes on until one is put there"
                );
            }
            return;
        }
        if std::mem::take(&mut self.folder.adrift) {
            tracing::info!("the plugin folder {} is back", self.settings.dir.display());
        }
        self.folder.id = Some(listing.folder);
        self.wrong_names(listing.wrong);
        self.too_many(listing.excess, &listing.pairs);
        for name in self.entries.keys() {
            if !listing.pairs.contains_key(name) {
                self.settle.found(name, at_once, now);
            }
        }
        for (name, look) in listing.pairs {
            self.compare(name, look, at_once, now);
        }
    }

    fn compare(&mut self, name: String, look: PairLook, at_once: bool, now: Instant) {
        let has_place = self.entries.contains_key(&name);
        if !has_place && self.entries.len() >= self.settings.max_plugins {
            return;
        }
        let entry = self.entries.entry(name.clone()).or_default();
        if entry.known.as_ref() == Some(&look) {
            return;
        }
        entry.expected = (!at_once).then_some(look);
        self.settle.found(&name, at_once, now);
    }

    fn watched(&mut self, id: FolderId, watcher: Option<Result<RecommendedWatcher, String>>) {
        match watcher {
            None => {}
            Some(Ok(watcher)) => {
                self.folder.watched = Some(id);
                self.folder.watcher = Some(watcher);
                self.folder.unwatched = false;
            }
            Some(Err(reason)) => {
                self.folder.watched = None;
                self.folder.watcher = None;
                if !std::mem::replace(&mut self.folder.unwatched, true) {
                    let dir = self.settings.dir.display();
                    let period = self.settings.rescan;
                    tracing::warn!(
                        "the system tells no changes of the plugin folder {dir} ({reason}): it is read every {period:?} instead; on Linux, fs.inotify.max_user_instances or max_user_watches may be too low"
                    );
                }
            }
        }
    }

    fn wrong_names(&mut self, wrong: BTreeSet<String>) {
        for file in wrong.difference(&self.wrong) {
            tracing::warn!(
                file,
                "not loaded for its name: rename it to lower-case letters, digits, `-` and `_`, at most 64 of them, and `.wasm`"
            );
        }
        self.wrong = wrong;
    }

    fn too_many(&mut self, excess: BTreeSet<String>, pairs: &BTreeMap<String, PairLook>) {
        let limit = self.settings.max_plugins;
        for name in excess.difference(&self.excess) {
            self.registry
                .refuse(name, LoadError::TooManyPlugins { limit }, None);
        }
        for name in self.excess.difference(&excess) {
            if !pairs.contains_key(name) {
                self.registry.remove(name);
            }
        }
        self.excess = excess;
    }
}
