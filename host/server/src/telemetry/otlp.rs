//! The way to a collector: OTLP over HTTP/1.1 in protobuf, a connection for each
//! batch.
//!
//! TLS is the one that the rest of the host speaks. A batch has an end, however slow
//! the collector; what it answers is read up to a bound, and believed: spans that it
//! says it did not take have not been taken. The exporter of OpenTelemetry's own
//! crate is not used: it sleeps on the thread when a collector refuses, reads the
//! process's environment, and does not tell of spans that were rejected.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use segue_capabilities::http::{Tls, system_tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Telemetry;

/// How much of an answer is read.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Why a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it did not take a batch within {}", humantime::format_duration(*.0))]
    TooSlow(Duration),
    #[error("it answers {status}")]
    Status {
        status: u16,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    #[error("what it answers is not what OTLP over HTTP answers: {0}")]
    NotOtlp(String),
}

impl Refusal {
    /// Whether the same batch may be taken later.
    pub(super) fn passes(&self) -> bool {
        match self {
            Refusal::Unreachable(_) | Refusal::TooSlow(_) => true,
            Refusal::Status { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            Refusal::NotOtlp(_) => false,
        }
    }

    /// Whether it is the same as another one to whoever mends it.
    pub(super) fn is_like(&self, other: &Refusal) -> bool {
        match (self, other) {
            (Refusal::Status { status: a, .. }, Refusal::Status { status: b, .. }) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    pub(super) fn mend(&self) -> &'static str {
        match self {
            Refusal::Unreachable(_) => "start a collector there, or correct `telemetry.otlp_endpoint`",
            Refusal::TooSlow(_) => {
                "see what keeps the collector, or raise `telemetry.otlp_timeout` or lower `telemetry.sample`"
            }
            Refusal::Status {
                status: 401 | 403, ..
            } => "put its key into [telemetry.otlp_headers]",
            Refusal::Status {
                status: 404 | 405, ..
            } => "give `telemetry.otlp_endpoint` the path where it takes traces, mostly /v1/traces",
            Refusal::Status { status: 413, .. } => "raise how large a request the collector takes",
            Refusal::Status { .. } => "see the collector's own log",
            Refusal::NotOtlp(_) => {
                "let `telemetry.otlp_endpoint` lead to where it speaks OTLP over HTTP, mostly port 4318"
            }
        }
    }
}

/// What became of a batch that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Spans of it that were not.
    pub(super) rejected: u64,
    /// Why.
    pub(super) reason: String,
}

/// Sends batches to one place.
pub(super) struct Collector {
    secure: bool,
    authority: Authority,
    path: PathAndQuery,
    headers: HeaderMap,
    timeout: Duration,
    tls: Tls,
}

impl Collector {
    /// `None` without an endpoint. What the operating system trusts is read here,
    /// once, if it is needed.
    pub(super) fn new(settings: &Telemetry) -> Option<Collector> {
        let uri: Uri = settings.otlp_endpoint.as_deref()?.parse().ok()?;
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.otlp_headers {
            if let (Ok(name), Ok(mut value)) = (
                http::HeaderName::try_from(name),
                HeaderValue::try_from(value.expose()),
            ) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.insert(HOST, HeaderValue::try_from(uri.authority()?.as_str()).ok()?);
        Some(Collector {
            secure,
            authority: uri.authority()?.clone(),
            path: (uri.path_and_query().cloned()).unwrap_or(PathAndQuery::from_static("/")),
            headers,
            timeout: settings.otlp_timeout,
            tls: match secure {
                true => system_tls(),
                false => Err(String::from("it was not asked for")),
            },
        })
    }

    /// Sends one batch.
    pub(super) async fn send(&self, batch: &ExportTraceServiceRequest) -> Result<Taken, Refusal> {
        let body = Bytes::from(batch.encode_to_vec());
        match timeout(self.timeout, self.exchange(body)).await {
            Ok(answer) => taken(answer?),
            Err(_) => Err(Refusal::TooSlow(self.timeout)),
        }
    }

    async fn exchange(&self, body: Bytes) -> Result<Response<Bytes>, Refusal> {
        let unreachable = |error: std::io::Error| Refusal::Unreachable(error.to_string());
        let host = self.authority.host().trim_matches(['[', ']']);
        let usual = if self.secure { 443 } else { 80 };
        let port = self.authority.port_u16().unwrap_or(usual);
        let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if !self.secure {
            return self.ask(stream, body).await;
        }
        let tls = self
            .tls
            .as_ref()
            .map_err(|fault| Refusal::Unreachable(format!("TLS does not work here: {fault}")))?;
        let name =
            ServerName::try_from(host.to_owned()).map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        self.ask(stream.map_err(unreachable)?, body).await
    }

    async fn ask<T>(&self, stream: T, body: Bytes) -> Result<Response<Bytes>, Refusal>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broken = |error: hyper::Error| match error.is_parse() {
            true => Refusal::NotOtlp(error.to_string()),
            false => Refusal::Unreachable(error.to_string()),
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = Uri::from(self.path.clone());
        *request.headers_mut() = self.headers.clone();
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
        let body = body.map_err(|error| Refusal::NotOtlp(error.to_string()))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// What an answer says became of the batch.
fn taken(answer: Response<Bytes>) -> Result<Taken, Refusal> {
    let (head, body) = answer.into_parts();
    if !head.status.is_success() {
        let after = head
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        return Err(Refusal::Status {
            status: head.status.as_u16(),
            after: after
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs),
        });
    }
    // Some answer in JSON or in words, whatever was asked in.
    let ours = head
        .headers
        .get(CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(PROTOBUF.as_bytes()));
    if !ours {
        return Ok(Taken::default());
    }
    let said = ExportTraceServiceResponse::decode(body);
    let said = said.map_err(|error| Refusal::NotOtlp(error.to_string()))?;
    let partial = said.partial_success.unwrap_or_default();
    Ok(Taken {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        reason: partial.error_message,
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Response<Bytes> {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(Bytes::from(body)).unwrap()
    }

    #[test]
    fn spans_that_a_collector_rejects_are_not_taken() {
        let partial = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let kind = [("content-type", "application/x-protobuf")];
        let said = taken(answer(200, &kind, partial.encode_to_vec())).unwrap();
        assert_eq!((said.rejected, said.reason.as_str()), (3, "too old"));
        assert_eq!(taken(answer(200, &kind, Vec::new())), Ok(Taken::default()));
        let json = [("content-type", "application/json")];
        assert_eq!(taken(answer(202, &json, b"{}".to_vec())), Ok(Taken::default()));
        let rubbish = taken(answer(200, &kind, b"<html>".to_vec()));
        assert!(matches!(rubbish, Err(Refusal::NotOtlp(_))), "{rubbish:?}");
    }

    #[test]
    fn a_refusal_says_whether_to_ask_again_and_what_mends_it() {
        let busy = taken(answer(503, &[("retry-after", "7")], Vec::new())).unwrap_err();
        let after = Some(Duration::from_secs(7));
        assert_eq!(busy, Refusal::Status { status: 503, after });
        assert!(busy.passes());
        let stranger = taken(answer(401, &[], Vec::new())).unwrap_err();
        assert!(!stranger.passes() && stranger.mend().contains("otlp_headers"));
        assert!(
            !stranger.is_like(&busy)
                && busy.is_like(&Refusal::Status {
                    status: 503,
                    after: None
                })
        );
    }
}
