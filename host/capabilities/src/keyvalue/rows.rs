//! The tables, and what is done to them, each function within a transaction of
//! its caller.
//!
//! A row of `bucket` carries how many keys and bytes the bucket has; it changes
//! in the same transaction as the keys themselves, so that the bounds hold
//! exactly. `seq` numbers the keys of a bucket in the order in which they first
//! came, which is what a page of them goes by: a cursor stays good whatever is
//! written or deleted meanwhile.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::fault::Fault;

/// How many keys a page has at most.
pub(super) const PAGE_KEYS: usize = 1000;

/// Marks a file as ours: "sgkv".
pub(super) const APPLICATION_ID: i32 = 0x7367_6b76;

/// The tables' layout. A file with a greater one was written by a later version.
pub(super) const LAYOUT: i32 = 1;

pub(super) const TABLES: &str = "
    CREATE TABLE bucket (
        id INTEGER PRIMARY KEY,
        plugin TEXT NOT NULL,
        name TEXT NOT NULL,
        keys INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        UNIQUE (plugin, name)
    ) STRICT;
    CREATE TABLE entry (
        bucket INTEGER NOT NULL REFERENCES bucket (id),
        key TEXT NOT NULL,
        seq INTEGER NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (bucket, key),
        UNIQUE (bucket, seq)
    ) STRICT;";

/// Whose keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) plugin: String,
    pub(super) bucket: String,
}

/// What one owner may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) keys: u64,
    pub(super) bytes: u64,
}

/// A bucket as its row has it.
#[derive(Clone, Copy)]
struct Standing {
    id: i64,
    keys: i64,
    bytes: i64,
    last_seq: i64,
}

fn standing(connection: &Connection, owner: &Owner) -> Result<Option<Standing>> {
    let mut statement = connection
        .prepare_cached("SELECT id, keys, bytes, last_seq FROM bucket WHERE plugin = ?1 AND name = ?2")?;
    let row = statement.query_row(params![owner.plugin, owner.bucket], |row| {
        Ok(Standing {
            id: row.get(0)?,
            keys: row.get(1)?,
            bytes: row.get(2)?,
            last_seq: row.get(3)?,
        })
    });
    row.optional()
}

fn made(connection: &Connection, owner: &Owner) -> Result<Standing> {
    if let Some(standing) = standing(connection, owner)? {
        return Ok(standing);
    }
    connection
        .prepare_cached("INSERT INTO bucket (plugin, name, keys, bytes, last_seq) VALUES (?1, ?2, 0, 0, 0)")?
        .execute(params![owner.plugin, owner.bucket])?;
    Ok(Standing {
        id: connection.last_insert_rowid(),
        keys: 0,
        bytes: 0,
        last_seq: 0,
    })
}

fn keep(connection: &Connection, standing: Standing) -> Result<()> {
    connection
        .prepare_cached("UPDATE bucket SET keys = ?2, bytes = ?3, last_seq = ?4 WHERE id = ?1")?
        .execute(params![
            standing.id,
            standing.keys,
            standing.bytes,
            standing.last_seq
        ])?;
    Ok(())
}

pub(super) fn get(connection: &Connection, owner: &Owner, key: &str) -> Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(
            "SELECT value FROM entry JOIN bucket ON bucket.id = entry.bucket
             WHERE plugin = ?1 AND name = ?2 AND key = ?3",
        )?
        .query_row(params![owner.plugin, owner.bucket, key], |row| row.get(0))
        .optional()
}

pub(super) fn exists(connection: &Connection, owner: &Owner, key: &str) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM entry JOIN bucket ON bucket.id = entry.bucket
             WHERE plugin = ?1 AND name = ?2 AND key = ?3",
        )?
        .exists(params![owner.plugin, owner.bucket, key])
}

/// One page of keys and, unless it is the last, where the next one begins.
pub(super) fn page(connection: &Connection, owner: &Owner, after: i64) -> Result<(Vec<String>, Option<i64>)> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, key FROM entry
         WHERE bucket = (SELECT id FROM bucket WHERE plugin = ?1 AND name = ?2) AND seq > ?3
         ORDER BY seq LIMIT ?4",
    )?;
    let one_more = i64::try_from(PAGE_KEYS + 1).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![owner.plugin, owner.bucket, after, one_more])?;
    let mut keys = Vec::new();
    let mut last = after;
    while let Some(row) = rows.next()? {
        if keys.len() == PAGE_KEYS {
            return Ok((keys, Some(last)));
        }
        last = row.get(0)?;
        keys.push(row.get(1)?);
    }
    Ok((keys, None))
}

/// The inner result is the owner's own fault; the outer one is the file's.
pub(super) fn set(
    connection: &Connection,
    owner: &Owner,
    bounds: Bounds,
    key: &str,
    value: &[u8],
) -> Result<Result<(), Fault>> {
    let mut standing = made(connection, owner)?;
    let before = length(connection, standing.id, key)?;
    let (key_bytes, value_bytes) = (signed(key.len()), signed(value.len()));
    let (more_keys, more_bytes) = match before {
        Some(before) => (0, value_bytes - before),
        None => (1, key_bytes + value_bytes),
    };
    standing.keys += more_keys;
    standing.bytes += more_bytes;
    // What shrinks may pass: the bounds may have been lowered.
    if more_keys > 0 && u64::try_from(standing.keys).unwrap_or(0) > bounds.keys {
        return Ok(Err(Fault::TooManyInBucket { max: bounds.keys }));
    }
    if more_bytes > 0 && u64::try_from(standing.bytes).unwrap_or(0) > bounds.bytes {
        return Ok(Err(Fault::BucketTooLong { max: bounds.bytes }));
    }
    if before.is_some() {
        connection
            .prepare_cached("UPDATE entry SET value = ?3 WHERE bucket = ?1 AND key = ?2")?
            .execute(params![standing.id, key, value])?;
    } else {
        standing.last_seq += 1;
        connection
            .prepare_cached("INSERT INTO entry (bucket, key, seq, value) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![standing.id, key, standing.last_seq, value])?;
    }
    keep(connection, standing)?;
    Ok(Ok(()))
}

pub(super) fn delete(connection: &Connection, owner: &Owner, key: &str) -> Result<()> {
    let Some(mut standing) = standing(connection, owner)? else {
        return Ok(());
    };
    let Some(before) = length(connection, standing.id, key)? else {
        return Ok(());
    };
    connection
        .prepare_cached("DELETE FROM entry WHERE bucket = ?1 AND key = ?2")?
        .execute(params![standing.id, key])?;
    standing.keys -= 1;
    standing.bytes -= signed(key.len()) + before;
    keep(connection, standing)
}

/// Adds to the number under the key and returns the sum.
pub(super) fn increment(
    connection: &Connection,
    owner: &Owner,
    bounds: Bounds,
    key: &str,
    delta: u64,
) -> Result<Result<u64, Fault>> {
    let number = match get(connection, owner, key)? {
        None => 0,
        Some(value) => match <[u8; 8]>::try_from(value.as_slice()) {
            Ok(bytes) => u64::from_le_bytes(bytes),
            Err(_) => return Ok(Err(Fault::NotANumber { bytes: value.len() })),
        },
    };
    let Some(sum) = number.checked_add(delta) else {
        return Ok(Err(Fault::Overflow));
    };
    let written = set(connection, owner, bounds, key, &sum.to_le_bytes())?;
    Ok(written.map(|()| sum))
}

/// How long the value under a key is, in bytes.
fn length(connection: &Connection, bucket: i64, key: &str) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT length(value) FROM entry WHERE bucket = ?1 AND key = ?2")?
        .query_row(params![bucket, key], |row| row.get(0))
        .optional()
}

/// A length as SQLite counts.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
