//! What an operator decides about one database: `[sql.NAME]`.

use std::path::PathBuf;
use std::time::Duration;

/// `[sql.NAME]`. Already validated: nothing is 0, and `path` is absolute or
/// relative to where the host runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The SQLite file. It need not be there yet: until it is, queries answer
    /// `store_unavailable`.
    pub path: PathBuf,
    /// Rows of one answer; the rest are left out, and the guest is told.
    pub max_rows: u32,
    /// Bytes of one answer, all rows together; the rest are left out likewise.
    /// One value is at most as long.
    pub max_bytes: u64,
    /// How long a query may take, its wait for its turn included. A call's own
    /// deadline may end it sooner.
    pub timeout: Duration,
    /// Queries that run at once, over all plugins.
    pub connections: usize,
    /// Queries that may wait for their turn; one more is `overloaded`.
    pub queue: usize,
    /// A query that takes so long is counted and logged.
    pub slow_query: Option<Duration>,
    /// The cache that queries are answered from.
    pub cache: Option<String>,
}

impl Database {
    /// The default of `max_rows`.
    pub const MAX_ROWS: u32 = 1000;
    /// The default of `max_bytes`.
    pub const MAX_BYTES: u64 = 4 << 20;
    /// The default of `timeout`.
    pub const TIMEOUT: Duration = Duration::from_secs(5);
    /// The default of `connections`.
    pub const CONNECTIONS: usize = 4;
    /// The default of `queue`.
    pub const QUEUE: usize = 64;
    /// The default of `slow_query`.
    pub const SLOW_QUERY: Option<Duration> = Some(Duration::from_millis(100));

    /// The defaults, on the file at `path`.
    pub fn at(path: PathBuf) -> Database {
        Database {
            path,
            max_rows: Database::MAX_ROWS,
            max_bytes: Database::MAX_BYTES,
            timeout: Database::TIMEOUT,
            connections: Database::CONNECTIONS,
            queue: Database::QUEUE,
            slow_query: Database::SLOW_QUERY,
            cache: None,
        }
    }
}

impl Default for Database {
    fn default() -> Database {
        Database::at(PathBuf::new())
    }
}
