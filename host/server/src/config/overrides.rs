//! What overrides the file: the environment, and a `.env` file beside it.
//!
//! Guarantees: the environment beats `.env`, which beats the file; the
//! process's own environment is read, never changed. A variable that sets
//! nothing is a fault, so that a typing error never goes unseen.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::faults::{Fault, Place};

/// Every override begins with this.
pub(super) const PREFIX: &str = "SEGUE_";

/// Past this it is some other file.
const DOTENV_MAX_BYTES: u64 = 1 << 20;

/// The variables that may override the file, by name.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    environment: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
    dotenv_path: PathBuf,
}

impl Overrides {
    pub(super) fn new(environment: BTreeMap<String, String>) -> Self {
        Overrides {
            environment,
            ..Overrides::default()
        }
    }

    /// Adds the `.env` file of `dir`, if there is one. A line that is no
    /// assignment is a fault and is not quoted, since it may hold a secret.
    pub(super) fn add_dotenv(&mut self, dir: &Path, faults: &mut Vec<Fault>) -> io::Result<()> {
        let path = dir.join(".env");
        let text = match std::fs::metadata(&path) {
            Ok(about) if about.len() > DOTENV_MAX_BYTES => {
                return Err(io::Error::other("it is larger than 1 MiB"));
            }
            Ok(_) => std::fs::read_to_string(&path)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        for item in dotenvy::Iter::new(text.as_bytes()) {
            match item {
                Ok((name, value)) => {
                    self.dotenv.insert(name, value);
                }
                Err(dotenvy::Error::LineParse(line, _)) => faults.push(Fault {
                    code: "dotenv",
                    place: Place::DotEnv {
                        file: path.clone(),
                        line: line_of(&text, &line),
                    },
                    message: "this line is no `NAME=value`".to_owned(),
                    mend: "write NAME=value, in quotes if it holds spaces".to_owned(),
                }),
                Err(other) => return Err(io::Error::other(other)),
            }
        }
        self.dotenv_path = path;
        Ok(())
    }

    /// The value that overrides the key at `path` (`server.listen`), and
    /// where it stands.
    pub(super) fn of_key(&self, path: &str) -> Option<(&str, Place)> {
        let name = variable_of(path);
        if let Some(value) = self.environment.get(&name) {
            return Some((value, Place::Variable { name, dotenv: None }));
        }
        let value = self.dotenv.get(&name)?;
        let dotenv = Some(self.dotenv_path.clone());
        Some((value, Place::Variable { name, dotenv }))
    }

    /// What `env:NAME` stands for.
    pub(super) fn lookup(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name).or_else(|| self.dotenv.get(name));
        value.map(String::as_str)
    }

    /// Every variable that means to override a key.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Place)> {
        let place = |name: &String, dotenv: Option<PathBuf>| Place::Variable {
            name: name.clone(),
            dotenv,
        };
        let environment = (self.environment.keys()).map(move |n| (n.as_str(), place(n, None)));
        let dotenv = (self.dotenv.keys())
            .filter(|name| !self.environment.contains_key(*name))
            .map(move |n| (n.as_str(), place(n, Some(self.dotenv_path.clone()))));
        environment.chain(dotenv).filter(|(name, _)| sets_a_key(name))
    }
}

/// The process's environment. A variable of ours that is not UTF-8 is a
/// fault; others are left out, as nobody can refer to their value.
pub(super) fn process_environment(faults: &mut Vec<Fault>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            Ok(value) => {
                environment.insert(name, value);
            }
            Err(_) if sets_a_key(&name) => faults.push(Fault {
                code: "not_utf8",
                place: Place::Variable { name, dotenv: None },
                message: "the value is not UTF-8".to_owned(),
                mend: "set it to plain text, or unset it".to_owned(),
            }),
            Err(_) => {}
        }
    }
    environment
}

/// `server.listen` is overridden by `SEGUE_SERVER__LISTEN`. A name of the
/// operator's may have a `-`, which shells do not take: it becomes `_`.
pub(super) fn variable_of(path: &str) -> String {
    format!(
        "{PREFIX}{}",
        path.replace('.', "__").replace('-', "_").to_uppercase()
    )
}

/// Other `SEGUE_...` variables may serve other purposes; two underscores in a
/// row mean section and key.
fn sets_a_key(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__"))
}

fn line_of(text: &str, wanted: &str) -> usize {
    let wanted = wanted.lines().next().unwrap_or_default().trim();
    let found = text.lines().position(|line| line.trim() == wanted);
    found.map_or(1, |index| index + 1)
}
