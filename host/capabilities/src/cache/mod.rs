//! `[cache.NAME]`: answers that need not be fetched again.
//!
//! ```text
//! key.rs     whose entry it is, so that nothing crosses
//! store.rs   one cache: where its entries are
//! memory.rs  entries in this host's memory
//! remote.rs  entries in a Redis that hosts share
//! cached.rs  what an engine fetches, kept: single flight, stale while it is fetched anew
//! place.rs   what comes piece by piece, kept at its end
//! turns.rs   whose turn it is to make what others wait for
//! kept.rs    what a plugin keeps in a cache
//! guest.rs   the functions that guests call
//! stats.rs   what it counts
//! ```
//!
//! A section such as `[search.docs]` names the cache that it answers from, and a
//! plugin that is granted one keeps there what it likes; without a name nothing is
//! kept.

mod cached;
mod guest;
mod kept;
mod key;
mod memory;
mod place;
mod remote;
pub mod settings;
mod stats;
mod store;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use segue_resilience::Guards;
use tokio::runtime::Handle;

pub use cached::{Cached, Fetched, Source};
pub use guest::Caching;
pub use kept::{Kept, KeptError};
pub use key::{Owner, TENANT};
pub use place::Place;
pub use stats::CacheState;
pub use store::Cache;

/// The caches of a host, by name. A set never changes; a reload makes another
/// one, in which what is configured as before keeps its entries.
pub struct Caches {
    caches: BTreeMap<String, Arc<Cache>>,
    guards: Arc<Guards>,
    handle: Handle,
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.caches.keys()).finish()
    }
}

impl Caches {
    /// What is asked over the network is asked on `handle`, behind a guard of the
    /// kind `cache`.
    pub fn new(
        settings: BTreeMap<String, settings::Cache>,
        guards: Arc<Guards>,
        handle: Handle,
    ) -> Arc<Caches> {
        let none = Caches {
            caches: BTreeMap::new(),
            guards,
            handle,
        };
        none.update(settings)
    }

    pub fn update(&self, settings: BTreeMap<String, settings::Cache>) -> Arc<Caches> {
        let caches = settings.into_iter().map(|(name, settings)| {
            let same = self
                .caches
                .get(&name)
                .filter(|cache| *cache.settings() == settings);
            let cache = match same {
                Some(cache) => Arc::clone(cache),
                None => Cache::new(&name, settings, &self.guards, self.handle.clone()),
            };
            (name, cache)
        });
        Arc::new(Caches {
            caches: caches.collect(),
            guards: Arc::clone(&self.guards),
            handle: self.handle.clone(),
        })
    }

    pub fn get(&self, name: &str) -> Option<Arc<Cache>> {
        self.caches.get(name).map(Arc::clone)
    }

    /// What `plugin` keeps in the cache `name`.
    pub fn of(&self, plugin: &str, name: &str) -> Option<Kept> {
        self.get(name).map(|cache| Kept::new(cache, plugin, name))
    }

    /// Those that are not in this host's memory, and whether they answered the last
    /// time.
    pub(crate) fn remote(&self) -> impl Iterator<Item = (&str, bool)> {
        let remote = |cache: &&Arc<Cache>| cache.settings().redis.is_some();
        let caches = self.caches.values().filter(remote);
        caches.map(|cache| (cache.name(), !cache.is_away()))
    }

    /// How each of them does.
    pub fn state(&self) -> Vec<CacheState> {
        self.caches.values().map(|cache| cache.state()).collect()
    }
}
