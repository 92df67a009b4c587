//! A connection to a database, as SQLite can be closed off: read-only, without
//! extensions, attached files, triggers or a schema it would trust, and with
//! SQLite's own limits set.
//!
//! A database with a write-ahead log has two files beside it that all who use it
//! share; SQLite makes them when they are not there. Nothing else is written.
//!
//! There are two kinds. A guest's statements run on one that asks the
//! [`Guard`] about each thing a statement does. What the host itself wants to
//! know of a database runs on another, whose statements are all in this crate.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::functions;
use super::guard::{self, Guard};
use super::watch::Watch;

/// Instructions of SQLite between two looks at the [`Watch`]. One may call a
/// function on a long text, so they are few.
const TICK: i32 = 100;

/// How long SQLite itself waits for a file that another one writes; then the
/// query looks whether to go on, and tries again.
const BUSY_TIMEOUT: Duration = Duration::from_millis(50);

/// The longest value any query may hold, in bytes.
pub(super) const VALUE_MAX_BYTES: usize = 1 << 20;

/// All that SQLite holds, in the whole process, in bytes. Every query stays far
/// below by other bounds; this one is the fuse, and when it blows, statements
/// fail and the host does not. A pragma can only lower it.
const HEAP_MAX_BYTES: u64 = 1 << 30;

/// Pages a connection keeps in memory, in KiB.
const CACHE_KIB: u32 = 2048;

/// What the host's own statements may use besides tables and functions.
const OWN_PRAGMAS: [&str; 5] = [
    "data_version",
    "foreign_key_list",
    "schema_version",
    "table_list",
    "table_xinfo",
];

/// Why a file is not read now.
#[derive(Debug)]
pub(super) enum Closed {
    /// There is none, or not one of this kind.
    NoFile(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Closed {
    fn from(error: rusqlite::Error) -> Closed {
        Closed::Sqlite(error)
    }
}

/// An open connection and what watches it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) sqlite: Connection,
    pub(super) watch: Arc<Watch>,
    pub(super) guard: Arc<Guard>,
    /// The virtual tables that SQLite brings along.
    pub(super) modules: Arc<[String]>,
    /// No other connection of the process ever had it.
    pub(super) number: u64,
    /// By its pool.
    pub(super) counted: Option<Arc<()>>,
}

static OPENED: AtomicU64 = AtomicU64::new(1);

impl Link {
    /// A connection for guests' statements.
    pub(super) fn for_guests(path: &Path) -> Result<Link, Closed> {
        let mut link = Link::open(path)?;
        functions::replace_slow_ones(&link.sqlite, &link.watch, VALUE_MAX_BYTES)?;
        let hook = guard::hook(&link.guard, &link.watch);
        link.sqlite.authorizer(Some(hook))?;
        Ok(link)
    }

    /// A connection for the host's own statements.
    pub(super) fn for_host(path: &Path) -> Result<Link, Closed> {
        let mut link = Link::open(path)?;
        link.sqlite.authorizer(Some(of_the_host))?;
        Ok(link)
    }

    fn open(path: &Path) -> Result<Link, Closed> {
        let path = regular(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
        let mut sqlite = Connection::open_with_flags(path, flags)?;
        sqlite.busy_timeout(BUSY_TIMEOUT)?;
        close_off(&sqlite)?;
        let mut statement = sqlite.prepare("PRAGMA module_list")?;
        let modules = statement
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        drop(statement);
        // The schema is read once before the limits hold, so that they do not
        // count for what the operator wrote.
        sqlite.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        limit(&sqlite)?;
        let watch = Arc::new(Watch::default());
        let looking = Arc::clone(&watch);
        sqlite.progress_handler(TICK, Some(move || looking.is_over()))?;
        Ok(Link {
            sqlite,
            watch,
            guard: Arc::default(),
            modules,
            number: OPENED.fetch_add(1, Ordering::Relaxed),
            counted: None,
        })
    }

    /// Whether another file lies where this one lay, or none.
    pub(super) fn has_moved(&self) -> bool {
        #[cfg(unix)]
        {
            let mut moved = 0;
            let asked = rusqlite::FileControl::HasMoved(&mut moved);
            let known = self.sqlite.file_control(rusqlite::MAIN_DB.into(), asked).is_ok();
            !known || moved != 0
        }
        #[cfg(not(unix))]
        false
    }
}

/// The file at `path`, as a path that SQLite takes for nothing else: it reads
/// `file:...` as a URI with options.
fn regular(path: &Path) -> Result<PathBuf, Closed> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(Closed::NoFile(format!("{shown} is not a file"))),
        Err(fault) => return Err(Closed::NoFile(format!("{shown} cannot be opened: {fault}"))),
    }
    std::path::absolute(path).map_err(|fault| Closed::NoFile(format!("{shown} cannot be opened: {fault}")))
}

fn close_off(sqlite: &Connection) -> rusqlite::Result<()> {
    use DbConfig::*;
    for (setting, on) in [
        (SQLITE_DBCONFIG_DEFENSIVE, true),
        (SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        // A name in double quotes that no column has is an error, and not a
        // string: a model then mends it, instead of getting no rows.
        (SQLITE_DBCONFIG_DQS_DML, false),
    ] {
        sqlite.set_db_config(setting, on)?;
    }
    sqlite.pragma_update(None, "query_only", true)?;
    sqlite.pragma_update(None, "temp_store", "FILE")?;
    sqlite.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    // These two answer with what they set.
    for pragma in [
        String::from("PRAGMA mmap_size = 0"),
        format!("PRAGMA hard_heap_limit = {HEAP_MAX_BYTES}"),
    ] {
        sqlite.query_row(&pragma, [], |_| Ok(())).or_else(nothing)?;
    }
    Ok(())
}

fn nothing(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

fn limit(sqlite: &Connection) -> rusqlite::Result<()> {
    use Limit::*;
    for (limit, to) in [
        (
            SQLITE_LIMIT_LENGTH,
            i32::try_from(VALUE_MAX_BYTES).unwrap_or(i32::MAX),
        ),
        (SQLITE_LIMIT_ATTACHED, 0),
        (SQLITE_LIMIT_COMPOUND_SELECT, 100),
        // How deep expressions nest, and queries in each other. A hundred
        // SELECTs of this depth, folded into one expression, need 8 MiB of
        // stack; a query's thread has four times that.
        (SQLITE_LIMIT_EXPR_DEPTH, 100),
        (SQLITE_LIMIT_PARSER_DEPTH, 500),
        (SQLITE_LIMIT_FUNCTION_ARG, 100),
        (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
        (SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (SQLITE_LIMIT_VARIABLE_NUMBER, 1000),
        (SQLITE_LIMIT_VDBE_OP, 50_000),
        (SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        sqlite.set_limit(limit, to)?;
    }
    Ok(())
}

/// What the host's own statements may do: read, and ask for the schema.
fn of_the_host(asked: AuthContext<'_>) -> Authorization {
    match asked.action {
        AuthAction::Select
        | AuthAction::Recursive
        | AuthAction::Read { .. }
        | AuthAction::Function { .. } => Authorization::Allow,
        AuthAction::Pragma { pragma_name, .. } if OWN_PRAGMAS.contains(&pragma_name) => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

/// The code of SQLite behind an error.
pub(super) fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            Some(error.code)
        }
        _ => None,
    }
}

/// Whether the database can be asked again in a moment: another one writes it,
/// or just changed its schema.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    use ErrorCode::*;
    matches!(code(error), Some(DatabaseBusy | DatabaseLocked | SchemaChanged))
}

/// Whether the file, and not the statement, is at fault.
pub(super) fn is_broken(error: &rusqlite::Error) -> bool {
    use ErrorCode::*;
    matches!(
        code(error),
        Some(
            CannotOpen
                | DatabaseCorrupt
                | DiskFull
                | FileLockingProtocolFailed
                | NoLargeFileSupport
                | NotADatabase
                | PermissionDenied
                | ReadOnly
                | SystemIoFailure
        )
    )
}
