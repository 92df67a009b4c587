//! Rows that were read.

use serde::Serialize;

use super::Value;

/// The whole result of a query. As JSON it is
/// `{"columns": [...], "rows": [[...]], "truncated": false}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Records {
    /// The columns' names, in order.
    pub columns: Vec<String>,
    /// Each with a value per column.
    pub rows: Vec<Vec<Value>>,
    /// Whether there was more than the operator lets through.
    pub truncated: bool,
}

impl Records {
    /// No rows under these columns; tests add them with [`row`](Self::row).
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            columns: columns.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds a row.
    #[must_use]
    pub fn row(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.rows.push(values.into_iter().collect());
        self
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The value at a place, both counted from 0.
    pub fn value(&self, row: usize, column: usize) -> Option<&Value> {
        self.rows.get(row)?.get(column)
    }

    /// The value in a row (from 0) under a column's name.
    ///
    /// ```
    /// use segue_sdk::sql::Records;
    ///
    /// let records = Records::new(["name", "stock"]).row(["Green tea".into(), 3.into()]);
    /// assert_eq!(records.named(0, "stock"), Some(&3.into()));
    /// assert_eq!(records.named(0, "price"), None);
    /// ```
    pub fn named(&self, row: usize, column: &str) -> Option<&Value> {
        let column = self.columns.iter().position(|name| name == column)?;
        self.value(row, column)
    }
}
