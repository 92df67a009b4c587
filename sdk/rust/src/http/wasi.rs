//! Requests through WASI's interface for them, which is the host's.

use std::time::Duration;

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::{Outgoing, denied};
use crate::{Error, Result};

/// How much of a body is asked for at a time.
const CHUNK_BYTES: u64 = 64 << 10;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Pending {
    future: FutureIncomingResponse,
    origin: String,
}

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

/// The rest of it. The fields go in order: a stream before the body that it is
/// of, the body before the response.
#[derive(Debug)]
pub(crate) struct Body {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

/// Sends a request, body and all, and leaves its answer for later.
pub(crate) fn start(request: Outgoing) -> Result<Pending> {
    let origin = request.url.origin();
    let outgoing = head(&request)?;
    let body = outgoing.body().map_err(|()| unspeakable("body"))?;
    let future = outgoing_handler::handle(outgoing, options(request.timeout)?)
        .map_err(|code| failure(&code, &origin))?;
    if !request.body.is_empty() {
        let stream = body.write().map_err(|()| unspeakable("body"))?;
        // A server may answer before it has read everything, and close; what it
        // answers tells more than that.
        let _closed = write(&stream, &request.body);
    }
    OutgoingBody::finish(body, None).map_err(|code| failure(&code, &origin))?;
    Ok(Pending { future, origin })
}

fn head(request: &Outgoing) -> Result<OutgoingRequest> {
    let fields = Fields::new();
    for (name, value) in &request.headers {
        let added = fields.append(name, value.as_bytes());
        added.map_err(|error| unspeakable(&format!("header `{name}` ({error})")))?;
    }
    let sized = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if !request.body.is_empty() && !sized {
        // Not every host lets a guest say this; the body is chunked then.
        let _refused = fields.append("content-length", request.body.len().to_string().as_bytes());
    }
    let outgoing = OutgoingRequest::new(fields);
    let method = method(&request.method);
    let scheme = if request.url.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    outgoing.set_method(&method).map_err(|()| unspeakable("method"))?;
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(|()| unspeakable("scheme"))?;
    outgoing
        .set_authority(Some(&request.url.authority))
        .map_err(|()| unspeakable("name of the server"))?;
    outgoing
        .set_path_with_query(Some(&request.url.path_with_query))
        .map_err(|()| unspeakable("path"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}

fn options(timeout: Option<Duration>) -> Result<Option<RequestOptions>> {
    let Some(timeout) = timeout else {
        return Ok(None);
    };
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let options = RequestOptions::new();
    let set = options
        .set_first_byte_timeout(Some(nanoseconds))
        .and_then(|()| options.set_between_bytes_timeout(Some(nanoseconds)));
    set.map_err(|()| unspeakable("timeout"))?;
    Ok(Some(options))
}

/// Writes as much as the host takes, and waits until it takes more.
fn write(stream: &OutputStream, mut bytes: &[u8]) -> std::result::Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    stream.flush()
}

impl Pending {
    pub(crate) fn wait(self) -> Result<Incoming> {
        self.future.subscribe().block();
        // None: not there yet; an inner error: taken before. Neither can be.
        let answer = self.future.get().and_then(std::result::Result::ok);
        let response = match answer {
            Some(Ok(response)) => response,
            Some(Err(code)) => return Err(failure(&code, &self.origin)),
            None => return Err(broken("no answer came")),
        };
        let headers = response.headers().entries().into_iter();
        let headers = headers.map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
        let headers = headers.collect();
        let body = response
            .consume()
            .map_err(|()| broken("the answer has no body"))?;
        let stream = body.stream().map_err(|()| broken("the answer has no body"))?;
        Ok(Incoming {
            status: response.status(),
            headers,
            body: Body {
                stream,
                _body: body,
                _response: response,
            },
        })
    }
}

impl Body {
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        match self.stream.blocking_read(CHUNK_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                Err(match code {
                    Some(code) => failure(&code, ""),
                    None => broken("the answer broke off").with_detail(error.to_debug_string()),
                })
            }
        }
    }
}

fn unspeakable(what: &str) -> Error {
    Error::new(
        Error::INVALID_ARGUMENT,
        format!("the request's {what} cannot be sent"),
    )
}

fn broken(what: &str) -> Error {
    Error::new(Error::UPSTREAM_FAILED, what).retryable()
}

/// WASI's many ways to fail, under the codes that the host has for the same.
fn failure(code: &ErrorCode, origin: &str) -> Error {
    let (kind, said) = match code {
        ErrorCode::HttpRequestDenied => return denied(origin),
        ErrorCode::DestinationIpProhibited => {
            return Error::new(
                Error::CAPABILITY_DENIED,
                format!(
                    "{origin} is at an address that plugins do not reach: \
                     add its network to allow_networks under [http] in the host's configuration"
                ),
            );
        }
        ErrorCode::HttpResponseBodySize(_) => {
            return Error::new(
                Error::UPSTREAM_FAILED,
                "a server answered with more than the operator allows",
            );
        }
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout
        | ErrorCode::DnsTimeout => (Error::UPSTREAM_TIMEOUT, "did not answer in time"),
        ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTerminated
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => (Error::UPSTREAM_UNAVAILABLE, "cannot be reached"),
        ErrorCode::ConnectionLimitReached => {
            let error = Error::new(Error::OVERLOADED, "as many requests run as may");
            return error.retryable();
        }
        ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => {
            let error = Error::new(Error::INVALID_ARGUMENT, "the request cannot be sent as it is");
            return error.with_detail(code.to_string());
        }
        _ => (Error::UPSTREAM_FAILED, "broke off, or made no sense"),
    };
    let server = if origin.is_empty() { "a server" } else { origin };
    let error = Error::new(kind, format!("{server} {said}"));
    error.retryable().with_detail(format!("{code:?}"))
}
