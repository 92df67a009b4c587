//! What a database holds: its tables, and examples of what is in them.
//!
//! Read by the host's own statements, on a connection that no guest's statement
//! ever sees, and kept until the file changes. Tables that SQLite keeps for
//! itself and virtual tables are left out: no query may ask them.

mod keys;
mod samples;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Link;
use super::error::Error;
use super::statement::Fault;
use super::store::Store;
use super::task::{Asker, Task};
use super::value::Value;

pub use keys::ForeignKey;
pub use samples::{SAMPLE_MAX_BYTES, SAMPLES_MAX};

/// The most tables that are told of.
pub const TABLES_MAX: usize = 1000;

/// Columns whose examples are kept.
const COLUMNS_KEPT: usize = 1000;

/// A table or a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub name: String,
    pub is_view: bool,
    pub columns: Vec<Column>,
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column as the database declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// As written; may be empty.
    pub declared: String,
    pub not_null: bool,
    /// Its place in the primary key, from 1; 0 when it is not part of it.
    pub primary_key: u32,
}

/// A state of the file, as one connection sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    link: u64,
    data: i64,
    schema: i64,
}

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Library {
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    stamp: Stamp,
    tables: Option<Arc<[Table]>>,
    samples: HashMap<(String, String), Arc<[Value]>>,
}

impl Library {
    /// What is known of the file in this state.
    fn shelf(&self, stamp: Stamp) -> MutexGuard<'_, Shelf> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.stamp != stamp {
            let same_schema = (shelf.stamp.link, shelf.stamp.schema) == (stamp.link, stamp.schema);
            *shelf = Shelf {
                stamp,
                tables: shelf.tables.take().filter(|_| same_schema),
                samples: HashMap::new(),
            };
        }
        shelf
    }
}

impl Store {
    /// All tables and views, by name; the first thousand.
    pub async fn tables(self: &Arc<Store>, asker: Asker) -> Result<Arc<[Table]>, Error> {
        let mut running = self.start(asker, |store, task| {
            store.attempt(&store.host, task, |link| store.tables_of(link))
        });
        running.wait().await
    }

    /// Up to `limit` different values of a column, the most frequent first.
    pub async fn samples(
        self: &Arc<Store>,
        asker: Asker,
        table: String,
        column: String,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let mut running = self.start(asker, move |store, task| {
            store.attempt(&store.host, task, |link| {
                store.samples_of(link, task, &table, &column)
            })
        });
        let samples = running.wait().await?;
        Ok(samples.iter().take(limit).cloned().collect())
    }

    fn tables_of(&self, link: &Link) -> Result<Arc<[Table]>, Fault> {
        let stamp = link.stamp()?;
        let known = self.library.shelf(stamp).tables.clone();
        if let Some(tables) = known {
            return Ok(tables);
        }
        let tables: Arc<[Table]> = link.tables_and_views()?.into();
        self.library.shelf(stamp).tables = Some(Arc::clone(&tables));
        Ok(tables)
    }

    fn samples_of(&self, link: &Link, task: &Task, table: &str, column: &str) -> Result<Arc<[Value]>, Fault> {
        let tables = self.tables_of(link)?;
        let no_such = |what: &str, name: &str| Fault::Own(Error::Invalid(format!("no such {what}: {name}")));
        let found = find(&tables, table, |table| &table.name).ok_or_else(|| no_such("table", table))?;
        let column = find(&found.columns, column, |column| &column.name)
            .ok_or_else(|| no_such("column", &format!("{table}.{column}")))?;
        let key = (found.name.clone(), column.name.clone());
        let stamp = link.stamp()?;
        let known = self.library.shelf(stamp).samples.get(&key).cloned();
        if let Some(samples) = known {
            return Ok(samples);
        }
        let samples: Arc<[Value]> = link
            .samples(&key.0, &key.1, task.until, self.scratch_max_bytes)?
            .into();
        let mut shelf = self.library.shelf(stamp);
        if shelf.samples.len() >= COLUMNS_KEPT {
            shelf.samples.clear();
        }
        shelf.samples.insert(key, Arc::clone(&samples));
        Ok(samples)
    }
}

/// The one of this name, whichever case it is written in.
fn find<'a, T>(all: &'a [T], name: &str, of: impl Fn(&T) -> &String) -> Option<&'a T> {
    all.iter().find(|each| of(each).eq_ignore_ascii_case(name))
}

impl Link {
    /// The state of the file now.
    pub(super) fn stamp(&self) -> Result<Stamp, Fault> {
        let number = |pragma| {
            self.sqlite
                .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
                .map_err(|error| self.fault(error))
        };
        Ok(Stamp {
            link: self.number,
            data: number("data_version")?,
            schema: number("schema_version")?,
        })
    }

    fn tables_and_views(&self) -> Result<Vec<Table>, Fault> {
        let names = self.names().map_err(|error| self.fault(error))?;
        let mut tables = Vec::with_capacity(names.len());
        for (name, is_view) in names {
            match self.columns(&name) {
                Ok(columns) => tables.push(Table {
                    name,
                    is_view,
                    columns,
                    foreign_keys: Vec::new(),
                }),
                // A view of something that is gone: no query can ask it either.
                Err(error) if is_view => match self.fault(error) {
                    Fault::Own(_) => {}
                    fault => return Err(fault),
                },
                Err(error) => return Err(self.fault(error)),
            }
        }
        for at in 0..tables.len() {
            let Some(table) = tables.get(at).filter(|table| !table.is_view) else {
                continue;
            };
            let keys = self
                .foreign_keys(&table.name, &tables)
                .map_err(|error| self.fault(error))?;
            if let Some(table) = tables.get_mut(at) {
                table.foreign_keys = keys;
            }
        }
        Ok(tables)
    }

    fn names(&self) -> rusqlite::Result<Vec<(String, bool)>> {
        let sql = "SELECT name, type = 'view' FROM pragma_table_list
            WHERE schema = 'main' AND type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            ORDER BY lower(name), name LIMIT ?1";
        let mut statement = self.sqlite.prepare(sql)?;
        statement
            .query_map([TABLES_MAX as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    /// All but the hidden ones; a column that is computed is none of these.
    fn columns(&self, table: &str) -> rusqlite::Result<Vec<Column>> {
        let sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1";
        let mut statement = self.sqlite.prepare(sql)?;
        statement
            .query_map([table], |row| {
                Ok(Column {
                    name: row.get(0)?,
                    declared: row.get(1)?,
                    not_null: row.get(2)?,
                    primary_key: row.get(3)?,
                })
            })?
            .collect()
    }
}
