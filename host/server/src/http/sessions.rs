//! `/v1/sessions`: conversations and their history.
//!
//! Without authentication there is one subject, whose sessions are all there
//! are. A session that is unknown is answered as one that never was.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use segue_protocol::{ErrorCode, RequestError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::messages::Answered;
use crate::edge::respond::{self, Failure};
use crate::session::{End, Exchange, Session, SessionStatus};
use crate::state::App;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// A page of history ends past so many bytes, with at least one message in it.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionPage {
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many; 100 by default, 1000 at most.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// Newest first.
    #[schema(value_type = Vec<Object>)]
    sessions: Vec<SessionStatus>,
    /// Give it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Arc<str>>,
}

/// The sessions that are kept, newest first.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", params(SessionPage),
    responses((status = 200, description = "A page of sessions.", body = SessionList)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    page: Result<Query<SessionPage>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(page) = page.map_err(bad_query)?;
    let limit = limit(page.limit);
    let mut all = app.sessions.snapshot();
    all.sort_unstable_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    let from = match &page.after {
        None => 0,
        Some(after) => match all.iter().position(|session| *session.id == **after) {
            Some(at) => at + 1,
            None => return Err(unknown()),
        },
    };
    let shown: Vec<&Arc<Session>> = all.iter().skip(from).take(limit).collect();
    let next = shown
        .last()
        .filter(|_| from + shown.len() < all.len())
        .map(|last| last.id.clone());
    let sessions = shown.iter().map(|session| session.status()).collect();
    Ok(respond::json(StatusCode::OK, SessionList { sessions, next }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryPage {
    /// The `next` of the page before.
    #[serde(default)]
    after: u64,
    /// At most so many messages, each with its answer; 100 by default, 1000 at
    /// most.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct History {
    session: Arc<str>,
    epoch: Arc<str>,
    /// Oldest first: each message, followed by its answer once that is whole.
    messages: Vec<HistoryTurn>,
    /// Give it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(tag = "role", rename_all = "snake_case")]
enum HistoryTurn {
    User {
        id: Arc<str>,
        content: String,
        mtype: String,
        rag_sql: bool,
        rag_doc: bool,
        /// RFC 3339.
        at: String,
    },
    Assistant {
        id: Arc<str>,
        content: String,
        #[schema(value_type = Vec<Object>)]
        data: Vec<Box<RawValue>>,
        /// Where one handler answered.
        #[serde(skip_serializing_if = "Option::is_none")]
        handler: Option<Arc<str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<Arc<str>>,
        /// Where several did: what each of them said.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        parts: Vec<HistoryPart>,
        /// How it failed, if it did; what was said before stands beside it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        error: Option<RequestError>,
        /// RFC 3339.
        at: String,
    },
}

#[derive(Serialize, ToSchema)]
struct HistoryPart {
    handler: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Arc<str>>,
    content: String,
    #[schema(value_type = Vec<Object>)]
    data: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    error: Option<RequestError>,
}

/// What is kept of a conversation, oldest first.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/messages", tag = "sessions",
    params(("id" = String, Path, description = "The session."), HistoryPage),
    responses(
        (status = 200, description = "A page of the conversation.", body = History),
        (status = 404, description = "`session_unknown`", body = super::openapi::ErrorAnswer),
    ),
)]
pub(crate) async fn messages(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    page: Result<Query<HistoryPage>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(page) = page.map_err(bad_query)?;
    let session = app.sessions.get(&id).ok_or_else(unknown)?;
    let mut left = session.exchanges();
    left.retain(|exchange| exchange.accepted_seq > page.after);
    let (mut messages, mut bytes, mut last) = (Vec::new(), 0, None);
    let mut left = left.iter().peekable();
    for exchange in left.by_ref().take(limit(page.limit)) {
        messages.push(asked(exchange));
        messages.extend(answered(exchange));
        bytes += exchange.weight();
        last = Some(exchange.accepted_seq);
        if bytes > MAX_PAGE_BYTES {
            break;
        }
    }
    let next = left.peek().and(last);
    Ok(respond::json(
        StatusCode::OK,
        History {
            session: session.id.clone(),
            epoch: session.epoch.clone(),
            messages,
            next,
        },
    ))
}

/// Erases a session everywhere: what runs is cancelled, its socket is closed.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "`session_unknown`", body = super::openapi::ErrorAnswer),
    ),
)]
pub(crate) async fn erase(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Failure> {
    if app.sessions.erase(&id) {
        app.answers.forget(&id);
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown())
    }
}

fn asked(exchange: &Exchange) -> HistoryTurn {
    let message = &exchange.message;
    HistoryTurn::User {
        id: exchange.id.clone(),
        content: message.content.clone(),
        mtype: message.mtype.clone(),
        rag_sql: message.rag_sql,
        rag_doc: message.rag_doc,
        at: time(exchange.taken_at),
    }
}

/// The answer, once it is whole.
fn answered(exchange: &Exchange) -> Option<HistoryTurn> {
    let record = exchange.record();
    let end = record.end.as_ref()?;
    let answered = Answered::of(&record.parts);
    let parts = match record.parts.as_slice() {
        [] | [_] => Vec::new(),
        several => several
            .iter()
            .map(|part| HistoryPart {
                handler: part.handler.clone(),
                version: part.version.clone(),
                content: part.content.clone(),
                data: part.data.clone(),
                error: part.error.clone(),
            })
            .collect(),
    };
    Some(HistoryTurn::Assistant {
        id: exchange.id.clone(),
        content: answered.content,
        data: answered.data,
        handler: answered.handler,
        version: answered.version,
        parts,
        error: match end {
            End::Done { .. } => None,
            End::Failed(error) => Some(error.clone()),
        },
        at: time(record.ended_at.unwrap_or(exchange.taken_at)),
    })
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

fn unknown() -> Failure {
    Failure::new(ErrorCode::SessionUnknown, "there is no such session")
}

fn bad_query(rejection: QueryRejection) -> Failure {
    Failure::new(ErrorCode::InvalidMessage, rejection.body_text())
}
