//! A bucket for tests, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Call;

const MAX_KEY_BYTES: usize = 1 << 10;
const MAX_VALUE_BYTES: usize = 1 << 20;
const PAGE: usize = 1000;

/// A bucket behind [`Call::bucket`]. A clone is the same one, so that a test can
/// look into it afterwards and give it to several calls.
#[derive(Debug, Clone, Default)]
pub struct FakeBucket {
    kept: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
}

impl FakeBucket {
    /// Nothing kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this value under the key.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.kept.borrow_mut().insert(key.into(), value.into());
        self
    }

    /// What is kept under the key.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.kept.borrow().get(key).cloned()
    }
}

impl Call {
    /// Grants `keyvalue = [name]`, with this bucket behind the name.
    #[must_use]
    pub fn bucket(mut self, name: &str, bucket: FakeBucket) -> Self {
        self.fake.buckets.grant(name, bucket);
        self
    }
}

/// In the place of `wasi:keyvalue/store`.
pub(crate) mod store {
    use super::super::fake::current;
    use super::{FakeBucket, MAX_KEY_BYTES, MAX_VALUE_BYTES, PAGE};
    use crate::bindings::wasi::keyvalue::store::{Error, KeyResponse};

    #[derive(Debug)]
    pub(crate) struct Bucket(pub(super) FakeBucket);

    pub(crate) fn open(identifier: &str) -> Result<Bucket, Error> {
        let bucket = current(|host| host.buckets.get("keyvalue.open", identifier, ".bucket(..)"));
        bucket.map(Bucket).map_err(|_| Error::AccessDenied)
    }

    impl Bucket {
        pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            sized(key, &[])?;
            Ok(self.0.value(key))
        }

        pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            sized(key, value)?;
            self.0.kept.borrow_mut().insert(key.into(), value.into());
            Ok(())
        }

        pub(crate) fn delete(&self, key: &str) -> Result<(), Error> {
            sized(key, &[])?;
            self.0.kept.borrow_mut().remove(key);
            Ok(())
        }

        pub(crate) fn exists(&self, key: &str) -> Result<bool, Error> {
            Ok(self.get(key)?.is_some())
        }

        pub(crate) fn list_keys(&self, cursor: Option<u64>) -> Result<KeyResponse, Error> {
            let kept = self.0.kept.borrow();
            let from = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX);
            let keys: Vec<String> = kept.keys().skip(from).take(PAGE).cloned().collect();
            let end = from.saturating_add(keys.len());
            let cursor = (end < kept.len()).then_some(end as u64);
            Ok(KeyResponse { keys, cursor })
        }
    }

    pub(super) fn sized(key: &str, value: &[u8]) -> Result<(), Error> {
        let words = if key.is_empty() {
            "a key is not empty"
        } else if key.len() > MAX_KEY_BYTES {
            "a key is at most 1 KiB"
        } else if value.len() > MAX_VALUE_BYTES {
            "a value is at most 1 MiB"
        } else {
            return Ok(());
        };
        Err(Error::Other(format!("invalid_argument: {words}")))
    }
}

/// In the place of `wasi:keyvalue/atomics`.
pub(crate) mod atomics {
    use super::store::{Bucket, sized};
    use crate::bindings::wasi::keyvalue::store::Error;

    pub(crate) fn increment(bucket: &Bucket, key: &str, delta: u64) -> Result<u64, Error> {
        sized(key, &[])?;
        let refused = |words: &str| Error::Other(format!("invalid_argument: {words}"));
        let mut kept = bucket.0.kept.borrow_mut();
        let number = match kept.get(key).map(|value| <[u8; 8]>::try_from(value.as_slice())) {
            None => 0,
            Some(Ok(bytes)) => u64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(refused("the value is no number of 8 bytes")),
        };
        let sum = number.checked_add(delta);
        let sum = sum.ok_or_else(|| refused("the sum is beyond 64 bits"))?;
        kept.insert(key.into(), sum.to_le_bytes().into());
        Ok(sum)
    }
}

/// In the place of `wasi:keyvalue/batch`.
pub(crate) mod batch {
    use super::store::{Bucket, sized};
    use crate::bindings::wasi::keyvalue::store::Error;

    type Pair = (String, Vec<u8>);

    pub(crate) fn get_many(bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Pair>>, Error> {
        let pair = |key: &String| Ok(bucket.get(key)?.map(|value| (key.clone(), value)));
        keys.iter().map(pair).collect()
    }

    pub(crate) fn set_many(bucket: &Bucket, pairs: &[Pair]) -> Result<(), Error> {
        pairs.iter().try_for_each(|(key, value)| sized(key, value))?;
        pairs.iter().try_for_each(|(key, value)| bucket.set(key, value))
    }

    pub(crate) fn delete_many(bucket: &Bucket, keys: &[String]) -> Result<(), Error> {
        keys.iter().try_for_each(|key| sized(key, &[]))?;
        keys.iter().try_for_each(|key| bucket.delete(key))
    }
}
