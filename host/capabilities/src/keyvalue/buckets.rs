//! The buckets of all plugins under one set of settings.

use std::fmt;
use std::sync::Arc;

use segue_resilience::{Guard, Guards};
use tokio::runtime::Handle;

use super::fault::Fault;
use super::rows::{self, Bounds, Owner};
use super::settings::KeyValue;
use super::store::Store;
use super::writer::Change;

/// The longest key, in bytes.
pub const KEY_MAX_BYTES: usize = 1024;

/// The longest value, in bytes.
pub const VALUE_MAX_BYTES: usize = 1 << 20;

/// How many keys a batch has at most.
pub const BATCH_MAX_KEYS: usize = 1000;

/// How much a batch moves at most, in bytes, either way.
pub const BATCH_MAX_BYTES: usize = 16 << 20;

/// How the store is, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub ready: bool,
    /// The file, or what is wrong with it; for the operator.
    pub detail: String,
}

/// Opens buckets. The file behind them is opened when the first key is asked for.
pub struct Buckets {
    settings: KeyValue,
    store: Arc<Store>,
}

impl Buckets {
    /// Files are read and written on the threads of `handle`.
    pub fn new(settings: KeyValue, guards: &Guards, handle: Handle) -> Arc<Buckets> {
        Buckets::behind(settings, guards.get("keyvalue", ""), handle)
    }

    fn behind(settings: KeyValue, guard: Arc<Guard>, handle: Handle) -> Arc<Buckets> {
        let store = Store::new(settings.path.clone(), guard, handle);
        Arc::new(Buckets { settings, store })
    }

    /// The same under other settings. The file stays open unless another one is
    /// named; what is beyond lowered bounds stays, and may only shrink.
    pub fn update(self: &Arc<Buckets>, settings: KeyValue) -> Arc<Buckets> {
        if settings == self.settings {
            return Arc::clone(self);
        }
        if settings.path != self.store.path() {
            return Buckets::behind(
                settings,
                Arc::clone(self.store.guard()),
                self.store.handle().clone(),
            );
        }
        let store = Arc::clone(&self.store);
        Arc::new(Buckets { settings, store })
    }

    /// Looks whether the file answers, rather than wait for a call to find out.
    /// One that could not be opened a moment ago is not tried again at once.
    pub async fn check(&self) -> Result<(), Fault> {
        let nobody = Owner {
            plugin: String::new(),
            bucket: String::new(),
        };
        let reading = self.store.read(move |file| rows::exists(file, &nobody, ""));
        reading.await.map(drop)
    }

    /// What is known without looking.
    pub fn state(&self) -> State {
        self.store.state()
    }

    /// The bucket called `name`, with the keys that `plugin` has in it.
    pub fn bucket(self: &Arc<Buckets>, plugin: &str, name: &str) -> Bucket {
        Bucket {
            buckets: Arc::clone(self),
            owner: Owner {
                plugin: String::from(plugin),
                bucket: String::from(name),
            },
        }
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Buckets");
        fields.field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// One plugin's keys in one bucket. A write is durable when it returns, and every
/// later read sees it.
#[derive(Clone)]
pub struct Bucket {
    buckets: Arc<Buckets>,
    owner: Owner,
}

impl Bucket {
    /// As it was opened.
    pub fn name(&self) -> &str {
        &self.owner.bucket
    }

    pub async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Fault> {
        check_key(&key)?;
        let owner = self.owner.clone();
        let reading = self.buckets.store.read(move |file| rows::get(file, &owner, &key));
        reading.await
    }

    pub async fn exists(&self, key: String) -> Result<bool, Fault> {
        check_key(&key)?;
        let owner = self.owner.clone();
        let reading = self
            .buckets
            .store
            .read(move |file| rows::exists(file, &owner, &key));
        reading.await
    }

    /// A page of keys, in the order in which they first came, and where the next
    /// one begins. Keys that were there all along are in exactly one page,
    /// whatever comes and goes meanwhile.
    pub async fn keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), Fault> {
        let Ok(after) = i64::try_from(cursor.unwrap_or(0)) else {
            return Ok((Vec::new(), None));
        };
        let owner = self.owner.clone();
        let reading = self
            .buckets
            .store
            .read(move |file| rows::page(file, &owner, after));
        let (keys, next) = reading.await?;
        Ok((keys, next.and_then(|next| u64::try_from(next).ok())))
    }

    pub async fn set(&self, key: String, value: Vec<u8>) -> Result<(), Fault> {
        self.set_many(vec![(key, value)]).await
    }

    /// Deleting what is not there is no error.
    pub async fn delete(&self, key: String) -> Result<(), Fault> {
        self.delete_many(vec![key]).await
    }

    /// Adds to the number under the key, 0 if there is none, and returns the sum.
    pub async fn increment(&self, key: String, delta: u64) -> Result<u64, Fault> {
        check_key(&key)?;
        self.change(Change::Increment { key, delta }).await
    }

    /// The values under `keys`, in their order, all from one moment.
    pub async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<(String, Vec<u8>)>>, Fault> {
        check_keys(keys.iter())?;
        let owner = self.owner.clone();
        let reading = self.buckets.store.read(move |file| {
            let mut found = Vec::with_capacity(keys.len());
            let mut bytes = 0;
            for key in keys {
                let value = rows::get(file, &owner, &key)?;
                bytes += value.as_ref().map_or(0, Vec::len);
                if bytes > BATCH_MAX_BYTES {
                    return Ok(None);
                }
                found.push(value.map(|value| (key, value)));
            }
            Ok(Some(found))
        });
        reading.await?.ok_or(Fault::BatchTooLong { max: BATCH_MAX_BYTES })
    }

    /// All of them or, with an error, none. Of a key given twice the last counts.
    pub async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), Fault> {
        check_keys(pairs.iter().map(|(key, _)| key))?;
        let too_long = pairs
            .iter()
            .map(|(_, value)| value.len())
            .find(|len| *len > VALUE_MAX_BYTES);
        if let Some(bytes) = too_long {
            let max = VALUE_MAX_BYTES;
            return Err(Fault::ValueTooLong { bytes, max });
        }
        self.change(Change::Set(pairs)).await.map(drop)
    }

    /// All of them or, with an error, none.
    pub async fn delete_many(&self, keys: Vec<String>) -> Result<(), Fault> {
        check_keys(keys.iter())?;
        self.change(Change::Delete(keys)).await.map(drop)
    }

    async fn change(&self, change: Change) -> Result<u64, Fault> {
        if change.bytes() > BATCH_MAX_BYTES {
            return Err(Fault::BatchTooLong { max: BATCH_MAX_BYTES });
        }
        let bounds = Bounds {
            keys: self.buckets.settings.max_keys,
            bytes: self.buckets.settings.max_bytes,
        };
        self.buckets.store.write(self.owner.clone(), bounds, change).await
    }
}

fn check_key(key: &str) -> Result<(), Fault> {
    match key.len() {
        bytes if bytes > KEY_MAX_BYTES => Err(Fault::KeyTooLong {
            bytes,
            max: KEY_MAX_BYTES,
        }),
        _ => Ok(()),
    }
}

fn check_keys<'a>(mut keys: impl ExactSizeIterator<Item = &'a String>) -> Result<(), Fault> {
    match keys.len() {
        keys if keys > BATCH_MAX_KEYS => Err(Fault::TooManyKeys {
            keys,
            max: BATCH_MAX_KEYS,
        }),
        _ => keys.try_for_each(|key| check_key(key)),
    }
}
