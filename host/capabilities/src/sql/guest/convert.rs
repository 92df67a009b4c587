//! Between the values of the engine and those of the WIT.

use super::super::{Column, ForeignKey, Table, Value};
use super::bindings::segue::sql::{query, schema};

/// What a guest hands over in parameters.
pub(super) fn bytes(params: &[query::Value]) -> usize {
    let bytes = |param: &query::Value| match param {
        query::Value::Text(text) => text.len(),
        query::Value::Blob(bytes) => bytes.len(),
        query::Value::Null | query::Value::Integer(_) | query::Value::Real(_) => 8,
    };
    params.iter().map(bytes).sum()
}

impl From<query::Value> for Value {
    fn from(value: query::Value) -> Value {
        match value {
            query::Value::Null => Value::Null,
            query::Value::Integer(number) => Value::Integer(number),
            query::Value::Real(number) => Value::Real(number),
            query::Value::Text(text) => Value::Text(text),
            query::Value::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

impl From<Value> for query::Value {
    fn from(value: Value) -> query::Value {
        match value {
            Value::Null => query::Value::Null,
            Value::Integer(number) => query::Value::Integer(number),
            Value::Real(number) => query::Value::Real(number),
            Value::Text(text) => query::Value::Text(text),
            Value::Blob(bytes) => query::Value::Blob(bytes),
        }
    }
}

impl From<Table> for schema::Table {
    fn from(table: Table) -> schema::Table {
        schema::Table {
            name: table.name,
            is_view: table.is_view,
            columns: table.columns.into_iter().map(Into::into).collect(),
            foreign_keys: table.foreign_keys.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Column> for schema::Column {
    fn from(column: Column) -> schema::Column {
        schema::Column {
            name: column.name,
            decl_type: column.declared,
            not_null: column.not_null,
            primary_key: column.primary_key,
        }
    }
}

impl From<ForeignKey> for schema::ForeignKey {
    fn from(key: ForeignKey) -> schema::ForeignKey {
        schema::ForeignKey {
            columns: key.columns,
            table: key.table,
            references: key.references,
        }
    }
}
