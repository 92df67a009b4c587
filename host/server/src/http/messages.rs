//! `POST /v1/messages`: one message, over HTTP.
//!
//! The message goes the same way as one from a WebSocket: it is taken into a
//! session, named by the body or new, and answered there. Only the answer
//! differs: a stream of events, or one object once it is whole.
//!
//! - `Idempotency-Key` is the message's id, and finds its session again: the
//!   same request sent twice is answered once.
//! - `Last-Event-ID` (`epoch:seq`) goes on after that event, as far as it is
//!   still kept; what is not is sent again from the beginning.
//! - A client that leaves does not cancel: its message is answered, and the
//!   answer is kept like any other.

mod object;
mod stream;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use segue_protocol::{ErrorCode, Incoming, RequestError};
use serde_json::{Map, Value, json};

pub(super) use object::Answered;

use crate::dispatch;
use crate::edge::address::ClientAddress;
use crate::edge::respond::{self, Failure};
use crate::edge::throttle::Counted;
use crate::limits::{Caller, Via};
use crate::session::{Session, Taken};
use crate::state::App;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Every answer names its session here; the stream has no other place for it.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("segue-session");

/// Sends a message and reads its answer.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages",
    request_body = super::openapi::MessageRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The message's id: the same again is answered once."),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event of the stream."),
        ("traceparent" = Option<String>, Header, description = "W3C trace context."),
        ("Accept" = Option<String>, Header, description = "`application/json` for one object instead of a stream."),
    ),
    responses(
        (
            status = 200,
            description = "The frames of the answer as server-sent events (`id` is `epoch:seq`, `event` the frame's type), or one object. The header `segue-session` names the session.",
            content(
                (String = "text/event-stream"),
                (super::openapi::MessageAnswer = "application/json"),
            ),
        ),
        (status = "default", description = "The message was refused, or, asked for as one object, failed.", body = super::openapi::ErrorAnswer),
    ),
)]
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let request = Request::read(&headers, &body)?;
    let (session, opened) = request.session(&app)?;
    let id = request.message.id.clone();
    let mut caller = Caller::new(address, Via::Http);
    let taken = match dispatch::accept(&app, &session, request.message, &mut caller).await {
        Ok(taken) => taken,
        Err(error) => {
            if opened {
                app.sessions.erase(&session.id);
            }
            let named = (!opened).then_some(&session.id);
            let body = json!({ "error": &error, "id": id, "session": named });
            let mut response = respond::error_with(&error, body);
            response.extensions_mut().insert(Counted(caller.told));
            return Ok(response);
        }
    };
    let mut response = if request.as_object {
        let (Taken::New(exchange) | Taken::Running(exchange) | Taken::Finished(exchange)) = taken;
        object::answer(&session, &exchange).await
    } else {
        stream::answer(&app, &session, taken, request.last_event.as_ref())
    };
    response.extensions_mut().insert(Counted(caller.told));
    if let Ok(name) = HeaderValue::from_str(&session.id) {
        response.headers_mut().insert(SESSION, name);
    }
    Ok(response)
}

/// The event after which a client wants to go on.
struct LastEvent {
    epoch: String,
    seq: u64,
}

struct Request {
    message: Incoming,
    session: Option<String>,
    /// The id stood in `Idempotency-Key`, which names it beyond one session.
    keyed: bool,
    last_event: Option<LastEvent>,
    as_object: bool,
}

impl Request {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Request, RequestError> {
        if !is_json(headers) {
            return Err(RequestError::new(
                ErrorCode::UnsupportedMediaType,
                "a message is sent as `Content-Type: application/json`",
            ));
        }
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            invalid(format!(
                "the body is no JSON object such as {{\"mtype\":\"chat\",\"content\":\"hi\"}}: {error}"
            ))
        })?;
        let session = match fields.remove("session") {
            None | Some(Value::Null) => None,
            Some(Value::String(session)) => Some(session),
            Some(_) => return Err(invalid("`session` takes a string")),
        };
        let key = text(headers, &IDEMPOTENCY_KEY)?;
        if let Some(key) = key {
            match fields.insert("id".to_owned(), Value::from(key)) {
                None | Some(Value::Null) => {}
                Some(id) if id == key => {}
                Some(_) => {
                    return Err(invalid(
                        "`Idempotency-Key` and `id` are one thing, and differ here",
                    ));
                }
            }
        }
        if let Some(trace) = text(headers, &TRACEPARENT)? {
            fields.entry("traceparent").or_insert_with(|| Value::from(trace));
        }
        Ok(Request {
            message: Incoming::from_fields(&mut fields)?,
            session,
            keyed: key.is_some(),
            last_event: text(headers, &LAST_EVENT_ID)?.map(last_event).transpose()?,
            as_object: wants_object(headers),
        })
    }

    /// The session that the message goes to, and whether it is a new one.
    fn session(&self, app: &App) -> Result<(Arc<Session>, bool), RequestError> {
        if let Some(id) = &self.session {
            let found = app.sessions.get(id);
            return found.map(|session| (session, false)).ok_or_else(|| {
                RequestError::new(
                    ErrorCode::SessionUnknown,
                    "there is no such session; leave `session` out to begin one",
                )
            });
        }
        app.drain.check()?;
        let max = app.snapshot().config.session.max_sessions;
        match (&self.message.id, self.keyed) {
            (Some(key), true) => app.sessions.by_key(key, max).map(|session| (session, false)),
            _ => app.sessions.open(max).map(|session| (session, true)),
        }
        .map_err(|_| {
            RequestError::new(
                ErrorCode::ConnectionLimit,
                "the host keeps as many sessions as it may",
            )
            .retry_after_ms(10_000)
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// A stream, unless JSON is asked for and a stream is not.
fn wants_object(headers: &HeaderMap) -> bool {
    let mut kinds = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|kind| {
            kind.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        });
    let mut object = false;
    let stream = kinds.any(|kind| {
        object |= kind == "application/json";
        kind == "text/event-stream"
    });
    object && !stream
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, RequestError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| invalid(format!("the header `{name}` is not plain text")))?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

fn last_event(text: &str) -> Result<LastEvent, RequestError> {
    let parsed = text.rsplit_once(':').and_then(|(epoch, seq)| {
        Some(LastEvent {
            epoch: epoch.to_owned(),
            seq: seq.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| invalid("`Last-Event-ID` is the `id` of an event of this stream: epoch:seq"))
}

fn invalid(message: impl Into<String>) -> RequestError {
    RequestError::new(ErrorCode::InvalidMessage, message)
}

#[cfg(test)]
mod tests;
