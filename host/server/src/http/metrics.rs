//! `GET /metrics`, for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use segue_protocol::ErrorCode;

use crate::edge::respond::Failure;
use crate::state::App;

/// All metrics, in the text exposition format.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "The metrics, in the Prometheus text format.", content_type = "text/plain")),
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    app.metrics
        .sessions
        .set(i64::try_from(app.sessions.len()).unwrap_or(i64::MAX));
    match app.metrics.render() {
        Ok((kind, text)) => Ok(([(CONTENT_TYPE, kind)], text).into_response()),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            Err(Failure::new(
                ErrorCode::Internal,
                "the metrics cannot be rendered; the log says why",
            ))
        }
    }
}
