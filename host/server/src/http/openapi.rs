//! `GET /openapi.json`: the public listener's API, as its handlers describe it.
//!
//! A test compares the document with the table of routes, both ways.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Segue",
        description = "Messages to handlers that are swapped while conversations go on. Raw endpoints of the configuration are not listed.",
    ),
    paths(
        super::page::page,
        chat,
        super::messages::send,
        super::sessions::list,
        super::sessions::messages,
        super::sessions::erase,
        super::documents::document,
        super::plugins::list,
        super::health::live,
        super::health::liveness,
        super::health::ready,
        super::health::readiness,
        super::health::detailed::detailed,
        super::health::detailed::aliased,
        super::health::info::info,
        super::metrics::metrics,
        document,
    )
)]
struct Document;

static TEXT: LazyLock<String> = LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "The API's description.", content_type = "application/json")),
)]
pub(crate) async fn document() -> Response {
    (
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")],
        TEXT.as_str(),
    )
        .into_response()
}

/// A conversation over a WebSocket.
///
/// JSON frames, one a text message. From the client: `message`, `cancel`,
/// `ack`, `resume`. From the host: `hello`, `accepted`, `status`, `chunk`,
/// `data`, `restart`, `done`, `error`, `drain`.
#[utoipa::path(
    get, path = "/chat", tag = "messages",
    params(
        ("session" = Option<String>, Query, description = "The session to resume."),
        ("epoch" = Option<String>, Query, description = "The epoch that `after` belongs to."),
        ("after" = Option<u64>, Query, description = "The last `seq` that arrived."),
    ),
    responses(
        (status = 101, description = "The socket is open; the first frame is `hello`."),
        (status = "default", description = "The socket was refused.", body = ErrorAnswer),
    ),
)]
#[allow(
    dead_code,
    reason = "describes the handler in `ws`, which speaks WebSocket rather than HTTP"
)]
fn chat() {}

/// The form of every error.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes `RequestError`, which writes itself")]
pub(super) struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes `RequestError`, which writes itself")]
struct ErrorBody {
    /// Stable, such as `session_busy`.
    code: String,
    /// For people; may change.
    message: String,
    /// Whether the same request may succeed later, unchanged.
    retryable: bool,
    /// When to come back, where the host knows.
    retry_after_ms: Option<u64>,
    /// The handler's own code, where `code` is `handler_failed`.
    handler_code: Option<String>,
    /// `open`, where `code` is `circuit_open`.
    circuit_state: Option<String>,
    /// Where `code` is `rate_limited`.
    limit: Option<LimitBody>,
}

/// The limit that is used up.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes `LimitFacts`, which writes itself")]
struct LimitBody {
    name: String,
    /// So many at once.
    limit: u32,
    remaining: u32,
    /// When all of them are there again.
    reset_ms: u64,
}

/// A message.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes `Incoming`, which reads itself")]
pub(super) struct MessageRequest {
    /// What kind of message it is: routes go by it.
    mtype: String,
    content: String,
    rag_sql: Option<bool>,
    rag_doc: Option<bool>,
    /// For the handler.
    #[schema(value_type = Option<Object>)]
    meta: Option<()>,
    /// Names the message within its session; the host makes one otherwise.
    id: Option<String>,
    /// The conversation it belongs to; a new one otherwise.
    session: Option<String>,
    traceparent: Option<String>,
}

/// The whole answer to a message.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the object that `messages` writes")]
pub(super) struct MessageAnswer {
    session: String,
    epoch: String,
    id: String,
    content: String,
    #[schema(value_type = Vec<Object>)]
    data: (),
    /// Where one handler answered.
    handler: Option<String>,
    version: Option<String>,
    /// One for each handler: `handler`, `version`, `ok`, `error`, `usage`, and
    /// where there are several, `content` and `data`.
    #[schema(value_type = Vec<Object>)]
    parts: (),
    ms: f64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_route_served_is_described_and_every_one_described_is_served() {
        let document: Value = serde_json::from_str(&TEXT).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<(String, String)> = crate::http::routes()
            .iter()
            // OpenAPI knows no parameter that spans slashes.
            .map(|line| (line.path.replace("{*", "{"), line.method.to_owned()))
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn no_route_stands_where_an_endpoint_of_the_config_could() {
        for line in crate::http::routes() {
            let reserved = crate::config::RESERVED_PATHS
                .iter()
                .any(|own| line.path == *own || line.path.starts_with(&format!("{own}/")));
            assert!(reserved, "{} is not reserved", line.path);
        }
    }
}
