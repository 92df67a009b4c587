//! `GET /v1/plugins`: who answers here. What a client may know, no more: the
//! admin API has the rest.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::edge::respond;
use crate::state::App;

#[derive(Serialize, ToSchema)]
pub(crate) struct PluginList {
    plugins: Vec<PluginLine>,
}

#[derive(Serialize, ToSchema)]
struct PluginLine {
    name: String,
    /// `active`, `loading`, `refused` or `removed`.
    #[schema(value_type = String)]
    state: segue_runtime::PluginState,
    /// The version that answers now.
    version: Option<String>,
    /// Why the newest file was refused, if it was.
    error: Option<PluginError>,
}

#[derive(Serialize, ToSchema)]
struct PluginError {
    /// A stable code, such as `core_module`.
    code: String,
    message: String,
}

/// The plugins and the versions that answer now.
#[utoipa::path(
    get, path = "/v1/plugins", tag = "plugins",
    responses((status = 200, description = "The plugins, by name.", body = PluginList)),
)]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Response {
    let plugins = app.runtime.plugins().into_iter().map(|plugin| PluginLine {
        name: plugin.name,
        state: plugin.state,
        version: plugin.version,
        error: plugin.last_error.map(|error| PluginError {
            code: error.code.to_string(),
            message: error.message,
        }),
    });
    let plugins = plugins.collect();
    respond::json(StatusCode::OK, PluginList { plugins })
}
