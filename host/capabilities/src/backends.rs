//! What stands behind the capabilities of one host: databases, indexes, models,
//! and what else they keep.
//!
//! A set of backends never changes. A reload makes another one, in which what
//! is configured as before is the same, connections and indexes included; calls
//! that run keep the set that they began with, and what only the old one has
//! ends with the last of them.

use std::fmt;
use std::sync::Arc;

use segue_resilience::Guards;
use segue_runtime::Services;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::{Settings, cache, http, keyvalue, llm, search, sql};

/// Everything that calls bring along for the capabilities. A clone is the same
/// set.
#[derive(Clone)]
pub struct Backends {
    caches: Arc<cache::Caches>,
    sql: Arc<sql::Databases>,
    search: Arc<search::Indexes>,
    llm: Arc<llm::Models>,
    http: Arc<http::Egress>,
    keyvalue: Arc<keyvalue::Buckets>,
}

/// How one of them stands, for people; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendState {
    /// The capability: `sql`.
    pub kind: &'static str,
    /// As grants name it; empty where there is one of its kind.
    pub name: String,
    /// Whether it can answer now.
    pub ready: bool,
    /// It cannot yet: it is being read for the first time.
    pub reading: bool,
    /// One line: what it holds, or what is wrong.
    pub detail: String,
}

impl BackendState {
    /// Kind and name: `search.docs`.
    pub fn key(&self) -> String {
        match self.name.is_empty() {
            true => self.kind.to_owned(),
            false => format!("{}.{}", self.kind, self.name),
        }
    }
}

impl Backends {
    /// Starts what `settings` name. Files and sockets are worked with on `handle`,
    /// whose runtime must have timers and I/O. What is not there does not fail: it
    /// answers `store_unavailable` until it is. What stands around each is one of
    /// the `guards`, by the capability and its name.
    pub fn start(settings: Settings, guards: Arc<Guards>, handle: Handle) -> Backends {
        let caches = cache::Caches::new(settings.cache, Arc::clone(&guards), handle.clone());
        Backends {
            sql: sql::Databases::new(settings.sql, &caches, Arc::clone(&guards), handle.clone()),
            search: search::Indexes::new(settings.search, &caches, Arc::clone(&guards), handle.clone()),
            llm: llm::Models::none(Arc::clone(&guards), handle.clone()).remembering(
                settings.llm,
                settings.budget,
                &settings.remember,
                &caches,
            ),
            http: http::Egress::new(settings.http, Arc::clone(&guards), handle.clone()),
            keyvalue: keyvalue::Buckets::new(settings.keyvalue, &guards, handle),
            caches,
        }
    }

    /// The same under other settings.
    #[must_use]
    pub fn update(&self, settings: Settings) -> Backends {
        let caches = self.caches.update(settings.cache);
        Backends {
            sql: self.sql.update(settings.sql, &caches),
            search: self.search.update(settings.search, &caches),
            llm: self
                .llm
                .remembering(settings.llm, settings.budget, &settings.remember, &caches),
            http: self.http.update(settings.http),
            keyvalue: self.keyvalue.update(settings.keyvalue),
            caches,
        }
    }

    /// The set as calls bring it along. What belongs to one call (its session) is
    /// added by whoever makes the call.
    pub fn services(&self) -> Services {
        Services::new()
            .with(Arc::clone(&self.sql))
            .with(Arc::clone(&self.search))
            .with(Arc::clone(&self.llm))
            .with(Arc::clone(&self.http))
            .with(Arc::clone(&self.keyvalue))
            .with(Arc::clone(&self.caches))
    }

    pub fn databases(&self) -> &sql::Databases {
        &self.sql
    }

    pub fn caches(&self) -> &cache::Caches {
        &self.caches
    }

    pub fn models(&self) -> &llm::Models {
        &self.llm
    }

    /// Each of them, by kind and name.
    pub fn state(&self) -> Vec<BackendState> {
        let keyvalue = self.keyvalue.state();
        let mut all = vec![BackendState {
            kind: "keyvalue",
            name: String::new(),
            ready: keyvalue.ready,
            reading: false,
            detail: keyvalue.detail,
        }];
        all.extend(self.caches.remote().map(|(name, ready)| BackendState {
            kind: "cache",
            name: name.to_owned(),
            ready,
            reading: false,
            detail: match ready {
                true => String::new(),
                false => "its Redis does not answer: memory stands in for it".to_owned(),
            },
        }));
        all.extend(self.llm.state().into_iter().map(|state| BackendState {
            kind: "llm",
            name: state.name,
            ready: state.ready,
            reading: false,
            detail: state.detail,
        }));
        all.extend(self.search.state().into_iter().map(|state| BackendState {
            kind: "search",
            name: state.name,
            ready: state.ready,
            reading: state.reading,
            detail: state.detail,
        }));
        all.extend(self.sql.state().into_iter().map(|state| BackendState {
            kind: "sql",
            name: state.name,
            ready: state.ready,
            reading: false,
            detail: state.detail,
        }));
        all
    }
}

impl fmt::Debug for Backends {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.state()).finish()
    }
}
