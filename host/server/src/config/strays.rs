//! Keys and variables that set nothing, and what they were meant to be.
//!
//! This runs last, when every key that exists has been asked for once.

use std::collections::BTreeSet;

use super::faults::{Fault, Place};
use super::overrides::variable_of;
use super::reader::{Known, Reader, Shape, Stray};
use super::value::nearest;

/// Turns every unknown key and variable into a fault.
pub(super) fn report(reader: &Reader<'_>) {
    let known = reader.known.borrow();
    let strays = reader.strays.borrow();
    let mut faults = reader.faults.borrow_mut();
    faults.extend(strays.iter().map(|stray| unknown_key(stray, &known)));
    for (name, place) in reader.overrides.all() {
        faults.extend(unknown_variable(name, place, &known));
    }
}

fn unknown_key(stray: &Stray, known: &[Known]) -> Fault {
    let what = match (stray.table.is_empty(), stray.is_table) {
        (true, true) => format!("unknown section [{}]", stray.key),
        (true, false) => format!("unknown key `{}` outside every section", stray.key),
        (false, _) => format!("unknown key `{}` in [{}]", stray.key, stray.table),
    };
    Fault {
        code: "unknown_key",
        place: stray.place.clone(),
        message: what,
        mend: meant_key(stray, known),
    }
}

/// A near name in the same table, else the same name in another, else all
/// that the table knows.
fn meant_key(stray: &Stray, known: &[Known]) -> String {
    let siblings = siblings(&stray.table, known);
    if let Some(near) = nearest(&stray.key, siblings.iter().copied()) {
        return match stray.is_table {
            true => format!("did you mean [{near}]?"),
            false => format!("did you mean `{near}`?"),
        };
    }
    let elsewhere: BTreeSet<String> = (known.iter())
        .filter(|k| k.shape != Shape::Table)
        .filter_map(|k| k.path.rsplit_once('.'))
        .filter(|(_, key)| *key == stray.key)
        .map(|(table, _)| format!("[{table}]"))
        .collect();
    if !elsewhere.is_empty() {
        let tables: Vec<String> = elsewhere.into_iter().collect();
        return format!("`{}` belongs in {}", stray.key, tables.join(" or "));
    }
    match stray.table.is_empty() {
        true => format!("remove it; the sections are {}", siblings.join(", ")),
        false => format!("remove it; [{}] knows {}", stray.table, siblings.join(", ")),
    }
}

fn siblings<'k>(table: &str, known: &'k [Known]) -> Vec<&'k str> {
    let mut names: Vec<&str> = known
        .iter()
        .filter_map(|k| match k.path.rsplit_once('.') {
            Some((parent, key)) => (parent == table).then_some(key),
            None => table.is_empty().then_some(k.path.as_str()),
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn unknown_variable(name: &str, place: Place, known: &[Known]) -> Option<Fault> {
    let is_this = |k: &&Known| variable_of(&k.path) == name;
    let (message, mend) = match known.iter().find(is_this) {
        Some(k) if k.shape == Shape::Scalar && k.overridable => return None,
        Some(k) => (
            format!("`{}` cannot be set by a variable", k.path),
            "set it in the file: only single values outside lists can be overridden".to_owned(),
        ),
        None => {
            let names: Vec<String> = known
                .iter()
                .filter(|k| k.shape == Shape::Scalar && k.overridable)
                .map(|k| variable_of(&k.path))
                .collect();
            let upper = name.to_uppercase();
            let mend = match nearest(&upper, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None if names_a_backend(&upper) => {
                    "add the table to the file first: a variable overrides a key of [sql.NAME], and makes no table"
                        .to_owned()
                }
                None => "unset it, or spell it SEGUE_SECTION__KEY after a key of the file".to_owned(),
            };
            (format!("{name} sets no key of the config"), mend)
        }
    };
    Some(Fault {
        code: "unknown_variable",
        place,
        message,
        mend,
    })
}

/// Whether the variable is about a table whose name the operator makes up.
fn names_a_backend(variable: &str) -> bool {
    ["sql", "search", "llm"]
        .iter()
        .any(|section| variable.starts_with(&format!("{}__", variable_of(section))))
}
