//! Why a database did not answer, as a plugin is told. What only the operator
//! should know, such as where a file lies, goes to the log instead.

use std::time::Duration;

use segue_resilience::flight::Lost;
use segue_resilience::{Judged, Repeat, Verdict};
use segue_runtime::HandlerError;

/// When to come back to a database that cannot be read now.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);
/// When to come back once as many queries wait as may.
const OVERLOADED_RETRY: Duration = Duration::from_millis(200);

/// What went wrong; the text is for the plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The call itself is wrong, whatever the database holds.
    #[error("{0}")]
    Argument(String),
    /// The database does not understand the statement, or it asks for more than
    /// one may hold.
    #[error("{0}")]
    Invalid(String),
    /// The statement would do more than read.
    #[error("{0}")]
    Forbidden(String),
    #[error("the query did not end within its {}: ask for less, or narrow it", humantime::format_duration(*.0))]
    TimedOut(Duration),
    #[error("the database `{database}` cannot be read now: {reason}")]
    Unavailable { database: String, reason: &'static str },
    /// It could not be read lately; nobody asks it for a while.
    #[error("the database `{database}` could not be read lately and is left alone for {}", humantime::format_duration(whole(*.retry_after)))]
    LeftAlone { database: String, retry_after: Duration },
    #[error("the database `{0}` answers as many queries as it may, and as many wait: try again")]
    Overloaded(String),
    /// Nobody waits for the answer any more.
    #[error("the query was dropped")]
    Dropped,
}

impl Error {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Argument(_) => "invalid_argument",
            Error::Invalid(_) => "query_invalid",
            Error::Forbidden(_) => "query_forbidden",
            Error::TimedOut(_) => "query_timeout",
            Error::Unavailable { .. } => "store_unavailable",
            Error::LeftAlone { .. } => "circuit_open",
            Error::Overloaded(_) => "overloaded",
            Error::Dropped => "cancelled",
        }
    }

    fn retry(&self) -> (bool, Option<Duration>) {
        match self {
            Error::Unavailable { .. } => (true, Some(UNAVAILABLE_RETRY)),
            Error::LeftAlone { retry_after, .. } => (true, Some(*retry_after)),
            Error::Overloaded(_) => (true, Some(OVERLOADED_RETRY)),
            Error::TimedOut(_) => (true, None),
            _ => (false, None),
        }
    }
}

/// What nobody works on any more.
impl From<Lost> for Error {
    fn from(_: Lost) -> Error {
        Error::Dropped
    }
}

/// To the millisecond, as people are told.
fn whole(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// What an error says of the database.
impl Judged for Error {
    fn verdict(&self) -> Verdict {
        match self {
            // It has read the statement.
            Error::Invalid(_) | Error::Forbidden(_) => Verdict::Success,
            Error::Unavailable { .. } => Verdict::Failure {
                repeat: Repeat::Never,
            },
            // One plugin's slow statements must not close the database to others.
            Error::TimedOut(_) => Verdict::Neither,
            Error::Argument(_) | Error::LeftAlone { .. } | Error::Overloaded(_) | Error::Dropped => {
                Verdict::Neither
            }
        }
    }
}

impl From<Error> for HandlerError {
    fn from(error: Error) -> HandlerError {
        let (retryable, after) = error.retry();
        HandlerError {
            code: error.code().to_owned(),
            message: error.to_string(),
            retryable,
            retry_after_ms: after.and_then(|after| u64::try_from(after.as_millis()).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_worth_another_try_and_what_may_not_is_none() {
        let unavailable = Error::Unavailable {
            database: String::from("shop"),
            reason: "it is being written",
        };
        for (error, retryable, after) in [
            (unavailable, true, Some(1000)),
            (Error::Overloaded(String::from("shop")), true, Some(200)),
            (Error::TimedOut(Duration::from_millis(1500)), true, None),
            (Error::Invalid(String::new()), false, None),
            (Error::Forbidden(String::new()), false, None),
        ] {
            let told = HandlerError::from(error.clone());
            assert_eq!(
                (told.retryable, told.retry_after_ms),
                (retryable, after),
                "{error}"
            );
            assert_eq!(
                (told.code.as_str(), told.message),
                (error.code(), error.to_string())
            );
        }
    }
}
