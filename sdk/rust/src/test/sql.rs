//! A database for tests: tables that are declared, answers that are scripted.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::Call;
use crate::sql::{Column, ForeignKey, Records, Table, Value};
use crate::{Error, Result};

/// As the real host's default.
const MAX_ROWS: usize = 1000;

type Answer = Rc<dyn Fn(&str, &[Value]) -> Result<Records>>;
type Check = Rc<dyn Fn(&str) -> Result<()>>;

/// A database behind [`Call::database`]. A clone is the same one, so that a test
/// can ask afterwards what was run.
///
/// A statement gets the answer that was scripted for it with [`on`](Self::on) or
/// [`fails`](Self::fails), where white space and a `;` at the end do not matter;
/// any other goes to [`answer_with`](Self::answer_with), without which it is
/// `query_invalid`.
///
/// ```
/// use segue_sdk::{prelude::*, sql, test::FakeDatabase};
///
/// let shop = FakeDatabase::new()
///     .table("customers", &["id INTEGER PRIMARY KEY", "name TEXT NOT NULL"])
///     .table("orders", &["id INTEGER PRIMARY KEY", "customer_id INTEGER REFERENCES customers(id)"])
///     .samples("customers", "name", ["Ada", "Grace"])
///     .on("SELECT count(*) FROM orders", sql::Records::new(["count(*)"]).row([7.into()]))
///     .fails("SELECT nmae FROM customers", Error::new("query_invalid", "no such column: nmae"))
///     .answer_with(|sql, params| Ok(sql::Records::new(["sql"]).row([sql.into()])));
/// # drop(shop);
/// ```
#[derive(Clone, Default)]
pub struct FakeDatabase {
    tables: Vec<Table>,
    samples: Vec<(String, String, Vec<Value>)>,
    script: Vec<(String, Result<Records>)>,
    answer: Option<Answer>,
    check: Option<Check>,
    max_rows: Option<usize>,
    queries: Rc<RefCell<Vec<Query>>>,
}

/// A query that a handler ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub sql: String,
    pub params: Vec<Value>,
}

impl FakeDatabase {
    /// Without tables and answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table, each column declared as in SQL:
    /// `name TYPE [NOT NULL] [PRIMARY KEY] [REFERENCES table(column)]`.
    #[must_use]
    pub fn table(self, name: &str, columns: &[&str]) -> Self {
        self.declared(declare(name, columns))
    }

    /// Adds a view.
    #[must_use]
    pub fn view(self, name: &str, columns: &[&str]) -> Self {
        let table = declare(name, columns);
        self.declared(Table {
            is_view: true,
            ..table
        })
    }

    /// Adds a table that is declared in full.
    #[must_use]
    pub fn declared(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// What [`sql::samples`](crate::sql::samples) gives of a column.
    #[must_use]
    pub fn samples(
        mut self,
        table: &str,
        column: &str,
        values: impl IntoIterator<Item = impl Into<Value>>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.samples.push((table.into(), column.into(), values));
        self
    }

    /// Scripts the answer to a statement.
    #[must_use]
    pub fn on(mut self, sql: &str, records: Records) -> Self {
        self.script.push((squeezed(sql), Ok(records)));
        self
    }

    /// Scripts the failure of a statement; it is told where the rows are read.
    #[must_use]
    pub fn fails(mut self, sql: &str, error: Error) -> Self {
        self.script.push((squeezed(sql), Err(error)));
        self
    }

    /// Answers every statement that has no script.
    #[must_use]
    pub fn answer_with(mut self, answer: impl Fn(&str, &[Value]) -> Result<Records> + 'static) -> Self {
        self.answer = Some(Rc::new(answer));
        self
    }

    /// What [`sql::check`](crate::sql::check) says. Without this a statement is
    /// fine unless its script fails.
    #[must_use]
    pub fn check_with(mut self, check: impl Fn(&str) -> Result<()> + 'static) -> Self {
        self.check = Some(Rc::new(check));
        self
    }

    /// The operator's bound of rows, past which an answer is truncated. 1,000
    /// unless told.
    #[must_use]
    pub fn limit_rows(mut self, rows: usize) -> Self {
        self.max_rows = Some(rows);
        self
    }

    /// What was run so far, in order.
    pub fn queries(&self) -> Vec<Query> {
        self.queries.borrow().clone()
    }

    fn scripted(&self, sql: &str) -> Option<&Result<Records>> {
        let sql = squeezed(sql);
        let known = self.script.iter().find(|(known, _)| *known == sql);
        known.map(|(_, answer)| answer)
    }

    fn run(&self, sql: &str, params: &[Value]) -> Result<Records> {
        self.queries.borrow_mut().push(Query {
            sql: sql.into(),
            params: params.into(),
        });
        let mut records = match (self.scripted(sql), &self.answer) {
            (Some(scripted), _) => scripted.clone(),
            (None, Some(answer)) => answer(sql, params),
            (None, None) => Err(Error::new(
                Error::QUERY_INVALID,
                format!(
                    "the test's database has no answer to `{sql}`: add .on(..) or .answer_with(..) to it"
                ),
            )),
        }?;
        let most = self.max_rows.unwrap_or(MAX_ROWS);
        if records.rows.len() > most {
            records.rows.truncate(most);
            records.truncated = true;
        }
        Ok(records)
    }
}

impl fmt::Debug for FakeDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: Vec<&str> = self.tables.iter().map(|table| table.name.as_str()).collect();
        f.debug_struct("FakeDatabase")
            .field("tables", &tables)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Grants `sql = [name]`, with this database behind the name.
    #[must_use]
    pub fn database(mut self, name: &str, database: FakeDatabase) -> Self {
        self.fake.databases.grant(name, database);
        self
    }
}

/// The statement with one space for every run of white space.
fn squeezed(sql: &str) -> String {
    let sql = sql.trim().trim_end_matches(';');
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn declare(name: &str, columns: &[&str]) -> Table {
    let mut table = Table {
        name: name.into(),
        is_view: false,
        columns: Vec::new(),
        foreign_keys: Vec::new(),
    };
    let mut keys = 0;
    for declaration in columns {
        let (declaration, key) = match declaration.split_once(" REFERENCES ") {
            Some((declaration, target)) => (declaration, Some(target)),
            None => (*declaration, None),
        };
        let (name, rest) = declaration.split_once(' ').unwrap_or((declaration, ""));
        let primary = rest.contains("PRIMARY KEY");
        keys += u32::from(primary);
        let constraints = ["PRIMARY KEY", "NOT NULL"].map(|words| rest.find(words).unwrap_or(rest.len()));
        let end = constraints.into_iter().min().unwrap_or(rest.len());
        table.columns.push(Column {
            name: name.into(),
            decl_type: rest.get(..end).unwrap_or(rest).trim().into(),
            not_null: rest.contains("NOT NULL"),
            primary_key: if primary { keys } else { 0 },
        });
        if let Some(target) = key {
            let (table_name, column) = target.split_once('(').unwrap_or((target, name));
            table.foreign_keys.push(ForeignKey {
                columns: vec![name.into()],
                table: table_name.trim().into(),
                references: vec![column.trim_end_matches(')').trim().into()],
            });
        }
    }
    table
}

/// In the place of `segue:sql/query`.
pub(crate) mod query {
    use std::cell::Cell;

    use super::super::fake::current;
    use super::super::grants::refusal;
    use super::{FakeDatabase, Records, Value};
    use crate::bindings::segue::plugin::types;
    use crate::{Error, Result as SdkResult};

    #[derive(Debug)]
    pub(crate) struct Rows {
        answer: SdkResult<Records>,
        at: Cell<usize>,
        ended: Cell<bool>,
    }

    impl Rows {
        fn records(&self) -> Result<&Records, types::Error> {
            self.answer.as_ref().map_err(|error| error.clone().into_host())
        }

        pub(crate) fn columns(&self) -> Result<Vec<String>, types::Error> {
            Ok(self.records()?.columns.clone())
        }

        pub(crate) fn next(&self, max: u32) -> Result<Vec<Vec<Value>>, types::Error> {
            let max = usize::try_from(max.clamp(1, 1000)).unwrap_or(1000);
            let rows = self.records()?.rows.iter().skip(self.at.get());
            let rows: Vec<_> = rows.take(max).cloned().collect();
            self.at.set(self.at.get() + rows.len());
            self.ended.set(rows.is_empty());
            Ok(rows)
        }

        pub(crate) fn truncated(&self) -> bool {
            self.ended.get() && self.answer.as_ref().is_ok_and(|records| records.truncated)
        }
    }

    pub(crate) fn run(database: &str, sql: &str, params: &[Value]) -> Result<Rows, types::Error> {
        let database = granted("sql.run", database)?;
        if sql.len() > 64 << 10 || params.len() > 1000 {
            let message = "a statement is at most 64 KiB, with at most 1,000 parameters";
            return Err(refusal(Error::INVALID_ARGUMENT, message));
        }
        Ok(Rows {
            answer: database.run(sql, params),
            at: Cell::new(0),
            ended: Cell::new(false),
        })
    }

    pub(crate) fn check(database: &str, sql: &str) -> Result<(), types::Error> {
        let database = granted("sql.check", database)?;
        let verdict = match (&database.check, database.scripted(sql)) {
            (Some(check), _) => check(sql),
            (None, Some(Err(error))) => Err(error.clone()),
            (None, _) => Ok(()),
        };
        verdict.map_err(Error::into_host)
    }

    pub(super) fn granted(function: &str, name: &str) -> Result<FakeDatabase, types::Error> {
        current(|host| host.databases.get(function, name, ".database(..)"))
    }
}

/// In the place of `segue:sql/schema`.
pub(crate) mod schema {
    use super::super::fake::current;
    use super::super::grants::refusal;
    use super::query::granted;
    use super::{Table, Value};
    use crate::Error;
    use crate::bindings::segue::plugin::types;

    pub(crate) fn databases() -> Vec<String> {
        current(|host| host.databases.names())
    }

    pub(crate) fn dialect(database: &str) -> Result<String, types::Error> {
        granted("sql.dialect", database).map(|_| "sqlite".into())
    }

    pub(crate) fn tables(database: &str) -> Result<Vec<Table>, types::Error> {
        let mut tables = granted("sql.tables", database)?.tables;
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tables)
    }

    pub(crate) fn samples(
        database: &str,
        table: &str,
        column: &str,
        limit: u32,
    ) -> Result<Vec<Value>, types::Error> {
        let database = granted("sql.samples", database)?;
        let known = database.tables.iter().find(|known| known.name == table);
        if known.is_none_or(|known| !known.columns.iter().any(|known| known.name == column)) {
            let message = format!("there is no column `{column}` in a table `{table}`");
            return Err(refusal(Error::QUERY_INVALID, &message));
        }
        let samples = database.samples.into_iter();
        let samples = samples.filter(|(of, within, _)| of == table && within == column);
        let limit = usize::try_from(limit.min(100)).unwrap_or(100);
        Ok(samples.flat_map(|(_, _, values)| values).take(limit).collect())
    }
}
