//! Errors become HTTP in this file, and nowhere else:
//! `{"error":{"code","message","retryable","retry_after_ms"?}}`.
//!
//! An answer that a layer underneath made (a body that is no JSON, a method
//! that a path does not know) is rewritten into that form by [`in_json`].

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use segue_protocol::{ErrorCode, RequestError};
use serde::Serialize;

use super::standing::CIRCUIT_STATE;

/// The most of a lower layer's own words that is passed on.
const MAX_TEXT_BYTES: usize = 512;

/// A handler of a route fails with this.
pub(crate) struct Failure(Box<RequestError>);

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Failure(Box::new(error))
    }
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        RequestError::new(code, message).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        error(&self.0)
    }
}

/// The body of every error.
#[derive(Serialize)]
struct ErrorAnswer<'a> {
    error: &'a RequestError,
}

/// The answer to a request that failed.
pub(crate) fn error(error: &RequestError) -> Response {
    error_with(error, ErrorAnswer { error })
}

/// The same, with a body that says more: it has the error under `error`.
pub(crate) fn error_with(error: &RequestError, body: impl Serialize) -> Response {
    let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, body);
    let headers = response.headers_mut();
    if let Some(seconds) = retry_after(status, error.retry_after_ms) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(state) = error.circuit_state {
        headers.insert(CIRCUIT_STATE, HeaderValue::from_static(state));
    }
    match error.code {
        ErrorCode::Unauthorized => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // What is left of the body would be taken for the next request.
        ErrorCode::RequestTimeout | ErrorCode::TooLarge => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Serialize) -> Response {
    match serde_json::to_vec(&body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Whole seconds, at least one. What cannot be done now always says when to
/// come back.
fn retry_after(status: StatusCode, ms: Option<u64>) -> Option<u64> {
    match ms {
        Some(ms) => Some(ms.div_ceil(1000).max(1)),
        None if matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) =>
        {
            Some(1)
        }
        None => None,
    }
}

/// Middleware: no error leaves in another form.
pub(crate) async fn in_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || has_form(&response) {
        return response;
    }
    let code = code_of(status);
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, MAX_TEXT_BYTES)
        .await
        .unwrap_or_default();
    let message = match std::str::from_utf8(&text) {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => code.meaning().to_owned(),
    };
    let error = RequestError::new(code, message);
    let Ok(bytes) = serde_json::to_vec(&ErrorAnswer { error: &error }) else {
        return parts.into_response();
    };
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(http::header::CONTENT_LENGTH);
    if let Some(seconds) = retry_after(status, None) {
        parts
            .headers
            .entry(RETRY_AFTER)
            .or_insert(HeaderValue::from(seconds));
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn has_form(response: &Response) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

fn code_of(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => ErrorCode::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ErrorCode::HeadersTooLarge,
        StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Overloaded,
        status if status.is_client_error() => ErrorCode::InvalidMessage,
        _ => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    async fn body(response: Response) -> Value {
        let bytes = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn an_error_has_its_status_and_says_when_to_come_back() {
        let busy = RequestError::new(ErrorCode::SessionBusy, "full").retry_after_ms(1_200);
        let response = error(&busy);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let body = body(response).await;
        assert_eq!(
            body,
            json!({ "error": { "code": "session_busy", "message": "full", "retryable": true, "retry_after_ms": 1200 } })
        );
        let down = error(&RequestError::new(ErrorCode::Draining, "bye"));
        assert_eq!(down.headers()[RETRY_AFTER], "1");
        let unknown = error(&RequestError::new(ErrorCode::Unauthorized, "who?"));
        assert_eq!(unknown.headers()[WWW_AUTHENTICATE], "Bearer");
    }

    #[tokio::test]
    async fn answers_of_other_layers_are_rewritten_and_keep_their_headers() {
        let routes = Router::new()
            .route(
                "/text",
                get(|| async { (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not that") }),
            )
            .route(
                "/json",
                get(|| async { error(&RequestError::new(ErrorCode::NoRoute, "none")) }),
            )
            .route("/fine", get(|| async { "fine" }))
            .layer(axum::middleware::from_fn(in_json));
        let ask = |method: &str, path: &str| {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .body(Body::empty())
                .unwrap();
            routes.clone().oneshot(request)
        };
        let response = ask("GET", "/text").await.unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let answer = body(response).await;
        assert_eq!(answer["error"]["code"], "unsupported_media_type");
        assert_eq!(answer["error"]["message"], "not that");

        let response = ask("POST", "/text").await.unwrap();
        assert_eq!(response.headers()[http::header::ALLOW], "GET,HEAD");
        assert_eq!(body(response).await["error"]["code"], "method_not_allowed");

        assert_eq!(
            body(ask("GET", "/none").await.unwrap()).await["error"]["code"],
            "not_found"
        );
        assert_eq!(
            body(ask("GET", "/json").await.unwrap()).await["error"]["code"],
            "no_route"
        );
        let fine = ask("GET", "/fine").await.unwrap();
        assert_eq!(fine.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    }
}
