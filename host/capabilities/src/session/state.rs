//! What the plugins keep in one session.
//!
//! Guarantees: each plugin has keys of its own; a value is replaced only by who
//! names its version, and no version comes twice in a session, so an old one
//! never passes for a new one. Past a bound nothing changes.

use std::collections::{BTreeMap, HashMap};

use super::SessionError;

pub(super) const MAX_KEYS: usize = 64;
pub(super) const MAX_KEY_BYTES: usize = 64;
pub(super) const MAX_VALUE_BYTES: usize = 64 * 1024;
/// Keys and values of one plugin together.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// A value that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    /// From 1; higher for each value that is kept in the session.
    pub version: u64,
}

/// The state of one session, by plugin.
#[derive(Debug, Default)]
pub struct States {
    plugins: HashMap<String, BTreeMap<String, Entry>>,
    /// The highest version given so far.
    last: u64,
}

impl States {
    /// What `plugin` keeps under `key`.
    pub fn get(&self, plugin: &str, key: &str) -> Result<Option<Entry>, SessionError> {
        check_key(key)?;
        Ok(self.plugins.get(plugin).and_then(|kept| kept.get(key)).cloned())
    }

    /// Replaces it; see [`Conversation::swap`](super::Conversation::swap).
    pub fn swap(
        &mut self,
        plugin: &str,
        key: &str,
        value: Option<Vec<u8>>,
        expected: Option<u64>,
    ) -> Result<u64, SessionError> {
        check_key(key)?;
        let kept = self.plugins.get(plugin);
        let now = kept.and_then(|kept| kept.get(key)).map(|entry| entry.version);
        if now != expected {
            return Err(SessionError::Conflict);
        }
        let Some(value) = value else {
            self.remove(plugin, key);
            return Ok(0);
        };
        if value.len() > MAX_VALUE_BYTES {
            return Err(SessionError::ValueTooLarge);
        }
        let others = kept.into_iter().flatten().filter(|(known, _)| *known != key);
        let (keys, bytes) = others.fold((0, 0), |(keys, bytes), (key, entry)| {
            (keys + 1, bytes + key.len() + entry.value.len())
        });
        if keys >= MAX_KEYS {
            return Err(SessionError::TooManyKeys);
        }
        if bytes + key.len() + value.len() > MAX_BYTES {
            return Err(SessionError::TooManyBytes);
        }
        self.last += 1;
        let version = self.last;
        let kept = self.plugins.entry(plugin.to_owned()).or_default();
        kept.insert(key.to_owned(), Entry { value, version });
        Ok(version)
    }

    fn remove(&mut self, plugin: &str, key: &str) {
        let Some(kept) = self.plugins.get_mut(plugin) else {
            return;
        };
        kept.remove(key);
        if kept.is_empty() {
            self.plugins.remove(plugin);
        }
    }

    /// Forgets everything; versions go on from where they were.
    pub fn clear(&mut self) {
        self.plugins.clear();
    }
}

fn check_key(key: &str) -> Result<(), SessionError> {
    match (1..=MAX_KEY_BYTES).contains(&key.len()) {
        true => Ok(()),
        false => Err(SessionError::BadKey),
    }
}

#[cfg(test)]
mod tests;
