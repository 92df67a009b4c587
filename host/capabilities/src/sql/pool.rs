//! Open connections that nobody uses, and the file they belong to.
//!
//! Guarantee: what is taken reads the file that lies at the path now. One that
//! was replaced or removed meanwhile is noticed here.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::connection::{Closed, Link};

#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    open: fn(&std::path::Path) -> Result<Link, Closed>,
    kept: usize,
    idle: Mutex<Vec<Link>>,
    /// Each open connection holds a clone.
    counter: Arc<()>,
}

impl Pool {
    /// Connections to the file at `path` that `open` makes, at most `kept` of
    /// which are kept open.
    pub(super) fn new(
        path: PathBuf,
        open: fn(&std::path::Path) -> Result<Link, Closed>,
        kept: usize,
    ) -> Pool {
        Pool {
            path,
            open,
            kept,
            idle: Mutex::default(),
            counter: Arc::default(),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for the caller alone, and whether it was just opened.
    pub(super) fn take(&self) -> Result<(Link, bool), Closed> {
        loop {
            let Some(link) = self.idle().pop() else {
                let mut link = (self.open)(&self.path)?;
                link.counted = Some(Arc::clone(&self.counter));
                return Ok((link, true));
            };
            if !link.has_moved() {
                return Ok((link, false));
            }
        }
    }

    /// Connections that are open, in use or not.
    pub(super) fn open(&self) -> usize {
        Arc::strong_count(&self.counter) - 1
    }

    /// Gives a connection back that is as good as new.
    pub(super) fn put(&self, link: Link) {
        let mut idle = self.idle();
        if idle.len() < self.kept {
            idle.push(link);
        }
    }
}
