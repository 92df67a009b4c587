//! The file as long as the host runs: opened when it is first needed, and again
//! after it broke.
//!
//! What cannot be opened costs the calls that need it an error, never the host
//! its start. The reason goes to the log once, not once a call.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rusqlite::{Connection, ErrorCode};
use segue_resilience::{Admission, Guard, Judged, Refused, Verdict};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::buckets::State;
use super::fault::Fault;
use super::file::{self, Opened};
use super::rows::{Bounds, Owner};
use super::writer::{Change, Job, NotDone};

/// How long a file that could not be opened is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Why nothing is done any more.
const STOPPED: &str = "the host is going down";

/// How many reads run at once.
const READERS: usize = 4;

/// How many reads may wait.
const READS_WAITING: usize = 1024;

/// What may wait to be written, in bytes.
const WAITING_BYTES: usize = 64 << 20;

pub(super) struct Store {
    path: PathBuf,
    guard: Arc<Guard>,
    handle: Handle,
    opened: ArcSwapOption<Opened>,
    /// Held while the file is opened; in it the lock that keeps other hosts out,
    /// once it was had.
    opening: tokio::sync::Mutex<Option<Arc<File>>>,
    /// Why and when the last try failed, if it did.
    trouble: Mutex<Option<(String, Instant)>>,
    reads_running: Semaphore,
    reads: Semaphore,
    room: Arc<Semaphore>,
}

impl Store {
    pub(super) fn new(path: PathBuf, guard: Arc<Guard>, handle: Handle) -> Arc<Store> {
        Arc::new(Store {
            path,
            guard,
            handle,
            opened: ArcSwapOption::empty(),
            opening: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
            reads_running: Semaphore::new(READERS),
            reads: Semaphore::new(READS_WAITING),
            room: Arc::new(Semaphore::new(WAITING_BYTES)),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    pub(super) fn state(&self) -> State {
        let path = self.path.display();
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &*trouble {
            Some((words, _)) => State {
                ready: false,
                detail: words.clone(),
            },
            None if self.opened.load().is_none() => State {
                ready: true,
                detail: format!("{path} was not needed yet"),
            },
            None => State {
                ready: true,
                detail: path.to_string(),
            },
        }
    }

    /// The open file.
    pub(super) async fn open(&self) -> Result<Arc<Opened>, Fault> {
        if let Some(opened) = self.opened.load_full() {
            return Ok(opened);
        }
        let mut held = self.opening.lock().await;
        if let Some(opened) = self.opened.load_full() {
            return Ok(opened);
        }
        if let Some(words) = self.fresh_trouble() {
            return Err(Fault::Unavailable(words));
        }
        let (path, lock) = (self.path.clone(), held.clone());
        let opening = self.handle.spawn_blocking(move || {
            let lock = lock.map_or_else(|| file::lock(&path), Ok)?;
            let opened = Opened::open(&path, Arc::clone(&lock));
            Ok((lock, opened))
        });
        let result = opening.await.unwrap_or_else(|_| Err(String::from(STOPPED)));
        let opened = result.and_then(|(lock, opened)| {
            *held = Some(lock);
            opened
        });
        match opened {
            Ok(opened) => {
                let opened = Arc::new(opened);
                self.opened.store(Some(Arc::clone(&opened)));
                Ok(opened)
            }
            Err(words) => Err(self.went_wrong(words)),
        }
    }

    /// Why the last try failed, if that was just now.
    fn fresh_trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (words, at) = trouble.as_ref()?;
        (at.elapsed() < RETRY).then(|| words.clone())
    }

    /// Reads, off the threads that must not wait.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        reading: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let admission = self.admit().await?;
        let read = self.read_now(reading).await;
        judge(admission, &read);
        read
    }

    /// Writes, and returns when it is on the disk. Dropped before its turn came,
    /// nothing is written.
    pub(super) async fn write(&self, owner: Owner, bounds: Bounds, change: Change) -> Result<u64, Fault> {
        let admission = self.admit().await?;
        let written = self.write_now(owner, bounds, change).await;
        judge(admission, &written);
        written
    }

    async fn admit(&self) -> Result<Admission, Fault> {
        let admission = self.guard.admit(None).await;
        admission.map_err(|why| match why {
            Refused::Open { retry_after } => Fault::LeftAlone(retry_after),
            _ => Fault::Busy,
        })
    }

    async fn read_now<T: Send + 'static>(
        &self,
        reading: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let _waiting = self.reads.try_acquire().map_err(|_| Fault::Busy)?;
        let opened = self.open().await?;
        let _running = self.reads_running.acquire().await.map_err(|_| Fault::Busy)?;
        let file = Arc::clone(&opened);
        let result = self.handle.spawn_blocking(move || file.read(reading)).await;
        match result {
            Ok(Ok(value)) => {
                self.went_well();
                Ok(value)
            }
            Ok(Err(fault)) => Err(self.broke(&opened, fault.sqlite_error_code(), &fault.to_string())),
            Err(_) => Err(Fault::Unavailable(String::from(STOPPED))),
        }
    }

    async fn write_now(&self, owner: Owner, bounds: Bounds, change: Change) -> Result<u64, Fault> {
        let bytes = u32::try_from(change.bytes()).map_err(|_| Fault::Busy)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let room = room.map_err(|_| Fault::Busy)?;
        let opened = self.open().await?;
        let (done, result) = oneshot::channel();
        let job = Job {
            owner,
            bounds,
            change,
            done,
            _room: room,
        };
        let gone = || Fault::Unavailable(String::from(STOPPED));
        let jobs = opened.jobs().ok_or_else(gone)?;
        jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Fault::Busy,
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        match result.await {
            Ok(Ok(sum)) => {
                self.went_well();
                Ok(sum)
            }
            Ok(Err(NotDone::Refused(fault))) => Err(fault),
            Ok(Err(NotDone::Broken { code, words })) => Err(self.broke(&opened, code, &words)),
            Err(_) => Err(gone()),
        }
    }

    /// Notes that `opened` failed. Unless what failed was not the file, it is
    /// opened anew, a while later.
    fn broke(&self, opened: &Arc<Opened>, code: Option<ErrorCode>, words: &str) -> Fault {
        if !matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy)) {
            let broken = Some(Arc::clone(opened));
            self.opened.compare_and_swap(&broken, None);
        }
        self.went_wrong(format!("{}: {words}", self.path.display()))
    }

    fn went_well(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.take().is_some() {
            let path = self.path.display();
            tracing::info!(%path, "the store of keys and values answers again");
        }
    }

    fn went_wrong(&self, words: String) -> Fault {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.as_ref().is_none_or(|(known, _)| *known != words) {
            tracing::error!("the store of keys and values does not answer: {words}");
        }
        *trouble = Some((words.clone(), Instant::now()));
        Fault::Unavailable(words)
    }
}

fn judge<T>(admission: Admission, done: &Result<T, Fault>) {
    admission.judge(done.as_ref().err().map_or(Verdict::Success, Judged::verdict));
}
