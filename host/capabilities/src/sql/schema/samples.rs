//! Examples of what a column holds.
//!
//! Of a large table only the first rows are looked at, and fewer still when
//! these take too long: a view may compute much for each row, and a value may
//! be a megabyte.

use std::time::{Duration, Instant};

use super::super::connection::Link;
use super::super::statement::Fault;
use super::super::value::Value;
use super::super::watch::Why;

/// The most examples of a column.
pub const SAMPLES_MAX: usize = 100;

/// How long a text among the examples is, in bytes; the rest is cut off.
pub const SAMPLE_MAX_BYTES: usize = 200;

/// How many rows are looked at, and for how long; then the next.
const LOOKS: [(i64, Duration); 3] = [
    (20_000, Duration::from_millis(500)),
    (1000, Duration::from_millis(250)),
    (50, Duration::from_millis(250)),
];

impl Link {
    /// Different values of a column that exists, the most frequent first,
    /// without nulls and blobs. None of a view that takes too long even for a
    /// few rows.
    pub(super) fn samples(
        &self,
        table: &str,
        column: &str,
        until: Instant,
        scratch_max_bytes: u64,
    ) -> Result<Vec<Value>, Fault> {
        for (rows, time) in LOOKS {
            self.watch
                .start(until.min(Instant::now() + time), scratch_max_bytes);
            let looked = self
                .look_at(table, column, rows)
                .map_err(|error| self.fault(error));
            match looked {
                Err(Fault::Stopped(Why::Late | Why::Scratch)) if Instant::now() < until => {}
                looked => return looked,
            }
        }
        Ok(Vec::new())
    }

    fn look_at(&self, table: &str, column: &str, rows: i64) -> rusqlite::Result<Vec<Value>> {
        let (table, column) = (quoted(table), quoted(column));
        let characters = SAMPLE_MAX_BYTES;
        let sql = format!(
            "SELECT value, count(*) AS times FROM (
                SELECT CASE typeof({column}) WHEN 'text' THEN substr({column}, 1, {characters}) ELSE {column} END AS value
                FROM main.{table} LIMIT ?1
            ) WHERE typeof(value) NOT IN ('null', 'blob')
            GROUP BY value ORDER BY times DESC, value LIMIT ?2"
        );
        let mut statement = self.sqlite.prepare(&sql)?;
        let mut found = statement.query([rows, SAMPLES_MAX as i64])?;
        let mut values = Vec::new();
        while let Some(row) = found.next()? {
            let mut value = Value::from(row.get_ref(0)?);
            if let Value::Text(text) = &mut value {
                text.truncate(text.floor_char_boundary(SAMPLE_MAX_BYTES));
            }
            values.push(value);
        }
        Ok(values)
    }
}

/// A name as SQLite reads it back, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
