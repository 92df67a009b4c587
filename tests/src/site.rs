//! A deployment in a temporary directory: configuration, plugins, state.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::artifacts::{component, target_dir};

/// What a host is started on. Dropping it removes the directory.
pub struct Site {
    dir: TempDir,
}

/// Collects what a [`Site`] shall hold.
#[derive(Default)]
pub struct SiteBuilder {
    config: toml::Table,
    files: Vec<(String, Vec<u8>)>,
    /// Beside the configuration, by path.
    beside: Vec<(String, Vec<u8>)>,
    databases: Vec<(String, String)>,
}

impl SiteBuilder {
    /// The routes most tests talk to: message type `chat` is answered by `echo`,
    /// `do` by `misbehave`, `stamp` by `stamp`; `/echo` and `/do` are raw.
    #[must_use]
    pub fn standard(self) -> Self {
        self.plugin("echo").plugin("misbehave").plugin("stamp").config(
            r#"
            [[route]]
            match = { mtype = "chat" }
            handler = "echo"

            [[route]]
            match = { mtype = "do" }
            handler = "misbehave"

            [[route]]
            match = { mtype = "stamp" }
            handler = "stamp"

            [[endpoint]]
            path = "/echo"
            kind = "raw"
            handler = "echo"

            [[endpoint]]
            path = "/do"
            kind = "raw"
            handler = "misbehave"
            "#,
        )
    }

    /// Adds to `segue.toml`. Tables are merged; what the harness needs and the
    /// text does not say (ports 0, few instances, a shared compile cache) is
    /// filled in.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        let table: toml::Table = text
            .parse()
            .unwrap_or_else(|error| panic!("the test's configuration: {error}"));
        merge(&mut self.config, table);
        self
    }

    /// Puts the built component `name` into the plugin folder.
    #[must_use]
    pub fn plugin(self, name: &str) -> Self {
        let bytes = component(name);
        self.plugin_as(name, &bytes)
    }

    /// Puts these bytes into the plugin folder as `NAME.wasm`.
    #[must_use]
    pub fn plugin_as(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.push((format!("{name}.wasm"), bytes.to_vec()));
        self
    }

    /// Puts `NAME.toml` into the plugin folder.
    #[must_use]
    pub fn sidecar(mut self, name: &str, text: &str) -> Self {
        self.files.push((format!("{name}.toml"), text.into()));
        self
    }

    /// Puts a file beside the configuration, at a path that may name folders.
    #[must_use]
    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.beside.push((path.to_owned(), bytes.into()));
        self
    }

    /// Makes a SQLite file beside the configuration by running this script.
    #[must_use]
    pub fn database(mut self, path: &str, script: &str) -> Self {
        self.databases.push((path.to_owned(), script.to_owned()));
        self
    }

    /// Writes everything out.
    #[must_use]
    pub fn build(mut self) -> Site {
        let dir = tempfile::Builder::new()
            .prefix("segue-test-")
            .tempdir()
            .expect("a temporary directory");
        let site = Site { dir };
        fs::create_dir(site.plugins()).expect("the plugin folder");
        for (name, bytes) in &self.files {
            fs::write(site.plugins().join(name), bytes).expect("a plugin file");
        }
        for (path, bytes) in &self.beside {
            site.write(path, bytes);
        }
        for (path, script) in &self.databases {
            let database = rusqlite::Connection::open(site.root().join(path)).expect("a database");
            database.execute_batch(script).expect("the database's script");
        }
        merge_defaults(&mut self.config, defaults());
        let text = toml::to_string(&self.config).expect("a configuration as text");
        fs::write(site.config_path(), text).expect("segue.toml");
        site
    }
}

impl Site {
    #[must_use]
    pub fn builder() -> SiteBuilder {
        SiteBuilder::default()
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.root().join("segue.toml")
    }

    /// The plugin folder.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.root().join("plugins")
    }

    /// The path of a file in the plugin folder.
    #[must_use]
    pub fn plugin_path(&self, file: &str) -> PathBuf {
        self.plugins().join(file)
    }

    /// Writes a file beside the configuration, at a path that may name folders.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("the file's folder");
        fs::write(path, bytes).expect("a file beside the configuration");
    }

    /// Replaces a file of the plugin folder as a careful tool does: written
    /// elsewhere, then renamed over it in one step.
    pub fn drop_by_rename(&self, file: &str, bytes: &[u8]) {
        let aside = self.plugin_path(&format!(".{file}.tmp"));
        fs::write(&aside, bytes).expect("a file beside");
        fs::rename(aside, self.plugin_path(file)).expect("a rename");
    }

    /// Replaces a file of the plugin folder as `cp` does: in place.
    pub fn drop_by_copy(&self, file: &str, bytes: &[u8]) {
        fs::write(self.plugin_path(file), bytes).expect("a copy");
    }
}

/// What the harness wants where the test is silent. The compile cache is shared
/// by all tests, so that a component is compiled once and not once a test.
fn defaults() -> toml::Table {
    let cache = target_dir().join("segue-tests").join("cache");
    fs::create_dir_all(&cache).expect("a compile cache");
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        drain_delay = "0s"
        drain_timeout = "10s"

        [admin]
        listen = "127.0.0.1:0"

        [plugins]
        cache = {cache:?}

        [runtime]
        instances = 200
        per_plugin = 150
        guest_threads = 2

        [log]
        level = "info"
        format = "json"
        "#
    );
    text.parse().expect("the harness's own configuration")
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (Some(toml::Value::Array(into)), toml::Value::Array(from)) => into.extend(from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn merge_defaults(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => {
                merge_defaults(into, from);
            }
            (Some(_), _) => {}
            (None, value) => {
                into.insert(key, value);
            }
        }
    }
}
