//! Counts and logs every answer under its route's template. The path as the
//! client wrote it is neither counted nor logged: it may hold a session's id.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, UPGRADE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use segue_runtime::trace::{Span, SpanKind};

use crate::limits::is_quiet;
use crate::state::App;
use crate::telemetry::TraceContext;
use crate::telemetry::metrics::{OTHER, method_label};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A handler that serves paths of the config names the one it served.
#[derive(Debug, Clone)]
pub(crate) struct Template(pub Arc<str>);

/// Middleware, outermost.
pub(crate) async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let trace = request
        .headers()
        .get(&TRACEPARENT)
        .and_then(|value| TraceContext::parse(value.to_str().ok()?));

    let mut span = begin(&app, &mut request, trace.is_some());

    let mut response = next.run(request).await;
    let took = began.elapsed();
    let template = response.extensions_mut().remove::<Template>();
    let route = match (&matched, &template) {
        (_, Some(template)) => &*template.0,
        (Some(path), None) => path.as_str(),
        (None, None) => OTHER,
    };
    app.metrics.http_answered(route, &method, response.status(), took);
    end(span.as_mut(), &method, route, response.status());
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

/// The request's span. What is done for it is told to be under that, except on
/// a socket that names no trace: there each message is a trace of its own.
fn begin(app: &App, request: &mut Request, continued: bool) -> Option<Span> {
    let path = request.uri().path();
    if !app.tracer.is_on() || is_quiet(path) {
        return None;
    }
    let headers = request.headers_mut();
    let above = headers.get(&TRACEPARENT).and_then(|value| value.to_str().ok());
    let span = app.tracer.begin(above, SpanKind::Server, || "HTTP".into());
    if (continued || !headers.contains_key(UPGRADE))
        && let Ok(under) = HeaderValue::try_from(span.scope().traceparent())
    {
        headers.insert(TRACEPARENT, under);
    }
    Some(span)
}

fn end(span: Option<&mut Span>, method: &Method, route: &str, status: StatusCode) {
    let Some(span) = span else { return };
    let method = method_label(method);
    span.rename(|| format!("{method} {route}").into());
    span.set(
        "http.request.method",
        if method == OTHER { "_OTHER" } else { method },
    );
    span.set_text("http.route", route);
    span.set("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.fail(status.as_u16().to_string());
    }
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
