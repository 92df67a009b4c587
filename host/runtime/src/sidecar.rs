//! `NAME.toml`, the operator's word on one plugin.
//!
//! Parsing reports every fault at once, each with its line and its mend; of a text
//! that is no TOML, those up to the first line that is none. What is silent falls to the defaults, what is unknown is a fault: a misspelt limit
//! must not pass for none.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::error::{LoadError, SidecarFault, clip};
use crate::grants::{Grants, has};
use crate::settings::{Limits, Settings};
use crate::units::{format_size, parse_duration, parse_size};

/// A larger `.toml` is refused unread.
pub(crate) const MAX_SIDECAR_BYTES: u64 = 64 * 1024;
/// One WebAssembly page: with less, nothing runs.
const MIN_MEMORY_BYTES: u64 = 64 * 1024;
const MIN_DEADLINE: Duration = Duration::from_millis(1);

/// What an operator says of one plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Sidecar {
    /// By capability, the names within it that the plugin may use.
    pub grants: Grants,
    /// Resolved: the defaults where the file is silent.
    pub limits: Limits,
    /// Handed to the plugin as it is.
    pub settings: Map<String, Value>,
}

impl Sidecar {
    /// A plugin without a `.toml`: no grants, no settings, the default limits.
    pub fn absent(settings: &Settings) -> Self {
        Self {
            grants: Grants::new(),
            limits: settings.default_limits,
            settings: Map::new(),
        }
    }

    /// Reads the text of a `.toml`. Fails with `sidecar_invalid`, which lists
    /// all faults in the order of their lines.
    pub fn parse(text: &str, settings: &Settings) -> Result<Self, LoadError> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            text,
            faults: Vec::new(),
        };
        for error in errors {
            let message = format!("{}; write it as TOML wants it", error.message());
            reader.fault(error.span().map_or(0, |span| span.start), message);
        }
        let broken = reader.faults.iter().min_by_key(|fault| fault.line).cloned();
        let sidecar = reader.sidecar(document.get_ref(), settings);
        let mut faults = reader.faults;
        if faults.is_empty() {
            return Ok(sidecar);
        }
        // The parser guesses how a text goes on behind a line that is no TOML,
        // and what is wrong with a guess is not the author's fault.
        if let Some(broken) = broken {
            faults.retain(|fault| fault.line < broken.line);
            faults.push(broken);
        }
        faults.sort_by_key(|fault| fault.line);
        faults.dedup();
        Err(LoadError::Sidecar(faults))
    }
}

/// Walks the document and collects faults.
struct Reader<'a> {
    text: &'a str,
    faults: Vec<SidecarFault>,
}

impl Reader<'_> {
    fn fault(&mut self, at: usize, message: impl Into<String>) {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let message = message.into();
        self.faults.push(SidecarFault { line, message });
    }

    fn sidecar(&mut self, document: &DeTable<'_>, settings: &Settings) -> Sidecar {
        let mut sidecar = Sidecar::absent(settings);
        for (key, value) in document {
            let at = key.span().start;
            let section = key.get_ref().as_ref();
            let Some(table) = value.get_ref().as_table() else {
                let message = match section {
                    "grants" | "limits" | "settings" => {
                        format!("`{section}` must be a table: write `[{section}]` on a line of its own")
                    }
                    key => unknown_section(key),
                };
                self.fault(at, message);
                continue;
            };
            match section {
                "grants" => sidecar.grants = self.grants(table, &settings.max_grants),
                "limits" => self.limits(table, &mut sidecar.limits, &settings.max_limits),
                "settings" => sidecar.settings = self.object(table),
                key => self.fault(at, unknown_section(key)),
            }
        }
        sidecar
    }

    fn grants(&mut self, table: &DeTable<'_>, ceiling: &Grants) -> Grants {
        let mut grants = Grants::new();
        for (key, value) in table {
            let capability = key.get_ref().as_ref();
            if !is_capability(capability) {
                let capability = clip(capability, 60);
                self.fault(
                    key.span().start,
                    format!(
                        "`{capability}` cannot be a capability: these are lower-case names such as `sql`"
                    ),
                );
            }
            if let Some(names) = self.names(capability, value) {
                let beyond = |name: &&String| is_capability(capability) && !has(ceiling, capability, name);
                for name in names.iter().filter(beyond) {
                    let (capability, name) = (clip(capability, 60), clip(name, 100));
                    self.fault(
                        value.span().start,
                        format!(
                            "`{capability}` may not grant `{name}`: take it out, or add it to `[plugins.max_grants] {capability}` in the host's configuration"
                        ),
                    );
                }
                grants.insert(capability.to_owned(), names);
            }
        }
        grants
    }

    fn names(&mut self, capability: &str, value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
        let found = value.get_ref();
        let Some(array) = found.as_array() else {
            self.fault(
                value.span().start,
                format!(
                    "`{}` must be a list of names, not {}: write, for instance, [\"main\"]",
                    clip(capability, 60),
                    a(found)
                ),
            );
            return None;
        };
        let mut names: Vec<String> = Vec::with_capacity(array.len());
        for item in array {
            match item.get_ref().as_str() {
                Some(name) if !names.iter().any(|known| known == name) => {
                    names.push(name.to_owned());
                }
                Some(_) => {}
                None => self.fault(
                    item.span().start,
                    format!(
                        "a name must be a string, not {}: put it in quotes",
                        a(item.get_ref())
                    ),
                ),
            }
        }
        Some(names)
    }

    fn limits(&mut self, table: &DeTable<'_>, limits: &mut Limits, max: &Limits) {
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "deadline" => self.deadline(value, &mut limits.deadline, max.deadline),
                "memory" => self.size(
                    "memory",
                    value,
                    &mut limits.memory_bytes,
                    MIN_MEMORY_BYTES..=max.memory_bytes,
                ),
                "reply" => self.size("reply", value, &mut limits.reply_bytes, 1..=max.reply_bytes),
                "chunks" => self.chunks(value, &mut limits.chunks, max.chunks),
                other => {
                    let other = clip(other, 60);
                    self.fault(
                        key.span().start,
                        format!("`{other}` is not a limit: there are deadline, memory, reply and chunks"),
                    );
                }
            }
        }
    }

    fn deadline(&mut self, value: &Spanned<DeValue<'_>>, limit: &mut Duration, max: Duration) {
        let at = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            let found = a(value.get_ref());
            self.fault(
                at,
                format!("`deadline` must be a duration, not {found}: write, for instance, \"30s\""),
            );
            return;
        };
        match parse_duration(text) {
            Err(fault) => self.fault(at, fault),
            Ok(deadline) if deadline < MIN_DEADLINE => {
                self.fault(at, "`deadline` must be at least \"1ms\"");
            }
            Ok(deadline) if deadline > max => {
                let max = humantime::format_duration(max);
                self.fault(
                    at,
                    format!(
                        "`deadline` may be at most \"{max}\": lower it, or raise `[max_limits] deadline`"
                    ),
                );
            }
            Ok(deadline) => *limit = deadline,
        }
    }

    fn size(&mut self, key: &str, value: &Spanned<DeValue<'_>>, limit: &mut u64, range: RangeInclusive<u64>) {
        let at = value.span().start;
        let parsed = match value.get_ref() {
            DeValue::String(text) => parse_size(text),
            DeValue::Integer(number) => integer(number)
                .and_then(|bytes| u64::try_from(bytes).ok())
                .ok_or_else(|| format!("`{key}` must not be negative")),
            other => Err(format!(
                "`{key}` must be a size, not {}: write, for instance, \"64 MiB\"",
                a(other)
            )),
        };
        match parsed {
            Err(fault) => self.fault(at, fault),
            Ok(bytes) if bytes < *range.start() => {
                let least = format_size(*range.start());
                self.fault(at, format!("`{key}` must be at least {least}"));
            }
            Ok(bytes) if bytes > *range.end() => {
                let most = format_size(*range.end());
                self.fault(
                    at,
                    format!("`{key}` may be at most {most}: lower it, or raise `[max_limits] {key}`"),
                );
            }
            Ok(bytes) => *limit = bytes,
        }
    }

    fn chunks(&mut self, value: &Spanned<DeValue<'_>>, limit: &mut u32, max: u32) {
        let number = value.get_ref().as_integer().and_then(integer);
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(chunks) if (1..=max).contains(&chunks) => *limit = chunks,
            _ => self.fault(
                value.span().start,
                format!(
                    "`chunks` must be a number from 1 to {max}: change it, or raise `[max_limits] chunks`"
                ),
            ),
        }
    }

    fn object(&mut self, table: &DeTable<'_>) -> Map<String, Value> {
        table
            .iter()
            .map(|(key, value)| (key.get_ref().clone().into_owned(), self.json(value)))
            .collect()
    }

    /// Settings reach the plugin as JSON, which has no dates, no infinities and
    /// here no numbers beyond 64 bits.
    fn json(&mut self, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Array(items) => Value::Array(items.iter().map(|item| self.json(item)).collect()),
            DeValue::Table(table) => Value::Object(self.object(table)),
            DeValue::Integer(number) => integer(number).map_or_else(
                || self.no_json(value, "an integer beyond 64 bits"),
                |number| Value::Number(number.into()),
            ),
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map_or_else(
                    || self.no_json(value, "infinity, `nan` or too large a number"),
                    Value::Number,
                ),
        }
    }

    fn no_json(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Value {
        self.fault(
            value.span().start,
            format!("a setting cannot be {what}, since plugins read settings as JSON: write it as a string"),
        );
        Value::Null
    }
}

fn unknown_section(key: &str) -> String {
    format!(
        "`{}` is not known here: there are [grants], [limits] and [settings], and what the plugin itself reads belongs into [settings]",
        clip(key, 60)
    )
}

fn is_capability(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn a(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number without a unit",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
