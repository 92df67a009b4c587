//! Counts and logs every answer under its route's template. The path as the
//! client wrote it is neither counted nor logged: it may hold a session's id.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::state::App;
use crate::telemetry::TraceContext;
use crate::telemetry::metrics::OTHER;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A handler that serves paths of the config names the one it served.
#[derive(Debug, Clone)]
pub(crate) struct Template(pub Arc<str>);

/// Middleware, outermost.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let trace = request
        .headers()
        .get("traceparent")
        .and_then(|value| TraceContext::parse(value.to_str().ok()?));

    let mut response = next.run(request).await;
    let took = began.elapsed();
    let template = response.extensions_mut().remove::<Template>();
    let route = match (&matched, &template) {
        (_, Some(template)) => &*template.0,
        (Some(path), None) => path.as_str(),
        (None, None) => OTHER,
    };
    app.metrics.http_answered(route, &method, response.status(), took);
    tracing::debug!(
        %method,
        route,
        status = response.status().as_u16(),
        ms = segue_runtime::units::millis(took),
        trace_id = trace.map(|trace| tracing::field::display(trace.trace_id())),
        "answered"
    );
    protect(&mut response);
    response
}

/// No answer is guessed at, nor kept by a cache unless it says that it may; and
/// none is a page that another one frames or that loads anything, unless it has a
/// policy of its own.
fn protect(response: &mut Response) {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
