//! What the searches of an index and the task that keeps it up to date share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::Error;
use super::shelf::Shelf;
use super::store::Store;
use super::texts::Texts;

pub(super) struct Shared {
    pub(super) name: String,
    pub(super) shelf: Shelf,
    pub(super) store: Store,
    pub(super) texts: Texts,
    status: Mutex<Status>,
    numbers: AtomicU64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    /// The folder was read once to its end.
    pub(super) read: bool,
    /// Why the folder cannot be read.
    pub(super) gone: Option<String>,
    /// Documents read so far, while it is read for the first time.
    pub(super) progress: usize,
}

impl Shared {
    pub(super) fn new(name: &str, store: Store) -> Shared {
        Shared {
            name: name.to_owned(),
            shelf: Shelf::default(),
            store,
            texts: Texts::default(),
            status: Mutex::default(),
            numbers: AtomicU64::new(0),
        }
    }

    /// Whether it can be searched now.
    pub(super) fn available(&self) -> Result<(), Error> {
        let status = self.status();
        match &status.gone {
            Some(reason) => Err(Error::FolderGone {
                index: self.name.clone(),
                reason: reason.clone(),
            }),
            None if status.read => Ok(()),
            None => Err(Error::Reading(self.name.clone())),
        }
    }

    /// One line for people.
    pub(super) fn detail(&self) -> String {
        let status = self.status().clone();
        match status.gone {
            Some(reason) => format!("the folder cannot be read: {reason}"),
            None if status.read => {
                let count = self.shelf.count();
                format!("{} documents, {} passages", count.documents, count.passages)
            }
            None => format!(
                "being read for the first time, {} documents so far",
                status.progress
            ),
        }
    }

    /// A number for a version of a document, never given before.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
