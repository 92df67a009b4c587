//! Databases as plugins meet them, without a plugin.

mod bounds;
mod cached;
mod data;
mod files;
mod hostile;
mod samples;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use segue_resilience::Guards;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::settings::Database;
use super::*;
use crate::cache::Caches;

/// A folder with the database of the corpus.
struct Shop {
    folder: TempDir,
    path: PathBuf,
}

impl Shop {
    fn new() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let sqlite = Connection::open(&path).unwrap();
        sqlite.execute_batch(super::corpus::FIXTURE).unwrap();
        Shop { folder, path }
    }

    fn settings(&self) -> Database {
        Database {
            timeout: Duration::from_secs(60),
            ..Database::at(self.path.clone())
        }
    }

    /// The database, opened by a host with these settings.
    fn open(&self, settings: Database) -> Arc<Store> {
        let settings = [(String::from("shop"), settings)].into();
        let databases = Databases::new(settings, &no_caches(), Guards::permissive(), Handle::current());
        Arc::clone(databases.get("shop").unwrap())
    }

    fn write(&self, sql: &str) {
        writer(&self.path).execute_batch(sql).unwrap();
    }
}

/// Where nothing is kept.
fn no_caches() -> Arc<Caches> {
    Caches::new(BTreeMap::new(), Guards::permissive(), Handle::current())
}

/// A connection of somebody else, who writes.
fn writer(path: &Path) -> Connection {
    let sqlite = Connection::open(path).unwrap();
    sqlite.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    sqlite
}

fn asker() -> Asker {
    Asker {
        plugin: String::from("test"),
        until: Instant::now() + Duration::from_secs(600),
    }
}

fn run(store: &Arc<Store>, sql: &str) -> Result<Rows, Error> {
    store.run(asker(), sql.to_owned(), Vec::new())
}

/// All rows, and whether some were left out.
async fn all(mut rows: Rows) -> Result<(Vec<Row>, bool), Error> {
    let mut all = Vec::new();
    loop {
        let next = rows.next(100).await?;
        if next.is_empty() {
            return Ok((all, rows.truncated()));
        }
        all.extend(next);
    }
}

async fn ask(store: &Arc<Store>, sql: &str) -> Result<Vec<Row>, Error> {
    all(run(store, sql)?).await.map(|(rows, _)| rows)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// What is in a folder, byte for byte.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}
