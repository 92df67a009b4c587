//! A cache in front of what one engine of the host fetches.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use segue_resilience::flight::{Flights, Lost, Role};
use tokio::time::Instant;

use super::key::{Owner, key};
use super::stats::count;
use super::store::{Cache, Look};

/// How an answer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Hit,
    Stale,
    Miss,
    Joined,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub value: Bytes,
    /// Whether it may be kept: not if it is only a part of the answer.
    pub keep: bool,
}

impl<B: Into<Bytes>> From<B> for Fetched {
    fn from(value: B) -> Fetched {
        Fetched {
            value: value.into(),
            keep: true,
        }
    }
}

/// A cache in front of what one engine fetches, whose errors are `E`.
#[derive(Clone)]
pub struct Cached<E> {
    cache: Arc<Cache>,
    /// The fetches under way. An error is given to all who wait, and not kept.
    flights: Flights<String, Result<Bytes, E>>,
}

impl<E> std::fmt::Debug for Cached<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cached").field(&self.cache).finish()
    }
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

    /// In front of `cache`, as before where that is the same: what is under way goes
    /// on.
    pub fn over(before: Option<&Cached<E>>, cache: Option<Arc<Cache>>) -> Option<Cached<E>> {
        let cache = cache?;
        let same = before.filter(|before| Arc::ptr_eq(&before.cache, &cache));
        Some(same.cloned().unwrap_or_else(|| Cached::new(cache)))
    }

    /// The value under the parts of a key, from the cache or through `fetch`, which
    /// is called by the one who fetches and by nobody who waits. What is fetched is
    /// kept under `tags`.
    pub async fn get<F>(
        &self,
        owner: &Owner,
        parts: &[&str],
        tags: Vec<String>,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> (Result<Bytes, E>, Source)
    where
        F: Future<Output = Result<Fetched, E>> + Send + 'static,
    {
        let counts = &self.cache.counts;
        let key = key(owner, self.cache.settings().public, parts);
        let found = self.cache.glance(&key);
        if let Look::Fresh(value) = found {
            count(&counts.hits);
            return (Ok(value), Source::Hit);
        }
        let fetched = Arc::<AtomicBool>::default();
        let (cache, kept_as, told) = (Arc::clone(&self.cache), key.clone(), Arc::clone(&fetched));
        let load = move || load(cache, kept_as, tags, told, fetch);
        if let Look::Stale(value) = found {
            count(&counts.stale);
            // Nobody waits for it.
            self.flights.start(key, load);
            return (Ok(value), Source::Stale);
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

async fn load<E, F>(
    cache: Arc<Cache>,
    key: String,
    tags: Vec<String>,
    fetched: Arc<AtomicBool>,
    fetch: impl FnOnce() -> F,
) -> Result<Bytes, E>
where
    F: Future<Output = Result<Fetched, E>>,
{
    // Another may have landed between the look and the take-off.
    let (found, mark) = cache.look(&key).await;
    if let Look::Fresh(value) = found {
        return Ok(value);
    }
    fetched.store(true, Ordering::Relaxed);
    let since = Instant::now();
    let fetched = fetch().await;
    cache.counts.loaded(since.elapsed(), fetched.is_ok());
    let Fetched { value, keep } = fetched?;
    if keep {
        cache.keep(mark, key, value.clone(), tags, None).await;
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
