//! What goes to the client: the statement and its rows as data, then a sentence.

use segue_sdk::prelude::*;
use segue_sdk::sql::{self, Records, Value};
use serde_json::json;

use crate::link::Database;
use crate::schema::{Column, Reference, Schema, Table};

/// A granted database.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) name: String,
}

impl Granted {
    /// Its tables and views.
    pub(crate) fn schema(&self) -> Result<Schema> {
        let tables = sql::tables(&self.name)?.into_iter().map(|table| {
            let columns = table
                .columns
                .iter()
                .map(|column| Column::new(&column.name, &column.decl_type, column.primary_key));
            let references = table.foreign_keys.into_iter().map(|key| Reference {
                columns: key.columns,
                table: key.table,
                to: key.references,
            });
            Table::new(
                &table.name,
                table.is_view,
                columns.collect(),
                references.collect(),
            )
        });
        Ok(Schema {
            tables: tables.collect(),
        })
    }

    /// Has the statement checked and run, and reads its rows.
    pub(crate) fn run(&self, sql: &str, params: &[Value]) -> Result<Records> {
        sql::check(&self.name, sql)?;
        sql::query(&self.name, sql, params)?.all()
    }
}

impl Database for Granted {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Vec<Value>>> {
        Ok(sql::query(&self.name, sql, params)?.all()?.rows)
    }
}

/// Sends the statement with at most `most` of its rows.
pub(crate) fn data(
    reply: &mut Reply,
    database: &str,
    sql: &str,
    params: &[Value],
    records: &Records,
    most: usize,
) -> Result<()> {
    let rows: Vec<_> = records.rows.iter().take(most).collect();
    reply.data(&json!({
        "kind": "sql",
        "database": database,
        "sql": sql,
        "params": params,
        "columns": records.columns,
        "rows": rows,
        "truncated": records.truncated || records.len() > most,
    }))
}
