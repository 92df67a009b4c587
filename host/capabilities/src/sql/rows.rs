//! The rows of a query, from the thread that runs it to the one who reads.
//!
//! They pass in batches through a channel of a few, so a reader that is slow
//! slows the query down. Large rows wait one by one, and all that a plugin leaves
//! unread is bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::Statement;
use rusqlite::types::ValueRef;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::connection::Link;
use super::error::Error;
use super::kept::Answer;
use super::statement::{self, Fault};
use super::task::{Running, Task};
use super::turns::UNREAD_MAX_KIB;
use super::value::{self, Row, Value};
use super::watch::Why;

/// The most rows that are given at once.
pub const ROWS_AT_ONCE: usize = 1000;

/// Batches that wait for a slow reader.
pub(super) const BATCHES: usize = 4;
/// A batch is sent once it has this many bytes, or rows,
const BATCH_BYTES: u64 = 64 << 10;
const BATCH_ROWS: usize = 256;
/// or the one before it was sent so long ago.
const BATCH_AGE: Duration = Duration::from_millis(10);

/// The longest name of a column that is passed on, in bytes. One without a name
/// is called by its expression, which may be as long as the statement.
const COLUMN_MAX_BYTES: usize = 256;

#[derive(Debug)]
pub(super) enum Message {
    Columns(Vec<String>),
    /// And the room that they take.
    Rows(Vec<Row>, Option<OwnedSemaphorePermit>),
}

/// A query under way. Dropping it stops the query.
#[derive(Debug)]
pub struct Rows {
    source: Source,
    columns: Option<Vec<String>>,
    ready: VecDeque<Row>,
    /// The room that `ready` takes.
    room: Option<OwnedSemaphorePermit>,
    end: Option<Result<bool, Error>>,
}

#[derive(Debug)]
enum Source {
    Query {
        running: Running<bool>,
        messages: mpsc::Receiver<Message>,
    },
    /// A cache was asked.
    Cache(Asked),
    /// The cache's answer.
    Answer(Answer),
}

/// Who asks a cache. Dropped, it asks no more.
#[derive(Debug)]
struct Asked(JoinHandle<Result<Bytes, Error>>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Rows {
    pub(super) fn new(running: Running<bool>, messages: mpsc::Receiver<Message>) -> Rows {
        Rows::from(Source::Query { running, messages })
    }

    /// Those of an answer in one piece, as `kept.rs` makes it.
    pub(super) fn asked(answer: JoinHandle<Result<Bytes, Error>>) -> Rows {
        Rows::from(Source::Cache(Asked(answer)))
    }

    fn from(source: Source) -> Rows {
        Rows {
            source,
            columns: None,
            ready: VecDeque::new(),
            room: None,
            end: None,
        }
    }

    /// The columns' names, in order, cut at 256 bytes. Waits until the query
    /// has begun.
    pub async fn columns(&mut self) -> Result<&[String], Error> {
        while self.columns.is_none() && self.end.is_none() {
            self.advance().await;
        }
        match (&self.columns, &self.end) {
            (Some(columns), _) => Ok(columns),
            (None, Some(Err(error))) => Err(error.clone()),
            (None, _) => Ok(&[]),
        }
    }

    /// The next rows, at least one and at most `max`; none at the end. Waits
    /// for the first of them. After an error it gives the same error again.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Row>, Error> {
        while self.ready.is_empty() && self.end.is_none() {
            self.advance().await;
        }
        if self.ready.is_empty()
            && let Some(Err(error)) = &self.end
        {
            return Err(error.clone());
        }
        let count = self.ready.len().min(max.clamp(1, ROWS_AT_ONCE));
        let next = self.ready.drain(..count).collect();
        if self.ready.is_empty() {
            self.room = None;
        }
        Ok(next)
    }

    /// Whether rows were left out because of a bound; known at the end.
    pub fn truncated(&self) -> bool {
        self.ready.is_empty() && matches!(self.end, Some(Ok(true)))
    }

    async fn advance(&mut self) {
        let senseless = || Error::Unavailable {
            database: String::from("the cache"),
            reason: "what it has kept makes no sense",
        };
        match &mut self.source {
            Source::Query { running, messages } => match messages.recv().await {
                Some(Message::Columns(columns)) => self.columns = Some(columns),
                Some(Message::Rows(rows, room)) => {
                    self.ready.extend(rows);
                    self.room = room;
                }
                None => self.end = Some(running.wait().await),
            },
            Source::Cache(Asked(answer)) => {
                let answer = answer.await.unwrap_or(Err(Error::Dropped));
                match answer.and_then(|answer| Answer::open(answer).ok_or_else(senseless)) {
                    Ok((columns, answer)) => {
                        self.columns = Some(columns);
                        self.source = Source::Answer(answer);
                    }
                    Err(error) => self.end = Some(Err(error)),
                }
            }
            Source::Answer(answer) => match answer.next() {
                Some(rows) if rows.is_empty() => self.end = Some(Ok(answer.truncated())),
                Some(rows) => self.ready.extend(rows),
                None => self.end = Some(Err(senseless())),
            },
        }
    }
}

/// The bounds of one query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) rows: u32,
    pub(super) bytes: u64,
}

/// Where the rows of a query go.
pub(super) struct Sink {
    messages: mpsc::Sender<Message>,
    handle: Handle,
    until: Instant,
    unread: Arc<Semaphore>,
    begun: bool,
    batch: Vec<Row>,
    batch_bytes: u64,
    sent: Option<Instant>,
    waited: Duration,
}

impl Sink {
    pub(super) fn new(messages: mpsc::Sender<Message>, handle: Handle, task: &Task) -> Sink {
        Sink {
            messages,
            handle,
            until: task.until,
            unread: Arc::clone(&task.unread),
            begun: false,
            batch: Vec::new(),
            batch_bytes: 0,
            sent: None,
            waited: Duration::ZERO,
        }
    }

    /// Whether rows are on their way already; then the query cannot begin anew.
    pub(super) fn has_rows(&self) -> bool {
        self.sent.is_some() || !self.batch.is_empty()
    }

    /// How long it had to wait for whoever reads.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    fn columns(&mut self, statement: &Statement<'_>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let names = statement.column_names();
        let cut = |name: &str| {
            let end = name.floor_char_boundary(COLUMN_MAX_BYTES);
            name.get(..end).unwrap_or(name).to_owned()
        };
        let names = names.into_iter().map(cut).collect();
        self.send(async |messages| messages.send(Message::Columns(names)).await.ok())
    }

    fn row(&mut self, row: Row, bytes: u64) -> Result<(), Fault> {
        self.batch.push(row);
        self.batch_bytes += bytes;
        let full = self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_ROWS;
        match full || self.sent.is_none_or(|sent| sent.elapsed() >= BATCH_AGE) {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let kib = usize::try_from(self.batch_bytes >> 10).unwrap_or(usize::MAX) + 1;
        let kib = u32::try_from(kib.min(UNREAD_MAX_KIB)).unwrap_or(u32::MAX);
        self.batch_bytes = 0;
        self.sent = Some(Instant::now());
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let unread = Arc::clone(&self.unread);
        self.send(async |messages| {
            let room = tokio::select! {
                biased;
                room = unread.acquire_many_owned(kib) => Some(room.ok()?),
                // All before it was read: who reads goes on, whatever else the
                // plugin leaves unread.
                read = messages.reserve_many(BATCHES) => read.ok().map(|_| None)?,
            };
            messages.send(Message::Rows(batch, room)).await.ok()
        })
    }

    /// Waits for room, as long as the query may take.
    fn send(&mut self, sending: impl AsyncFnOnce(&mpsc::Sender<Message>) -> Option<()>) -> Result<(), Fault> {
        let began = Instant::now();
        let sent = async { tokio::time::timeout_at(self.until.into(), sending(&self.messages)).await };
        let sent = self.handle.block_on(sent);
        self.waited += began.elapsed();
        match sent {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(Fault::Stopped(Why::Dropped)),
            Err(_) => Err(Fault::Stopped(Why::Late)),
        }
    }
}

impl Link {
    /// Runs a guest's statement and says whether rows were left out.
    pub(super) fn run(
        &self,
        sql: &str,
        params: &[Value],
        bounds: Bounds,
        sink: &mut Sink,
    ) -> Result<bool, Fault> {
        let mut statement = self.compile(sql)?;
        statement::bind(&mut statement, params)
            .map_err(Fault::Own)?
            .map_err(|error| self.fault(error))?;
        sink.columns(&statement)?;
        if let Some(why) = self.watch.why() {
            return Err(Fault::Stopped(why));
        }
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let (mut count, mut bytes) = (0u32, 0u64);
        loop {
            if count == bounds.rows {
                sink.flush()?;
            }
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                // All the rows that may be given are given; whether there are
                // more could not be found out.
                Err(error) if count == bounds.rows => match self.fault(error) {
                    Fault::Stopped(Why::Late) => return Ok(true),
                    fault => return Err(fault),
                },
                Err(error) => return Err(self.fault(error)),
            };
            if count == bounds.rows {
                return Ok(true);
            }
            let values = || (0..columns).map(|column| row.get_ref(column).unwrap_or(ValueRef::Null));
            let size = values().map(value::bytes).sum();
            if bytes + size > bounds.bytes {
                sink.flush()?;
                return Ok(true);
            }
            (count, bytes) = (count + 1, bytes + size);
            sink.row(values().map(Value::from).collect(), size)?;
        }
        sink.flush()?;
        Ok(false)
    }
}
