//! Keeps values under keys, past the end of a call and of the host's process, in
//! the buckets that the operator granted (`[grants] keyvalue = ["notes"]` in the
//! plugin's own `.toml`).
//!
//! ```
//! use segue_sdk::{keyvalue, prelude::*};
//!
//! fn note(message: Message, reply: &mut Reply) -> Result<()> {
//!     let notes = keyvalue::open("notes")?;
//!     match message.text().split_once('=') {
//!         Some((key, value)) => notes.set(key, value)?,
//!         None => {
//!             let value = notes.get(message.text())?.unwrap_or_default();
//!             reply.send(String::from_utf8_lossy(&value))?;
//!         }
//!     }
//!     reply.send(format!(" ({} asked)", notes.increment("asked", 1)?))
//! }
//!
//! use segue_sdk::test::{Call, FakeBucket};
//!
//! let notes = FakeBucket::new().with("tea", "green");
//! let run = Call::text("tea").bucket("notes", notes.clone()).run(note);
//! assert_eq!(run.text(), "green (1 asked)");
//! Call::text("tea=black").bucket("notes", notes.clone()).run(note);
//! assert_eq!(notes.value("tea"), Some(b"black".to_vec()));
//! ```
//!
//! Each plugin has keys of its own in every bucket. A write is durable when it
//! returns, and every read after it sees it, from whichever call. At most 1 KiB a
//! key, 1 MiB a value, and what the operator's `[keyvalue]` allows in all.
//!
//! Error codes: `capability_denied`, `invalid_argument`, `state_full` (past what the
//! operator allows), `store_unavailable`.

use crate::bindings::wasi::keyvalue::store;
use crate::{Error, Result, host};

/// Opens a bucket that is granted under this name.
pub fn open(name: &str) -> Result<Bucket> {
    let inner = host::store::open(name).map_err(|error| failed(name, error))?;
    Ok(Bucket {
        inner,
        name: name.into(),
    })
}

/// An open bucket.
#[derive(Debug)]
pub struct Bucket {
    inner: host::store::Bucket,
    name: String,
}

impl Bucket {
    /// What is kept under the key; `None` when nothing is.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.told(self.inner.get(key))
    }

    /// Keeps a value under the key, in the place of what was there.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<()> {
        self.told(self.inner.set(key, value.as_ref()))
    }

    /// Removes what is kept under the key, if anything is.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.told(self.inner.delete(key))
    }

    /// Whether anything is kept under the key.
    pub fn exists(&self, key: &str) -> Result<bool> {
        self.told(self.inner.exists(key))
    }

    /// All keys, in order, read 1,000 at a time. One that is written meanwhile
    /// may be missed.
    ///
    /// ```
    /// # use segue_sdk::{keyvalue, prelude::*, test};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// for key in keyvalue::open("notes")?.keys() {
    ///     reply.send(key?)?;
    /// }
    /// # Ok(()) }
    /// # let notes = test::FakeBucket::new().with("b", "2").with("a", "1");
    /// # let run = test::Call::text("").bucket("notes", notes).run(answer);
    /// # assert_eq!(run.chunks(), ["a", "b"]);
    /// ```
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            bucket: self,
            page: Vec::new().into_iter(),
            next: Some(None),
        }
    }

    /// Adds to the number under the key, which counts as 0 when there is none,
    /// in one step, and returns the sum. The number is kept as 8 bytes,
    /// little-endian; a value of another length is an error, and so is a sum
    /// beyond 64 bits.
    pub fn increment(&self, key: &str, by: u64) -> Result<u64> {
        self.told(host::atomics::increment(&self.inner, key, by))
    }

    /// What is kept under each of the keys, in their order.
    pub fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let found = self.told(host::batch::get_many(&self.inner, &owned(keys)))?;
        let value = |key: &&str| {
            let mut pairs = found.iter().flatten();
            pairs
                .find(|(known, _)| known == key)
                .map(|(_, value)| value.clone())
        };
        Ok(keys.iter().map(value).collect())
    }

    /// Keeps several values, all in one step or none.
    pub fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let pairs: Vec<(String, Vec<u8>)> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec()))
            .collect();
        self.told(host::batch::set_many(&self.inner, &pairs))
    }

    /// Removes several values, all in one step or none.
    pub fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.told(host::batch::delete_many(&self.inner, &owned(keys)))
    }

    fn told<T>(&self, result: std::result::Result<T, store::Error>) -> Result<T> {
        result.map_err(|error| failed(&self.name, error))
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// The keys of a bucket; a failure is the last item.
#[derive(Debug)]
pub struct Keys<'a> {
    bucket: &'a Bucket,
    page: std::vec::IntoIter<String>,
    /// Where the next page begins; `None` when this was the last one.
    next: Option<Option<u64>>,
}

impl Iterator for Keys<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.page.next() {
                return Some(Ok(key));
            }
            let cursor = self.next.take()?;
            match self.bucket.told(self.bucket.inner.list_keys(cursor)) {
                Ok(page) => {
                    self.page = page.keys.into_iter();
                    self.next = page.cursor.map(Some);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// WASI's error has no code. What is no denial is in words, which this host begins
/// with one of its codes.
fn failed(bucket: &str, error: store::Error) -> Error {
    let words = match error {
        store::Error::NoSuchStore | store::Error::AccessDenied => {
            return Error::new(
                Error::CAPABILITY_DENIED,
                format!(
                    "keyvalue is not granted to this plugin for `{bucket}`: \
                     add keyvalue = [\"{bucket}\"] to [grants] in its .toml"
                ),
            );
        }
        store::Error::Other(words) => words,
    };
    match words.split_once(": ") {
        Some((Error::INVALID_ARGUMENT, reason)) => Error::new(Error::INVALID_ARGUMENT, reason),
        Some((Error::STATE_FULL, reason)) => Error::new(Error::STATE_FULL, reason),
        Some((Error::STORE_UNAVAILABLE, reason)) => Error::new(Error::STORE_UNAVAILABLE, reason).retryable(),
        _ => Error::new(Error::STORE_UNAVAILABLE, words).retryable(),
    }
}
