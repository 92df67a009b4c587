//! What a guest's statement may do, decided while SQLite compiles it.
//!
//! SQLite asks for each thing a statement would do, views included. Allowed are
//! reading the database's own tables and calling functions of a list; whatever
//! else there is, or will be in a later SQLite, is refused.
//!
//! The tables in which SQLite keeps the schema may be read. What they say is
//! what `segue:sql/schema` tells anyway, and models that have learnt SQLite ask
//! them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::growth::SELECTS_MAX;
use super::watch::Watch;

/// Calls of functions in one statement, those of the views it names included.
const CALLS_MAX: u64 = 500;

/// Functions that only compute, in time of the length of what they are given.
/// In order.
const FUNCTIONS: [&str; 76] = [
    "->",
    "->>",
    "abs",
    "avg",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "dense_rank",
    "first_value",
    "format",
    "glob",
    "group_concat",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_object",
    "json_quote",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "lower",
    "ltrim",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "printf",
    "quote",
    "random",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "soundex",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "time",
    "timediff",
    "total",
    "trim",
    "typeof",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
];

/// The virtual tables that may be read: they only take a JSON value apart.
pub(super) const JSON_TABLES: [&str; 2] = ["json_each", "json_tree"];

/// Names under which SQLite gives its schema.
const SCHEMA_TABLES: [&str; 2] = ["sqlite_master", "sqlite_schema"];

/// The guard of one connection.
#[derive(Debug, Default)]
pub(super) struct Guard {
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    selects: u64,
    calls: u64,
    /// Why the statement was refused, in words for the plugin.
    refusal: Option<String>,
    /// Where a statement is compiled with virtual tables allowed.
    tables: Option<Tables>,
}

/// The tables there are, in lower case.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Tables and views that the file holds.
    pub(super) plain: HashSet<String>,
    /// Virtual tables, those of the file and those that SQLite brings along.
    pub(super) virtual_ones: HashSet<String>,
}

impl Guard {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew. Without `tables`, the statement is compiled so that SQLite
    /// finds no virtual table; with them, these are refused here.
    pub(super) fn start(&self, tables: Option<Tables>) {
        *self.ledger() = Ledger {
            tables,
            ..Ledger::default()
        };
    }

    /// The statement is compiled. SQLite may do it again while it runs, when the
    /// schema changes.
    pub(super) fn compiled(&self) {
        let mut ledger = self.ledger();
        (ledger.selects, ledger.calls) = (0, 0);
    }

    /// Refuses the statement for a reason that was found elsewhere.
    pub(super) fn refuse(&self, refusal: String) {
        self.ledger().refusal.get_or_insert(refusal);
    }

    /// Why the statement was refused, if it was.
    pub(super) fn refusal(&self) -> Option<String> {
        self.ledger().refusal.clone()
    }

    /// What SQLite asks.
    pub(super) fn decide(&self, asked: &AuthContext<'_>, watch: &Watch) -> Authorization {
        let mut ledger = self.ledger();
        match ledger.judge(asked) {
            Ok(()) if watch.is_over() => Authorization::Deny,
            Ok(()) => Authorization::Allow,
            Err(refusal) => {
                ledger.refusal.get_or_insert(refusal);
                Authorization::Deny
            }
        }
    }
}

impl Ledger {
    fn judge(&mut self, asked: &AuthContext<'_>) -> Result<(), String> {
        match asked.action {
            AuthAction::Select => {
                self.selects += 1;
                within(self.selects, SELECTS_MAX, "SELECTs")
            }
            AuthAction::Recursive => Ok(()),
            AuthAction::Function { function_name } => {
                self.calls += 1;
                within(self.calls, CALLS_MAX, "calls of functions")?;
                match FUNCTIONS.contains(&function_name) {
                    true => Ok(()),
                    false => Err(format!("the function `{function_name}` is not for plugins")),
                }
            }
            AuthAction::Read {
                table_name,
                column_name,
            } => self.reads(table_name, column_name, asked.database_name),
            action => Err(format!(
                "a query may only read, and this one would {}",
                does(&action)
            )),
        }
    }

    fn reads(&self, table: &str, column: &str, database: Option<&str>) -> Result<(), String> {
        if database.is_some_and(|database| database != "main") {
            return Err(format!("`{table}` is not a table of the database"));
        }
        let Some(tables) = &self.tables else {
            return Ok(());
        };
        let name = table.to_lowercase();
        let known =
            tables.plain.contains(&name) || JSON_TABLES.contains(&&*name) || SCHEMA_TABLES.contains(&&*name);
        // A common table expression of which no column is used is asked for
        // like a table, without a column or a database.
        let expression = column.is_empty() && database.is_none() && !tables.is_virtual(&name);
        match known || expression {
            true => Ok(()),
            false => Err(no_virtual_tables(table)),
        }
    }
}

impl Tables {
    /// Whether this is the name, in lower case, of a virtual table.
    pub(super) fn is_virtual(&self, name: &str) -> bool {
        name.starts_with("pragma_") || self.virtual_ones.contains(name)
    }
}

/// Why a virtual table is refused.
pub(super) fn no_virtual_tables(table: &str) -> String {
    format!("`{table}` is a virtual table, and these are not for plugins")
}

fn within(count: u64, max: u64, what: &str) -> Result<(), String> {
    match count <= max {
        true => Ok(()),
        false => Err(format!("the statement has more than {max} {what}: split it")),
    }
}

fn does(action: &AuthAction<'_>) -> String {
    match action {
        AuthAction::Insert { table_name } => format!("insert into `{table_name}`"),
        AuthAction::Update { table_name, .. } => format!("change `{table_name}`"),
        AuthAction::Delete { table_name } => format!("delete from `{table_name}`"),
        AuthAction::Pragma { pragma_name, .. } => format!("use the pragma `{pragma_name}`"),
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => String::from("attach or detach a database"),
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            String::from("begin or end a transaction")
        }
        _ => String::from("do something else"),
    }
}

/// The guard as SQLite calls it.
pub(super) fn hook(
    guard: &Arc<Guard>,
    watch: &Arc<Watch>,
) -> impl for<'asked> FnMut(AuthContext<'asked>) -> Authorization + Send + 'static {
    let (guard, watch) = (Arc::clone(guard), Arc::clone(watch));
    move |asked| guard.decide(&asked, &watch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_in_order_and_each_stands_once() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a < b), "{FUNCTIONS:?}");
    }
}
