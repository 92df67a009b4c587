//! A guest's statement, from its text to one that SQLite has compiled and that
//! does nothing but read.
//!
//! The order: its text is measured ([`growth`]); SQLite compiles it under the
//! [`guard`] and without virtual tables; it is one statement, and SQLite says
//! that it changes nothing; its values are made short enough that all that it
//! can hold at once stays within [`HELD_MAX_BYTES`].

use rusqlite::limits::Limit;
use rusqlite::{ErrorCode, PrepFlags, Statement, StatementStatus};

use super::connection::{self, Link, VALUE_MAX_BYTES};
use super::error::Error;
use super::growth;
use super::guard::{self, JSON_TABLES, Tables};
use super::value::Value;
use super::watch::Why;

/// The longest statement, in bytes.
pub const SQL_MAX_BYTES: usize = 64 << 10;
/// The most parameters of a statement.
pub const PARAMS_MAX: usize = 1000;
/// All parameters of a statement together, in bytes.
pub const PARAMS_MAX_BYTES: u64 = 1 << 20;

/// What a statement may hold in values at once, in bytes: in its registers, as
/// SQLite calls them.
const HELD_MAX_BYTES: usize = 128 << 20;

/// What a statement takes at least for each value it can hold, in bytes: the
/// register and the instruction that fills it.
const REGISTER_BYTES: usize = 80;

/// The longest message of SQLite that is passed on, in bytes.
const MESSAGE_MAX_BYTES: usize = 1000;

/// Why a statement is not run, or not to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is the statement's own.
    Own(Error),
    /// It was stopped.
    Stopped(Why),
    /// It has to be tried again.
    Busy,
    /// The file cannot be read, why is for the operator.
    Broken(String),
    /// The same, after rows were given.
    Lost(String),
}

impl Link {
    /// Compiles a guest's statement.
    pub(super) fn compile(&self, sql: &str) -> Result<Statement<'_>, Fault> {
        if sql.contains('\0') {
            let message =
                String::from("a statement has no NUL character: leave it out, or bind it as a value");
            return Err(Fault::Own(Error::Invalid(message)));
        }
        growth::check(sql).map_err(|refusal| Fault::Own(Error::Invalid(refusal)))?;
        let statement = self.prepare(sql).map_err(|error| self.fault(error))?;
        self.guard.compiled();
        if statement.is_explain() != 0 {
            let message = "EXPLAIN is not for plugins: `check` says whether a statement would run";
            return Err(Fault::Own(Error::Forbidden(String::from(message))));
        }
        if !statement.readonly() {
            let message = "a query may only read, and this one would do more";
            return Err(Fault::Own(Error::Forbidden(String::from(message))));
        }
        if statement.column_count() == 0 {
            let message = "the statement gives no columns: a query is one SELECT";
            return Err(Fault::Own(Error::Invalid(String::from(message))));
        }
        let registers =
            usize::try_from(statement.get_status(StatementStatus::MemUsed)).unwrap_or(0) / REGISTER_BYTES;
        let longest = (HELD_MAX_BYTES / registers.max(1)).min(VALUE_MAX_BYTES);
        self.limit_values(longest).map_err(|error| self.fault(error))?;
        Ok(statement)
    }

    fn limit_values(&self, bytes: usize) -> rusqlite::Result<()> {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.sqlite.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)?;
        Ok(())
    }

    fn prepare(&self, sql: &str) -> rusqlite::Result<Statement<'_>> {
        self.limit_values(VALUE_MAX_BYTES)?;
        let plain = PrepFlags::SQLITE_PREPARE_DONT_LOG | PrepFlags::SQLITE_PREPARE_FROM_DDL;
        self.guard.start(None);
        let prepared = self
            .sqlite
            .prepare_with_flags(sql, plain | PrepFlags::SQLITE_PREPARE_NO_VTAB);
        let Err(error) = prepared else {
            return prepared;
        };
        let Some(missing) = missing_table(&error) else {
            return Err(error);
        };
        let tables = self.tables()?;
        if JSON_TABLES.contains(&&*missing) {
            self.guard.start(Some(tables));
            return self.sqlite.prepare_with_flags(sql, plain);
        }
        if tables.is_virtual(&missing) {
            self.guard.refuse(guard::no_virtual_tables(&missing));
        }
        Err(error)
    }

    /// Whether the file can be read.
    pub(super) fn probe(&self) -> Result<(), Fault> {
        self.guard.start(None);
        let read = self
            .sqlite
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
        read.map_err(|error| self.fault(error))
    }

    /// The tables of the file, and those that SQLite brings along. A virtual
    /// table has no page of its own.
    fn tables(&self) -> rusqlite::Result<Tables> {
        let mut tables = Tables::default();
        tables.virtual_ones.extend(self.modules.iter().cloned());
        self.guard.start(None);
        let sql =
            "SELECT name, type = 'table' AND rootpage = 0 FROM sqlite_schema WHERE type IN ('table', 'view')";
        let mut statement = self.sqlite.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name = row.get::<_, String>(0)?.to_lowercase();
            match row.get(1)? {
                true => tables.virtual_ones.insert(name),
                false => tables.plain.insert(name),
            };
        }
        Ok(tables)
    }

    /// What an error of SQLite means.
    pub(super) fn fault(&self, error: rusqlite::Error) -> Fault {
        if connection::is_busy(&error) {
            return Fault::Busy;
        }
        if let Some(why) = self.watch.why() {
            return Fault::Stopped(why);
        }
        if let Some(refusal) = self.guard.refusal() {
            return Fault::Own(Error::Forbidden(refusal));
        }
        if connection::is_broken(&error) {
            return Fault::Broken(error.to_string());
        }
        match (connection::code(&error), error) {
            (Some(ErrorCode::OperationInterrupted), _) => Fault::Stopped(Why::Late),
            (Some(ErrorCode::AuthorizationForStatementDenied), error) => {
                Fault::Own(Error::Forbidden(message(error)))
            }
            (Some(ErrorCode::OutOfMemory), _) => invalid("the statement is too long to be run: split it"),
            (Some(ErrorCode::TooBig), _) => invalid(
                "string or blob too big: a value has at most 1 MiB, and less in a long statement; take a part of it with substr()",
            ),
            (_, rusqlite::Error::MultipleStatement) => {
                invalid("a query is one statement: leave out what follows the `;`")
            }
            (_, error) => {
                let message = message(error);
                // What a view would do that SQLite does not trust it with.
                match message.starts_with("unsafe use of ") {
                    true => Fault::Own(Error::Forbidden(message)),
                    false => Fault::Own(Error::Invalid(message)),
                }
            }
        }
    }
}

/// Binds the parameters, each to the number of its place.
pub(super) fn bind(statement: &mut Statement<'_>, params: &[Value]) -> Result<rusqlite::Result<()>, Error> {
    let wanted = statement.parameter_count();
    if wanted != params.len() {
        let given = params.len();
        return Err(Error::Invalid(format!(
            "the statement has {wanted} parameters, and {given} values were given"
        )));
    }
    let bound = params
        .iter()
        .enumerate()
        .try_for_each(|(at, value)| statement.raw_bind_parameter(at + 1, value));
    Ok(bound)
}

fn invalid(message: &str) -> Fault {
    Fault::Own(Error::Invalid(message.to_owned()))
}

/// The name, in lower case, of the table that SQLite did not find.
fn missing_table(error: &rusqlite::Error) -> Option<String> {
    let message = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        _ => return None,
    };
    let name = message.strip_prefix("no such table: ")?.to_lowercase();
    Some(name.strip_prefix("main.").map(str::to_owned).unwrap_or(name))
}

/// SQLite's own words, and the place they speak of.
fn message(error: rusqlite::Error) -> String {
    let mut message = match error {
        rusqlite::Error::SqlInputError { msg, offset, .. } => format!("{msg}, at byte {offset}"),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        error => error.to_string(),
    };
    if message.len() > MESSAGE_MAX_BYTES {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX_BYTES));
        message.push('…');
    }
    message
}
