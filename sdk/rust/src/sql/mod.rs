//! Asks the databases that the operator granted
//! (`[grants] sql = ["shop"]` in the plugin's own `.toml`).
//!
//! Read-only: a statement that would do more fails with `query_forbidden`. One
//! statement a query; values go in as parameters and never become part of it.
//!
//! ```
//! use segue_sdk::{prelude::*, sql};
//!
//! fn stock(message: Message, reply: &mut Reply) -> Result<()> {
//!     let rows = sql::query(
//!         "shop",
//!         "SELECT name, stock FROM products WHERE name LIKE ?1",
//!         &[format!("%{}%", message.text()).into()],
//!     )?;
//!     for row in rows {
//!         if let [name, stock] = row?.as_slice() {
//!             reply.send(format!("{name}: {stock} left\n"))?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! use segue_sdk::test::{Call, FakeDatabase};
//!
//! let shop = FakeDatabase::new().on(
//!     "SELECT name, stock FROM products WHERE name LIKE ?1",
//!     sql::Records::new(["name", "stock"]).row(["Green tea".into(), 3.into()]),
//! );
//! let run = Call::text("tea").database("shop", shop.clone()).run(stock);
//! assert_eq!(run.text(), "Green tea: 3 left\n");
//! assert_eq!(shop.queries()[0].params, ["%tea%".into()]);
//! ```
//!
//! Error codes: `capability_denied`; `query_invalid`, with the database's own
//! words; `query_forbidden`; `query_timeout`; `store_unavailable`; `overloaded`;
//! `invalid_argument`.

mod records;
mod value;

use std::collections::VecDeque;

pub use crate::bindings::segue::sql::query::Value;
pub use crate::bindings::segue::sql::schema::{Column, ForeignKey, Table};
use crate::{Error, Result, host};
pub use records::Records;

/// How many rows an iteration asks for at a time.
const BATCH: u32 = 100;

/// Starts a query. `params` are bound to `?1`, `?2` ... in order; at most 1,000
/// of them, and 64 KiB of statement.
///
/// The query runs while the caller goes on, so two that are started together run
/// together. What is wrong with the statement is told where its rows are read.
pub fn query(database: &str, sql: &str, params: &[Value]) -> Result<Rows> {
    let inner = host::query::run(database, sql, params).map_err(Error::from_host)?;
    Ok(Rows {
        inner,
        ready: VecDeque::new(),
        ended: false,
    })
}

/// Whether the database would run this statement: it is compiled, not run.
///
/// ```
/// # use segue_sdk::{prelude::*, sql, test};
/// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
/// if let Err(error) = sql::check("shop", "SELECT nmae FROM products") {
///     reply.send(format!("not like this: {}", error.message()))?;
/// }
/// # Ok(()) }
/// # let shop = test::FakeDatabase::new()
/// #     .check_with(|_| Err(Error::new("query_invalid", "no such column: nmae")));
/// # let run = test::Call::text("").database("shop", shop).run(answer);
/// # assert_eq!(run.text(), "not like this: no such column: nmae");
/// ```
pub fn check(database: &str, sql: &str) -> Result<()> {
    host::query::check(database, sql).map_err(Error::from_host)
}

/// The databases that are granted, in the operator's order. Empty when none is.
pub fn databases() -> Vec<String> {
    host::schema::databases()
}

/// The language the database speaks: `sqlite`.
pub fn dialect(database: &str) -> Result<String> {
    host::schema::dialect(database).map_err(Error::from_host)
}

/// All tables and views, by name; at most 1,000.
///
/// ```
/// # use segue_sdk::{prelude::*, sql, test};
/// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
/// for table in sql::tables("shop")? {
///     let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
///     reply.send(format!("{}({})\n", table.name, columns.join(", ")))?;
/// }
/// # Ok(()) }
/// # let shop = test::FakeDatabase::new().table("products", &["id INTEGER PRIMARY KEY", "name TEXT"]);
/// # let run = test::Call::text("").database("shop", shop).run(answer);
/// # assert_eq!(run.text(), "products(id, name)\n");
/// ```
pub fn tables(database: &str) -> Result<Vec<Table>> {
    host::schema::tables(database).map_err(Error::from_host)
}

/// Up to `limit` (at most 100) different values of a column, the most frequent
/// first, without nulls. Of a large table the host may look at a part only. Text
/// is cut at 200 bytes; blobs are left out.
pub fn samples(database: &str, table: &str, column: &str, limit: u32) -> Result<Vec<Value>> {
    host::schema::samples(database, table, column, limit).map_err(Error::from_host)
}

/// A query under way; dropping it interrupts it. Iterating gives row after row.
#[derive(Debug)]
pub struct Rows {
    inner: host::query::Rows,
    /// What was read and not yet given.
    ready: VecDeque<Vec<Value>>,
    ended: bool,
}

impl Rows {
    /// The columns' names, in order. Waits until the query has begun.
    pub fn columns(&self) -> Result<Vec<String>> {
        self.inner.columns().map_err(Error::from_host)
    }

    /// The next rows, at most `most` and at most 1,000; empty at the end. Waits
    /// for the first of them.
    pub fn batch(&mut self, most: u32) -> Result<Vec<Vec<Value>>> {
        if self.ready.is_empty() {
            return self.read(most);
        }
        let most = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
        Ok(self.ready.drain(..most.min(self.ready.len())).collect())
    }

    /// Whether rows were left out because the query reached its bound of rows or
    /// bytes. Known at the end of the rows; false before.
    pub fn truncated(&self) -> bool {
        self.inner.truncated()
    }

    /// Reads all rows that are left, as many as the operator's bound lets through.
    ///
    /// ```
    /// # use segue_sdk::{prelude::*, sql, test};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// let records = sql::query("shop", "SELECT count(*) FROM orders", &[])?.all()?;
    /// let count = records.value(0, 0).and_then(sql::Value::as_i64);
    /// # assert_eq!(count, Some(12));
    /// reply.data(&records)?;
    /// # reply.send("") }
    /// # let shop = test::FakeDatabase::new()
    /// #     .on("SELECT count(*) FROM orders", sql::Records::new(["count(*)"]).row([12.into()]));
    /// # let run = test::Call::text("").database("shop", shop).run(answer);
    /// # assert_eq!(run.data()[0]["rows"][0][0], 12);
    /// ```
    pub fn all(mut self) -> Result<Records> {
        let mut records = Records {
            columns: self.columns()?,
            rows: std::mem::take(&mut self.ready).into(),
            truncated: false,
        };
        while !self.ended {
            records.rows.extend(self.read(1000)?);
        }
        records.truncated = self.truncated();
        Ok(records)
    }

    fn read(&mut self, most: u32) -> Result<Vec<Vec<Value>>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let rows = self.inner.next(most);
        self.ended = rows.as_ref().map_or(true, Vec::is_empty);
        rows.map_err(Error::from_host)
    }
}

/// One row after the other; a failure is the last item.
impl Iterator for Rows {
    type Item = Result<Vec<Value>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            match self.read(BATCH) {
                Ok(rows) => self.ready = rows.into(),
                Err(error) => return Some(Err(error)),
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
