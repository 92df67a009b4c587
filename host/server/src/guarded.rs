//! What stands around a handler, and what the end of a call says of it.
//!
//! The breaker of a handler is off unless the configuration has `breaker = true`
//! for it: calls share nothing but the handler's code, so a crash of one says
//! little about the next, and a client who knows how to provoke crashes must not
//! close the handler to everybody. With it:
//!
//! | the call ended | counts as |
//! |---|---|
//! | well | success |
//! | with the handler's own error about the question, such as `query_invalid` | success |
//! | in a trap, without stack, memory or a word, or past a bound of its reply | failure |
//! | with any other error of its own | failure |
//! | at its deadline, having had a fair time (a second, or half its own) | failure |
//! | at its deadline, having had less; because its client left, or does not read | neither |
//! | with the error of what it asked, which has a breaker of its own | neither |

use std::time::Duration;

use segue_protocol::{ErrorCode, RequestError};
use segue_resilience::{Admission, Refused, Repeat, Verdict};
use segue_runtime::CallError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::state::App;

/// Less time than this is no fair time for a call.
const FAIR: Duration = Duration::from_secs(1);

/// As [`segue_resilience::Guards`] name it.
pub const KIND: &str = "handler";

/// A place for a call of `handler`, which may take `allowed`; and how long it may
/// take then. Its own limit comes first, so that what is over it waits for nothing.
pub async fn admit(
    app: &App,
    handler: &str,
    allowed: Duration,
    cancel: &CancellationToken,
) -> Result<(Admission, Duration), RequestError> {
    if let Some(limit) = app.snapshot().handler_limits.get(handler) {
        app.limits.handler(handler, *limit)?;
    }
    let guard = app.guards.get(KIND, handler);
    let since = Instant::now();
    let admission = tokio::select! {
        biased;
        admission = guard.admit(Some(since + allowed)) => admission,
        () = cancel.cancelled() => {
            return Err(RequestError::new(ErrorCode::Cancelled, "cancelled"));
        }
    };
    let admission = admission.map_err(|why| refused(handler, why))?;
    let left = allowed.saturating_sub(since.elapsed());
    let most = guard.policy().timeout.map_or(left, |most| most.min(left));
    Ok((admission, most))
}

fn refused(handler: &str, why: Refused) -> RequestError {
    match why {
        Refused::Open { retry_after } => RequestError::new(
            ErrorCode::CircuitOpen,
            format!("the handler {handler} failed lately and is left alone for a while"),
        )
        .retry_after_ms(millis(retry_after)),
        Refused::Full => RequestError::new(
            ErrorCode::Overloaded,
            format!("the handler {handler} runs as many calls as it may, and as many wait"),
        )
        .retry_after_ms(1_000),
        Refused::TooLate | Refused::TimedOut { .. } => RequestError::new(
            ErrorCode::DeadlineExceeded,
            format!("the deadline was over before {handler} had a place free"),
        ),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// What the end of a call says of its handler, which had `ran` of the time that
/// is its `own`.
pub fn verdict(result: &Result<(), CallError>, ran: Duration, own: Duration) -> Verdict {
    let failure = Verdict::Failure {
        repeat: Repeat::Never,
    };
    match result {
        Ok(()) => Verdict::Success,
        Err(CallError::DeadlineExceeded { .. }) if ran >= FAIR.min(own / 2) => failure,
        Err(
            CallError::DeadlineExceeded { .. }
            | CallError::ClientGone
            | CallError::Cancelled
            | CallError::Overloaded { .. }
            | CallError::Internal { .. },
        ) => Verdict::Neither,
        Err(CallError::Handler(own)) => ErrorCode::parse(&own.code).map_or(failure, |code| {
            if is_of_a_dependency(code) {
                Verdict::Neither
            } else if code.http_status() < 500 {
                Verdict::Success
            } else {
                failure
            }
        }),
        Err(
            CallError::Trapped { .. }
            | CallError::StackExhausted
            | CallError::MemoryExceeded { .. }
            | CallError::ReplyTooLarge { .. }
            | CallError::TooManyChunks { .. }
            | CallError::EmptyReply,
        ) => failure,
    }
}

/// Said by what a handler asked.
fn is_of_a_dependency(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CircuitOpen
            | ErrorCode::Overloaded
            | ErrorCode::RateLimited
            | ErrorCode::BudgetExceeded
            | ErrorCode::QueryTimeout
            | ErrorCode::StoreUnavailable
            | ErrorCode::UpstreamUnavailable
            | ErrorCode::UpstreamTimeout
            | ErrorCode::UpstreamRateLimited
            | ErrorCode::UpstreamRejected
            | ErrorCode::UpstreamFailed
            | ErrorCode::Cancelled
            | ErrorCode::ClientGone
    )
}

#[cfg(test)]
mod tests {
    use segue_runtime::HandlerError;

    use super::*;

    #[test]
    fn each_row_of_the_table() {
        let (ran, own) = (Duration::from_secs(1), Duration::from_secs(30));
        let failure = Verdict::Failure {
            repeat: Repeat::Never,
        };
        let own_error = |code: &str| {
            CallError::Handler(HandlerError {
                code: code.into(),
                ..HandlerError::default()
            })
        };
        let late = CallError::DeadlineExceeded { deadline: own };
        for (error, expected) in [
            (own_error("query_invalid"), Verdict::Success),
            (CallError::StackExhausted, failure),
            (CallError::EmptyReply, failure),
            (CallError::TooManyChunks { limit: 1 }, failure),
            (own_error("out_of_stock"), failure),
            (late.clone(), failure),
            (CallError::Cancelled, Verdict::Neither),
            (CallError::ClientGone, Verdict::Neither),
            (own_error("upstream_failed"), Verdict::Neither),
            (own_error("circuit_open"), Verdict::Neither),
        ] {
            assert_eq!(verdict(&Err(error.clone()), ran, own), expected, "{error}");
        }
        assert_eq!(verdict(&Ok(()), ran, own), Verdict::Success);
        let little = Duration::from_millis(999);
        assert_eq!(verdict(&Err(late.clone()), little, own), Verdict::Neither);
        let short = Duration::from_millis(200);
        assert_eq!(verdict(&Err(late), Duration::from_millis(100), short), failure);
    }
}
