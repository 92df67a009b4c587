//! `segue:sql` as guests see it.
//!
//! Every function passes the gate under the database's name: rows of one that
//! is no longer granted are not given out.

use std::sync::Arc;

use segue_runtime::{CallState, Capability, HandlerError, HostFunction, Interface};
use wasmtime::component::{HasSelf, Linker, Resource};

use super::told::Told;
use super::{Asker, Databases, Error, ROWS_AT_ONCE, Rows, SAMPLES_MAX, Store, Value};
use bindings::segue::plugin::types;
use bindings::segue::sql::{query, schema};

mod convert;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package segue:sql-host@0.1.0;

            world host {
                import segue:sql/query@0.1.0;
                import segue:sql/schema@0.1.0;
            }
        ",
        world: "segue:sql-host/host",
        path: ["../../wit/plugin", "../../wit/sql"],
        imports: {
            "segue:sql/query.check": async | trappable,
            "segue:sql/query.[method]rows.columns": async | trappable,
            "segue:sql/query.[method]rows.next": async | trappable,
            "segue:sql/schema.tables": async | trappable,
            "segue:sql/schema.samples": async | trappable,
            default: trappable,
        },
        with: {
            "segue:plugin/types": segue_runtime::wit::types,
            "segue:sql/query.rows": super::Open,
        },
    });
}

static RUN: HostFunction = HostFunction::new("sql", "sql.run");
static CHECK: HostFunction = HostFunction::new("sql", "sql.check");
static COLUMNS: HostFunction = HostFunction::new("sql", "sql.columns").untraced();
static NEXT: HostFunction = HostFunction::new("sql", "sql.next").untraced();
static TRUNCATED: HostFunction = HostFunction::new("sql", "sql.truncated").untraced();
static DATABASES: HostFunction = HostFunction::new("sql", "sql.databases").untraced();
static DIALECT: HostFunction = HostFunction::new("sql", "sql.dialect").untraced();
static TABLES: HostFunction = HostFunction::new("sql", "sql.tables");
static SAMPLES: HostFunction = HostFunction::new("sql", "sql.samples");
static FUNCTIONS: [&HostFunction; 9] = [
    &RUN, &CHECK, &COLUMNS, &NEXT, &TRUNCATED, &DATABASES, &DIALECT, &TABLES, &SAMPLES,
];

/// What a call counts.
const QUERIES: &str = "sql.queries";
const ROWS: &str = "sql.rows";

/// Queries that one call may hold open. Each keeps a part of its answer, until
/// it is read or dropped.
const OPEN_MAX: usize = 16;

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sql;

/// A query that a guest holds.
#[derive(Debug)]
pub struct Open {
    database: String,
    rows: Rows,
    told: Told,
}

/// How many queries a call holds.
#[derive(Default)]
struct Held(usize);

impl Capability for Sql {
    fn name(&self) -> &'static str {
        "sql"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[
            Interface {
                name: "segue:sql/query",
                version: "0.1.0",
                functions: &[
                    "run",
                    "check",
                    "[method]rows.columns",
                    "[method]rows.next",
                    "[method]rows.truncated",
                    "[resource-drop]rows",
                ],
            },
            Interface {
                name: "segue:sql/schema",
                version: "0.1.0",
                functions: &["databases", "dialect", "tables", "samples"],
            },
        ]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        query::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
        schema::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
    }
}

/// Enters, or answers with the denial.
macro_rules! enter {
    ($state:expr, $function:expr, $database:expr, $bytes:expr) => {
        match $state.enter($function, Some($database), $bytes) {
            Ok(pass) => pass,
            Err(denied) => return Ok(Err(HandlerError::from(denied).into())),
        }
    };
}

fn store(state: &CallState, database: &str) -> Result<Arc<Store>, Error> {
    let databases = state.service::<Databases>();
    let databases = databases.ok_or_else(|| Error::Unavailable {
        database: database.to_owned(),
        reason: "the host has no databases",
    })?;
    databases.get(database).map(Arc::clone)
}

fn asker(state: &CallState) -> Asker {
    Asker {
        plugin: state.plugin_name().to_owned(),
        until: state.deadline(),
    }
}

/// An error of the engine as guests get it.
fn told(error: Error) -> types::Error {
    HandlerError::from(error).into()
}

impl query::Host for CallState {
    fn run(
        &mut self,
        database: String,
        sql: String,
        params: Vec<query::Value>,
    ) -> wasmtime::Result<Result<Resource<Open>, types::Error>> {
        let pass = enter!(self, &RUN, &database, sql.len() + convert::bytes(&params));
        let held = self.local::<Held>().0;
        let mut told_of = Told::of(pass.trace(), &database, &sql);
        let rows = match held < OPEN_MAX {
            true => store(self, &database).and_then(|store| {
                let params = params.into_iter().map(Value::from).collect();
                store.run(asker(self), sql, params)
            }),
            false => Err(Error::Argument(format!(
                "a call may hold {OPEN_MAX} queries at once: read them to their end and drop them"
            ))),
        };
        let rows = rows.inspect_err(|error| told_of.failed(error));
        let rows = match pass.leave_told(rows, Error::code) {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(told(error))),
        };
        self.meters().add(QUERIES, 1);
        self.local::<Held>().0 += 1;
        Ok(Ok(self.table().push(Open {
            database,
            rows,
            told: told_of,
        })?))
    }

    async fn check(&mut self, database: String, sql: String) -> wasmtime::Result<Result<(), types::Error>> {
        let pass = enter!(self, &CHECK, &database, sql.len());
        let checked = match store(self, &database) {
            Ok(store) => store.check(asker(self), sql).await,
            Err(error) => Err(error),
        };
        Ok(pass.leave_told(checked, Error::code).map_err(told))
    }
}

impl query::HostRows for CallState {
    async fn columns(&mut self, rows: Resource<Open>) -> wasmtime::Result<Result<Vec<String>, types::Error>> {
        let database = self.table().get(&rows)?.database.clone();
        let pass = enter!(self, &COLUMNS, &database, 0);
        let open = self.table().get_mut(&rows)?;
        let columns = open.rows.columns().await;
        let columns = columns.inspect_err(|error| open.told.came(Err(error)));
        Ok(pass.leave(columns).map(<[String]>::to_vec).map_err(told))
    }

    async fn next(
        &mut self,
        rows: Resource<Open>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<Vec<query::Value>>, types::Error>> {
        let database = self.table().get(&rows)?.database.clone();
        let pass = enter!(self, &NEXT, &database, 0);
        let max = usize::try_from(max).unwrap_or(ROWS_AT_ONCE);
        let open = self.table().get_mut(&rows)?;
        let next = open.rows.next(max).await;
        open.told.came(next.as_ref().map(Vec::len));
        let next = match pass.leave(next) {
            Ok(next) => next,
            Err(error) => return Ok(Err(told(error))),
        };
        self.meters().add(ROWS, next.len() as u64);
        let row = |row: Vec<Value>| row.into_iter().map(query::Value::from).collect();
        Ok(Ok(next.into_iter().map(row).collect()))
    }

    fn truncated(&mut self, rows: Resource<Open>) -> wasmtime::Result<bool> {
        let truncated = self.table().get(&rows)?.rows.truncated();
        // About no database, so never denied: it tells of rows already given.
        Ok(match self.enter(&TRUNCATED, None, 0) {
            Ok(pass) => pass.leave_with(truncated),
            Err(_) => false,
        })
    }

    fn drop(&mut self, rows: Resource<Open>) -> wasmtime::Result<()> {
        self.table().delete(rows)?;
        let held = self.local::<Held>();
        held.0 = held.0.saturating_sub(1);
        Ok(())
    }
}

impl schema::Host for CallState {
    fn databases(&mut self) -> wasmtime::Result<Vec<String>> {
        // About no database, so never denied.
        let Ok(pass) = self.enter(&DATABASES, None, 0) else {
            return Ok(Vec::new());
        };
        Ok(pass.leave_with(self.granted("sql")))
    }

    fn dialect(&mut self, database: String) -> wasmtime::Result<Result<String, types::Error>> {
        let pass = enter!(self, &DIALECT, &database, database.len());
        let dialect = store(self, &database).map(|_| String::from("sqlite"));
        Ok(pass.leave(dialect).map_err(told))
    }

    async fn tables(
        &mut self,
        database: String,
    ) -> wasmtime::Result<Result<Vec<schema::Table>, types::Error>> {
        let pass = enter!(self, &TABLES, &database, database.len());
        let tables = match store(self, &database) {
            Ok(store) => store.tables(asker(self)).await,
            Err(error) => Err(error),
        };
        let tables = pass.leave_told(tables, Error::code).map_err(told);
        Ok(tables.map(|tables| tables.iter().cloned().map(schema::Table::from).collect()))
    }

    async fn samples(
        &mut self,
        database: String,
        table: String,
        column: String,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<query::Value>, types::Error>> {
        let pass = enter!(self, &SAMPLES, &database, table.len() + column.len());
        let limit = usize::try_from(limit).unwrap_or(SAMPLES_MAX);
        let samples = match store(self, &database) {
            Ok(store) => store.samples(asker(self), table, column, limit).await,
            Err(error) => Err(error),
        };
        let samples = pass.leave_told(samples, Error::code).map_err(told);
        Ok(samples.map(|samples| samples.into_iter().map(query::Value::from).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_takes_it_once() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::<CallState>::new(&engine);
        Sql.link(&mut linker).unwrap();
        // The interfaces are there now, under the names and versions that are
        // told.
        for interface in Sql.interfaces() {
            let name = format!("{}@{}", interface.name, interface.version);
            let mut instance = linker.instance(&name).unwrap();
            for function in interface
                .functions
                .iter()
                .filter(|name| !name.starts_with("[resource"))
            {
                let again = instance.func_new(function, |_, _, _, _| Ok(()));
                assert!(again.is_err(), "{function} is not linked");
            }
        }
    }
}
