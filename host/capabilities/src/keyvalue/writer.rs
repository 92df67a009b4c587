//! The one thread that writes.
//!
//! What is waiting when it looks is written in one transaction, since the disk
//! takes as long for one change as for many. Each change stands alone within it:
//! one that goes past a bound leaves no trace and hurts no other. Everybody hears
//! of his change once the disk has it. A change whose caller has left before its
//! turn is not made.

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::fault::Fault;
use super::rows::{self, Bounds, Owner};

/// How many changes may wait.
pub(super) const QUEUE: usize = 1024;

/// How many of them are written at once.
const GROUP: usize = 256;

/// What is to be done, all of it or nothing.
#[derive(Debug)]
pub(super) enum Change {
    Set(Vec<(String, Vec<u8>)>),
    Delete(Vec<String>),
    Increment { key: String, delta: u64 },
}

impl Change {
    /// How much room it takes while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Change::Set(pairs) => pairs.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Change::Delete(keys) => keys.iter().map(String::len).sum(),
            Change::Increment { key, .. } => key.len(),
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Debug)]
pub(super) enum NotDone {
    /// It may not be.
    Refused(Fault),
    /// The file failed.
    Broken { code: Option<ErrorCode>, words: String },
}

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) owner: Owner,
    pub(super) bounds: Bounds,
    pub(super) change: Change,
    /// The sum, for an increment; otherwise 0.
    pub(super) done: oneshot::Sender<Result<u64, NotDone>>,
    pub(super) _room: OwnedSemaphorePermit,
}

/// Writes until nobody can send any more.
pub(super) fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = queue.try_recv()
        {
            group.push(job);
        }
        group.retain(|job| !job.done.is_closed());
        if !group.is_empty() {
            write(&mut connection, group);
        }
    }
}

fn write(connection: &mut Connection, group: Vec<Job>) {
    match commit(connection, &group) {
        Ok(results) => {
            for (job, result) in group.into_iter().zip(results) {
                // Whoever has left meanwhile does not mind.
                let _ = job.done.send(result.map_err(NotDone::Refused));
            }
        }
        Err(fault) => {
            let broken = NotDone::Broken {
                code: fault.sqlite_error_code(),
                words: fault.to_string(),
            };
            for job in group {
                let _ = job.done.send(Err(broken.clone()));
            }
        }
    }
}

fn commit(connection: &mut Connection, group: &[Job]) -> rusqlite::Result<Vec<Result<u64, Fault>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let results = group
        .iter()
        .map(|job| alone(&transaction, job))
        .collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(results)
}

/// One change within the group's transaction, undone if it is refused.
fn alone(transaction: &Transaction<'_>, job: &Job) -> rusqlite::Result<Result<u64, Fault>> {
    transaction.prepare_cached("SAVEPOINT job")?.execute([])?;
    let result = apply(transaction, job)?;
    if result.is_err() {
        transaction.prepare_cached("ROLLBACK TO job")?.execute([])?;
    }
    transaction.prepare_cached("RELEASE job")?.execute([])?;
    Ok(result)
}

fn apply(connection: &Connection, job: &Job) -> rusqlite::Result<Result<u64, Fault>> {
    let Job { owner, bounds, .. } = job;
    match &job.change {
        Change::Set(pairs) => {
            for (key, value) in pairs {
                if let Err(fault) = rows::set(connection, owner, *bounds, key, value)? {
                    return Ok(Err(fault));
                }
            }
        }
        Change::Delete(keys) => {
            for key in keys {
                rows::delete(connection, owner, key)?;
            }
        }
        Change::Increment { key, delta } => return rows::increment(connection, owner, *bounds, key, *delta),
    }
    Ok(Ok(0))
}
