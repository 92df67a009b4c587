//! What a cache counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) joined: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) evictions: AtomicU64,
    pub(super) invalidations: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) load_micros: AtomicU64,
}

/// How a cache does, since the start. Each question is a hit, stale, a miss or
/// joined; each miss is a load, and so is each stale one that nobody was at yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CacheState {
    pub name: String,
    /// Where its entries are: `memory`, or `redis`.
    pub tier: &'static str,
    /// That Redis did not answer the last time: memory stands in for it.
    pub away: bool,
    /// What was asked of Redis and not answered.
    pub unanswered: u64,
    /// Answered from a fresh entry.
    pub hits: u64,
    /// Answered from one that is past its time and being fetched anew.
    pub stale: u64,
    /// Had to be fetched.
    pub misses: u64,
    /// Waited for what another was fetching.
    pub joined: u64,
    /// Fetches that failed; nothing was kept of them.
    pub errors: u64,
    /// Entries that made room for others, or whose time was over.
    pub evictions: u64,
    /// Entries that were taken out because what they were made from changed.
    pub invalidations: u64,
    /// Entries in this host's memory; of a Redis nobody counts them.
    pub entries: u64,
    /// Of their keys and values.
    pub bytes: u64,
    /// Of all questions, those that needed no fetch of their own.
    pub hit_rate: f64,
    /// How long a fetch takes on average.
    pub load_ms: f64,
}

impl Counts {
    /// A fetch has ended.
    pub(super) fn loaded(&self, took: Duration, well: bool) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.load_micros.fetch_add(took, Ordering::Relaxed);
        count(&self.loads);
        if !well {
            count(&self.failed);
        }
    }

    pub(super) fn state(&self, name: &str, entries: u64, bytes: u64) -> CacheState {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (hits, stale) = (get(&self.hits), get(&self.stale));
        let (misses, joined) = (get(&self.misses), get(&self.joined));
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        CacheState {
            name: name.to_owned(),
            hits,
            stale,
            misses,
            joined,
            errors: get(&self.failed),
            evictions: get(&self.evictions),
            invalidations: get(&self.invalidations),
            entries,
            bytes,
            tier: "memory",
            away: false,
            unanswered: 0,
            hit_rate: share(hits + stale + joined, hits + stale + misses + joined),
            load_ms: share(get(&self.load_micros), get(&self.loads)) / 1e3,
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
