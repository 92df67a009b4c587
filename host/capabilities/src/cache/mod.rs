//! `[cache.NAME]`: answers that need not be fetched again.
//!
//! ```text
//! key.rs    whose entry it is, so that nothing crosses
//! store.rs  one cache: memory, single flight, stale while it is fetched anew
//! stats.rs  what it counts
//! ```
//!
//! A section such as `[search.docs]` names the cache that it answers from;
//! without a name nothing is kept.

mod key;
pub mod settings;
mod stats;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;

pub use key::{Owner, TENANT};
pub use stats::CacheState;
pub use store::{Cache, Cached, Source};

/// The caches of a host, by name. A set never changes; a reload makes another
/// one, in which what is configured as before keeps its entries.
#[derive(Debug)]
pub struct Caches {
    caches: BTreeMap<String, Arc<Cache>>,
    handle: Handle,
}

impl Caches {
    pub fn new(settings: BTreeMap<String, settings::Cache>, handle: Handle) -> Arc<Caches> {
        let none = Caches {
            caches: BTreeMap::new(),
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
                None => Cache::new(&name, settings, self.handle.clone()),
            };
            (name, cache)
        });
        Arc::new(Caches {
            caches: caches.collect(),
            handle: self.handle.clone(),
        })
    }

    pub fn get(&self, name: &str) -> Option<Arc<Cache>> {
        self.caches.get(name).map(Arc::clone)
    }

    /// How each of them does.
    pub fn state(&self) -> Vec<CacheState> {
        self.caches.values().map(|cache| cache.state()).collect()
    }
}
