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
