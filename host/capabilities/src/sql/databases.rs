//! The databases of a host, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_resilience::Guards;
use tokio::runtime::Handle;

use super::error::Error;
use super::health::State;
use super::settings::Database;
use super::store::Store;
use super::task::Task;
use crate::cache::Caches;

/// How long a look at a database may take.
const LOOK: Duration = Duration::from_secs(2);

/// All databases that the operator configured. A set never changes; a reload
/// makes another one.
#[derive(Debug)]
pub struct Databases {
    stores: BTreeMap<String, Arc<Store>>,
    guards: Arc<Guards>,
    handle: Handle,
}

impl Databases {
    /// Databases whose work runs on the runtime of `handle`. Files are opened
    /// when they are needed.
    pub fn new(
        settings: BTreeMap<String, Database>,
        caches: &Caches,
        guards: Arc<Guards>,
        handle: Handle,
    ) -> Arc<Databases> {
        let none = Databases {
            stores: BTreeMap::new(),
            guards,
            handle,
        };
        none.update(settings, caches)
    }

    /// These databases; what is configured as before is carried over with its
    /// connections.
    pub fn update(&self, settings: BTreeMap<String, Database>, caches: &Caches) -> Arc<Databases> {
        let store = |(name, settings): (String, Database)| {
            let cache = settings.cache.as_deref().and_then(|cache| caches.get(cache));
            let same = (self.stores.get(&name)).filter(|store| store.settings == settings);
            let store = same.map(Arc::clone).unwrap_or_else(|| {
                let guard = self.guards.get("sql", &name);
                Arc::new(Store::new(name.clone(), settings, guard, self.handle.clone()))
            });
            store.answer_from(cache);
            store.look();
            (name, store)
        };
        Arc::new(Databases {
            stores: settings.into_iter().map(store).collect(),
            guards: Arc::clone(&self.guards),
            handle: self.handle.clone(),
        })
    }

    /// The database of this name.
    pub fn get(&self, name: &str) -> Result<&Arc<Store>, Error> {
        self.stores.get(name).ok_or_else(|| Error::Unavailable {
            database: name.to_owned(),
            reason: "the host's configuration has no such [sql] section",
        })
    }

    /// How each of them stands. What is known is at most some seconds old when
    /// this is asked regularly: each time it has what is older looked after.
    pub fn state(&self) -> Vec<State> {
        let state = |store: &Arc<Store>| {
            store.look();
            store.state()
        };
        self.stores.values().map(state).collect()
    }
}

impl Store {
    /// Looks whether the database can be read, without waiting for it.
    fn look(self: &Arc<Store>) {
        if !self.health.is_due() {
            return;
        }
        let store = Arc::clone(self);
        self.handle.spawn_blocking(move || {
            let task = Task::until(Instant::now() + LOOK);
            // The health is noted on the way.
            let _ = store.attempt(&store.guests, &task, |link| link.probe());
            store.health.looked();
        });
    }
}
