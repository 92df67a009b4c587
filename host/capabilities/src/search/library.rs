//! One index, from the outside: it is opened, searched, and its documents read.
//! Dropping it ends its task.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use segue_resilience::{Guard, Judged, Refused, Verdict};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::document::{self, Kind, NoText};
use super::error::Error;
use super::find::{self, Hit};
use super::follow::{Follower, Pace, follow};
use super::inside;
use super::settings::Index;
use super::shared::Shared;
use super::store::Store;
use crate::cache::{Cache, Cached, Owner};
use crate::share::{Full, Places};

/// Searches of one index that run at a time: each takes a processor.
const AT_A_TIME: usize = 4;
/// The longest text to search for, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Hits of one search, at most.
const MAX_HITS: usize = 50;

/// The text of a document, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What the offsets of hits refer to.
    pub text: String,
    /// Its title, or its path where it has none.
    pub title: String,
}

#[derive(Clone)]
pub(super) struct Library {
    pub(super) settings: Arc<Index>,
    pub(super) shared: Arc<Shared>,
    guard: Arc<Guard>,
    /// What searches are answered from.
    cached: Option<Cached<Error>>,
    runtime: Handle,
    turns: Arc<Semaphore>,
    /// Searches that run or wait.
    open: Arc<Places>,
    _stop: Arc<DropGuard>,
}

impl Library {
    /// Starts to read the folder, on `runtime`, and to follow it.
    pub(super) fn open(
        name: &str,
        settings: Index,
        cache: Option<Arc<Cache>>,
        guard: Arc<Guard>,
        runtime: &Handle,
        pace: Pace,
    ) -> Result<Library, Error> {
        let store = Store::new().map_err(|error| Error::Internal(error.to_string()))?;
        let settings = Arc::new(settings);
        let shared = Arc::new(Shared::new(name, store));
        let stop = CancellationToken::new();
        runtime.spawn(follow(Follower {
            settings: Arc::clone(&settings),
            shared: Arc::clone(&shared),
            pace,
            runtime: runtime.clone(),
            stop: stop.clone(),
        }));
        Ok(Library {
            settings,
            shared,
            guard,
            cached: cache.map(Cached::new),
            runtime: runtime.clone(),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            open: Arc::default(),
            _stop: Arc::new(stop.drop_guard()),
        })
    }

    /// The same index under other settings, if they do not change what is in it.
    pub(super) fn under(&self, settings: &Index, cache: Option<Arc<Cache>>) -> Option<Library> {
        let same = Index {
            serve: settings.serve,
            queue: settings.queue,
            cache: settings.cache.clone(),
            ..Index::clone(&self.settings)
        };
        (same == *settings).then(|| Library {
            settings: Arc::new(same),
            shared: Arc::clone(&self.shared),
            guard: Arc::clone(&self.guard),
            cached: Cached::over(self.cached.as_ref(), cache),
            runtime: self.runtime.clone(),
            turns: Arc::clone(&self.turns),
            open: Arc::clone(&self.open),
            _stop: Arc::clone(&self._stop),
        })
    }

    /// Starts a search. Refused at once when too many wait, or too many of the
    /// plugin's.
    pub(super) fn query(&self, plugin: &str, text: &str, limit: usize) -> Result<Hits, Error> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::TextTooLong {
                bytes: text.len(),
                limit: MAX_TEXT_BYTES,
            });
        }
        self.shared.available()?;
        let limit = limit.min(MAX_HITS);
        let cancel = CancellationToken::new();
        let task = match &self.cached {
            None => self
                .runtime
                .spawn(self.find(plugin, text, limit, cancel.clone())?),
            Some(cached) => {
                let (cached, library) = (cached.clone(), self.clone());
                let (plugin, text, cancel) = (plugin.to_owned(), text.to_owned(), cancel.clone());
                self.runtime
                    .spawn(async move { library.remembered(&cached, &plugin, &text, limit, cancel).await })
            }
        };
        Ok(Hits {
            index: self.shared.name.clone(),
            state: State::Running(task),
            cancel,
        })
    }

    /// From the cache, or by a search that all who ask the same wait for. What the
    /// index held before a change is never found under what it holds now.
    async fn remembered(
        &self,
        cached: &Cached<Error>,
        plugin: &str,
        text: &str,
        limit: usize,
        cancel: CancellationToken,
    ) -> Result<Vec<Hit>, Error> {
        let scope = format!("search.{}", self.shared.name);
        let owner = Owner::new(plugin, &scope);
        let (revision, most) = (self.shared.shelf.revision().to_string(), limit.to_string());
        let (library, who, asked) = (self.clone(), plugin.to_owned(), text.to_owned());
        let fetch = move || async move {
            let search = library.find(&who, &asked, limit, CancellationToken::new());
            let found = search?.await?;
            let found = serde_json::to_vec(&found).map_err(|error| Error::Internal(error.to_string()))?;
            Ok(found.into())
        };
        let parts = [text, most.as_str(), revision.as_str()];
        let asking = cached.get(&owner, &parts, vec![scope.clone()], fetch);
        let found = tokio::select! {
            (found, _) = asking => found?,
            () = cancel.cancelled() => return Err(Error::Cancelled),
        };
        serde_json::from_slice(&found).map_err(|error| Error::Internal(error.to_string()))
    }

    /// One search, ready to run.
    fn find(
        &self,
        plugin: &str,
        text: &str,
        limit: usize,
        given_up: CancellationToken,
    ) -> Result<impl Future<Output = Result<Vec<Hit>, Error>> + Send + use<>, Error> {
        let most = self.settings.queue.saturating_add(AT_A_TIME);
        let place = self.open.take(plugin, most).map_err(|full| {
            let index = self.shared.name.clone();
            match full {
                Full::All(_) => Error::Overloaded(index),
                Full::Share(most) => Error::Share { index, most },
            }
        })?;
        let (shared, turns, runtime) = (
            Arc::clone(&self.shared),
            Arc::clone(&self.turns),
            self.runtime.clone(),
        );
        let guard = Arc::clone(&self.guard);
        let (text, max_file, index) = (text.to_owned(), self.settings.max_file, self.shared.name.clone());
        Ok(async move {
            let admission = guard.admit(None).await.map_err(|why| refused(why, &index))?;
            // Never closed, so never an error.
            let turn = turns.acquire_owned().await;
            // Whoever drops this is not waiting any more.
            let dropped = given_up.clone().drop_guard();
            let work = runtime.spawn_blocking(move || {
                let found = find::search(&shared, &text, limit, max_file, &|| given_up.is_cancelled());
                drop((turn, place));
                found
            });
            let most = guard.policy().timeout.unwrap_or(Duration::MAX);
            let found = match tokio::time::timeout(most, work).await {
                Ok(found) => found.unwrap_or_else(|error| Err(Error::Internal(error.to_string()))),
                Err(_) => Err(Error::TimedOut(index.clone())),
            };
            dropped.disarm();
            admission.judge(found.as_ref().err().map_or(Verdict::Success, Judged::verdict));
            if let Err(Error::Internal(reason)) = &found {
                tracing::error!(index, reason, "a search failed inside the host");
            }
            found
        })
    }

    /// The text of a document as it is now.
    pub(super) async fn document(&self, path: &str) -> Result<Document, Error> {
        let none = || Error::NoDocument {
            index: self.shared.name.clone(),
            path: path.to_owned(),
        };
        self.shared.available()?;
        let known = self.shared.shelf.by_path(path).ok_or_else(none)?;
        let root = self.shared.shelf.root();
        let max_file = self.settings.max_file;
        let work = self.runtime.spawn_blocking(move || {
            let (bytes, _) = inside::read(&root, &known.path, max_file).ok()?;
            let text = document::text(Kind::of(&known.path), bytes);
            Some((known, text))
        });
        let read = work.await.map_err(|error| Error::Internal(error.to_string()))?;
        let (known, text) = read.ok_or_else(none)?;
        let text = text.map_err(|_: NoText| none())?;
        Ok(Document {
            title: text.title().unwrap_or_else(|| known.path.to_string()),
            text: text.text,
        })
    }
}

fn refused(why: Refused, index: &str) -> Error {
    let index = index.to_owned();
    match why {
        Refused::Open { retry_after } => Error::LeftAlone { index, retry_after },
        Refused::Full => Error::Overloaded(index),
        Refused::TooLate | Refused::TimedOut { .. } => Error::TimedOut(index),
    }
}

/// A search under way. Dropping it ends it.
#[derive(Debug)]
pub struct Hits {
    index: String,
    state: State,
    cancel: CancellationToken,
}

#[derive(Debug)]
enum State {
    Running(JoinHandle<Result<Vec<Hit>, Error>>),
    Done(Result<Vec<Hit>, Error>),
}

impl Hits {
    /// The index that is searched.
    pub fn index(&self) -> &str {
        &self.index
    }

    /// What was found, the best first; the same each time. Cancel-safe.
    pub async fn read(&mut self) -> Result<Vec<Hit>, Error> {
        if let State::Running(task) = &mut self.state {
            let found = task.await;
            let found = found.unwrap_or_else(|error| Err(Error::Internal(error.to_string())));
            self.state = State::Done(found);
        }
        match &self.state {
            State::Done(found) => found.clone(),
            // Was made so above.
            State::Running(_) => Err(Error::Cancelled),
        }
    }
}

impl Drop for Hits {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let State::Running(task) = &self.state {
            task.abort();
        }
    }
}
