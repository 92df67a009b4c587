//! What a trace tells of a request: one span from the asking to the answer's
//! head, by OpenTelemetry's conventions for HTTP clients. Paths, queries and
//! headers are the plugin's words and are not in it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use segue_runtime::trace::{Scope, Span, SpanKind, TraceContext};

use super::body::Received;
use super::failure::Failure;
use super::origin::{Origin, Scheme};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(super) fn span(under: &Scope, method: &Method, origin: &Origin) -> Span {
    let method = known(method);
    let mut span = under.child(SpanKind::Client, || method.unwrap_or("HTTP").into());
    if span.is_taken() {
        span.set("http.request.method", method.unwrap_or("_OTHER"));
        span.set("server.address", origin.host.to_string());
        span.set("server.port", origin.port);
        span.set(
            "url.scheme",
            match origin.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            },
        );
    }
    span
}

/// Tells the origin which span its own are under. A plugin that is in another
/// trace on purpose keeps that.
pub(super) fn hand_on(call: &Scope, span: &Span, headers: &mut HeaderMap) {
    let Some(ours) = call.context() else { return };
    let said = headers.get(&TRACEPARENT).and_then(|said| said.to_str().ok());
    let theirs = said.and_then(TraceContext::parse);
    if theirs.is_some_and(|theirs| theirs.trace() != ours.trace()) {
        return;
    }
    if let Ok(ours) = HeaderValue::try_from(span.scope().traceparent()) {
        headers.insert(TRACEPARENT, ours);
    }
}

pub(super) fn answered(span: &mut Span, answer: &Result<Response<Received>, Failure>) {
    match answer {
        Ok(answer) => {
            let status = answer.status();
            span.set("http.response.status_code", status.as_u16());
            if status.is_client_error() || status.is_server_error() {
                span.fail(status.as_u16().to_string());
            }
        }
        Err(failure) => span.fail(code(failure)),
    }
}

/// What kind of failure it is: its text may name what a plugin asked for.
pub(super) fn code(failure: &Failure) -> &'static str {
    match failure {
        Failure::LeftAlone(_) => "circuit_open",
        Failure::Busy(_) | Failure::PluginBusy(_) | Failure::CallBusy(_) | Failure::Waiting => "overloaded",
        Failure::Prohibited(_) => "forbidden_address",
        Failure::Uri(_) | Failure::Method(_) | Failure::RequestTooLarge(_) | Failure::Abandoned => {
            "invalid_argument"
        }
        Failure::ResolveTimeout(_)
        | Failure::ConnectTimeout
        | Failure::WriteTimeout
        | Failure::ReadTimeout => "upstream_timeout",
        Failure::Resolve { .. }
        | Failure::Refused
        | Failure::Unroutable(_)
        | Failure::Unavailable(_)
        | Failure::NoTls(_)
        | Failure::Certificate(_)
        | Failure::Alert { .. }
        | Failure::Tls(_) => "upstream_unavailable",
        Failure::ResponseTooLarge(_)
        | Failure::Terminated
        | Failure::Incomplete
        | Failure::HeadTooLarge
        | Failure::Upgraded
        | Failure::Protocol(_) => "upstream_failed",
        Failure::Stopped => "cancelled",
    }
}

/// Methods are a plugin's text too.
fn known(method: &Method) -> Option<&'static str> {
    [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
    ]
    .into_iter()
    .find(|known| *known == method.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace that the plugin chose is kept; its own call's is made exact; and
    /// where there is no trace nothing is sent.
    #[test]
    fn the_origin_is_told_of_the_right_parent() {
        let tracer = segue_runtime::trace::Tracer::default();
        let ours = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let other = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
        let call = tracer.begin(Some(ours), SpanKind::Internal, || "call".into());
        let span = call.scope().child(SpanKind::Client, || "GET".into());
        let sent = |scope: &Scope, said: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(said) = said {
                headers.insert(TRACEPARENT, HeaderValue::from_static(said));
            }
            hand_on(scope, &span, &mut headers);
            headers
                .get(TRACEPARENT)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let exact = Some(span.scope().traceparent());
        for said in [None, Some(ours), Some("rubbish")] {
            assert_eq!(sent(call.scope(), said), exact, "{said:?}");
        }
        assert_eq!(sent(call.scope(), Some(other)).as_deref(), Some(other));
        assert_eq!(sent(&Scope::default(), None), None);
    }
}
