//! Takes the whole body of a request in before its handler runs.
//!
//! Every body that the host reads is one small JSON document, so handlers need
//! not see it grow:
//! 1. one that is announced over `[server] max_frame` is refused unread (413);
//! 2. one that turns out so is refused when it does (413);
//! 3. one that is not there within `[server] body_timeout`, however steadily it
//!    drips, is refused (408).
//!
//! After any of these the connection is closed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use segue_protocol::{ErrorCode, RequestError};

use super::respond;
use crate::state::App;

/// Middleware, inside the guard.
pub(crate) async fn whole(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (limit, time) = {
        let now = app.snapshot();
        (now.config.server.max_frame, now.config.server.body_timeout)
    };
    let (head, body) = request.into_parts();
    match collect(body, limit, time).await {
        Ok(bytes) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Err(error) => respond::error(&error),
    }
}

async fn collect(body: Body, limit: usize, time: Duration) -> Result<Bytes, RequestError> {
    let too_large = || {
        RequestError::new(
            ErrorCode::TooLarge,
            format!("the body is over the {limit} bytes that `max_frame` under [server] allows"),
        )
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if is_length(error.as_ref()) => Err(too_large()),
        // The peer went away, or its chunks make no sense.
        Ok(Err(_)) => Err(RequestError::new(
            ErrorCode::InvalidMessage,
            "the body broke off or is malformed",
        )),
        Err(_) => Err(RequestError::new(
            ErrorCode::RequestTimeout,
            format!(
                "the body was not there whole within {}",
                humantime::format_duration(time)
            ),
        )),
    }
}

fn is_length(error: &(dyn Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_length)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::{self, StreamExt};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_body_within_its_bound_arrives_whole() {
        let pieces = stream::iter(["ab", "cd"]).map(Ok::<_, Infallible>);
        assert_eq!(
            collect(Body::from_stream(pieces), 4, SECOND).await.unwrap(),
            "abcd"
        );
    }

    #[tokio::test]
    async fn one_over_it_is_refused_whether_announced_or_not() {
        let announced = collect(Body::from("abcde"), 4, SECOND).await.unwrap_err();
        assert_eq!(announced.code, ErrorCode::TooLarge);
        let pieces = stream::iter(["ab", "cde"]).map(Ok::<_, Infallible>);
        let found = collect(Body::from_stream(pieces), 4, SECOND).await.unwrap_err();
        assert_eq!(found.code, ErrorCode::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_drips_runs_out_of_time() {
        let drips = stream::iter(0..).then(|_| async {
            tokio::time::sleep(SECOND).await;
            Ok::<_, Infallible>("x")
        });
        let began = tokio::time::Instant::now();
        let error = collect(Body::from_stream(drips), 1000, 10 * SECOND)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::RequestTimeout);
        assert!(began.elapsed() < 11 * SECOND);
    }
}
