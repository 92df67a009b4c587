//! A cache for tests, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::Call;

const MAX_KEY_BYTES: usize = 1_024;
const MAX_TAGS: usize = 16;
const MAX_TAG_BYTES: usize = 128;
const MAX_VALUE_BYTES: usize = 1 << 20;

/// A cache behind [`Call::cache`]. A clone is the same one, so that a test can look
/// into it afterwards and give it to several calls. Nothing in it ends by itself:
/// a test lets it with [`expire`](FakeCache::expire).
#[derive(Debug, Clone, Default)]
pub struct FakeCache {
    kept: Rc<RefCell<BTreeMap<String, Entry>>>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    value: Vec<u8>,
    ttl: Option<Duration>,
    tags: Vec<String>,
}

impl FakeCache {
    /// Nothing kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this value under the key.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        let entry = Entry {
            value,
            ..Entry::default()
        };
        self.kept.borrow_mut().insert(key.into(), entry);
        self
    }

    /// What is kept under the key.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.kept.borrow().get(key).map(|entry| entry.value.clone())
    }

    /// The time that the entry was given, if it was.
    pub fn ttl(&self, key: &str) -> Option<Duration> {
        self.kept.borrow().get(key).and_then(|entry| entry.ttl)
    }

    /// The tags of what is kept under the key.
    pub fn tags(&self, key: &str) -> Vec<String> {
        let kept = self.kept.borrow();
        kept.get(key).map(|entry| entry.tags.clone()).unwrap_or_default()
    }

    /// Lets the time of what is kept under the key be over.
    pub fn expire(&self, key: &str) {
        self.kept.borrow_mut().remove(key);
    }
}

impl Call {
    /// Grants `cache = [name]`, with this cache behind the name.
    #[must_use]
    pub fn cache(mut self, name: &str, cache: FakeCache) -> Self {
        self.fake.caches.grant(name, cache);
        self
    }
}

/// In the place of `segue:cache/cache`.
pub(crate) mod host {
    use std::time::Duration;

    use super::super::fake::current;
    use super::super::grants::refusal;
    use super::{Entry, FakeCache, MAX_KEY_BYTES, MAX_TAG_BYTES, MAX_TAGS, MAX_VALUE_BYTES};
    use crate::Error;
    use crate::bindings::segue::plugin::types;

    /// Nobody else asks in a test, so nobody waits for it.
    #[derive(Debug)]
    pub(crate) struct Turn {
        cache: FakeCache,
        key: String,
    }

    #[derive(Debug)]
    pub(crate) enum Found {
        Value(Vec<u8>),
        Yours(Turn),
    }

    impl Turn {
        pub(crate) fn fill(
            this: Turn,
            value: &[u8],
            ttl_ms: Option<u64>,
            tags: &[String],
        ) -> Result<bool, types::Error> {
            keep(&this.cache, &this.key, value, ttl_ms, tags)
        }

        #[expect(clippy::unnecessary_wraps, reason = "the host's signature")]
        pub(crate) fn fail(_this: Turn, _why: &types::Error) -> Result<(), types::Error> {
            Ok(())
        }
    }

    pub(crate) fn caches() -> Vec<String> {
        current(|host| host.caches.names())
    }

    pub(crate) fn get(cache: &str, key: &str) -> Result<Option<Vec<u8>>, types::Error> {
        Ok(granted("cache.get", cache, key)?.value(key))
    }

    pub(crate) fn obtain(cache: &str, key: &str) -> Result<Found, types::Error> {
        let cache = granted("cache.obtain", cache, key)?;
        Ok(match cache.value(key) {
            Some(value) => Found::Value(value),
            None => Found::Yours(Turn {
                cache,
                key: key.into(),
            }),
        })
    }

    pub(crate) fn set(
        cache: &str,
        key: &str,
        value: &[u8],
        ttl_ms: Option<u64>,
        tags: &[String],
    ) -> Result<bool, types::Error> {
        keep(&granted("cache.set", cache, key)?, key, value, ttl_ms, tags)
    }

    pub(crate) fn delete(cache: &str, key: &str) -> Result<(), types::Error> {
        granted("cache.delete", cache, key)?.expire(key);
        Ok(())
    }

    pub(crate) fn invalidate(cache: &str, tag: &str) -> Result<(), types::Error> {
        let cache = named("cache.invalidate", cache)?;
        sized(&[tag.to_owned()])?;
        let mut kept = cache.kept.borrow_mut();
        kept.retain(|_, entry| !entry.tags.iter().any(|known| known == tag));
        Ok(())
    }

    fn keep(
        cache: &FakeCache,
        key: &str,
        value: &[u8],
        ttl_ms: Option<u64>,
        tags: &[String],
    ) -> Result<bool, types::Error> {
        sized(tags)?;
        let mut kept = cache.kept.borrow_mut();
        kept.remove(key);
        if value.len() > MAX_VALUE_BYTES {
            return Ok(false);
        }
        let entry = Entry {
            value: value.into(),
            ttl: ttl_ms.map(Duration::from_millis),
            tags: tags.into(),
        };
        kept.insert(key.into(), entry);
        Ok(true)
    }

    fn sized(tags: &[String]) -> Result<(), types::Error> {
        let fits = |tag: &String| (1..=MAX_TAG_BYTES).contains(&tag.len());
        if tags.len() > MAX_TAGS || !tags.iter().all(fits) {
            let words = "an entry has at most 16 tags, each of 1 to 128 bytes";
            return Err(refusal(Error::INVALID_ARGUMENT, words));
        }
        Ok(())
    }

    fn granted(function: &str, cache: &str, key: &str) -> Result<FakeCache, types::Error> {
        let cache = named(function, cache)?;
        match key.len() {
            1..=MAX_KEY_BYTES => Ok(cache),
            _ => Err(refusal(Error::INVALID_ARGUMENT, "a key is 1 to 1,024 bytes long")),
        }
    }

    fn named(function: &str, cache: &str) -> Result<FakeCache, types::Error> {
        current(|host| host.caches.get(function, cache, ".cache(..)"))
    }
}
