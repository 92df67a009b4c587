//! The admin API, on a listener of its own.
//!
//! Every request needs the token as `Authorization: Bearer`, and `Host` and
//! `Origin` are checked as on the public listener. Nothing here is meant for
//! pages of other origins, so no CORS answers are given.

pub mod token;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use segue_protocol::{ErrorCode, RequestError};
use segue_runtime::PromoteError;
use serde::Deserialize;
use serde_json::json;

use crate::edge::respond::{self, Failure};
use crate::edge::router::Served;
use crate::host::ReloadError;
use crate::state::App;
use token::Token;

/// At most so many sessions in one answer.
const MAX_SESSIONS: usize = 1_000;

/// The routes, without what is around them.
pub(crate) fn routes() -> Vec<Served> {
    vec![
        Served::get("/plugins", plugins),
        Served::get("/plugins/{name}", plugin),
        Served::post("/plugins/{name}/promote", promote),
        Served::get("/backends", backends),
        Served::get("/breakers", breakers),
        Served::get("/caches", caches),
        Served::post("/caches/{name}/invalidate", invalidate),
        Served::get("/budgets", budgets),
        Served::post("/breakers/reset", reset_breaker),
        Served::get("/sessions", sessions),
        Served::get("/config", config),
        Served::post("/reload", reload),
    ]
}

/// Middleware: nobody without the token gets any further, not even to learn
/// which paths there are.
pub(crate) async fn authorize(State(token): State<Token>, request: Request, next: Next) -> Response {
    match bearer(request.headers()) {
        Some(given) if token.matches(given) => next.run(request).await,
        given => {
            let problem = if given.is_some() {
                "the token is wrong"
            } else {
                "a token is missing"
            };
            tracing::warn!(problem, "admin request refused");
            respond::error(&RequestError::new(
                ErrorCode::Unauthorized,
                format!("{problem}; send `Authorization: Bearer TOKEN` with the one in <state>/admin.token"),
            ))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Every plugin: its versions, its state, its last error, what it wants and
/// what it was granted.
async fn plugins(State(app): State<Arc<App>>) -> Response {
    respond::json(StatusCode::OK, json!({ "plugins": app.runtime.plugins() }))
}

async fn plugin(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, Failure> {
    let status = app.runtime.plugin(&name).ok_or_else(|| {
        Failure::new(
            ErrorCode::NotFound,
            "there is no plugin of this name in the plugin folder",
        )
    })?;
    Ok(respond::json(StatusCode::OK, status))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    /// This version or none.
    version: Option<String>,
}

/// Lets the version serve that waits because it reaches further than the one
/// that does.
async fn promote(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    let asked: Promote = match body.is_empty() {
        true => Promote::default(),
        false => serde_json::from_slice(&body).map_err(|error| {
            let message = format!("the body is not {{\"version\": \"sha256:...\"}}: {error}");
            Failure::new(ErrorCode::InvalidMessage, message)
        })?,
    };
    let version = app
        .runtime
        .promote(&name, asked.version.as_deref())
        .map_err(|error| {
            let code = match &error {
                PromoteError::Unknown(_) | PromoteError::NothingWaits => ErrorCode::NotFound,
                PromoteError::OtherVersion { .. } => ErrorCode::StateConflict,
            };
            Failure::new(code, error.to_string())
        })?;
    tracing::info!(plugin = name, version, "promoted by an operator");
    Ok(respond::json(
        StatusCode::OK,
        json!({ "plugin": name, "version": version }),
    ))
}

/// How each database, index and model stands.
async fn backends(State(app): State<Arc<App>>) -> Response {
    respond::json(
        StatusCode::OK,
        json!({ "backends": app.snapshot().backends.state() }),
    )
}

/// What stands around each dependency and handler that was called: its state,
/// what was counted since the start, and the settings in force with where each
/// comes from.
async fn breakers(State(app): State<Arc<App>>) -> Response {
    let snapshot = app.snapshot();
    let resilience = &snapshot.config.resilience;
    let all: Vec<_> = (app.guards.states().into_iter())
        .map(|state| {
            let settings = resilience.in_force(state.dependency.kind, &state.dependency.name);
            json!({
                "dependency": state.dependency,
                "breaker": state.breaker,
                "bulkhead": state.bulkhead,
                "retries": state.retries,
                "settings": settings,
            })
        })
        .collect();
    respond::json(StatusCode::OK, json!({ "breakers": all }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    /// As `GET /breakers` names it.
    dependency: String,
}

/// Closes a breaker: what is behind it is known to be well again.
async fn reset_breaker(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Failure> {
    let asked: Reset = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the body is not {{\"dependency\": \"llm.main\"}}: {error}");
        Failure::new(ErrorCode::InvalidMessage, message)
    })?;
    let (kind, name) = asked
        .dependency
        .split_once('.')
        .unwrap_or((asked.dependency.as_str(), ""));
    let guard = app.guards.known(kind, name).ok_or_else(|| {
        let message = "nothing of this name was called yet; GET /breakers lists what was";
        Failure::new(ErrorCode::NotFound, message)
    })?;
    guard.breaker().reset();
    tracing::info!(dependency = %guard.key(), "breaker closed by an operator");
    Ok(respond::json(StatusCode::OK, guard.state()))
}

/// What each cache counted since the start, and what it holds.
async fn caches(State(app): State<Arc<App>>) -> Response {
    let state = app.snapshot().backends.caches().state();
    respond::json(StatusCode::OK, json!({ "caches": state }))
}

/// What was spent of each budget, by whom, and what is left of it.
async fn budgets(State(app): State<Arc<App>>) -> Response {
    let state = app.snapshot().backends.models().budgets();
    respond::json(StatusCode::OK, json!({ "budgets": state }))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalidate {
    /// Only entries with this tag, such as `search.docs`.
    tag: Option<String>,
    /// Only what this plugin keeps under `key`.
    plugin: Option<String>,
    key: Option<String>,
}

/// Takes entries out of a cache: those with a tag, what a plugin keeps under a key, or
/// all.
async fn invalidate(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    let asked: Invalidate = match body.is_empty() {
        true => Invalidate::default(),
        false => serde_json::from_slice(&body).map_err(|error| {
            let message = format!("the body is not {{\"tag\": \"search.docs\"}}: {error}");
            Failure::new(ErrorCode::InvalidMessage, message)
        })?,
    };
    let snapshot = app.snapshot();
    let cache = snapshot.backends.caches().get(&name).ok_or_else(|| {
        let message = "there is no [cache] of this name; GET /caches lists them";
        Failure::new(ErrorCode::NotFound, message)
    })?;
    match (&asked.tag, &asked.plugin, &asked.key) {
        (None, None, None) => cache.clear().await,
        (Some(tag), None, None) => cache.invalidate_tag(tag).await,
        (None, Some(plugin), Some(key)) => {
            let kept = snapshot.backends.caches().of(plugin, &name);
            let deleted = match kept {
                Some(kept) => kept.delete(key).await,
                None => Ok(()),
            };
            deleted.map_err(|error| Failure::new(ErrorCode::InvalidMessage, error.to_string()))?;
        }
        _ => {
            let message = "name a tag, or a plugin and its key, or neither: \
                           {\"plugin\": \"greet\", \"key\": \"workflow:7\"}";
            return Err(Failure::new(ErrorCode::InvalidMessage, message));
        }
    }
    tracing::info!(
        cache = name,
        tag = asked.tag,
        plugin = asked.plugin,
        "cache invalidated by an operator"
    );
    Ok(respond::json(StatusCode::OK, cache.state()))
}

/// The newest sessions, and how many there are in all.
async fn sessions(State(app): State<Arc<App>>) -> Response {
    let body = json!({ "sessions": app.sessions.status(MAX_SESSIONS), "total": app.sessions.len() });
    respond::json(StatusCode::OK, body)
}

/// The configuration in force, without secrets.
async fn config(State(app): State<Arc<App>>) -> Response {
    respond::json(StatusCode::OK, app.snapshot().config.redacted_json())
}

/// Reads the configuration file and the plugin folder again. Answers when both
/// are done; the plugins that could not be loaded stand in the answer.
async fn reload(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let config = match app.reload().await {
        Ok(()) => "reloaded",
        Err(ReloadError::NoFile) => "none",
        Err(ReloadError::Panicked(error)) => {
            tracing::error!(%error, "reloading the configuration failed");
            return Err(Failure::new(
                ErrorCode::Internal,
                "something failed inside the host; its log says what",
            ));
        }
        Err(error) => return Err(Failure::new(ErrorCode::InvalidMessage, error.to_string())),
    };
    app.runtime.rescan().await;
    Ok(respond::json(
        StatusCode::OK,
        json!({ "config": config, "plugins": app.runtime.plugins() }),
    ))
}

#[cfg(test)]
mod tests;
