//! What is asked of a database, from the one who asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use super::error::Error;
use super::watch::{Brake, Why};

/// Who asks, and how long the answer is any use.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The plugin's name.
    pub plugin: String,
    pub until: Instant,
}

/// Something that is done with a database.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) brake: Arc<Brake>,
    pub(super) until: Instant,
    /// How long that is from its start.
    pub(super) time: Duration,
    /// Room for what is answered and not read yet, in KiB.
    pub(super) unread: Arc<Semaphore>,
}

impl Task {
    /// One that begins now.
    pub(super) fn until(until: Instant) -> Task {
        let time = until.saturating_duration_since(Instant::now());
        // Less than a millisecond is nothing that people are told.
        let time = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Task {
            brake: Arc::default(),
            until,
            time,
            unread: Arc::new(Semaphore::new(0)),
        }
    }
}

/// A task under way. Dropping it stops the task.
#[derive(Debug)]
pub(super) struct Running<T> {
    brake: Arc<Brake>,
    result: oneshot::Receiver<Result<T, Error>>,
}

impl<T> Running<T> {
    pub(super) fn new(brake: Arc<Brake>, result: oneshot::Receiver<Result<T, Error>>) -> Running<T> {
        Running { brake, result }
    }

    /// Its result, once.
    pub(super) async fn wait(&mut self) -> Result<T, Error> {
        let result = (&mut self.result).await;
        result.unwrap_or(Err(Error::Dropped))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.brake.pull(Why::Dropped);
    }
}
