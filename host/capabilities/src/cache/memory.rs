//! The entries of one cache in this host's memory.
//!
//! Guarantees: entries and bytes are bounded, past that the least used go. What was
//! being made while it was invalidated is not kept: a [`Mark`] says when its making
//! began, and the last invalidations are remembered. Counting costs the same however
//! many entries there are.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use moka::notification::RemovalCause;
use moka::sync::Cache as Entries;
use tokio::time::Instant;

use super::settings;
use super::stats::{Counts, count};

/// What an entry costs besides its key, value and tags.
const OVERHEAD_BYTES: usize = 128;
/// Invalidations that are remembered. What began before the oldest is not kept.
const REMEMBERED: usize = 1_024;

pub(super) struct Memory {
    entries: Entries<String, Arc<Entry>>,
    /// Of keys and values.
    bytes: Arc<AtomicU64>,
    used: AtomicBool,
    recent: Mutex<Recent>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) tags: Vec<String>,
    pub(super) fresh_until: Instant,
    pub(super) usable_until: Instant,
}

/// When the making of something began: how many invalidations there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

#[derive(Debug, Default)]
struct Recent {
    made: u64,
    /// The last of them, the newest at the end.
    last: VecDeque<Invalidation>,
}

#[derive(Clone, Debug)]
enum Invalidation {
    Key(String),
    Tag(String),
    All,
}

impl Memory {
    pub(super) fn new(settings: &settings::Cache, counts: &Arc<Counts>) -> Memory {
        let bytes = Arc::<AtomicU64>::default();
        let (counted, freed) = (Arc::clone(counts), Arc::clone(&bytes));
        // Entries are bounded by weight: each weighs at least its share of the bytes.
        let least = settings.max_bytes / settings.max_entries.max(1);
        let least = u32::try_from(least).unwrap_or(u32::MAX);
        let weight = move |key: &String, entry: &Arc<Entry>| {
            let tags = entry.tags.iter().map(String::len).sum::<usize>();
            let bytes = key.len() + entry.value.len() + tags + OVERHEAD_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX).max(least)
        };
        let entries = Entries::builder()
            .weigher(weight)
            .max_capacity(settings.max_bytes)
            .time_to_live(settings.ttl + settings.stale_for)
            .eviction_listener(move |key: Arc<String>, entry: Arc<Entry>, cause| {
                freed.fetch_sub(size(&key, &entry), Ordering::Relaxed);
                match cause {
                    RemovalCause::Size | RemovalCause::Expired => count(&counted.evictions),
                    RemovalCause::Explicit => count(&counted.invalidations),
                    RemovalCause::Replaced => {}
                }
            })
            .support_invalidation_closures()
            .build();
        Memory {
            entries,
            bytes,
            used: AtomicBool::new(false),
            recent: Mutex::default(),
        }
    }

    /// What is under the key and may still be given out.
    pub(super) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        let found = self.entries.get(key);
        found.filter(|entry| Instant::now() < entry.usable_until)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.recent(|recent| recent.made))
    }

    /// Keeps a value whose making began at `mark`, unless that was undone since.
    /// Says whether it was kept.
    pub(super) fn keep(
        &self,
        mark: Mark,
        key: String,
        value: Bytes,
        tags: Vec<String>,
        fresh: Duration,
        stale: Duration,
    ) -> bool {
        let fresh_until = Instant::now() + fresh;
        let entry = Entry {
            value,
            tags,
            fresh_until,
            usable_until: fresh_until + stale,
        };
        self.bytes.fetch_add(size(&key, &entry), Ordering::Relaxed);
        let entry = Arc::new(entry);
        self.entries.insert(key.clone(), Arc::clone(&entry));
        self.used.store(true, Ordering::Release);
        // Looked at afterwards: an invalidation that comes between finds the entry.
        let undone = self.recent(|recent| recent.undid(mark, &key, &entry.tags));
        if undone {
            self.entries.invalidate(&key);
        }
        !undone
    }

    pub(super) fn remove(&self, key: &str) {
        self.note(Invalidation::Key(key.to_owned()));
        self.entries.invalidate(key);
    }

    pub(super) fn remove_tagged(&self, tag: &str) {
        self.note(Invalidation::Tag(tag.to_owned()));
        let tag = tag.to_owned();
        let tagged = move |_: &String, entry: &Arc<Entry>| entry.tags.contains(&tag);
        // Fails only without support for closures.
        let _ = self.entries.invalidate_entries_if(tagged);
        // Until that is done each closure is kept, and asked by each read.
        self.entries.run_pending_tasks();
    }

    pub(super) fn clear(&self) {
        self.used.store(false, Ordering::Release);
        self.note(Invalidation::All);
        self.entries.invalidate_all();
    }

    /// Whether anything was kept since it was cleared.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    /// Entries and the bytes of their keys and values.
    pub(super) fn holds(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.entry_count(), self.bytes.load(Ordering::Relaxed))
    }

    fn note(&self, what: Invalidation) {
        self.recent(|recent| {
            recent.made += 1;
            recent.last.push_back(what);
            if recent.last.len() > REMEMBERED {
                recent.last.pop_front();
            }
        });
    }

    fn recent<T>(&self, with: impl FnOnce(&mut Recent) -> T) -> T {
        with(&mut self.recent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Recent {
    /// Whether one of those since `mark` was about this entry.
    fn undid(&self, mark: Mark, key: &str, tags: &[String]) -> bool {
        let since = usize::try_from(self.made - mark.0).unwrap_or(usize::MAX);
        let about = |what: &Invalidation| match what {
            Invalidation::Key(known) => known == key,
            Invalidation::Tag(tag) => tags.contains(tag),
            Invalidation::All => true,
        };
        since > self.last.len() || self.last.iter().rev().take(since).any(about)
    }
}

fn size(key: &str, entry: &Entry) -> u64 {
    u64::try_from(key.len() + entry.value.len()).unwrap_or(u64::MAX)
}
