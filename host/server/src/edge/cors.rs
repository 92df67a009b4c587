//! Answers to browsers whose page comes from another origin.
//!
//! Which origins those are was decided by the [`guard`](super::guard); what is
//! said here only lets the browser hand the answer to its page. It concerns
//! `/v1` alone: nothing else is meant to be read by pages of others.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};

use super::guard::Source;

const METHODS: &str = "GET, POST, DELETE";
const HEADERS: &str = "accept, authorization, content-type, idempotency-key, last-event-id, traceparent";
const EXPOSED: &str = "ratelimit, ratelimit-policy, retry-after, segue-session, x-circuit-state, \
    x-ratelimit-limit, x-ratelimit-provisioning-limit, x-ratelimit-provisioning-remaining, \
    x-ratelimit-remaining, x-ratelimit-reset";
/// Seconds that a browser may remember the answer.
const MAX_AGE: &str = "600";

/// Middleware, inside the guard.
pub(crate) async fn answer(request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    let foreign = request.extensions().get::<Source>() == Some(&Source::Foreign);
    let origin = request.headers().get(ORIGIN).cloned().filter(|_| foreign);
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, preflight) {
        (Some(_), true) => preflight_answer(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    response
}

fn preflight_answer() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
