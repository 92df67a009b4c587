//! How a handler fails.

use std::fmt;
use std::time::Duration;

use crate::bindings::segue::plugin::types;

/// What a handler returns, and what the functions of [`Reply`](crate::Reply) do.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a message could not be answered.
///
/// A code of the host's catalogue of request errors (`invalid_argument`,
/// `upstream_failed`, ...) reaches the client as it is; any other arrives as
/// `handler_failed` with this code beside it.
///
/// `?` turns every [`std::error::Error`] into one. Its text may tell things that
/// are no business of the client's, so it goes to the host's log, and the client
/// reads "the handler failed":
///
/// ```
/// use segue_sdk::prelude::*;
///
/// fn answer(message: Message, reply: &mut Reply) -> Result<()> {
///     let number: i64 = message.text().parse()?;
///     let half = number.checked_div(2).ok_or_else(|| Error::new("overflow", "too much"))?;
///     reply.send(half.to_string())
/// }
///
/// let run = segue_sdk::test::call(answer, "twelve");
/// let error = run.result.unwrap_err();
/// assert_eq!(error.code(), "handler_failed");
/// assert_eq!(error.message(), "the handler failed");
/// assert_eq!(error.detail(), Some("invalid digit found in string"));
/// ```
// Not a `std::error::Error` itself: the conversion above would collide with the
// one that every type has into itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: String,
    message: String,
    detail: Option<String>,
    retryable: bool,
    retry_after: Option<Duration>,
}

impl Error {
    /// The code of an error that was made from somebody else's by `?`.
    pub const HANDLER_FAILED: &'static str = "handler_failed";
    /// An argument is outside what the function states.
    pub const INVALID_ARGUMENT: &'static str = "invalid_argument";
    /// The operator has not granted this; the message has the line that would.
    pub const CAPABILITY_DENIED: &'static str = "capability_denied";
    /// As much runs at once as may.
    pub const OVERLOADED: &'static str = "overloaded";
    /// What is kept there cannot be opened, read or written now.
    pub const STORE_UNAVAILABLE: &'static str = "store_unavailable";
    /// The database cannot make sense of the statement.
    pub const QUERY_INVALID: &'static str = "query_invalid";
    /// The statement does more than read.
    pub const QUERY_FORBIDDEN: &'static str = "query_forbidden";
    /// The query was interrupted at its bound of time.
    pub const QUERY_TIMEOUT: &'static str = "query_timeout";
    /// Another call changed the value first.
    pub const STATE_CONFLICT: &'static str = "state_conflict";
    /// What may be kept is at its bound.
    pub const STATE_FULL: &'static str = "state_full";
    /// Raw endpoints have no session.
    pub const NO_SESSION: &'static str = "no_session";
    /// A server outside refused, or broke before its answer.
    pub const UPSTREAM_UNAVAILABLE: &'static str = "upstream_unavailable";
    /// A server outside was silent for too long.
    pub const UPSTREAM_TIMEOUT: &'static str = "upstream_timeout";
    /// A server outside has had enough for now.
    pub const UPSTREAM_RATE_LIMITED: &'static str = "upstream_rate_limited";
    /// A server outside would not have this request.
    pub const UPSTREAM_REJECTED: &'static str = "upstream_rejected";
    /// A server outside broke off, or made no sense.
    pub const UPSTREAM_FAILED: &'static str = "upstream_failed";

    /// An error with a stable `code` for programs and a `message` for the
    /// client's eyes. Not retryable until it is said to be.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            detail: None,
            retryable: false,
            retry_after: None,
        }
    }

    /// Says that the same message may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Says that the same message may succeed after `wait`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self.retryable()
    }

    /// Adds what only the host's log is to know.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What the client reads.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What only the log is told.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Whether the same message may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// How long to wait before trying again, where known.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn from_host(error: types::Error) -> Self {
        Self {
            code: error.code,
            message: error.message,
            detail: None,
            retryable: error.retryable,
            retry_after: error.retry_after_ms.map(Duration::from_millis),
        }
    }

    pub(crate) fn into_host(self) -> types::Error {
        types::Error {
            code: self.code,
            message: self.message,
            retryable: self.retryable,
            retry_after_ms: self
                .retry_after
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            detail.push_str(": ");
            detail.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(Self::HANDLER_FAILED, "the handler failed").with_detail(detail)
    }
}
