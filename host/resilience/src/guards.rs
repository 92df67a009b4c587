//! The guards of a host: one for each dependency and handler, made when it is
//! first asked for.
//!
//! At most 10,000. Past that one that nobody holds and that is closed makes
//! room; where there is none, the newcomers of a kind share a guard, `KIND.other`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::breaker::State;
use crate::guard::{Guard, GuardState};
use crate::policy::{Key, Policies, Policy};

const MOST: usize = 10_000;
const OTHER: &str = "other";

pub struct Guards {
    inner: RwLock<Inner>,
}

struct Inner {
    policies: Arc<dyn Policies>,
    /// By kind, then by name.
    kinds: HashMap<&'static str, HashMap<Arc<str>, Arc<Guard>>>,
    most: usize,
}

impl Guards {
    pub fn new(policies: Arc<dyn Policies>) -> Arc<Guards> {
        Guards::bounded(policies, MOST)
    }

    /// Guards that let everything through, and count.
    pub fn permissive() -> Arc<Guards> {
        Guards::new(Arc::new(Policy::default()))
    }

    fn bounded(policies: Arc<dyn Policies>, most: usize) -> Arc<Guards> {
        let kinds = HashMap::new();
        Arc::new(Guards {
            inner: RwLock::new(Inner {
                policies,
                kinds,
                most,
            }),
        })
    }

    /// The guard of this one. Whoever keeps it has the same as everybody else.
    pub fn get(&self, kind: &'static str, name: &str) -> Arc<Guard> {
        let found = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            inner.find(kind, name)
        };
        found.unwrap_or_else(|| {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.make(kind, name)
        })
    }

    /// The guard of this one, if it has been asked for before.
    pub fn known(&self, kind: &str, name: &str) -> Option<Arc<Guard>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.find(kind, name)
    }

    /// Other policies from now on. What was counted and what is open stays.
    pub fn configure(&self, policies: Arc<dyn Policies>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        for guard in inner.kinds.values().flat_map(HashMap::values) {
            guard.configure(policies.of(guard.key()));
        }
        inner.policies = policies;
    }

    /// Forgets those that are not wanted any more.
    pub fn retain(&self, wanted: impl Fn(&Key) -> bool) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        for guards in inner.kinds.values_mut() {
            guards.retain(|_, guard| wanted(guard.key()));
        }
    }

    /// Each of them, in order of their keys.
    pub fn all(&self) -> Vec<Arc<Guard>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = inner.kinds.values().flat_map(HashMap::values).cloned().collect();
        drop(inner);
        all.sort_by(|a, b| a.key().cmp(b.key()));
        all
    }

    /// How each of them stands.
    pub fn states(&self) -> Vec<GuardState> {
        self.all().iter().map(|guard| guard.state()).collect()
    }
}

impl Inner {
    fn find(&self, kind: &str, name: &str) -> Option<Arc<Guard>> {
        self.kinds.get(kind)?.get(name).cloned()
    }

    fn make(&mut self, kind: &'static str, name: &str) -> Arc<Guard> {
        let count: usize = self.kinds.values().map(HashMap::len).sum();
        let name = match count < self.most || self.make_room() {
            true => name,
            false => OTHER,
        };
        // Somebody may have been faster.
        if let Some(guard) = self.find(kind, name) {
            return guard;
        }
        let key = Key::new(kind, name);
        let policy = self.policies.of(&key);
        let name = Arc::clone(&key.name);
        let guard = Arc::new(Guard::new(key, policy));
        self.kinds
            .entry(kind)
            .or_default()
            .insert(name, Arc::clone(&guard));
        guard
    }

    fn make_room(&mut self) -> bool {
        let idle =
            |guard: &&Arc<Guard>| Arc::strong_count(guard) == 1 && guard.breaker().state() == State::Closed;
        let found = self.kinds.values().flat_map(HashMap::values).find(idle);
        let Some(Key { kind, name }) = found.map(|guard| guard.key().clone()) else {
            return false;
        };
        self.kinds
            .get_mut(kind)
            .is_some_and(|guards| guards.remove(&name).is_some())
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.all().iter().map(|guard| guard.key().to_string()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn policy(timeout_ms: u64) -> Arc<Policy> {
        Arc::new(Policy {
            timeout: Some(Duration::from_millis(timeout_ms)),
            ..Policy::default()
        })
    }

    #[test]
    fn everybody_has_the_same_guard_and_new_policies_reach_it() {
        let guards = Guards::new(policy(1));
        let one = guards.get("llm", "main");
        assert!(Arc::ptr_eq(&one, &guards.get("llm", "main")));
        assert!(!Arc::ptr_eq(&one, &guards.get("sql", "main")));
        guards.configure(policy(2));
        assert_eq!(one.policy().timeout, Some(Duration::from_millis(2)));
        assert_eq!(
            guards.get("sql", "new").policy().timeout,
            Some(Duration::from_millis(2))
        );
        guards.retain(|key| key.kind == "llm");
        assert!(guards.known("sql", "main").is_none() && guards.known("llm", "main").is_some());
    }

    #[test]
    fn past_their_bound_idle_ones_make_room_and_then_newcomers_share() {
        let guards = Guards::bounded(policy(1), 2);
        let held = guards.get("http", "a");
        guards.get("http", "b");
        let third = guards.get("http", "c");
        assert!(guards.known("http", "b").is_none(), "nobody held it");
        let (fourth, fifth) = (guards.get("http", "d"), guards.get("http", "e"));
        assert!(Arc::ptr_eq(&fourth, &fifth));
        assert_eq!(fourth.key().to_string(), "http.other");
        assert_eq!(guards.states().len(), 3);
        drop((held, third));
    }
}
