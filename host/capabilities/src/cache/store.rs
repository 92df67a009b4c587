//! One cache: where its entries are, and who is making what is not there.
//!
//! | asked for | then |
//! |---|---|
//! | a fresh entry | it is the answer |
//! | an entry past its `ttl`, within `stale_for` | it is the answer, and one fetches it anew |
//! | anything else, while somebody fetches it | the same answer as theirs |
//! | anything else | it is fetched, and kept if it is well and not too large |
//!
//! An entry's time is shortened by up to a tenth at random, so that what was
//! fetched together does not end together. An invalidation also holds for what is
//! being fetched meanwhile: it is given to those who wait and not kept.
//!
//! Entries are in this host's memory or in a Redis that hosts share. While that does
//! not answer, the memory stands in for it: what is kept there then is forgotten once
//! it answers again, since others may have invalidated it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use segue_resilience::Guards;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::memory::{self, Memory};
use super::remote::{self, Remote};
use super::settings;
use super::stats::{CacheState, Counts};
use super::turns::Turns;

/// A cache that the operator configured.
pub struct Cache {
    name: String,
    settings: settings::Cache,
    memory: Memory,
    remote: Option<Arc<Remote>>,
    pub(super) counts: Arc<Counts>,
    /// What plugins are making.
    pub(super) turns: Arc<Turns>,
    pub(super) handle: Handle,
}

/// What there is under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Fresh(Bytes),
    Stale(Bytes),
    Nothing,
}

/// When the making of something began.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    memory: memory::Mark,
    remote: Option<remote::Mark>,
}

impl Cache {
    pub(super) fn new(name: &str, settings: settings::Cache, guards: &Guards, handle: Handle) -> Arc<Cache> {
        let counts = Arc::<Counts>::default();
        let remote = settings.redis.as_ref().map(|redis| {
            let guard = guards.get("cache", name);
            Remote::new(name, &settings, redis, guard, handle.clone())
        });
        Arc::new(Cache {
            name: name.to_owned(),
            memory: Memory::new(&settings, &counts),
            remote,
            settings,
            counts,
            turns: Arc::default(),
            handle,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn settings(&self) -> &settings::Cache {
        &self.settings
    }

    /// What can be said without waiting.
    pub(super) fn glance(&self, key: &str) -> Look {
        match &self.remote {
            Some(_) => Look::Nothing,
            None => self.remembers(key),
        }
    }

    fn remembers(&self, key: &str) -> Look {
        match self.memory.get(key) {
            Some(entry) if Instant::now() < entry.fresh_until => Look::Fresh(entry.value.clone()),
            Some(entry) => Look::Stale(entry.value.clone()),
            None => Look::Nothing,
        }
    }

    /// What there is, and the mark to keep what is made in its place.
    pub(super) async fn look(&self, key: &str) -> (Look, Mark) {
        let memory = self.memory.mark();
        if let Some(remote) = &self.remote
            && let Ok((found, mark)) = self.heard(remote.look(key).await)
        {
            let look = match found {
                Some(found) if found.fresh => Look::Fresh(found.value),
                Some(found) => Look::Stale(found.value),
                None => Look::Nothing,
            };
            let remote = Some(mark);
            return (look, Mark { memory, remote });
        }
        let remote = None;
        (self.remembers(key), Mark { memory, remote })
    }

    /// The mark to keep a value that is made already.
    pub(super) async fn mark(&self, key: &str) -> Mark {
        let memory = self.memory.mark();
        let remote = match &self.remote {
            Some(remote) => self.heard(remote.mark(key).await).ok(),
            None => None,
        };
        Mark { memory, remote }
    }

    /// Once Redis answers, nothing in memory is worth anything.
    fn heard<T>(&self, answer: Result<T, remote::Away>) -> Result<T, remote::Away> {
        if answer.is_ok() && self.memory.is_used() {
            self.memory.clear();
        }
        answer
    }

    /// Keeps a value whose making began at `mark`, at most as long as the operator
    /// says. Says whether it was kept: not if it is too large or was invalidated.
    pub(super) async fn keep(
        &self,
        mark: &Mark,
        key: String,
        value: Bytes,
        tags: Vec<String>,
        ttl: Option<Duration>,
    ) -> bool {
        if value.len() > self.settings.max_value {
            return false;
        }
        let ttl = ttl.map_or(self.settings.ttl, |ttl| ttl.min(self.settings.ttl));
        let spread = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        let fresh = ttl.mul_f64(1.0 - spread / 10.0);
        let stale = self.settings.stale_for;
        if let (Some(remote), Some(mark)) = (&self.remote, &mark.remote)
            && let Ok(kept) = remote.keep(mark, &key, &value, &tags, fresh, stale).await
        {
            return kept;
        }
        self.memory.keep(mark.memory, key, value, tags, fresh, stale)
    }

    /// Takes out what is under the key.
    pub(super) async fn remove(&self, key: &str) {
        self.memory.remove(key);
        if let Some(remote) = &self.remote {
            remote.remove(key).await;
        }
    }

    /// Takes out what has this tag.
    pub async fn invalidate_tag(&self, tag: &str) {
        self.memory.remove_tagged(tag);
        if let Some(remote) = &self.remote {
            remote.remove_tagged(tag).await;
        }
    }

    /// Takes everything out.
    pub async fn clear(&self) {
        self.memory.clear();
        if let Some(remote) = &self.remote {
            remote.clear().await;
        }
    }

    /// Whether the Redis of it, if it has one, answered the last time.
    pub fn is_away(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.is_away())
    }

    pub fn state(&self) -> CacheState {
        let (entries, bytes) = self.memory.holds();
        CacheState {
            tier: match self.remote {
                Some(_) => "redis",
                None => "memory",
            },
            away: self.is_away(),
            unanswered: self.remote.as_ref().map_or(0, |remote| remote.unanswered()),
            ..self.counts.state(&self.name, entries, bytes)
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
