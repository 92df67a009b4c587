//! Reads a TOML table key by key and remembers what it saw.
//!
//! Guarantees: reading never stops at a fault, so one pass finds them all; a
//! key nobody asked for is a fault; each value is known by its place. Asking
//! for a key is what makes it known, so a key cannot be read and yet be
//! reported as unknown, or the reverse.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::{Fault, Place};
use super::overrides::Overrides;
use super::value::{Complaint, Value};

/// What a known key holds; scalars outside arrays can be overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar,
    List,
    Table,
}

/// A key that was asked for.
#[derive(Debug)]
pub(super) struct Known {
    /// Dotted, such as `server.listen`.
    pub(super) path: String,
    pub(super) shape: Shape,
    pub(super) overridable: bool,
}

/// A key that stands in the file and was not asked for.
#[derive(Debug)]
pub(super) struct Stray {
    /// Dotted path of its table; empty at the root.
    pub(super) table: String,
    pub(super) key: String,
    pub(super) is_table: bool,
    pub(super) place: Place,
}

/// What one pass over one file shares.
pub(super) struct Reader<'s> {
    pub(super) file: Arc<str>,
    pub(super) text: &'s str,
    pub(super) base: &'s Path,
    pub(super) overrides: &'s Overrides,
    pub(super) faults: RefCell<Vec<Fault>>,
    pub(super) known: RefCell<Vec<Known>>,
    pub(super) strays: RefCell<Vec<Stray>>,
    /// Where each key that is not at its default was set.
    pub(super) places: RefCell<BTreeMap<String, Place>>,
    /// What the file names and is not there: no fault to a host that starts.
    pub(super) absences: RefCell<Vec<Fault>>,
    /// Stretches of the text that must never be quoted.
    pub(super) secrets: RefCell<Vec<Range<usize>>>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(file: Arc<str>, text: &'s str, base: &'s Path, overrides: &'s Overrides) -> Self {
        Reader {
            file,
            text,
            base,
            overrides,
            faults: RefCell::default(),
            known: RefCell::default(),
            strays: RefCell::default(),
            places: RefCell::default(),
            absences: RefCell::default(),
            secrets: RefCell::default(),
        }
    }

    /// The place of a stretch of the file.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let offset = span.start.min(self.text.len());
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        Place::File {
            file: Arc::clone(&self.file),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            offset,
            length: span.end.min(self.text.len()).saturating_sub(offset),
        }
    }

    pub(super) fn fault(&self, place: Place, path: &str, complaint: Complaint) {
        self.faults.borrow_mut().push(Fault {
            code: complaint.code,
            place,
            message: format!("`{path}` {}", complaint.message),
            mend: complaint.mend,
        });
    }

    /// Notes that what the key at `path` names is not there.
    pub(super) fn absence(&self, path: &str, complaint: Complaint) {
        let place = self.place_of(path);
        self.absences.borrow_mut().push(Fault {
            code: complaint.code,
            place: place.unwrap_or_else(|| Place::Key(path.to_owned())),
            message: format!("`{path}` {}", complaint.message),
            mend: complaint.mend,
        });
    }

    /// Where the key at `path` was set, if it is not at its default.
    pub(super) fn place_of(&self, path: &str) -> Option<Place> {
        self.places.borrow().get(path).cloned()
    }

    /// The file's text with the secrets blanked out, byte for byte, so that
    /// places stay true.
    pub(super) fn quotable(&self) -> Arc<str> {
        let secrets = self.secrets.borrow();
        let hidden = |at: usize| secrets.iter().any(|span| span.contains(&at));
        let mut out = String::with_capacity(self.text.len());
        for (at, c) in self.text.char_indices() {
            match hidden(at) && c != '\n' {
                true => (0..c.len_utf8()).for_each(|_| out.push('*')),
                false => out.push(c),
            }
        }
        out.into()
    }
}

/// One table of the file, which may be absent.
pub(super) struct Table<'r, 's> {
    pub(super) reader: &'r Reader<'s>,
    /// Dotted; empty at the root.
    pub(super) path: String,
    /// The table's header, or where it stands.
    pub(super) place: Place,
    items: Option<&'r DeTable<'s>>,
    /// Not in an array: its scalars can be overridden.
    overridable: bool,
    asked: RefCell<Vec<String>>,
}

impl<'r, 's> Table<'r, 's> {
    pub(super) fn root(reader: &'r Reader<'s>, items: &'r DeTable<'s>) -> Self {
        Table {
            reader,
            path: String::new(),
            place: reader.place(0..0),
            items: Some(items),
            overridable: true,
            asked: RefCell::default(),
        }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.path),
        }
    }

    fn ask(&self, key: &str, shape: Shape) -> Option<&'r Spanned<DeValue<'s>>> {
        self.asked.borrow_mut().push(key.to_owned());
        self.reader.known.borrow_mut().push(Known {
            path: self.path_of(key),
            shape,
            overridable: self.overridable,
        });
        self.items?.get(key)
    }

    /// Whether the file, not an override, gives the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.items.is_some_and(|items| items.contains_key(key))
    }

    /// A scalar through `parse`; `None` if it is absent or faulty.
    pub(super) fn read<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&Value<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let path = self.path_of(key);
        let written = self.ask(key, Shape::Scalar);
        let said = match self.overridable {
            true => self.reader.overrides.of_key(&path),
            false => None,
        };
        let (value, place) = match (said, written) {
            (Some((text, place)), _) => (Value::Said(text), place),
            (None, Some(spanned)) => {
                let place = self.reader.place(spanned.span());
                (Value::Written(spanned.get_ref()), place)
            }
            (None, None) => return None,
        };
        let result = match value {
            Value::Said("") => Err(Complaint::new(
                "empty_override",
                "is overridden by nothing at all",
                "unset the variable, or give it a value",
            )),
            _ => parse(&value),
        };
        match result {
            Ok(parsed) => {
                if self.overridable {
                    self.reader.places.borrow_mut().insert(path, place);
                }
                Some(parsed)
            }
            Err(complaint) => {
                self.reader.fault(place, &path, complaint);
                None
            }
        }
    }

    /// Like [`Table::read`], with what holds when the key is absent.
    pub(super) fn or<T>(
        &self,
        key: &str,
        default: T,
        parse: impl FnOnce(&Value<'_>) -> Result<T, Complaint>,
    ) -> T {
        self.read(key, parse).unwrap_or(default)
    }

    /// Marks what the file says under `key` as never to be quoted.
    pub(super) fn hide(&self, key: &str) {
        if let Some(value) = self.items.and_then(|items| items.get(key)) {
            self.reader.secrets.borrow_mut().push(value.span());
        }
    }

    /// Marks it so unless `harmless` finds it to be text without a secret.
    pub(super) fn hide_unless(&self, key: &str, harmless: impl FnOnce(&str) -> bool) {
        let value = self.items.and_then(|items| items.get(key));
        let text = value.and_then(|value| value.get_ref().as_str());
        if !text.is_some_and(harmless) {
            self.hide(key);
        }
    }

    /// Makes the key known without reading it.
    pub(super) fn ignore(&self, key: &str, shape: Shape) {
        self.ask(key, shape);
    }

    /// What stands under `key` has had its fault: it is no stray as well.
    pub(super) fn pass_over(&self, key: &str) {
        self.asked.borrow_mut().push(key.to_owned());
    }

    /// Whether the file has a table under `key`.
    pub(super) fn is_table(&self, key: &str) -> bool {
        let value = self.items.and_then(|items| items.get(key));
        value.is_some_and(|value| value.get_ref().is_table())
    }

    /// A table under this one; empty if it is absent or no table.
    pub(super) fn table(&self, key: &str) -> Table<'r, 's> {
        let written = self.ask(key, Shape::Table);
        self.as_table(key, written, self.overridable)
    }

    fn as_table(
        &self,
        key: &str,
        written: Option<&'r Spanned<DeValue<'s>>>,
        overridable: bool,
    ) -> Table<'r, 's> {
        let path = self.path_of(key);
        let place = written.map_or(self.place.clone(), |w| self.reader.place(w.span()));
        let items = written.and_then(|value| match value.get_ref() {
            DeValue::Table(items) => Some(items),
            other => {
                let complaint = Complaint::wrong_type("a table", other, &format!("write [{path}]"));
                self.reader.fault(place.clone(), &path, complaint);
                None
            }
        });
        Table {
            reader: self.reader,
            path,
            place,
            items,
            overridable,
            asked: RefCell::default(),
        }
    }

    /// The tables of an array (`[[key]]`), at most `most` of them.
    pub(super) fn tables(&self, key: &str, most: usize) -> Vec<Table<'r, 's>> {
        let Some(written) = self.ask(key, Shape::List) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let DeValue::Array(items) = written.get_ref() else {
            let mend = format!("write [[{path}]], with two brackets");
            let complaint = Complaint::wrong_type("a list of tables", written.get_ref(), &mend);
            let place = self.reader.place(written.span());
            self.reader.fault(place, &path, complaint);
            return Vec::new();
        };
        if let Some(excess) = items.get(most) {
            let message = format!("has {} entries, over the most allowed, {most}", items.len());
            let complaint = Complaint::new("out_of_range", message, "remove some");
            let place = self.reader.place(excess.span());
            self.reader.fault(place, &path, complaint);
        }
        let within = items.iter().take(most);
        within.map(|item| self.as_table(key, Some(item), false)).collect()
    }

    /// The items of a list, each through `parse`; faulty ones are left out.
    pub(super) fn list<T>(
        &self,
        key: &str,
        most: usize,
        parse: impl Fn(&Value<'_>) -> Result<T, Complaint>,
    ) -> Vec<(T, Place)> {
        let Some(written) = self.ask(key, Shape::List) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let place = self.reader.place(written.span());
        let DeValue::Array(items) = written.get_ref() else {
            let mend = format!("write {key} = [\"...\"]");
            let complaint = Complaint::wrong_type("a list", written.get_ref(), &mend);
            self.reader.fault(place, &path, complaint);
            return Vec::new();
        };
        if items.len() > most {
            let message = format!("has {} items, over the most allowed, {most}", items.len());
            let complaint = Complaint::new("out_of_range", message, "remove some");
            self.reader.fault(place.clone(), &path, complaint);
        }
        if self.overridable {
            (self.reader.places.borrow_mut()).insert(path.clone(), place);
        }
        let mut out = Vec::new();
        for item in items.iter().take(most) {
            let place = self.reader.place(item.span());
            match parse(&Value::Written(item.get_ref())) {
                Ok(parsed) => out.push((parsed, place)),
                Err(complaint) => self.reader.fault(place, &path, complaint),
            }
        }
        out
    }

    /// The keys as they stand, for a table whose keys the operator makes up.
    pub(super) fn keys(&self) -> Vec<(String, Place)> {
        let Some(items) = self.items else {
            return Vec::new();
        };
        (items.keys())
            .map(|key| (key.get_ref().to_string(), self.reader.place(key.span())))
            .collect()
    }

    /// Ends the reading of this table: what was not asked for is a stray.
    pub(super) fn finish(&self) {
        let Some(items) = self.items else { return };
        let asked = self.asked.borrow();
        for (key, value) in items.iter() {
            if asked.iter().any(|known| known == key.get_ref()) {
                continue;
            }
            self.reader.strays.borrow_mut().push(Stray {
                table: self.path.clone(),
                key: key.get_ref().to_string(),
                is_table: value.get_ref().is_table(),
                place: self.reader.place(key.span()),
            });
        }
    }
}
