//! Foreign keys, told in full: what a declaration leaves to SQLite is filled in.

use super::super::connection::Link;
use super::{Column, Table, find};

/// `columns` refer to `references` of `table`, pair by pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: String,
    pub references: Vec<String>,
}

/// One pair of columns of a foreign key.
struct Pair {
    key: i64,
    table: String,
    from: String,
    /// Left out where the parent's primary key is meant.
    to: Option<String>,
}

impl Link {
    /// Those of a table, as they are declared. One that refers to a primary key
    /// which is not there is left out: it leads nowhere.
    pub(super) fn foreign_keys(&self, table: &str, tables: &[Table]) -> rusqlite::Result<Vec<ForeignKey>> {
        let sql = "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1, 'main') ORDER BY id DESC, seq";
        let mut statement = self.sqlite.prepare(sql)?;
        let pairs = statement
            .query_map([table], |row| {
                Ok(Pair {
                    key: row.get(0)?,
                    table: row.get(1)?,
                    from: row.get(2)?,
                    to: row.get(3)?,
                })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let keys = pairs.chunk_by(|a, b| a.key == b.key);
        Ok(keys.filter_map(|pairs| whole(pairs, table, tables)).collect())
    }
}

fn whole(pairs: &[Pair], table: &str, tables: &[Table]) -> Option<ForeignKey> {
    let parent = find(tables, &pairs.first()?.table, |table| &table.name);
    let child = find(tables, table, |table| &table.name);
    let references: Option<Vec<String>> = match pairs.first()?.to {
        Some(_) => pairs
            .iter()
            .map(|pair| Some(declared(parent, pair.to.as_ref()?)))
            .collect(),
        None => primary_key(parent?, pairs.len()),
    };
    Some(ForeignKey {
        columns: pairs.iter().map(|pair| declared(child, &pair.from)).collect(),
        table: match parent {
            Some(parent) => parent.name.clone(),
            None => pairs.first()?.table.clone(),
        },
        references: references?,
    })
}

/// A column's name as its table writes it.
fn declared(table: Option<&Table>, column: &str) -> String {
    let found = table.and_then(|table| find(&table.columns, column, |column| &column.name));
    found.map_or_else(|| column.to_owned(), |column| column.name.clone())
}

/// The columns of the primary key, in its order, if there are as many.
fn primary_key(table: &Table, count: usize) -> Option<Vec<String>> {
    let mut key: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| column.primary_key > 0)
        .collect();
    key.sort_by_key(|column| column.primary_key);
    let names = key.into_iter().map(|column| column.name.clone());
    Some(names.collect::<Vec<_>>()).filter(|names| names.len() == count)
}
