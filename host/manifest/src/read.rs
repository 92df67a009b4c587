//! Reads `plugin.toml`. Every fault is told at once, each with its place and its
//! mend; what is unknown is a fault, since it was meant to do something.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Build, Source};

const MAX_NAME_BYTES: usize = 64;
const MAX_VERSION_BYTES: usize = 64;
const MAX_DESCRIPTION_BYTES: usize = 1024;
const MAX_MTYPES: usize = 64;
const MAX_MTYPE_BYTES: usize = 64;
const ISOLATION: [&str; 4] = ["message", "session", "tenant", "shared"];

/// One thing that is wrong, and where: counted from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub column: usize,
    /// One sentence without a full stop.
    pub message: String,
    pub mend: String,
}

/// All that is wrong, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// In order.
    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    /// The report for `file`: per fault its place and message, and below its mend.
    pub fn report(&self, file: &str) -> String {
        let lines = self.0.iter().map(|fault| {
            let Fault {
                line,
                column,
                message,
                mend,
            } = fault;
            format!("{file}:{line}:{column}: {message}\n  mend: {mend}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report(crate::FILE))
    }
}

impl std::error::Error for Faults {}

/// `[a-z0-9][a-z0-9_-]{0,63}`, as the host takes it: safe in a path, a URL, a
/// metric and a config key.
pub fn is_plugin_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= MAX_NAME_BYTES
        && name.bytes().next().is_some_and(plain)
        && name
            .bytes()
            .all(|byte| plain(byte) || byte == b'_' || byte == b'-')
}

pub(crate) fn source(text: &str) -> Result<Source, Faults> {
    let mut reader = Reader {
        text,
        faults: Vec::new(),
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.fault(at, error.message().to_owned(), "write it as TOML wants it");
    }
    // A file that is no TOML is read as something else, whose faults are not the
    // author's.
    let source = match errors.is_empty() {
        true => reader.source(document.get_ref()),
        false => Source::default(),
    };
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| (fault.line, fault.column));
    match faults.is_empty() {
        true => Ok(source),
        false => Err(Faults(faults)),
    }
}

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

type Item<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn fault(&mut self, at: usize, message: String, mend: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        self.faults.push(Fault {
            line: 1 + before.matches('\n').count(),
            column: 1 + line.chars().count(),
            message,
            mend: mend.into(),
        });
    }

    fn source(&mut self, document: &DeTable<'_>) -> Source {
        let mut source = Source::default();
        let manifest = &mut source.manifest;
        for (key, value) in document {
            match key.get_ref().as_ref() {
                "name" => manifest.name = self.name(value),
                "version" => manifest.version = self.text("version", value, 1..=MAX_VERSION_BYTES),
                "description" => {
                    manifest.description = self.text("description", value, 0..=MAX_DESCRIPTION_BYTES);
                }
                "mtypes" => manifest.mtypes = self.mtypes(value),
                "isolation" => manifest.isolation = self.isolation(value),
                "build" => source.build = self.build(key.span().start, value),
                other => self.fault(
                    key.span().start,
                    format!("unknown key `{}`", clip(other)),
                    "there are name, version, description, mtypes, isolation and [build]",
                ),
            }
        }
        for (key, example) in [("name", "my-plugin"), ("version", "0.1.0")] {
            if !document.iter().any(|(known, _)| known.get_ref() == key) {
                self.fault(
                    0,
                    format!("there is no `{key}`"),
                    format!("add {key} = \"{example}\""),
                );
            }
        }
        source
    }

    fn name(&mut self, value: &Item<'_>) -> String {
        let name = self.text("name", value, 0..=usize::MAX);
        if value.get_ref().is_str() && !is_plugin_name(&name) {
            self.fault(
                value.span().start,
                format!("`{}` cannot be a plugin's name", clip(&name)),
                "use up to 64 of a-z, 0-9, `-` and `_`, and begin with a letter or digit",
            );
        }
        name
    }

    fn text(&mut self, key: &str, value: &Item<'_>, bytes: std::ops::RangeInclusive<usize>) -> String {
        let at = value.span().start;
        match value.get_ref().as_str() {
            Some(text) if bytes.contains(&text.len()) => text.to_owned(),
            Some("") => {
                self.fault(at, format!("`{key}` is empty"), "say something, or leave it out");
                String::new()
            }
            Some(_) => {
                let most = bytes.end();
                self.fault(at, format!("`{key}` is longer than {most} bytes"), "shorten it");
                String::new()
            }
            None => {
                self.fault(at, format!("`{key}` must be a string"), "put it in quotes");
                String::new()
            }
        }
    }

    /// A list of strings, each with its place.
    fn list(&mut self, key: &str, value: &Item<'_>, example: &str) -> Vec<(usize, String)> {
        let Some(items) = value.get_ref().as_array() else {
            let mend = format!("write, for instance, {key} = [\"{example}\"]");
            self.fault(value.span().start, format!("`{key}` must be a list"), mend);
            return Vec::new();
        };
        let texts = items
            .iter()
            .map(|item| (item.span().start, self.text(key, item, 1..=MAX_MTYPE_BYTES)));
        texts.filter(|(_, text)| !text.is_empty()).collect()
    }

    fn mtypes(&mut self, value: &Item<'_>) -> Vec<String> {
        let mtypes = self.list("mtypes", value, "chat");
        if mtypes.len() > MAX_MTYPES {
            self.fault(
                value.span().start,
                format!("`mtypes` has more than {MAX_MTYPES} entries"),
                "name those that matter: routes decide which it gets",
            );
        }
        mtypes.into_iter().map(|(_, mtype)| mtype).collect()
    }

    fn isolation(&mut self, value: &Item<'_>) -> Vec<String> {
        let mut scopes = Vec::new();
        for (at, scope) in self.list("isolation", value, "message") {
            match ISOLATION.contains(&scope.as_str()) {
                true => scopes.push(scope),
                false => self.fault(
                    at,
                    format!("`{}` is no isolation", clip(&scope)),
                    format!("there are {}", ISOLATION.join(", ")),
                ),
            }
        }
        scopes
    }

    fn build(&mut self, at: usize, value: &Item<'_>) -> Option<Build> {
        let Some(table) = value.get_ref().as_table() else {
            let mend = "write `[build]` on a line of its own";
            self.fault(at, "`build` must be a table".to_owned(), mend);
            return None;
        };
        let mut build = Build::default();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "command" => build.command = self.text("command", value, 1..=usize::MAX),
                "output" => build.output = self.text("output", value, 1..=usize::MAX),
                other => self.fault(
                    key.span().start,
                    format!("unknown key `{}` in [build]", clip(other)),
                    "there are command and output",
                ),
            }
        }
        let examples = [("command", "make"), ("output", "out/plugin.wasm")];
        for (key, example) in examples {
            if !table.iter().any(|(known, _)| known.get_ref() == key) {
                let mend = format!("add {key} = \"{example}\"");
                self.fault(at, format!("[build] has no `{key}`"), mend);
            }
        }
        Some(build)
    }
}

/// As much of a word as a message should repeat.
fn clip(word: &str) -> String {
    word.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    fn faults(text: &str) -> Vec<String> {
        let faults = source(text).unwrap_err();
        faults.report("p").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_whole_manifest_is_read() {
        let text = "name = \"sql-rag\"\nversion = \"0.1.0\"\ndescription = \"Answers.\"\n\
            mtypes = [\"chat\", \"ask\"]\nisolation = [\"message\", \"session\"]\n\
            [build]\ncommand = \"make\"\noutput = \"out/a.wasm\"\n";
        let source = source(text).unwrap();
        let json = r#"{"name":"sql-rag","version":"0.1.0","description":"Answers.","mtypes":["chat","ask"],"isolation":["message","session"]}"#;
        assert_eq!(source.manifest.json(), json);
        assert_eq!(source.build.unwrap().output, "out/a.wasm");
    }

    #[test]
    fn what_is_silent_is_left_out() {
        let source = source("name = \"a\"\nversion = \"1\"").unwrap();
        assert_eq!(source.manifest.json(), r#"{"name":"a","version":"1"}"#);
        assert_eq!(source.build, None);
        assert_eq!(Manifest::default().json(), r#"{"name":"","version":""}"#);
    }

    #[test]
    fn every_fault_is_told_with_its_place_and_mend() {
        let text = "nmae = \"a\"\nversion = 1\nmtypes = \"chat\"\n isolation = [\"none\", 2]\n[build]\ncomand = \"x\"";
        let told = faults(text);
        for line in [
            "p:1:1: there is no `name`",
            "  mend: add name = \"my-plugin\"",
            "p:1:1: unknown key `nmae`",
            "p:2:11: `version` must be a string",
            "p:3:10: `mtypes` must be a list",
            "  mend: write, for instance, mtypes = [\"chat\"]",
            "p:4:15: `none` is no isolation",
            "p:4:23: `isolation` must be a string",
            "p:5:2: [build] has no `command`",
            "p:5:2: [build] has no `output`",
            "p:6:1: unknown key `comand` in [build]",
        ] {
            assert!(told.iter().any(|known| known == line), "{line} in {told:#?}");
        }
        let broken = faults("name = \"a\nversion = \"1\"");
        assert_eq!(broken.len() % 2, 0);
        assert!(broken[0].starts_with("p:1:"), "{broken:?}");
    }

    #[test]
    fn names_are_the_hosts() {
        for good in ["a", "sql-rag_2", "7up", &"a".repeat(64)] {
            assert!(is_plugin_name(good), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a.b", "ä", "a/b", &"a".repeat(65)] {
            assert!(!is_plugin_name(bad), "{bad}");
            let told = faults(&format!("name = \"{bad}\"\nversion = \"1\""));
            assert!(told[0].contains("cannot be a plugin's name"), "{told:?}");
        }
    }
}
