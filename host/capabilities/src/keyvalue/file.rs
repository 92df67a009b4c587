//! The file behind the buckets: opened, locked, and given back.
//!
//! One host at a time has it: a lock on `FILE.lock` is held as long as the file
//! is in use, and goes with the process, however it ends. One thread writes;
//! reads have connections of their own and wait for no writer.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;

use super::rows::{APPLICATION_ID, LAYOUT, TABLES};
use super::writer::{self, Job};

/// How large the write-ahead log stays after a checkpoint, in bytes.
const LOG_KEPT_BYTES: u32 = 16 << 20;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 32;

/// An open file. Dropping it waits until the writer has put everything away.
pub(super) struct Opened {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    idle: Mutex<Vec<Connection>>,
    // The last to go.
    _lock: Arc<File>,
}

impl Opened {
    /// Opens the file at `path` or makes it, and starts its writer. An error is
    /// a sentence for the operator.
    pub(super) fn open(path: &Path, lock: Arc<File>) -> Result<Opened, String> {
        let writing = connect_to_write(path)?;
        let (jobs, queue) = mpsc::channel(writer::QUEUE);
        let thread = std::thread::Builder::new().name(String::from("keyvalue"));
        let writer = thread
            .spawn(move || writer::run(writing, queue))
            .map_err(|fault| format!("no thread can be started: {fault}"))?;
        Ok(Opened {
            path: path.to_path_buf(),
            jobs: Some(jobs),
            writer: Some(writer),
            idle: Mutex::default(),
            _lock: lock,
        })
    }

    /// Where changes go.
    pub(super) fn jobs(&self) -> Option<&mpsc::Sender<Job>> {
        self.jobs.as_ref()
    }

    /// Reads, on the caller's thread, all of it from one state of the file.
    pub(super) fn read<T>(
        self: &Arc<Opened>,
        reading: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| connect_to_read(&self.path), Ok)?;
        let transaction = connection.unchecked_transaction()?;
        let result = reading(&transaction)?;
        transaction.finish()?;
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        Ok(result)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.idle
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to put away.
            let _ = writer.join();
        }
    }
}

/// Takes the file at `path` for this host, unless another one has it.
pub(super) fn lock(path: &Path) -> Result<Arc<File>, String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let folder = folder.display();
        return Err(format!(
            "the folder {folder} is not there: create it, or name another file in `[keyvalue] path`"
        ));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let cannot = |fault: io::Error| format!("{} cannot be written: {fault}", name.display());
    let lock = private().open(&name).map_err(cannot)?;
    match lock.try_lock() {
        Ok(()) => Ok(Arc::new(lock)),
        Err(TryLockError::Error(fault)) => Err(cannot(fault)),
        Err(TryLockError::WouldBlock) => Err(format!(
            "{} is in use by another host: stop that one, or give this one a file of its own in `[keyvalue] path`",
            path.display()
        )),
    }
}

/// Opens for writing what nobody else may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn connect_to_write(path: &Path) -> Result<Connection, String> {
    let shown = path.display();
    if !fs::exists(path).unwrap_or(true) {
        private()
            .open(path)
            .map_err(|fault| format!("{shown} cannot be made: {fault}"))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let cannot = |fault: rusqlite::Error| format!("{shown} cannot be used: {fault}");
    let connection = Connection::open_with_flags(path, flags).map_err(cannot)?;
    if connection.is_readonly("main").map_err(cannot)? {
        return Err(format!("{shown} may not be written: mend its permissions"));
    }
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(cannot)?;
    if mode != "wal" {
        return Err(format!("{shown} lies on a file system without shared memory"));
    }
    // A commit returns when it is on the disk.
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(cannot)?;
    connection
        .pragma_update(None, "fullfsync", true)
        .map_err(cannot)?;
    connection
        .pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)
        .map_err(cannot)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    lay_out(&connection)
        .map_err(cannot)?
        .map_err(|fault| format!("{shown} {fault}"))?;
    Ok(connection)
}

/// Makes the tables in a file that is empty; leaves alone one that is not ours.
fn lay_out(connection: &Connection) -> rusqlite::Result<Result<(), &'static str>> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION_ID, LAYOUT) => Ok(Ok(())),
        (APPLICATION_ID, _) => Ok(Err("was written by another version of this host")),
        (0, 0) if tables == 0 => {
            let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT};");
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} {marks} COMMIT;"))?;
            Ok(Ok(()))
        }
        _ => Ok(Err("is a database of something else")),
    }
}

fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}
