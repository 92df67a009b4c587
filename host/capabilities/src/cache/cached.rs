//! A cache in front of what one engine of the host fetches.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use segue_resilience::flight::{Flights, Lost, Role};
use tokio::time::Instant;

use super::key::{Owner, key};
use super::stats::count;
use super::store::{Cache, Look, Mark};

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
    flights: Flying<E>,
}

type Landed<E> = Result<(Bytes, Source), E>;
type Flying<E> = Flights<String, Landed<E>>;

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
        let wanted = Wanted {
            cache: Arc::clone(&self.cache),
            key: key.clone(),
            tags,
            fetch,
        };
        if let Look::Stale(value) = found {
            count(&counts.stale);
            // Nobody waits for it.
            self.flights.start(anew(&key), || wanted.anew());
            return (Ok(value), Source::Stale);
        }
        let flights = self.flights.clone();
        let (landed, role) = self.flights.join(key, || wanted.find(flights)).await;
        let landed = landed.unwrap_or_else(|lost| Err(lost.into()));
        let source = match (role, &landed) {
            (Role::Joined, _) => Source::Joined,
            (Role::Led, Ok((_, source))) => *source,
            (Role::Led, Err(_)) => Source::Miss,
        };
        // Who led was counted when it was known what it came to.
        if role == Role::Joined {
            count(&counts.joined);
        }
        (landed.map(|(value, _)| value), source)
    }
}

/// What a value is fetched anew under, while the old one is given out.
fn anew(key: &str) -> String {
    format!("anew {key}")
}

/// What somebody wants who does not find it at a glance.
struct Wanted<Fetch> {
    cache: Arc<Cache>,
    key: String,
    tags: Vec<String>,
    fetch: Fetch,
}

impl<Fetch> Wanted<Fetch> {
    /// Another host may have it, or another may have landed meanwhile.
    async fn find<E, F>(self, flights: Flying<E>) -> Landed<E>
    where
        Fetch: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Fetched, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        let (found, mark) = self.cache.look(&self.key).await;
        let counts = &self.cache.counts;
        match found {
            Look::Fresh(value) => {
                count(&counts.hits);
                Ok((value, Source::Hit))
            }
            Look::Stale(value) => {
                count(&counts.stale);
                flights.start(anew(&self.key), || self.fetch(mark));
                Ok((value, Source::Stale))
            }
            Look::Nothing => {
                count(&counts.misses);
                self.fetch(mark).await
            }
        }
    }

    async fn anew<E, F>(self) -> Landed<E>
    where
        Fetch: FnOnce() -> F,
        F: Future<Output = Result<Fetched, E>>,
    {
        match self.cache.look(&self.key).await {
            (Look::Fresh(value), _) => Ok((value, Source::Hit)),
            (Look::Stale(_) | Look::Nothing, mark) => self.fetch(mark).await,
        }
    }

    async fn fetch<E, F>(self, mark: Mark) -> Landed<E>
    where
        Fetch: FnOnce() -> F,
        F: Future<Output = Result<Fetched, E>>,
    {
        let since = Instant::now();
        let fetched = (self.fetch)().await;
        self.cache.counts.loaded(since.elapsed(), fetched.is_ok());
        let Fetched { value, keep } = fetched?;
        if keep {
            let (key, value) = (self.key, value.clone());
            self.cache.keep(&mark, key, value, self.tags, None).await;
        }
        Ok((value, Source::Miss))
    }
}

#[cfg(test)]
mod tests;
