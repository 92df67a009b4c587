//! One cache: entries in memory, and those who fetch what is not there.
//!
//! | asked for | then |
//! |---|---|
//! | a fresh entry | it is the answer |
//! | an entry past its `ttl`, within `stale_for` | it is the answer, and one task fetches it anew |
//! | anything else, while somebody fetches it | the same answer as theirs |
//! | anything else | it is fetched, and kept if it is well and not too large |
//!
//! An entry's time is shortened by up to a tenth at random, so that what was
//! fetched together does not end together. An invalidation also holds for what is
//! being fetched meanwhile: it is given to those who wait and not kept.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use moka::notification::RemovalCause;
use moka::sync::Cache as Memory;
use segue_resilience::flight::{Flights, Lost, Role};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::key::{Owner, key};
use super::settings;
use super::stats::{CacheState, Counts, count};

/// A cache that the operator configured.
pub struct Cache {
    name: String,
    settings: settings::Cache,
    memory: Memory<String, Arc<Entry>>,
    counts: Arc<Counts>,
    /// Grows with each invalidation.
    era: AtomicU64,
    handle: Handle,
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    tags: Vec<String>,
    fresh_until: Instant,
    usable_until: Instant,
}

/// How an answer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Hit,
    Stale,
    Miss,
    Joined,
}

impl Cache {
    pub(super) fn new(name: &str, settings: settings::Cache, handle: Handle) -> Arc<Cache> {
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        let weight = |key: &String, entry: &Arc<Entry>| {
            u32::try_from(key.len() + entry.value.len() + 128).unwrap_or(u32::MAX)
        };
        // Entries are bounded by weight: each weighs at least its share of the bytes.
        let least = settings.max_bytes / settings.max_entries.max(1);
        let memory = Memory::builder()
            .weigher(move |key, entry| weight(key, entry).max(u32::try_from(least).unwrap_or(u32::MAX)))
            .max_capacity(settings.max_bytes)
            .time_to_live(settings.ttl + settings.stale_for)
            .eviction_listener(move |_, _, cause| match cause {
                RemovalCause::Size | RemovalCause::Expired => count(&counted.evictions),
                RemovalCause::Explicit | RemovalCause::Replaced => {}
            })
            .support_invalidation_closures()
            .build();
        Arc::new(Cache {
            name: name.to_owned(),
            settings,
            memory,
            counts,
            era: AtomicU64::new(0),
            handle,
        })
    }

    pub fn settings(&self) -> &settings::Cache {
        &self.settings
    }

    async fn load<E>(
        self: Arc<Cache>,
        key: String,
        tags: Vec<String>,
        fetched: Arc<AtomicBool>,
        work: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        // Another may have landed between the look and the take-off.
        if let Some(entry) = self.fresh(&key) {
            return Ok(entry.value.clone());
        }
        fetched.store(true, Ordering::Relaxed);
        let (era, since) = (self.era.load(Ordering::Acquire), Instant::now());
        let value = work.await;
        let took = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counts.load_micros.fetch_add(took, Ordering::Relaxed);
        count(&self.counts.loads);
        match &value {
            Ok(value) => {
                self.keep(key.clone(), value.clone(), tags);
                // What was taken out meanwhile was made from what is no more.
                if era != self.era.load(Ordering::Acquire) {
                    self.memory.invalidate(&key);
                }
            }
            Err(_) => count(&self.counts.failed),
        }
        value
    }

    fn fresh(&self, key: &str) -> Option<Arc<Entry>> {
        let found = self.memory.get(key);
        found.filter(|entry| Instant::now() < entry.fresh_until)
    }

    /// Keeps a value, unless it is too large.
    fn keep(&self, key: String, value: Bytes, tags: Vec<String>) {
        if value.len() > self.settings.max_value {
            return;
        }
        let spread = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        let fresh_until = Instant::now() + self.settings.ttl.mul_f64(1.0 - spread / 10.0);
        let entry = Entry {
            value,
            tags,
            fresh_until,
            usable_until: fresh_until + self.settings.stale_for,
        };
        self.memory.insert(key, Arc::new(entry));
    }

    /// Takes out what has this tag.
    pub fn invalidate_tag(&self, tag: &str) {
        self.era.fetch_add(1, Ordering::AcqRel);
        let (tag, counts) = (tag.to_owned(), Arc::clone(&self.counts));
        let tagged = move |_: &String, entry: &Arc<Entry>| {
            let tagged = entry.tags.contains(&tag);
            if tagged {
                count(&counts.invalidations);
            }
            tagged
        };
        // Fails only without support for closures.
        let _ = self.memory.invalidate_entries_if(tagged);
    }

    /// Takes everything out.
    pub fn clear(&self) {
        self.era.fetch_add(1, Ordering::AcqRel);
        self.memory.run_pending_tasks();
        let entries = self.memory.entry_count();
        self.counts.invalidations.fetch_add(entries, Ordering::Relaxed);
        self.memory.invalidate_all();
    }

    pub fn state(&self) -> CacheState {
        self.memory.run_pending_tasks();
        let bytes = self
            .memory
            .iter()
            .map(|(key, entry)| key.len() + entry.value.len());
        let bytes = u64::try_from(bytes.sum::<usize>()).unwrap_or(u64::MAX);
        self.counts.state(&self.name, self.memory.entry_count(), bytes)
    }
}

/// A cache in front of what one engine fetches, whose errors are `E`.
#[derive(Clone)]
pub struct Cached<E> {
    cache: Arc<Cache>,
    /// The fetches under way. An error is given to all who wait, and not kept.
    flights: Flights<String, Result<Bytes, E>>,
}

impl<E> Cached<E>
where
    E: Clone + From<Lost> + Send + Sync + 'static,
{
    pub fn new(cache: Arc<Cache>) -> Cached<E> {
        Cached {
            flights: Flights::new(cache.handle.clone()),
            cache,
        }
    }

    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The value under the parts of a key, from memory or through `fetch`. What is
    /// fetched is kept under `tags`.
    pub async fn get<F>(
        &self,
        owner: &Owner,
        parts: &[&str],
        tags: Vec<String>,
        fetch: impl FnOnce() -> F,
    ) -> (Result<Bytes, E>, Source)
    where
        F: Future<Output = Result<Bytes, E>> + Send + 'static,
    {
        let Cache { memory, counts, .. } = &*self.cache;
        let key = key(owner, self.cache.settings.public, parts);
        let now = Instant::now();
        let found = memory.get(&key).filter(|entry| now < entry.usable_until);
        if let Some(entry) = &found
            && now < entry.fresh_until
        {
            count(&counts.hits);
            return (Ok(entry.value.clone()), Source::Hit);
        }
        let (cache, kept_as, work) = (Arc::clone(&self.cache), key.clone(), fetch());
        let fetched = Arc::<AtomicBool>::default();
        let told = Arc::clone(&fetched);
        let load = move || cache.load(kept_as, tags, told, work);
        if let Some(entry) = found {
            count(&counts.stale);
            // Nobody waits for it.
            let flights = self.flights.clone();
            self.cache
                .handle
                .spawn(async move { flights.join(key, load).await });
            return (Ok(entry.value.clone()), Source::Stale);
        }
        let (value, role) = self.flights.join(key, load).await;
        let (counter, source) = match role {
            Role::Led if fetched.load(Ordering::Relaxed) => (&counts.misses, Source::Miss),
            Role::Led => (&counts.hits, Source::Hit),
            Role::Joined => (&counts.joined, Source::Joined),
        };
        count(counter);
        (value.unwrap_or_else(|lost| Err(lost.into())), source)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
