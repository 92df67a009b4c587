//! One database: its connections, whose turn it is, and how it stands.
//!
//! What is asked of it passes its guard, and runs on a thread of its own. SQLite folds nested queries
//! into expressions that may nest thousands deep, and walks them by recursion:
//! the stack of an ordinary thread is too short for what the limits of a
//! connection let through, and a stack that overflows ends the process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use segue_resilience::{Guard, Judged, Refused, Verdict};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use super::connection::{Closed, Link, is_busy};
use super::error::Error;
use super::health::{Health, State};
use super::kept;
use super::pool::Pool;
use super::rows::{BATCHES, Bounds, Rows, Sink};
use super::schema::Library;
use super::scratch;
use super::settings::Database;
use super::slow::Slow;
use super::statement::{Fault, PARAMS_MAX, PARAMS_MAX_BYTES, SQL_MAX_BYTES};
use super::task::{Asker, Running, Task};
use super::turns::{Full, Turn, Turns};
use super::value::{self, Value};
use super::watch::Why;
use crate::cache::{Cache, Cached, Owner};

/// The stack of a query's thread: four times what the deepest statement takes.
/// Only what is used of it becomes memory.
const STACK_BYTES: usize = 32 << 20;

/// How soon a query that should stop is told so once more.
const REMINDER: Duration = Duration::from_millis(50);

/// How long a query waits before it tries a locked file again.
const RETRY: Duration = Duration::from_millis(10);

/// A database that the operator configured.
#[derive(Debug)]
pub struct Store {
    pub(super) name: String,
    pub(super) settings: Database,
    pub(super) handle: Handle,
    guard: Arc<Guard>,
    /// What queries are answered from.
    cached: ArcSwapOption<Cached<Error>>,
    pub(super) health: Health,
    /// For guests' statements.
    pub(super) guests: Pool,
    /// For the host's own.
    pub(super) host: Pool,
    turns: Turns,
    slow: Slow,
    pub(super) library: Library,
    pub(super) scratch_max_bytes: u64,
}

impl Store {
    pub(super) fn new(name: String, settings: Database, guard: Arc<Guard>, handle: Handle) -> Store {
        Store {
            health: Health::default(),
            guests: Pool::new(settings.path.clone(), Link::for_guests, settings.connections),
            host: Pool::new(settings.path.clone(), Link::for_host, 1),
            turns: Turns::new(settings.connections, settings.queue),
            slow: Slow::new(settings.slow_query),
            cached: ArcSwapOption::empty(),
            library: Library::default(),
            scratch_max_bytes: scratch::MAX_BYTES,
            name,
            settings,
            guard,
            handle,
        }
    }

    /// Answers queries from this cache from now on.
    pub(super) fn answer_from(&self, cache: Option<Arc<Cache>>) {
        let cached = Cached::over(self.cached.load().as_deref(), cache);
        self.cached.store(cached.map(Arc::new));
    }

    /// Starts a query. `params` are bound to `?1`, `?2` and so on.
    pub fn run(self: &Arc<Store>, asker: Asker, sql: String, params: Vec<Value>) -> Result<Rows, Error> {
        short_enough(&sql, &params)?;
        Ok(match self.cached.load_full() {
            Some(cached) => self.remembered(cached, asker, sql, params),
            None => self.query(asker, sql, params),
        })
    }

    /// From the cache, or by a query that all who ask the same wait for: its time is
    /// the database's, theirs is each one's own.
    fn remembered(
        self: &Arc<Store>,
        cached: Arc<Cached<Error>>,
        asker: Asker,
        sql: String,
        params: Vec<Value>,
    ) -> Rows {
        let (store, until) = (Arc::clone(self), asker.until);
        let task = self.handle.spawn(async move {
            let scope = format!("sql.{}", store.name);
            let owner = Owner::new(&asker.plugin, &scope);
            let asked = digest(&sql, &params);
            // Another file, or another bound, has other answers.
            let of = &store.settings;
            let of = format!("{} {} {}", of.max_rows, of.max_bytes, of.path.display());
            let time = until.saturating_duration_since(Instant::now());
            let fetch = move || {
                let until = Instant::now() + store.settings.timeout;
                let rows = store.query(Asker { until, ..asker }, sql, params);
                kept::collect(rows)
            };
            let parts = ["query", asked.as_str(), of.as_str()];
            let asking = cached.get(&owner, &parts, vec![scope.clone()], fetch);
            let (answer, _) = timeout_at(until.into(), asking)
                .await
                .map_err(|_| Error::TimedOut(time))?;
            answer
        });
        Rows::asked(task)
    }

    /// Has the database asked.
    fn query(self: &Arc<Store>, asker: Asker, sql: String, params: Vec<Value>) -> Rows {
        let (sender, messages) = mpsc::channel(BATCHES);
        let plugin = asker.plugin.clone();
        let running = self.start(asker, move |store, task| {
            let began = Instant::now();
            let mut sink = Sink::new(sender, store.handle.clone(), task);
            let bounds = Bounds {
                rows: store.settings.max_rows,
                bytes: store.settings.max_bytes,
            };
            let done = store.attempt(&store.guests, task, |link| {
                let outcome = link.run(&sql, &params, bounds, &mut sink);
                // What the guest has rows of cannot begin anew.
                match outcome {
                    Err(Fault::Busy) if sink.has_rows() => Err(Fault::Own(store.locked())),
                    Err(Fault::Broken(detail)) if sink.has_rows() => Err(Fault::Lost(detail)),
                    outcome => outcome,
                }
            });
            let took = began.elapsed().saturating_sub(sink.waited());
            store.slow.note(&store.name, &plugin, &sql, took);
            done
        });
        Rows::new(running, messages)
    }

    /// Compiles a statement as [`run`](Store::run) would, and leaves it there.
    pub async fn check(self: &Arc<Store>, asker: Asker, sql: String) -> Result<(), Error> {
        short_enough(&sql, &[])?;
        let mut running = self.start(asker, move |store, task| {
            store.attempt(&store.guests, task, |link| link.compile(&sql).map(drop))
        });
        running.wait().await
    }

    /// Has `job` done on a thread, once it is its turn.
    pub(super) fn start<T: Send + 'static>(
        self: &Arc<Store>,
        asker: Asker,
        job: impl FnOnce(&Store, &Task) -> Result<T, Error> + Send + 'static,
    ) -> Running<T> {
        let (sender, result) = oneshot::channel();
        let store = Arc::clone(self);
        let timeout = self.settings.timeout;
        let timeout = self
            .guard
            .policy()
            .timeout
            .map_or(timeout, |most| most.min(timeout));
        let task = Task::until(asker.until.min(Instant::now() + timeout));
        let brake = Arc::clone(&task.brake);
        self.handle.spawn(async move {
            let done = store.guarded(&asker.plugin, task, job).await;
            // Nobody may be waiting any more.
            let _ = sender.send(done);
        });
        Running::new(brake, result)
    }

    /// Has it done unless the database is left alone for a while, and notes what
    /// the end of it says of the database.
    async fn guarded<T: Send + 'static>(
        self: Arc<Store>,
        plugin: &str,
        task: Task,
        job: impl FnOnce(&Store, &Task) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let brake = Arc::clone(&task.brake);
        let admission = tokio::select! {
            biased;
            () = brake.pulled() => return Err(Error::Dropped),
            admission = self.guard.admit(Some(task.until.into())) => admission,
        };
        let admission = admission.map_err(|why| self.refused(why, &task))?;
        let done = Arc::clone(&self).supervise(plugin, task, job).await;
        let verdict = done.as_ref().err().map_or(Verdict::Success, Judged::verdict);
        admission.judge(verdict);
        done
    }

    /// How it stands, for the operator.
    pub(super) fn state(&self) -> State {
        let (slow_queries, slow_queries_last_hour) = self.slow.counts();
        State {
            connections: self.guests.open() + self.host.open(),
            active: self.turns.running(),
            max_active: self.settings.connections,
            slow_queries,
            slow_queries_last_hour,
            ..self.health.state(&self.name)
        }
    }

    fn refused(&self, why: Refused, task: &Task) -> Error {
        let database = self.name.clone();
        match why {
            Refused::Open { retry_after } => Error::LeftAlone {
                database,
                retry_after,
            },
            Refused::Full => Error::Overloaded(database),
            Refused::TooLate | Refused::TimedOut { .. } => Error::TimedOut(task.time),
        }
    }

    async fn supervise<T: Send + 'static>(
        self: Arc<Store>,
        plugin: &str,
        mut task: Task,
        job: impl FnOnce(&Store, &Task) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.turn(plugin, &task).await?;
        task.unread = turn.unread();
        let (brake, until) = (Arc::clone(&task.brake), task.until);
        let (sender, mut done) = oneshot::channel();
        let store = Arc::clone(&self);
        let thread = std::thread::Builder::new()
            .name(String::from("sql"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let result = job(&store, &task);
                // The next one may begin before this one's answer is read.
                drop((turn, store));
                let _ = sender.send(result);
            });
        if let Err(fault) = thread {
            tracing::warn!(database = self.name, %fault, "no thread can be started for a query");
            return Err(Error::Overloaded(self.name.clone()));
        }
        let mut reminder = until;
        loop {
            tokio::select! {
                biased;
                done = &mut done => return done.unwrap_or_else(|_| Err(self.panicked())),
                () = tokio::time::sleep_until(reminder.into()) => brake.pull(Why::Late),
                () = brake.pulled(), if reminder == until => {}
            }
            reminder = Instant::now() + REMINDER;
        }
    }

    async fn turn(&self, plugin: &str, task: &Task) -> Result<Turn, Error> {
        tokio::select! {
            biased;
            () = task.brake.pulled() => Err(Error::Dropped),
            turn = timeout_at(task.until.into(), self.turns.take(plugin)) => match turn {
                Ok(Ok(turn)) => Ok(turn),
                Ok(Err(Full)) => Err(Error::Overloaded(self.name.clone())),
                Err(_) => Err(self.stopped(task, Why::Late)),
            },
        }
    }

    /// Does `job` on a connection, and again while the file is locked or was read
    /// on a connection that is older than it.
    pub(super) fn attempt<T>(
        &self,
        pool: &Pool,
        task: &Task,
        mut job: impl FnMut(&Link) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        loop {
            let fault = match pool.take() {
                Ok((link, fresh)) => {
                    link.watch.start(task.until, self.scratch_max_bytes);
                    let interrupt = link.sqlite.get_interrupt_handle();
                    let Some(held) = task.brake.hold(&link.watch, interrupt) else {
                        pool.put(link);
                        return Err(self.stopped(task, task.brake.why().unwrap_or(Why::Dropped)));
                    };
                    let outcome = job(&link);
                    drop(held);
                    if !matches!(outcome, Err(Fault::Broken(_) | Fault::Lost(_))) {
                        pool.put(link);
                    }
                    match outcome {
                        Ok(done) => {
                            self.health.good(&self.name);
                            return Ok(done);
                        }
                        // What it knew of the file may be what is broken.
                        Err(Fault::Broken(_)) if !fresh => continue,
                        Err(fault) => fault,
                    }
                }
                Err(Closed::NoFile(detail)) => return Err(self.unavailable("its file is not there", detail)),
                Err(Closed::Sqlite(error)) if is_busy(&error) => Fault::Busy,
                Err(Closed::Sqlite(error)) => Fault::Broken(error.to_string()),
            };
            match fault {
                Fault::Own(error) => return Err(error),
                Fault::Stopped(why) => return Err(self.stopped(task, why)),
                Fault::Broken(detail) | Fault::Lost(detail) => {
                    return Err(self.unavailable("its file cannot be read", detail));
                }
                Fault::Busy if Instant::now() + RETRY >= task.until => return Err(self.locked()),
                Fault::Busy => {
                    let pulled = async { tokio::time::timeout(RETRY, task.brake.pulled()).await };
                    // Whichever comes first, the next round sees it.
                    let _ = self.handle.block_on(pulled);
                }
            }
        }
    }

    fn stopped(&self, task: &Task, why: Why) -> Error {
        match why {
            Why::Late => Error::TimedOut(task.time),
            Why::Dropped => Error::Dropped,
            Why::Scratch => Error::Invalid(String::from(
                "the query sorts or keeps more than 256 MiB of rows: narrow it, or take fewer columns",
            )),
        }
    }

    fn unavailable(&self, reason: &'static str, detail: String) -> Error {
        self.health.bad(&self.name, &self.settings.path, detail);
        Error::Unavailable {
            database: self.name.clone(),
            reason,
        }
    }

    fn locked(&self) -> Error {
        Error::Unavailable {
            database: self.name.clone(),
            reason: "it is being written",
        }
    }

    /// The panic itself is in the log already.
    fn panicked(&self) -> Error {
        Error::Unavailable {
            database: self.name.clone(),
            reason: "the query failed within the host",
        }
    }
}

/// What stands for a statement and its values in a key, however long they are.
fn digest(sql: &str, params: &[Value]) -> String {
    let mut hash = Sha256::new();
    hash.update(sql.len().to_le_bytes());
    hash.update(sql);
    hash.update(format!("{params:?}"));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn short_enough(sql: &str, params: &[Value]) -> Result<(), Error> {
    if sql.len() > SQL_MAX_BYTES {
        let length = sql.len();
        return Err(Error::Argument(format!(
            "a statement has at most {SQL_MAX_BYTES} bytes, and this one has {length}"
        )));
    }
    if params.len() > PARAMS_MAX {
        let count = params.len();
        return Err(Error::Argument(format!(
            "a statement has at most {PARAMS_MAX} parameters, and these are {count}"
        )));
    }
    let bytes: u64 = params.iter().map(|param| value::bytes(param.into())).sum();
    if bytes > PARAMS_MAX_BYTES {
        return Err(Error::Argument(format!(
            "the parameters of a statement have at most {PARAMS_MAX_BYTES} bytes together, and these have {bytes}"
        )));
    }
    Ok(())
}
