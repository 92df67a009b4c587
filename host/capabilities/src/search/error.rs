//! Why a search or a document is refused, and what a plugin sees of it.

use std::time::Duration;

use segue_resilience::flight::Lost;
use segue_resilience::{Judged, Repeat, Verdict};
use segue_runtime::HandlerError;

/// Why a call of this capability fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(
        "there is no index `{0}`: add [search.{0}] with the path of its folder to the host's configuration"
    )]
    UnknownIndex(String),

    #[error("the index `{0}` is still being read for the first time: try again in a moment")]
    Reading(String),

    #[error("the folder of the index `{index}` cannot be read: {reason}")]
    FolderGone { index: String, reason: String },

    #[error("the index `{index}` failed lately and is left alone for a while: try again later")]
    LeftAlone { index: String, retry_after: Duration },

    #[error("the search of the index `{0}` did not end in time")]
    TimedOut(String),

    #[error("too many searches of the index `{0}` are waiting: try again in a moment")]
    Overloaded(String),

    #[error("this plugin has its share of the index `{index}`, {most} searches: try again in a moment")]
    Share { index: String, most: usize },

    #[error("this call holds {0} searches, which is as many as one may: drop one first")]
    Held(usize),

    #[error("the text to search for has {bytes} bytes, more than the {limit} allowed: ask with fewer words")]
    TextTooLong { bytes: usize, limit: usize },

    #[error("the index `{index}` has no document `{path}`")]
    NoDocument { index: String, path: String },

    #[error(
        "the documents of the index `{0}` are not served: set `serve = true` in [search.{0}] to allow it"
    )]
    NotServed(String),

    #[error("the search was given up")]
    Cancelled,

    #[error("the index cannot answer: {0}")]
    Internal(String),
}

impl Error {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::UnknownIndex(_) | Error::Reading(_) | Error::FolderGone { .. } | Error::Internal(_) => {
                "store_unavailable"
            }
            Error::Overloaded(_) | Error::Share { .. } | Error::Held(_) => "overloaded",
            Error::TextTooLong { .. } | Error::NoDocument { .. } | Error::NotServed(_) => "invalid_argument",
            Error::LeftAlone { .. } => "circuit_open",
            Error::TimedOut(_) => "query_timeout",
            Error::Cancelled => "cancelled",
        }
    }

    /// Whether the same call may do better later, and after how long.
    fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Error::LeftAlone { retry_after, .. } => u64::try_from(retry_after.as_millis()).ok(),
            Error::Reading(_) | Error::FolderGone { .. } | Error::TimedOut(_) => Some(1_000),
            Error::Overloaded(_) | Error::Share { .. } | Error::Held(_) => Some(100),
            _ => None,
        }
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Error {
        Error::Internal(lost.to_string())
    }
}

/// What an error says of the index.
impl Judged for Error {
    fn verdict(&self) -> Verdict {
        match self {
            Error::Internal(_) | Error::FolderGone { .. } | Error::TimedOut(_) => Verdict::Failure {
                repeat: Repeat::Never,
            },
            _ => Verdict::Neither,
        }
    }
}

impl From<Error> for HandlerError {
    fn from(error: Error) -> HandlerError {
        let retry_after_ms = error.retry_after_ms();
        HandlerError {
            code: error.code().to_owned(),
            retryable: retry_after_ms.is_some(),
            message: match error {
                // What is wrong with the disk or inside the host is for the
                // operator, who finds it in the log.
                Error::FolderGone { index, .. } => {
                    format!("the folder of the index `{index}` cannot be read")
                }
                Error::Internal(_) => "the index cannot answer".to_owned(),
                other => other.to_string(),
            },
            retry_after_ms,
        }
    }
}
