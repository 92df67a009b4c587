//! What one plugin keeps in one cache.
//!
//! Guarantees: it reaches no entry of another plugin, tenant or cache, by no key and
//! no tag, unless the cache is public. Of those who ask for a key at the same time
//! one makes it (`turns.rs`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use segue_runtime::HandlerError;
use tokio::time::Instant;

use super::key::{Owner, key, own_tag};
use super::stats::count;
use super::store::{Cache, Look, Mark};
use super::turns::{self, Taken};

const MAX_KEY_BYTES: usize = 1_024;
const MAX_TAGS: usize = 16;
const MAX_TAG_BYTES: usize = 128;

/// A plugin's part of a cache.
#[derive(Clone, Debug)]
pub struct Kept {
    cache: Arc<Cache>,
    name: String,
    owner: Owner,
}

/// What there is, or the turn to make it.
#[derive(Debug)]
pub enum Obtained {
    Value(Bytes),
    Turn(Box<Turn>),
}

/// The turn to make what others wait for. Dropping it gives it to one of them.
#[derive(Debug)]
pub struct Turn {
    kept: Kept,
    turn: turns::Turn,
    mark: Mark,
    since: Instant,
}

/// Why a cache does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    #[error("there is no cache `{0}` any more: add [cache.{0}] to the host's configuration")]
    NoCache(String),
    #[error("a key has 1 to {MAX_KEY_BYTES} bytes, this one has {0}")]
    BadKey(usize),
    #[error("a tag has 1 to {MAX_TAG_BYTES} bytes, this one has {0}")]
    BadTag(usize),
    #[error("an entry has at most {MAX_TAGS} tags, this one has {0}")]
    TooManyTags(usize),
    #[error("this call holds {0} turns, which is as many as one may: fill or drop one first")]
    Held(usize),
    /// Another could not make it, and said why.
    #[error("{}", .0.message)]
    NotMade(HandlerError),
}

impl From<KeptError> for HandlerError {
    fn from(error: KeptError) -> HandlerError {
        let code = match error {
            KeptError::NotMade(why) => return why,
            KeptError::NoCache(_) => "store_unavailable",
            KeptError::Held(_) => "overloaded",
            KeptError::BadKey(_) | KeptError::BadTag(_) | KeptError::TooManyTags(_) => "invalid_argument",
        };
        HandlerError {
            code: code.to_owned(),
            message: error.to_string(),
            retryable: false,
            retry_after_ms: None,
        }
    }
}

impl Kept {
    pub(super) fn new(cache: Arc<Cache>, plugin: &str, name: &str) -> Kept {
        Kept {
            cache,
            name: name.to_owned(),
            owner: Owner::new(plugin, &format!("cache.{name}")),
        }
    }

    /// The cache's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is kept under the key and fresh.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, KeptError> {
        let key = self.key(key)?;
        let counts = &self.cache.counts;
        Ok(match self.cache.look(&key).await.0 {
            Look::Fresh(value) => {
                count(&counts.hits);
                Some(value)
            }
            Look::Stale(_) | Look::Nothing => {
                count(&counts.misses);
                None
            }
        })
    }

    /// What is kept under the key, or what another makes of it, or the turn to
    /// make it.
    pub async fn obtain(&self, key: &str) -> Result<Obtained, KeptError> {
        let key = self.key(key)?;
        let counts = &self.cache.counts;
        if let Look::Fresh(value) = self.cache.glance(&key) {
            count(&counts.hits);
            return Ok(Obtained::Value(value));
        }
        let mut old_will_do = true;
        loop {
            let turn = match self.cache.turns.take(&key, old_will_do).await {
                Taken::Mine(turn) => turn,
                Taken::Theirs(made) => {
                    count(&counts.joined);
                    return made.map(Obtained::Value).map_err(KeptError::NotMade);
                }
                Taken::Old => {
                    // Looked for anew each time: it may have been taken out, or be too
                    // old by now.
                    if let Look::Fresh(value) | Look::Stale(value) = self.cache.look(&key).await.0 {
                        count(&counts.stale);
                        return Ok(Obtained::Value(value));
                    }
                    old_will_do = false;
                    continue;
                }
            };
            // Another may have filled it between the glance and the turn.
            let (found, mark) = self.cache.look(&key).await;
            if let Look::Fresh(value) = found {
                count(&counts.hits);
                turn.done(Ok(value.clone()));
                return Ok(Obtained::Value(value));
            }
            if let Look::Stale(_) = found {
                turn.tell_old();
            }
            count(&counts.misses);
            return Ok(Obtained::Turn(Box::new(Turn {
                kept: self.clone(),
                turn,
                mark,
                since: Instant::now(),
            })));
        }
    }

    /// Keeps a value in the place of what was there, at most as long as the
    /// operator says. False when it is too large to be kept.
    pub async fn set(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
        tags: &[String],
    ) -> Result<bool, KeptError> {
        let (key, tags) = (self.key(key)?, self.tags(tags)?);
        let mark = self.cache.mark(&key).await;
        let kept = self.cache.keep(&mark, key.clone(), value, tags, ttl).await;
        if !kept {
            // The value of before is not the key's any more.
            self.cache.remove(&key).await;
        }
        Ok(kept)
    }

    pub async fn delete(&self, key: &str) -> Result<(), KeptError> {
        let key = self.key(key)?;
        self.cache.remove(&key).await;
        Ok(())
    }

    /// Takes out what it keeps there with this tag.
    pub async fn invalidate(&self, tag: &str) -> Result<(), KeptError> {
        check_tag(tag)?;
        let tag = own_tag(&self.owner, self.public(), tag);
        self.cache.invalidate_tag(&tag).await;
        Ok(())
    }

    fn public(&self) -> bool {
        self.cache.settings().public
    }

    fn key(&self, own: &str) -> Result<String, KeptError> {
        match own.len() {
            1..=MAX_KEY_BYTES => Ok(key(&self.owner, self.public(), &["key", own])),
            other => Err(KeptError::BadKey(other)),
        }
    }

    /// Each tag twice: as the operator takes it out, and as the plugin does.
    fn tags(&self, tags: &[String]) -> Result<Vec<String>, KeptError> {
        if tags.len() > MAX_TAGS {
            return Err(KeptError::TooManyTags(tags.len()));
        }
        tags.iter().try_for_each(|tag| check_tag(tag))?;
        let own = tags.iter().map(|tag| own_tag(&self.owner, self.public(), tag));
        let mut all: Vec<String> = own.chain(tags.iter().cloned()).collect();
        all.push(self.owner.scope.clone());
        Ok(all)
    }
}

impl Turn {
    /// The cache's name.
    pub fn cache(&self) -> &str {
        self.kept.name()
    }

    /// Gives the value to all who wait, and keeps it as [`Kept::set`] does.
    pub async fn fill(self, value: Bytes, ttl: Option<Duration>, tags: &[String]) -> Result<bool, KeptError> {
        let tags = self.kept.tags(tags)?;
        let cache = &self.kept.cache;
        cache.counts.loaded(self.since.elapsed(), true);
        let key = self.turn.key.clone();
        let kept = cache.keep(&self.mark, key, value.clone(), tags, ttl).await;
        // Kept first: whoever comes now finds it there.
        self.turn.done(Ok(value));
        Ok(kept)
    }

    /// Tells all who wait why there is none.
    pub fn fail(self, why: HandlerError) {
        self.kept.cache.counts.loaded(self.since.elapsed(), false);
        self.turn.done(Err(why));
    }
}

fn check_tag(tag: &str) -> Result<(), KeptError> {
    match tag.len() {
        1..=MAX_TAG_BYTES => Ok(()),
        other => Err(KeptError::BadTag(other)),
    }
}

#[cfg(test)]
mod tests;
