//! From a file, or a text, to a [`Config`].

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::faults::{Fault, Faults};
use super::overrides::{Overrides, process_environment};
use super::reader::{Reader, Table};
use super::{Config, backends, metrics, resilience, routes, sections, strays, telemetry, throttle, watched};

/// A config is written by people; past this it is some other file.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// A file could not be read at all.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why, and what to do about it.
        reason: String,
    },
    /// It was read and is wrong.
    #[error("{0}")]
    Faults(Faults),
}

/// What becomes of a file or a folder that the config names and that is not
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// A fault: somebody wants to know that all is in place.
    IsFault,
    /// Kept in [`Config::absences`]: a host starts without it.
    IsNoted,
}

/// Reads the config file at `path`, the `.env` file beside it and the
/// environment. Every fault is reported at once.
pub fn load(path: &Path) -> Result<Config, LoadFailure> {
    let mut faults = Vec::new();
    let environment = process_environment(&mut faults);
    load_with(path, environment, Absent::IsNoted, faults)
}

/// [`load`], for `segue check`: what the config names and is not there is a
/// fault as well.
pub fn check(path: &Path) -> Result<Config, LoadFailure> {
    let mut faults = Vec::new();
    let environment = process_environment(&mut faults);
    load_with(path, environment, Absent::IsFault, faults)
}

pub(super) fn load_with(
    path: &Path,
    environment: BTreeMap<String, String>,
    absent: Absent,
    mut faults: Vec<Fault>,
) -> Result<Config, LoadFailure> {
    let unreadable = |path: &Path, reason: String| LoadFailure::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let text = read_text(path).map_err(|reason| unreadable(path, reason))?;
    let absolute = std::path::absolute(path).map_err(|e| unreadable(path, e.to_string()))?;
    let base = absolute.parent().unwrap_or(Path::new("/"));
    let mut overrides = Overrides::new(environment);
    let dotenv = overrides.add_dotenv(base, &mut faults);
    dotenv.map_err(|e| unreadable(&base.join(".env"), e.to_string()))?;
    let name = path.display().to_string();
    build(&name, &text, base, &overrides, absent, faults).map_err(LoadFailure::Faults)
}

/// Makes a config of `text` as if it stood in `base_dir`, with `env` in place
/// of the environment. Reads no `.env` file.
pub fn parse(text: &str, base_dir: &Path, env: &BTreeMap<String, String>) -> Result<Config, Faults> {
    let overrides = Overrides::new(env.clone());
    build(
        "segue.toml",
        text,
        base_dir,
        &overrides,
        Absent::IsNoted,
        Vec::new(),
    )
}

impl Config {
    /// What holds for an empty file in `dir`, whatever the environment says.
    pub fn default_for(dir: &Path) -> Config {
        let overrides = Overrides::default();
        let reader = Reader::new("segue.toml".into(), "", dir, &overrides);
        read(&reader, &DeTable::new())
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; write it (an empty one will do), or name yours with --config FILE"
                .to_owned()
        }
        _ => e.to_string(),
    })?;
    let about = file.metadata().map_err(|e| e.to_string())?;
    if about.is_dir() {
        return Err("it is a folder; name the file in it".to_owned());
    }
    // The length of a pipe is unknown, so the read itself is bounded.
    let mut bytes = Vec::new();
    (file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err("it is larger than 1 MiB, so it is no config".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

fn build(
    name: &str,
    text: &str,
    base: &Path,
    overrides: &Overrides,
    absent: Absent,
    faults: Vec<Fault>,
) -> Result<Config, Faults> {
    let file: Arc<str> = name.into();
    let (table, errors) = DeTable::parse_recoverable(text);
    let reader = Reader::new(file, text, base, overrides);
    reader.faults.replace(faults);
    let config = read(&reader, table.get_ref());
    strays::report(&reader);
    let mut faults = reader.faults.take();
    if absent == Absent::IsFault {
        faults.extend(reader.absences.take());
    }
    if !errors.is_empty() {
        // What was made of a broken text may be anything: tell only of the
        // breaks, and of what does not depend on the text.
        faults.retain(|fault| !matches!(fault.place, super::Place::File { .. }));
        faults.extend(errors.iter().map(|e| syntax(&reader, e)));
    }
    match faults.is_empty() {
        true => Ok(config),
        false => Err(Faults::new(Arc::clone(&reader.file), reader.quotable(), faults)),
    }
}

fn syntax(reader: &Reader<'_>, error: &toml::de::Error) -> Fault {
    let message = error.message().trim().replace('\n', ", ");
    Fault {
        code: "syntax",
        place: reader.place(error.span().unwrap_or(0..0)),
        mend: match message.contains("duplicate key") {
            true => "keep one of the two".to_owned(),
            false => "write it as TOML has it: [section], key = \"text\", key = 12".to_owned(),
        },
        message: format!("this is not TOML: {message}"),
    }
}

/// One pass over everything. A value that is faulty reads as its default, so
/// that the pass goes on.
fn read(reader: &Reader<'_>, items: &DeTable<'_>) -> Config {
    let root = Table::root(reader, items);
    let server = sections::server(&root);
    let (limits, max_limits) = sections::limits(&root);
    let (backends, names) = backends::backends(&root, &server.state);
    let endpoints = routes::endpoints(&root);
    let resilience = resilience::resilience(&root, &names);
    watched::check_provisioning(&root, server.provisioning.as_ref(), &names, &resilience);
    let config = Config {
        admin: sections::admin(&root, &server),
        plugins: sections::plugins(&root, &server.state, &names),
        resilience,
        rate_limits: throttle::rate_limits(&root, &endpoints),
        overload: throttle::overload(&root),
        health: watched::health(&root, &names),
        backends,
        server,
        runtime: sections::runtime(&root),
        limits,
        max_limits,
        session: sections::session(&root),
        outbox: sections::outbox(&root),
        log: sections::log(&root),
        metrics: metrics::metrics(&root),
        telemetry: telemetry::telemetry(&root),
        routes: routes::routes(&root, &max_limits, &names),
        endpoints,
        absences: Vec::new(),
        places: BTreeMap::new(),
    };
    root.finish();
    let mut config = Config {
        absences: reader.absences.borrow().clone(),
        places: reader.places.borrow().clone(),
        ..config
    };
    config.settle_timeouts();
    config
}
