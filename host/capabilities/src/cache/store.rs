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

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::memory::{Mark, Memory};
use super::settings;
use super::stats::{CacheState, Counts};
use super::turns::Turns;

/// A cache that the operator configured.
pub struct Cache {
    name: String,
    settings: settings::Cache,
    memory: Memory,
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

impl Cache {
    pub(super) fn new(name: &str, settings: settings::Cache, handle: Handle) -> Arc<Cache> {
        let counts = Arc::<Counts>::default();
        Arc::new(Cache {
            name: name.to_owned(),
            memory: Memory::new(&settings, &counts),
            settings,
            counts,
            turns: Arc::default(),
            handle,
        })
    }

    pub fn settings(&self) -> &settings::Cache {
        &self.settings
    }

    /// What can be said without waiting.
    pub(super) fn glance(&self, key: &str) -> Look {
        match self.memory.get(key) {
            Some(entry) if Instant::now() < entry.fresh_until => Look::Fresh(entry.value.clone()),
            Some(entry) => Look::Stale(entry.value.clone()),
            None => Look::Nothing,
        }
    }

    /// What there is, and the mark to keep what is made in its place.
    pub(super) async fn look(&self, key: &str) -> (Look, Mark) {
        let mark = self.memory.mark();
        (self.glance(key), mark)
    }

    /// The mark to keep a value that is made already.
    pub(super) async fn mark(&self, _key: &str) -> Mark {
        self.memory.mark()
    }

    /// Keeps a value whose making began at `mark`, at most as long as the operator
    /// says. Says whether it was kept: not if it is too large or was invalidated.
    pub(super) async fn keep(
        &self,
        mark: Mark,
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
        self.memory.keep(mark, key, value, tags, fresh, stale)
    }

    /// Takes out what is under the key.
    pub(super) async fn remove(&self, key: &str) {
        self.memory.remove(key);
    }

    /// Takes out what has this tag.
    pub async fn invalidate_tag(&self, tag: &str) {
        self.memory.remove_tagged(tag);
    }

    /// Takes everything out.
    pub async fn clear(&self) {
        self.memory.clear();
    }

    pub fn state(&self) -> CacheState {
        let (entries, bytes) = self.memory.holds();
        self.counts.state(&self.name, entries, bytes)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
