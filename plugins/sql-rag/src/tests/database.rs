//! A real SQLite for the tests, read as the host reads one.

use std::path::{Path, PathBuf};

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, types};
use segue_sdk::sql::Records;
use segue_sdk::{Error, Result};

use crate::link::{Database, Value};
use crate::plan::Query;
use crate::say::told;
use crate::schema::{Column, Reference, Schema, Table};
use crate::understand::{Unread, understand};
use crate::words::Synonyms;

/// A database with its schema.
pub(super) struct Sqlite {
    pub(super) connection: Connection,
    pub(super) schema: Schema,
}

impl Database for Sqlite {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Vec<Value>>> {
        Ok(self.records(sql, params)?.rows)
    }
}

impl Sqlite {
    pub(super) fn new(connection: Connection) -> Self {
        let schema = read(&connection);
        for (limit, to) in [
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 1000),
            (Limit::SQLITE_LIMIT_VDBE_OP, 50_000),
        ] {
            connection.set_limit(limit, to).unwrap();
        }
        Self { connection, schema }
    }

    pub(super) fn from_script(script: &str) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(script).unwrap();
        Self::new(connection)
    }

    pub(super) fn understand(&self, question: &str) -> Result<Query, Unread> {
        understand(question, &self.schema, &Synonyms::default(), self).unwrap()
    }

    pub(super) fn records(&self, sql: &str, params: &[Value]) -> Result<Records> {
        // As a host bounds a statement.
        assert!(
            sql.matches("SELECT").count() <= 100 && sql.len() <= 64 << 10,
            "{sql}"
        );
        let wrong = |error: rusqlite::Error| Error::new("query_invalid", format!("{error}: {sql}"));
        let mut statement = self.connection.prepare(sql).map_err(wrong)?;
        let mut records = Records::new(statement.column_names());
        let params = params.iter().map(|value| match value.clone() {
            Value::Null => types::Value::Null,
            Value::Integer(number) => types::Value::Integer(number),
            Value::Real(number) => types::Value::Real(number),
            Value::Text(text) => types::Value::Text(text),
            Value::Blob(bytes) => types::Value::Blob(bytes),
        });
        let mut rows = statement
            .query(rusqlite::params_from_iter(params))
            .map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let value = |index: usize| match row.get_ref(index).unwrap() {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Value::Blob(bytes.into()),
            };
            records.rows.push((0..records.columns.len()).map(value).collect());
        }
        Ok(records)
    }

    /// Reads the question and runs what comes of it.
    #[track_caller]
    pub(super) fn ask(&self, question: &str) -> Records {
        let query = self
            .understand(question)
            .unwrap_or_else(|unread| panic!("{question}: {unread:?}"));
        self.records(&query.sql, &query.params).unwrap()
    }

    /// What the answer to a question says in a sentence.
    #[track_caller]
    pub(super) fn told(&self, question: &str) -> String {
        let query = self
            .understand(question)
            .unwrap_or_else(|unread| panic!("{question}: {unread:?}"));
        told(&query, &self.records(&query.sql, &query.params).unwrap(), 50)
    }

    /// Every question has, in these columns, the rows that a person's own SQL has;
    /// in its order, where that says ORDER BY.
    #[track_caller]
    pub(super) fn same(&self, sql: &str, columns: &[&str], questions: &[&str]) {
        let ordered = sql.contains("ORDER BY");
        let expected = shown(&self.records(sql, &[]).unwrap(), None, ordered);
        assert!(!expected.is_empty(), "{sql}");
        for question in questions {
            let found = shown(&self.ask(question), Some(columns), ordered);
            assert_eq!(found, expected, "{question}");
        }
    }

    /// Every question is declined.
    #[track_caller]
    pub(super) fn declines(&self, questions: &[&str]) {
        for question in questions {
            if let Ok(query) = self.understand(question) {
                panic!("{question}: {}", query.sql);
            }
        }
    }
}

/// Rows as text; sums are rounded, since they depend on their order.
fn shown(records: &Records, columns: Option<&[&str]>, ordered: bool) -> Vec<String> {
    let places: Vec<usize> = match columns {
        None => (0..records.columns.len()).collect(),
        Some(columns) => columns
            .iter()
            .map(|column| records.columns.iter().position(|own| own == column))
            .map(|place| place.unwrap_or_else(|| panic!("{columns:?}: {:?}", records.columns)))
            .collect(),
    };
    let value = |value: &Value| match value {
        Value::Real(number) => format!("{number:.6}"),
        other => other.to_string(),
    };
    let row = |row: &Vec<Value>| {
        places
            .iter()
            .map(|place| value(&row[*place]))
            .collect::<Vec<_>>()
            .join(" | ")
    };
    let mut rows: Vec<String> = records.rows.iter().map(row).collect();
    if !ordered {
        rows.sort();
    }
    rows
}

/// The sample databases, which lie beside the repository where there are any.
fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(file);
    if !path.is_file() {
        eprintln!("skipped: {file} is not there");
        return None;
    }
    Some(path)
}

pub(super) fn chinook() -> Option<Sqlite> {
    let path = shared("chinook.sqlite")?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", path.display());
    Some(Sqlite::new(Connection::open_with_flags(uri, flags).unwrap()))
}

pub(super) fn northwind() -> Option<Sqlite> {
    let script = std::fs::read_to_string(shared("northwind.sql")?).unwrap();
    Some(Sqlite::from_script(&script))
}

fn read(connection: &Connection) -> Schema {
    let listed = |sql: &str| -> Vec<Vec<String>> {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let text = |index| row.get::<_, rusqlite::types::Value>(index).unwrap();
            all.push(
                (0..columns)
                    .map(|index| match text(index) {
                        rusqlite::types::Value::Text(text) => text,
                        rusqlite::types::Value::Integer(number) => number.to_string(),
                        _ => String::new(),
                    })
                    .collect(),
            );
        }
        all
    };
    let names = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut tables = Vec::new();
    for table in listed(names) {
        let quoted = table[0].replace('\'', "''");
        let columns = listed(&format!(
            "SELECT name, type, pk FROM pragma_table_info('{quoted}')"
        ));
        let columns = columns
            .iter()
            .map(|column| Column::new(&column[0], &column[1], column[2].parse().unwrap()));
        let keys = listed(&format!(
            "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list('{quoted}') ORDER BY id, seq"
        ));
        let mut references: Vec<(String, Reference)> = Vec::new();
        for key in keys {
            if references.last().is_none_or(|(id, _)| *id != key[0]) {
                let reference = Reference {
                    columns: Vec::new(),
                    table: key[1].clone(),
                    to: Vec::new(),
                };
                references.push((key[0].clone(), reference));
            }
            let (_, reference) = references.last_mut().unwrap();
            reference.columns.push(key[2].clone());
            if !key[3].is_empty() {
                reference.to.push(key[3].clone());
            }
        }
        let references = references.into_iter().map(|(_, reference)| reference).collect();
        tables.push(Table::new(
            &table[0],
            table[1] == "view",
            columns.collect(),
            references,
        ));
    }
    Schema { tables }
}
