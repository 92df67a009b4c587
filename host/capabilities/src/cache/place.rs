//! A place in a cache for what comes piece by piece: looked at before, filled at the
//! end. Nobody waits for what another one makes.

use std::sync::Arc;

use bytes::Bytes;

use super::key::{Owner, key};
use super::stats::count;
use super::store::{Cache, Look, Mark};

/// One key of a cache, with the mark of when its making began.
#[derive(Debug)]
pub struct Place {
    cache: Arc<Cache>,
    key: String,
    tags: Vec<String>,
    mark: Option<Mark>,
}

impl Place {
    pub fn new(cache: &Arc<Cache>, owner: &Owner, parts: &[&str], tags: Vec<String>) -> Place {
        Place {
            key: key(owner, cache.settings().public, parts),
            cache: Arc::clone(cache),
            tags,
            mark: None,
        }
    }

    /// What is there and fresh. From now on is when its making begins.
    pub async fn look(&mut self) -> Option<Bytes> {
        let (found, mark) = self.cache.look(&self.key).await;
        self.mark = Some(mark);
        match found {
            Look::Fresh(value) => {
                count(&self.cache.counts.hits);
                Some(value)
            }
            Look::Stale(_) | Look::Nothing => {
                count(&self.cache.counts.misses);
                None
            }
        }
    }

    /// The most that can be kept, in bytes.
    pub fn max_value(&self) -> usize {
        self.cache.settings().max_value
    }

    /// Keeps it, on the host's own threads, unless it was invalidated since the look.
    pub fn keep(self, value: Bytes) {
        let Some(mark) = self.mark else { return };
        let handle = self.cache.handle.clone();
        handle.spawn(async move { self.cache.keep(&mark, self.key, value, self.tags, None).await });
    }
}
