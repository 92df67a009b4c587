//! What an operator decides about the keys and values of plugins:
//! `[keyvalue]`.

use std::path::PathBuf;

/// `[keyvalue]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The one file that holds the buckets of all plugins. It is made when it is
    /// not there; its folder is not.
    pub path: PathBuf,
    /// How many keys one plugin may have in one bucket.
    pub max_keys: u64,
    /// How many bytes one plugin's keys and values may make up in one bucket.
    pub max_bytes: u64,
}

impl KeyValue {
    /// The default number of keys.
    pub const MAX_KEYS: u64 = 100_000;
    /// The default number of bytes.
    pub const MAX_BYTES: u64 = 64 << 20;

    /// The defaults, in the file at `path`.
    pub fn at(path: PathBuf) -> KeyValue {
        KeyValue {
            path,
            max_keys: KeyValue::MAX_KEYS,
            max_bytes: KeyValue::MAX_BYTES,
        }
    }
}
