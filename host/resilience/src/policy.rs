//! What is decided about one dependency or handler, and how its answers are
//! judged.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{breaker, bulkhead, retry};

/// Which one: `llm.main`, `handler.chat`, `http.https://api.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub kind: &'static str,
    /// Empty where there is one of its kind.
    pub name: Arc<str>,
}

impl Key {
    pub fn new(kind: &'static str, name: &str) -> Key {
        Key {
            kind,
            name: name.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.is_empty() {
            true => f.write_str(self.kind),
            false => write!(f, "{}.{}", self.kind, self.name),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// All that is decided about one key. The default lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Policy {
    /// How long one attempt may take, its wait in the queue not counted.
    pub timeout: Option<Duration>,
    pub breaker: Option<breaker::Settings>,
    pub bulkhead: Option<bulkhead::Settings>,
    pub retry: retry::Settings,
}

/// Where policies come from.
pub trait Policies: Send + Sync {
    fn of(&self, key: &Key) -> Policy;
}

/// The same policy for everything.
impl Policies for Policy {
    fn of(&self, _: &Key) -> Policy {
        self.clone()
    }
}

/// What the end of an attempt says about the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did its work; also where the answer is that the question was wrong.
    Success,
    /// It failed.
    Failure { repeat: Repeat },
    /// Nothing: the caller left, or nothing was ever sent.
    Neither,
}

/// Whether the same attempt may be made again, where the work is safe to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Never,
    /// After the usual backoff.
    Soon,
    /// Not before the dependency said.
    After(Duration),
}

/// An error that knows what it says about the dependency.
pub trait Judged {
    fn verdict(&self) -> Verdict;
}
