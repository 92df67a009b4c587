//! What there is to tell of a conversation.

use std::time::Duration;

use serde_json::Value;

use super::frame::Part;

/// What `hello` said about the conversation so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Continuity {
    New,
    /// Nothing was missed.
    Whole,
    /// The same session, but frames are missing.
    Gaps,
    /// Another session: the host no longer knows the old one.
    Forgotten,
}

/// What there is to tell.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    Connected(Continuity),
    Text(String),
    /// The answer from its beginning, since what was written has a gap.
    Again(String),
    /// What was written of the answer is void.
    Void,
    /// What another handler said to the same message.
    Other {
        handler: String,
        text: String,
    },
    Status {
        handler: String,
        text: String,
    },
    Data {
        handler: String,
        data: Value,
    },
    Swapped {
        handler: String,
        version: String,
    },
    PartFailed {
        handler: String,
        code: String,
        message: String,
    },
    Done {
        parts: Vec<Part>,
        seq: u64,
        ms: f64,
        gap: bool,
    },
    Failed(Failure),
    /// Frames were dropped on the way.
    Dropped(u64),
    /// Something about the connection rather than a message.
    Warning(String),
}

/// How a message failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retryable: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    /// One that this client declares, not the host.
    pub(super) fn own(code: &str, message: String) -> Failure {
        Failure {
            code: code.to_owned(),
            message,
            retryable: false,
            retry_after: None,
        }
    }
}
