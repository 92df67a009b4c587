//! All indexes of a host, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use segue_resilience::Guards;
use tokio::runtime::Handle;

use super::error::Error;
use super::follow::Pace;
use super::library::{Document, Hits, Library};
use super::link;
use super::settings::Index;
use crate::cache::Caches;

/// The indexes that the host keeps. What plugins may search of it is decided by
/// their grants, not here.
pub struct Indexes {
    libraries: BTreeMap<String, Library>,
    guards: Arc<Guards>,
    runtime: Handle,
    pace: Pace,
}

/// How an index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub name: String,
    /// Its folder was read to the end once, and is there.
    pub ready: bool,
    /// It is being read for the first time.
    pub reading: bool,
    /// One line for people: how much it holds, or what is wrong.
    pub detail: String,
}

impl Indexes {
    /// Starts to read the folders. Searching, reading files and watching is done
    /// on `runtime`, which must have timers.
    pub fn new(
        settings: BTreeMap<String, Index>,
        caches: &Caches,
        guards: Arc<Guards>,
        runtime: Handle,
    ) -> Arc<Indexes> {
        Indexes::with_pace(settings, caches, guards, runtime, Pace::default())
    }

    pub(super) fn with_pace(
        settings: BTreeMap<String, Index>,
        caches: &Caches,
        guards: Arc<Guards>,
        runtime: Handle,
        pace: Pace,
    ) -> Arc<Indexes> {
        let none = Indexes {
            libraries: BTreeMap::new(),
            guards,
            runtime,
            pace,
        };
        none.update(settings, caches)
    }

    /// The indexes under new settings. Those whose documents stay the same are
    /// not read again; those that are not named any more end once nobody holds
    /// `self` any longer.
    pub fn update(&self, settings: BTreeMap<String, Index>, caches: &Caches) -> Arc<Indexes> {
        let mut libraries = BTreeMap::new();
        for (name, settings) in settings {
            let cache = settings.cache.as_deref().and_then(|cache| caches.get(cache));
            let kept = self
                .libraries
                .get(&name)
                .and_then(|library| library.under(&settings, cache.clone()));
            let library = match kept {
                Some(library) => Ok(library),
                None => {
                    let guard = self.guards.get("search", &name);
                    Library::open(&name, settings, cache, guard, &self.runtime, self.pace)
                }
            };
            match library {
                Ok(library) => {
                    libraries.insert(name, library);
                }
                Err(error) => tracing::error!(index = name, %error, "the index cannot be made"),
            }
        }
        Arc::new(Indexes {
            libraries,
            guards: Arc::clone(&self.guards),
            runtime: self.runtime.clone(),
            pace: self.pace,
        })
    }

    /// Each index, by name.
    pub fn state(&self) -> Vec<State> {
        let state = |(name, library): (&String, &Library)| {
            let available = library.shared.available();
            State {
                name: name.clone(),
                ready: available.is_ok(),
                reading: matches!(available, Err(Error::Reading(_))),
                detail: library.shared.detail(),
            }
        };
        self.libraries.iter().map(state).collect()
    }

    /// Starts a search of the index `name`, for `plugin`, for passages that have
    /// words of `text`: at most `limit`, and at most 50. It runs whether or not it
    /// is waited for, until it is dropped.
    pub fn query(&self, plugin: &str, name: &str, text: &str, limit: usize) -> Result<Hits, Error> {
        self.library(name)?.query(plugin, text, limit)
    }

    /// The text of the document `path` of an index that is served. Never a file
    /// that is not indexed, and so none outside the folder.
    pub async fn document(&self, name: &str, path: &str) -> Result<Document, Error> {
        let library = self.library(name)?;
        if !library.settings.serve {
            return Err(Error::NotServed(name.to_owned()));
        }
        library.document(path).await
    }

    /// Where a person can read the document with these words marked, as a path on
    /// the host's public address; `None` unless the index is served.
    pub fn link(&self, name: &str, document: &str, offset: u64, words: &str) -> Option<String> {
        let library = self.libraries.get(name)?;
        library
            .settings
            .serve
            .then(|| link::link(name, document, offset, words))
    }

    fn library(&self, name: &str) -> Result<&Library, Error> {
        self.libraries
            .get(name)
            .ok_or_else(|| Error::UnknownIndex(name.to_owned()))
    }
}

impl std::fmt::Debug for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexes")
            .field("names", &self.libraries.keys())
            .finish_non_exhaustive()
    }
}
