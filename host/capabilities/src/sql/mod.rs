//! `segue:sql`: asking the databases that the operator configured.
//!
//! Guarantees: nothing a plugin sends changes a database, its folder or
//! anything else; it reaches no other file, no extension and no setting; it ends
//! by its deadline and within a moment of being dropped; what it may take of
//! memory, disk, rows, time and connections is bounded. The way of a statement,
//! in the order in which it may fail:
//!
//! ```text
//! guest.rs       the gate, the bounds of the WIT
//! databases.rs   which database
//! turns.rs       whose turn it is
//! store.rs       a thread for it, its deadline, a locked file tried again; task.rs
//! pool.rs        a connection to the file that is there now
//! connection.rs  how a connection is closed off
//! growth.rs      how large the statement would grow in SQLite
//! statement.rs   compiled: one statement, that only reads
//! guard.rs       each thing that it does, asked by SQLite
//! functions.rs   calls that could not be stopped, made again
//! watch.rs       what stops it while it runs; scratch.rs, its temporary files
//! rows.rs        its rows, and where they are cut off
//! kept.rs        a whole answer, as a cache keeps it
//! schema.rs      what the host itself asks: tables, keys, examples
//! ```

mod connection;
#[cfg(test)]
mod corpus;
mod databases;
mod error;
mod functions;
mod growth;
mod guard;
mod guest;
mod health;
mod kept;
mod pattern;
mod pool;
mod rows;
mod schema;
mod scratch;
pub mod settings;
mod slow;
mod statement;
mod store;
mod task;
mod told;
mod turns;
mod value;
mod watch;

pub use databases::Databases;
pub use error::Error;
pub use guest::Sql;
pub use health::State;
pub use rows::{ROWS_AT_ONCE, Rows};
pub use schema::{Column, ForeignKey, SAMPLE_MAX_BYTES, SAMPLES_MAX, TABLES_MAX, Table};
pub use statement::{PARAMS_MAX, PARAMS_MAX_BYTES, SQL_MAX_BYTES};
pub use store::Store;
pub use task::Asker;
pub use value::{Row, Value};

#[cfg(test)]
mod tests;
