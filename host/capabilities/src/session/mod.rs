//! `segue:session`: what a plugin keeps for one conversation, and what was said
//! in it.
//!
//! ```text
//! state.rs   the values, bounded, replaced only by who has seen them last
//! guest.rs   the functions that guests call
//! ```
//!
//! A session belongs to the host's server, which brings the one that a call is
//! about along as [`Current`]. A raw endpoint has none.

mod guest;
mod state;

use std::sync::Arc;

use segue_runtime::HandlerError;

pub use guest::Session;
pub use state::{Entry, States};

/// What can be granted: the plugin's own state, and the conversation so far.
pub const SCOPES: [&str; 2] = ["state", "history"];

/// The longest history that a plugin can ask for.
pub const MAX_TURNS: usize = 1_000;

/// The conversation that a call belongs to.
pub trait Conversation: Send + Sync {
    /// What `plugin` keeps under `key`.
    fn get(&self, plugin: &str, key: &str) -> Result<Option<Entry>, SessionError>;

    /// Replaces it in one step if it still is of version `expected` (`None`: if
    /// nothing is kept). `None` for the value removes it. Returns the new
    /// version, 0 for a removal.
    fn swap(
        &self,
        plugin: &str,
        key: &str,
        value: Option<Vec<u8>>,
        expected: Option<u64>,
    ) -> Result<u64, SessionError>;

    /// The last `limit` finished turns, the oldest first.
    fn recent(&self, limit: usize) -> Vec<Turn>;
}

/// A message and all that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The message's.
    pub id: String,
    pub user: String,
    /// Of all handlers; of an answer that failed, what was said before.
    pub reply: String,
}

/// The service: the conversation of one call.
pub struct Current(pub Arc<dyn Conversation>);

/// Why the session did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("another call was faster: read the value again and decide anew")]
    Conflict,
    #[error("a plugin keeps at most {} keys in a session", state::MAX_KEYS)]
    TooManyKeys,
    #[error("a plugin keeps at most {} KiB in a session", state::MAX_BYTES / 1024)]
    TooManyBytes,
    #[error("a value has at most {} KiB", state::MAX_VALUE_BYTES / 1024)]
    ValueTooLarge,
    #[error("a key has 1 to {} bytes", state::MAX_KEY_BYTES)]
    BadKey,
    #[error("there is no session here: raw endpoints have none")]
    None,
    #[error("the session was erased")]
    Erased,
}

impl From<SessionError> for HandlerError {
    fn from(error: SessionError) -> HandlerError {
        let (code, retryable) = match error {
            SessionError::Conflict => ("state_conflict", true),
            SessionError::TooManyKeys | SessionError::TooManyBytes | SessionError::ValueTooLarge => {
                ("state_full", false)
            }
            SessionError::BadKey => ("invalid_argument", false),
            SessionError::None | SessionError::Erased => ("no_session", false),
        };
        HandlerError {
            code: String::from(code),
            message: error.to_string(),
            retryable,
            retry_after_ms: None,
        }
    }
}
