//! What a plugin keeps for one conversation, and what was said in it. Needs
//! `[grants] session = ["state"]`, or `"history"`, or both, in the plugin's own
//! `.toml`.
//!
//! ```
//! use segue_sdk::{prelude::*, session};
//!
//! fn count(_: Message, reply: &mut Reply) -> Result<()> {
//!     let mut count = 0;
//!     session::update("count", |kept| {
//!         count = 1 + kept.map(serde_json::from_slice::<u32>).transpose()?.unwrap_or(0);
//!         Ok(Some(serde_json::to_vec(&count)?))
//!     })?;
//!     reply.send(format!("That was your message number {count}."))
//! }
//!
//! use segue_sdk::test::{Call, FakeState};
//!
//! let state = FakeState::new();
//! Call::text("hello").state(state.clone()).run(count);
//! let run = Call::text("hello").state(state.clone()).run(count);
//! assert_eq!(run.text(), "That was your message number 2.");
//! assert_eq!(state.value("count"), Some(b"2".to_vec()));
//! ```
//!
//! Each plugin has state of its own in each session, and it goes with the
//! session: at most 64 keys, 64 bytes a key, 64 KiB a value, 256 KiB in all; past
//! that `state_full`. Other error codes: `capability_denied`, `no_session` (on
//! raw endpoints), `state_conflict`, `invalid_argument`.

pub use crate::bindings::segue::session::history::Turn;
pub use crate::bindings::segue::session::state::Entry;
use crate::{Error, Result, host};

/// How often [`update`] tries before it leaves the field to the others.
const TRIES: usize = 10;

/// What is kept under the key, with its version; `None` when nothing is.
pub fn get(key: &str) -> Result<Option<Entry>> {
    host::state::get(key).map_err(Error::from_host)
}

/// Replaces what is kept under the key, in one step, if it still is of version
/// `expected` (`None`: if there is nothing). A `value` of `None` removes it.
/// Returns the new version, 0 for a removal.
///
/// Fails with `state_conflict` when another call was faster: read again, or let
/// [`update`] do so.
pub fn swap(key: &str, value: Option<&[u8]>, expected: Option<u64>) -> Result<u64> {
    host::state::swap(key, value, expected).map_err(Error::from_host)
}

/// Makes the new value from the old one, again if another call was faster; after
/// 10 times `state_conflict`. `None` stands for nothing, before and after.
pub fn update(key: &str, mut change: impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>>) -> Result<()> {
    let mut tries = 1;
    loop {
        let kept = get(key)?;
        let value = change(kept.as_ref().map(|entry| entry.value.as_slice()))?;
        if kept.is_none() && value.is_none() {
            return Ok(());
        }
        match swap(key, value.as_deref(), kept.map(|entry| entry.version)) {
            Err(error) if error.code() == Error::STATE_CONFLICT && tries < TRIES => tries += 1,
            done => return done.map(drop),
        }
    }
}

/// The last finished turns of the conversation, whichever handlers answered, at
/// most `limit` and at most 1,000, the oldest first. The message that is being
/// answered is not among them.
///
/// ```
/// # use segue_sdk::{prelude::*, session, test};
/// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
/// for turn in session::history(10)? {
///     reply.send(format!("You said {:?}, I said {:?}. ", turn.user, turn.reply))?;
/// }
/// # Ok(()) }
/// # let run = test::Call::text("").history([("hi", "hello")]).run(answer);
/// # assert_eq!(run.text(), r#"You said "hi", I said "hello". "#);
/// ```
pub fn history(limit: u32) -> Result<Vec<Turn>> {
    host::history::recent(limit).map_err(Error::from_host)
}
