//! `wasi:keyvalue`: keys and values that plugins keep, in one SQLite file.
//!
//! Guarantees: no plugin sees another's keys, and none a bucket that it was not
//! granted; a write is on the disk when it returns; a batch happens as a whole or
//! not at all; the bounds hold exactly, whoever writes at the same time.
//!
//! ```text
//! buckets.rs  what a plugin can do, and its bounds
//! store.rs    the file while the host runs: opened, broken, opened again
//! file.rs     the file: its lock, its connections
//! writer.rs   the one thread that writes, many changes in one transaction
//! rows.rs     the tables
//! ```

mod buckets;
mod fault;
mod file;
mod guest;
mod rows;
pub mod settings;
mod store;
mod writer;

pub use buckets::{BATCH_MAX_BYTES, BATCH_MAX_KEYS, Bucket, Buckets, KEY_MAX_BYTES, State, VALUE_MAX_BYTES};
pub use fault::Fault;
pub use guest::Keyvalue;

#[cfg(test)]
mod tests;
