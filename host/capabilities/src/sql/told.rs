//! What a trace tells of a query: one span from the asking to the last row, or to
//! when nobody reads on, by OpenTelemetry's conventions for database clients. Its
//! text is in it only where that was asked for, values and rows never.

use segue_runtime::trace::{Scope, Span, SpanKind};

use super::Error;

/// How a statement that reads may begin.
const OPERATIONS: [&str; 5] = ["SELECT", "WITH", "VALUES", "EXPLAIN", "PRAGMA"];

/// The span of a query that is under way.
#[derive(Debug)]
pub(super) struct Told {
    span: Span,
    rows: u64,
}

impl Told {
    pub(super) fn of(under: &Scope, database: &str, sql: &str) -> Told {
        let operation = operation(sql);
        let mut span = under.child(SpanKind::Client, || match operation {
            Some(operation) => format!("{operation} {database}").into(),
            None => database.to_owned().into(),
        });
        span.set("db.system.name", "sqlite");
        span.set_text("db.namespace", database);
        if let Some(operation) = operation {
            span.set("db.operation.name", operation);
        }
        span.set_written("db.query.text", sql);
        Told { span, rows: 0 }
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.span.fail(error.code());
    }

    /// So many more rows were read; none at the end.
    pub(super) fn came(&mut self, rows: Result<usize, &Error>) {
        match rows {
            Ok(more) => {
                self.rows += more as u64;
                self.span.replace("db.response.returned_rows", self.rows);
                if more == 0 {
                    self.end();
                }
            }
            Err(error) => {
                self.failed(error);
                self.end();
            }
        }
    }

    fn end(&mut self) {
        self.span = Span::default();
    }
}

/// Its first word, of those that are known: the rest is a plugin's text.
fn operation(sql: &str) -> Option<&'static str> {
    let word = sql
        .trim_start()
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()?;
    (OPERATIONS.into_iter()).find(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_a_known_word() {
        assert_eq!(operation("  select 1"), Some("SELECT"));
        assert_eq!(operation("With a as (values(1)) select * from a"), Some("WITH"));
        assert_eq!(operation("selection"), None);
        assert_eq!(operation("-- secret"), None);
    }
}
