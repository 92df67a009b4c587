//! Keeps for a while what was costly to make, in the caches that the operator
//! granted (`[grants] cache = ["answers"]` in the plugin's own `.toml`).
//!
//! ```
//! use std::time::Duration;
//!
//! use segue_sdk::{cache, prelude::*};
//!
//! fn weather(message: Message, reply: &mut Reply) -> Result<()> {
//!     let kept = cache::open("answers").ttl(Duration::from_secs(60)).tag("weather");
//!     let key = cache::key("weather:{{city}}", [("city", message.text())])?;
//!     let report = kept.get_or_set(&key, || {
//!         // Asked once, however many ask for this city at the same time.
//!         Ok(format!("Rain in {}.", message.text()))
//!     })?;
//!     reply.send(String::from_utf8_lossy(&report))
//! }
//!
//! use segue_sdk::test::{Call, FakeCache};
//!
//! let answers = FakeCache::new();
//! let run = Call::text("Lyon").cache("answers", answers.clone()).run(weather);
//! assert_eq!(run.text(), "Rain in Lyon.");
//! assert_eq!(answers.value("weather:Lyon"), Some(b"Rain in Lyon.".to_vec()));
//! ```
//!
//! A cache forgets: at the end of an entry's time, when room is needed, when the
//! host starts anew. What must not be lost belongs into
//! [`keyvalue`](crate::keyvalue). Each plugin has entries of its own in each cache,
//! unless the operator made it public; they are the same for all who ask, so a key
//! has to name whatever the value depends on, the user or the session too.
//!
//! At most 1,024 bytes a key, 16 tags of 128 bytes an entry; how large a value may be
//! and how long it lives at most is the operator's business.
//!
//! Error codes: `capability_denied`, `invalid_argument`, `overloaded` (more than 16
//! values being made by one call), `store_unavailable` (the cache was taken away).

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, host};

/// The caches that are granted, in the operator's order. Empty when none is.
pub fn caches() -> Vec<String> {
    host::cache::caches()
}

/// A cache that is granted under this name. Whether it is shows when it is used.
pub fn open(name: impl Into<String>) -> Cache {
    Cache {
        name: name.into(),
        ttl: None,
        tags: Vec::new(),
    }
}

/// A cache, and what is said of the entries that are put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    name: String,
    ttl: Option<Duration>,
    tags: Vec<String>,
}

impl Cache {
    /// How long entries live; at most as long as the operator says, which is also
    /// the default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// One more tag of the entries, for [`invalidate`](Cache::invalidate).
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// What is kept under the key; `None` when nothing is or its time is over.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        host::cache::get(&self.name, key).map_err(Error::from_host)
    }

    /// Keeps a value under the key, in the place of what was there. False when it is
    /// larger than the operator keeps: then nothing is kept.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<bool> {
        host::cache::set(&self.name, key, value.as_ref(), self.ttl_ms(), &self.tags).map_err(Error::from_host)
    }

    /// What is kept under the key, or else what `make` makes, which is then kept.
    ///
    /// Of those who ask for a key at the same time, in whichever calls, one makes
    /// it; the others wait and get the same. If `make` fails they get its code and
    /// message, and nothing is kept; if it panics or its call ends, the next of them
    /// makes it, and so it is when it takes longer than 10 seconds. Where the operator
    /// gives out old values for a while (`stale_for`), nobody waits but the one who
    /// makes the new one.
    pub fn get_or_set<V: AsRef<[u8]>>(&self, key: &str, make: impl FnOnce() -> Result<V>) -> Result<Vec<u8>> {
        let turn = match host::cache::obtain(&self.name, key).map_err(Error::from_host)? {
            host::cache::Found::Value(value) => return Ok(value),
            host::cache::Found::Yours(turn) => turn,
        };
        self.fill(turn, make()).map(|value| value.as_ref().to_vec())
    }

    /// The same for a value that is kept as JSON. What is kept there and is not such
    /// a value is made anew.
    ///
    /// ```
    /// # use segue_sdk::{cache, prelude::*, test};
    /// # fn answer(message: Message, reply: &mut Reply) -> Result<()> {
    /// let lengths: Vec<usize> = cache::open("answers").get_or_set_json("lengths", || {
    ///     Ok(message.text().split(' ').map(str::len).collect())
    /// })?;
    /// # assert_eq!(lengths, [5, 3]); reply.send("done") }
    /// # let cache = test::FakeCache::new().with("lengths", "no JSON");
    /// # let run = test::Call::text("green tea").cache("answers", cache.clone()).run(answer);
    /// # assert!(run.result.is_ok());
    /// # assert_eq!(cache.value("lengths"), Some(b"[5,3]".to_vec()));
    /// ```
    pub fn get_or_set_json<T>(&self, key: &str, make: impl FnOnce() -> Result<T>) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let turn = match host::cache::obtain(&self.name, key).map_err(Error::from_host)? {
            host::cache::Found::Value(value) => match serde_json::from_slice(&value) {
                Ok(value) => return Ok(value),
                Err(_) => None,
            },
            host::cache::Found::Yours(turn) => Some(turn),
        };
        let mut made = None;
        let json = make().and_then(|value| {
            let json = serde_json::to_vec(&value)?;
            made = Some(value);
            Ok(json)
        });
        match turn {
            Some(turn) => drop(self.fill(turn, json)?),
            None => drop(self.set(key, json?)?),
        }
        made.ok_or_else(|| Error::new(Error::HANDLER_FAILED, "the handler failed"))
    }

    fn fill<V: AsRef<[u8]>>(&self, turn: host::cache::Turn, made: Result<V>) -> Result<V> {
        match made {
            Ok(value) => {
                // What was made is the caller's, whether or not it could be kept.
                let bytes = value.as_ref();
                host::cache::Turn::fill(turn, bytes, self.ttl_ms(), &self.tags).map_err(Error::from_host)?;
                Ok(value)
            }
            Err(why) => {
                // Its detail is for the log of the call that failed alone.
                host::cache::Turn::fail(turn, &why.clone().into_host()).map_err(Error::from_host)?;
                Err(why)
            }
        }
    }

    /// Removes what is kept under the key, if anything is.
    pub fn delete(&self, key: &str) -> Result<()> {
        host::cache::delete(&self.name, key).map_err(Error::from_host)
    }

    /// Removes all that this plugin keeps there with the tag.
    ///
    /// ```
    /// # use segue_sdk::{cache, prelude::*, test};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// let answers = cache::open("answers");
    /// answers.clone().tag("workflow:7").set("summary", "long")?;
    /// answers.invalidate("workflow:7")?;
    /// assert_eq!(answers.get("summary")?, None);
    /// # reply.send("done") }
    /// # let run = test::Call::text("").cache("answers", test::FakeCache::new()).run(answer);
    /// # assert!(run.result.is_ok());
    /// ```
    pub fn invalidate(&self, tag: &str) -> Result<()> {
        host::cache::invalidate(&self.name, tag).map_err(Error::from_host)
    }

    fn ttl_ms(&self) -> Option<u64> {
        self.ttl
            .map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A key, or a tag, from a template such as `workflow:{{id}}`: each name in braces is
/// replaced by its value. What a value has of `:`, `%` or a brace is written as `%`
/// and two digits, so that no two lists of values make the same key.
///
/// ```
/// use segue_sdk::cache;
///
/// let key = cache::key("workflow:{{id}}:{{step}}", [("id", "7:8"), ("step", "1")])?;
/// assert_eq!(key, "workflow:7%3A8:1");
/// assert_eq!(cache::key("{{id}}", []).unwrap_err().code(), "invalid_argument");
/// # segue_sdk::Result::<()>::Ok(())
/// ```
pub fn key<'v>(template: &str, values: impl IntoIterator<Item = (&'v str, &'v str)>) -> Result<String> {
    let values: Vec<(&str, &str)> = values.into_iter().collect();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let bad = |what: String| Error::new(Error::INVALID_ARGUMENT, what);
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| bad(format!("`{template}` has braces that nothing closes")))?;
        let value = values.iter().find(|(known, _)| *known == name.trim());
        let (_, value) = value.ok_or_else(|| bad(format!("there is no value for {{{{{name}}}}}")))?;
        for c in value.chars() {
            match c {
                ':' | '%' | '{' | '}' => out.push_str(&format!("%{:02X}", u32::from(c))),
                c => out.push(c),
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
