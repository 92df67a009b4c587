//! A session for tests: state with versions, and a history.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Call;
use crate::session::{Entry, Turn};

const MAX_KEYS: usize = 64;
const MAX_KEY_BYTES: usize = 64;
const MAX_VALUE_BYTES: usize = 64 << 10;
const MAX_STATE_BYTES: usize = 256 << 10;

/// The state behind [`Call::state`]. A clone is the same one: give it to several
/// calls and they are of one session.
#[derive(Debug, Clone, Default)]
pub struct FakeState {
    kept: Rc<RefCell<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<String, Entry>,
    /// The version given last.
    version: u64,
    /// How many swaps find that another call was faster.
    rivals: usize,
}

impl FakeState {
    /// Nothing kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this value under the key.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.kept.borrow_mut().put(key, value.into());
        self
    }

    /// Has another call write the same value just before each of the next
    /// `swaps`, so that they fail with `state_conflict`.
    #[must_use]
    pub fn with_rivals(self, swaps: usize) -> Self {
        self.kept.borrow_mut().rivals = swaps;
        self
    }

    /// What is kept under the key.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        let kept = self.kept.borrow();
        kept.entries.get(key).map(|entry| entry.value.clone())
    }
}

impl Kept {
    fn put(&mut self, key: &str, value: Vec<u8>) -> u64 {
        self.version += 1;
        let version = self.version;
        self.entries.insert(key.into(), Entry { value, version });
        version
    }

    /// Whether the value would go past a bound.
    fn overflows(&self, key: &str, value: &[u8]) -> bool {
        let others = self.entries.iter().filter(|(known, _)| *known != key);
        let (count, bytes) = others.fold((0, 0), |(count, bytes), (key, entry)| {
            (count + 1, bytes + key.len() + entry.value.len())
        });
        count >= MAX_KEYS
            || value.len() > MAX_VALUE_BYTES
            || bytes + key.len() + value.len() > MAX_STATE_BYTES
    }
}

impl Call {
    /// Grants `session = ["state"]`, with this state in the session.
    #[must_use]
    pub fn state(mut self, state: FakeState) -> Self {
        self.fake.state = Some(state);
        self
    }

    /// Grants `session = ["history"]`, with these finished turns (what the user
    /// said, what was replied), the oldest first.
    #[must_use]
    pub fn history(
        mut self,
        turns: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let turns = turns.into_iter().zip(1..).map(|((user, reply), n)| Turn {
            id: format!("m{n}"),
            user: user.into(),
            reply: reply.into(),
        });
        self.fake.history = Some(turns.collect());
        self
    }
}

/// In the place of `segue:session/state`.
pub(crate) mod state {
    use super::super::fake::{Fake, current};
    use super::super::grants::{denied, refusal};
    use super::{Entry, FakeState, MAX_KEY_BYTES};
    use crate::Error;
    use crate::bindings::segue::plugin::types;

    pub(crate) fn get(key: &str) -> Result<Option<Entry>, types::Error> {
        let state = granted("session.get", key)?;
        let kept = state.kept.borrow();
        Ok(kept.entries.get(key).cloned())
    }

    pub(crate) fn swap(key: &str, value: Option<&[u8]>, expected: Option<u64>) -> Result<u64, types::Error> {
        let state = granted("session.swap", key)?;
        let mut kept = state.kept.borrow_mut();
        if kept.rivals > 0 {
            kept.rivals -= 1;
            if let Some(entry) = kept.entries.remove(key) {
                kept.put(key, entry.value);
            }
            return Err(conflict());
        }
        if kept.entries.get(key).map(|entry| entry.version) != expected {
            return Err(conflict());
        }
        match value {
            None => {
                kept.entries.remove(key);
                Ok(0)
            }
            Some(value) if kept.overflows(key, value) => Err(refusal(
                Error::STATE_FULL,
                "the state is at its bound: at most 64 keys, 64 KiB a value, 256 KiB in all",
            )),
            Some(value) => Ok(kept.put(key, value.into())),
        }
    }

    fn conflict() -> types::Error {
        let error = Error::new(Error::STATE_CONFLICT, "another call changed it first");
        error.retryable().into_host()
    }

    fn granted(function: &str, key: &str) -> Result<FakeState, types::Error> {
        let state = current(|host| host.state.clone());
        let state = state.ok_or_else(|| denied(function, "state", ".state(..)"))?;
        current(|host| in_session(host))?;
        match key.len() {
            1..=MAX_KEY_BYTES => Ok(state),
            _ => Err(refusal(Error::INVALID_ARGUMENT, "a key is 1 to 64 bytes")),
        }
    }

    pub(super) fn in_session(host: &Fake) -> Result<(), types::Error> {
        match host.session {
            Some(_) => Ok(()),
            None => Err(refusal(Error::NO_SESSION, "a raw endpoint has no session")),
        }
    }
}

/// In the place of `segue:session/history`.
pub(crate) mod history {
    use super::super::fake::current;
    use super::super::grants::denied;
    use super::Turn;
    use super::state::in_session;
    use crate::bindings::segue::plugin::types;

    pub(crate) fn recent(limit: u32) -> Result<Vec<Turn>, types::Error> {
        current(|host| {
            let turns = host.history.as_ref();
            let turns = turns.ok_or_else(|| denied("session.recent", "history", ".history(..)"))?;
            in_session(host)?;
            let limit = usize::try_from(limit.min(1000)).unwrap_or(1000);
            let from = turns.len().saturating_sub(limit);
            Ok(turns.iter().skip(from).cloned().collect())
        })
    }
}
