//! When a pair of files is quiet enough to be read: a state machine over events
//! and instants, without files and without a clock of its own.
//!
//! - A file that was closed after writing, or renamed into place, is ready at
//!   once.
//! - A file that was written to and not closed since waits for its close, at
//!   most [`WRITE_WAIT`] after the last write: some writers never close.
//! - Anything else (created, removed, touched, found changed without events)
//!   waits until nothing has happened to it for the settle time.
//! - A pair is due when both its files are. A busy pair (being read or loaded)
//!   is never due; what happens to it meanwhile waits for [`Settle::release`].

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::name::Part;

/// How long a file that is being written may stay unclosed.
pub(super) const WRITE_WAIT: Duration = Duration::from_secs(10);

/// Whether the system tells when a written file is closed.
pub(super) const CLOSES_ARE_TOLD: bool = cfg!(target_os = "linux");

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Created,
    Written,
    /// Closed by someone who could write to it.
    Closed,
    /// Renamed into place: whole by the mover's word.
    Placed,
    /// Its metadata changed, or nobody knows what did.
    Touched,
    /// Removed, or renamed away.
    Gone,
}

/// One file's part in the decision: from when on it may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calm {
    Quiet,
    Ready(Instant),
    Stirring(Instant),
    Writing(Instant),
}

impl Calm {
    fn due(self) -> Option<Instant> {
        match self {
            Self::Quiet => None,
            Self::Ready(at) | Self::Stirring(at) | Self::Writing(at) => Some(at),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    wasm: Calm,
    toml: Calm,
    /// Someone said that a file is complete: read it even if it looks the same.
    certain: bool,
    busy: bool,
}

impl Pair {
    const QUIET: Self = Self {
        wasm: Calm::Quiet,
        toml: Calm::Quiet,
        certain: false,
        busy: false,
    };

    fn due(&self) -> Option<Instant> {
        // `None` sorts first, so this is the later of the two.
        self.wasm.due().max(self.toml.due())
    }
}

/// A pair to be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) name: String,
    /// An event said that it is complete: what it looks like does not matter.
    pub(super) certain: bool,
}

/// All pairs that something happened to.
pub(super) struct Settle {
    settle: Duration,
    closes_are_told: bool,
    max_pairs: usize,
    pairs: BTreeMap<String, Pair>,
}

impl Settle {
    /// Follows at most `max_pairs` pairs at once.
    pub(super) fn new(settle: Duration, closes_are_told: bool, max_pairs: usize) -> Self {
        Self {
            settle,
            closes_are_told,
            max_pairs,
            pairs: BTreeMap::new(),
        }
    }

    /// Takes note of an event. False when there are too many pairs to follow
    /// this one too: the folder must be scanned instead.
    pub(super) fn happened(&mut self, name: &str, part: Part, what: Happened, now: Instant) -> bool {
        let (settle, closes_are_told) = (self.settle, self.closes_are_told);
        let Some(pair) = self.pair(name) else {
            return false;
        };
        let file = match part {
            Part::Wasm => &mut pair.wasm,
            Part::Toml => &mut pair.toml,
        };
        *file = match (what, *file) {
            (Happened::Closed | Happened::Placed, _) => Calm::Ready(now),
            (Happened::Written, _) if closes_are_told => Calm::Writing(now + WRITE_WAIT),
            (Happened::Touched, Calm::Writing(_) | Calm::Ready(_)) => *file,
            _ => Calm::Stirring(now + settle),
        };
        pair.certain |= matches!(what, Happened::Closed | Happened::Placed);
        true
    }

    /// A scan found the pair changed, without an event that says so. With
    /// `at_once` it is due now unless it is being written, else when it has been
    /// let alone for the settle time.
    pub(super) fn found(&mut self, name: &str, at_once: bool, now: Instant) -> bool {
        let settle = self.settle;
        let Some(pair) = self.pair(name) else {
            return false;
        };
        for file in [&mut pair.wasm, &mut pair.toml] {
            *file = match *file {
                Calm::Writing(until) => Calm::Writing(until),
                _ if at_once => Calm::Stirring(now),
                Calm::Quiet => Calm::Stirring(now + settle),
                waiting => waiting,
            };
        }
        true
    }

    /// The pair was not fit to be read (changed under the reader, or empty):
    /// another settle time.
    pub(super) fn postpone(&mut self, name: &str, now: Instant) {
        let until = now + self.settle;
        if let Some(pair) = self.pair(name)
            && pair.due().is_none()
        {
            pair.wasm = Calm::Stirring(until);
        }
    }

    /// When the next pair will be due, if nothing happens until then.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.pairs
            .values()
            .filter(|pair| !pair.busy)
            .filter_map(Pair::due)
            .min()
    }

    /// The pairs that are due. They are busy from now on.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (name, pair) in &mut self.pairs {
            if pair.busy || pair.due().is_none_or(|at| at > now) {
                continue;
            }
            due.push(Due {
                name: name.clone(),
                certain: pair.certain,
            });
            *pair = Pair {
                busy: true,
                ..Pair::QUIET
            };
        }
        due
    }

    /// A pair that was taken has been dealt with.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(pair) = self.pairs.get_mut(name) {
            pair.busy = false;
            if pair.due().is_none() {
                self.pairs.remove(name);
            }
        }
    }

    pub(super) fn is_busy(&self, name: &str) -> bool {
        self.pairs.get(name).is_some_and(|pair| pair.busy)
    }

    /// Whether the pair waits to be read (again).
    pub(super) fn is_waiting(&self, name: &str) -> bool {
        self.pairs.get(name).is_some_and(|pair| pair.due().is_some())
    }

    fn pair(&mut self, name: &str) -> Option<&mut Pair> {
        if !self.pairs.contains_key(name) {
            if self.pairs.len() >= self.max_pairs {
                return None;
            }
            self.pairs.insert(name.to_owned(), Pair::QUIET);
        }
        self.pairs.get_mut(name)
    }
}

#[cfg(test)]
mod tests;
