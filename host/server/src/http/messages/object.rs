//! The answer as one object, once it is whole.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use segue_protocol::{ErrorCode, PartSummary, RequestError};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::edge::respond;
use crate::session::{self, End, Exchange, PartRecord, Session};

#[derive(Serialize)]
struct Object<'a> {
    session: &'a str,
    epoch: &'a str,
    id: &'a str,
    #[serde(flatten)]
    answered: Answered,
    parts: Vec<Part<'a>>,
    ms: f64,
}

#[derive(Serialize)]
struct Part<'a> {
    #[serde(flatten)]
    summary: &'a PartSummary,
    /// Where several answered: what this one said.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<Box<RawValue>>>,
}

/// What the handlers of one message said, put together.
#[derive(Debug, Serialize)]
pub(crate) struct Answered {
    /// The texts of those that answered, a blank line between two of them.
    pub content: String,
    pub data: Vec<Box<RawValue>>,
    /// Where one handler answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
}

impl Answered {
    pub(crate) fn of(parts: &[PartRecord]) -> Answered {
        let counting: Vec<&PartRecord> = session::counting(parts).collect();
        let only = match counting.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        Answered {
            content: session::reply_text(parts),
            data: counting
                .iter()
                .flat_map(|part| part.data.iter().cloned())
                .collect(),
            handler: only.map(|part| part.handler.clone()),
            version: only.and_then(|part| part.version.clone()),
        }
    }
}

/// Waits until the message has ended. Reads the outbox meanwhile, so that the
/// handler is not held back.
pub(super) async fn answer(session: &Arc<Session>, exchange: &Exchange) -> Response {
    let mut reader = session.read_reply(session.outbox.last_seq());
    loop {
        tokio::select! {
            biased;
            () = exchange.finished() => break,
            _ = reader.next_of(&exchange.id) => {}
        }
    }
    drop(reader);
    let record = exchange.record();
    match &record.end {
        Some(End::Done { parts, ms }) => {
            let several = parts.len() > 1;
            let said = |part: &PartSummary| record.parts.iter().find(|said| said.handler == part.handler);
            let parts = parts.iter().map(|summary| {
                let said = said(summary).filter(|_| several);
                Part {
                    summary,
                    content: said.map(|said| said.content.clone()),
                    data: said.map(|said| said.data.clone()),
                }
            });
            let object = Object {
                session: &session.id,
                epoch: &session.epoch,
                id: &exchange.id,
                answered: Answered::of(&record.parts),
                parts: parts.collect(),
                ms: *ms,
            };
            respond::json(StatusCode::OK, object)
        }
        Some(End::Failed(error)) => failed(session, exchange, error),
        // A finished exchange has an end.
        None => failed(
            session,
            exchange,
            &RequestError::new(ErrorCode::Internal, "something failed inside the host"),
        ),
    }
}

fn failed(session: &Session, exchange: &Exchange, error: &RequestError) -> Response {
    let body =
        json!({ "error": error, "id": &*exchange.id, "session": &*session.id, "epoch": &*session.epoch });
    respond::error_with(error, body)
}
