//! What can be wrong with a configuration, and how it is told.
//!
//! Guarantees: every fault names its place (file, line and column, or the
//! variable), says what is wrong in one sentence and what mends it. No text
//! here carries a secret: the source that is quoted has secrets blanked out.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, LabeledSpan, NamedSource, SourceSpan};

/// Where a value, or a fault, stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the config file. `line` and `column` count from 1, in characters;
    /// `offset` and `length` are bytes.
    File {
        /// The file as the operator named it.
        file: Arc<str>,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// Bytes from the start of the file.
        offset: usize,
        /// Bytes.
        length: usize,
    },
    /// In a variable of the environment, or of the `.env` file when `dotenv`
    /// names one.
    Variable {
        /// As it is spelled there.
        name: String,
        /// The `.env` file that set it; `None` is the environment.
        dotenv: Option<PathBuf>,
    },
    /// A line of the `.env` file that is no assignment.
    DotEnv {
        /// The `.env` file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A key, dotted, that neither a file nor a variable set: the config was
    /// made in code.
    Key(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File {
                file, line, column, ..
            } => write!(f, "{file}:{line}:{column}"),
            Place::Variable { name, dotenv: None } => write!(f, "{name} (environment)"),
            Place::Variable {
                name,
                dotenv: Some(file),
            } => write!(f, "{name} ({})", file.display()),
            Place::DotEnv { file, line } => write!(f, "{}:{line}", file.display()),
            Place::Key(key) => f.write_str(key),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable name of the kind of fault, such as `unknown_key`.
    pub code: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  mend: {}", self.place, self.message, self.mend)
    }
}

impl std::error::Error for Fault {}

/// All that is wrong with one configuration, in the order of the file, then
/// the variables. Never empty.
#[derive(Clone, Debug)]
pub struct Faults {
    file: Arc<str>,
    /// The file's text with every secret blanked out.
    source: Arc<str>,
    list: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(file: Arc<str>, source: Arc<str>, mut list: Vec<Fault>) -> Self {
        list.sort_by(|a, b| a.place.cmp(&b.place));
        Faults { file, source, list }
    }

    /// The faults, in order.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// The report of all faults. `graphical` quotes the lines in colour, for a
    /// terminal; otherwise each fault is `file:line:column: message` and a
    /// line with its mend, which editors and CI can read.
    pub fn report(&self, graphical: bool) -> String {
        if !graphical {
            return self.to_string();
        }
        let handler = GraphicalReportHandler::new();
        let mut out = String::new();
        for fault in &self.list {
            let quoted = matches!(fault.place, Place::File { .. })
                .then(|| NamedSource::new(&self.file, Arc::clone(&self.source)));
            let shown = Shown { fault, quoted };
            if handler.render_report(&mut out, &shown).is_err() {
                // Writing into a string fails only if the renderer does.
                let _ = writeln!(out, "{fault}");
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{}", self.total());
        out
    }

    fn total(&self) -> String {
        match self.list.len() {
            1 => "1 fault".to_owned(),
            n => format!("{n} faults"),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.list {
            writeln!(f, "{fault}")?;
        }
        writeln!(f, "{}", self.total())
    }
}

impl std::error::Error for Faults {}

/// One fault, as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    fault: &'a Fault,
    quoted: Option<NamedSource<Arc<str>>>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault.place {
            Place::File { .. } => f.write_str(&self.fault.message),
            _ => write!(f, "{}: {}", self.fault.place, self.fault.message),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("config::{}", self.fault.code)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.fault.mend))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.quoted.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Place::File { offset, length, .. } = self.fault.place else {
            return None;
        };
        let span = SourceSpan::new(offset.into(), length);
        let label = LabeledSpan::new_with_span(Some("here".to_owned()), span);
        Some(Box::new(std::iter::once(label)))
    }
}
