//! `/health/...`: whether the host lives, and whether it should get work.
//!
//! Ready means: the plugin folder was read, every plugin that a route or an
//! endpoint names has been loaded or refused, every index has read its folder
//! once, and the host is not leaving. A refused plugin does not make the host
//! unready (its messages are answered with an error, and another instance would
//! refuse it too), but the answer names it. A plugin that is named and not there
//! does. Nor does a database, a folder or a store that is not there: one that is
//! down must not take a whole fleet out of its balancer, unless the operator names
//! it in `[health] required`: then its open breaker counts as well. The answer says
//! which, and the admin API says why.
//!
//! | file | paths |
//! |---|---|
//! | here | `live`, `ready`, and their other names |
//! | `detailed.rs` | `/health/detailed`: everything that the host depends on |
//! | `info.rs` | `/health/info`: a handful of figures |

pub(crate) mod detailed;
pub(crate) mod info;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::StatusCode;
use http::header::RETRY_AFTER;
use segue_resilience::breaker::State as Circuit;
use segue_runtime::PluginState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::edge::respond;
use crate::standing;
use crate::state::App;

/// Seconds after which to ask again.
const ASK_AGAIN: u64 = 1;

#[derive(Serialize, ToSchema)]
pub(crate) struct Live {
    /// Always `alive`.
    status: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `ready` or `not_ready`.
    status: &'static str,
    ready: bool,
    /// What does the work: plugins that answer now.
    engines: usize,
    /// Messages being answered.
    active_streams: usize,
    /// Of the breakers of `[health] required` the worst: `closed`, `half_open` or
    /// `open`.
    circuit_state: &'static str,
    /// RFC 3339, UTC.
    timestamp: String,
    checks: Checks,
    /// How each plugin stands that a route or an endpoint names.
    #[schema(value_type = BTreeMap<String, String>)]
    plugins: BTreeMap<String, Standing>,
    /// How each database, index, model and store stands, by kind and name
    /// (`search.docs`): `ready`, `reading` or `unavailable`.
    #[schema(value_type = BTreeMap<String, String>)]
    backends: BTreeMap<String, Backend>,
}

/// The host is ready when all of these hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checks {
    /// The plugin folder was read since the start.
    plugin_folder: bool,
    /// Each plugin that is named was loaded or refused.
    plugins: bool,
    /// No index is being read for the first time.
    indexes: bool,
    /// What `[health] required` names answers, and its breaker is not open.
    required: bool,
    /// The host is not leaving.
    serving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Loaded,
    Loading,
    Refused,
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Backend {
    Ready,
    Reading,
    Unavailable,
}

/// The process answers.
#[utoipa::path(
    get, path = "/health/live", tag = "health",
    responses((status = 200, description = "The process answers.", body = Live)),
)]
pub(crate) async fn live() -> Response {
    respond::json(StatusCode::OK, Live { status: "alive" })
}

/// The same as `/health/live`.
#[utoipa::path(
    get, path = "/health/liveness", tag = "health",
    responses((status = 200, description = "The process answers.", body = Live)),
)]
pub(crate) async fn liveness() -> Response {
    live().await
}

/// Whether the host should get work.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses(
        (status = 200, description = "All checks hold.", body = Ready),
        (status = 503, description = "Some check does not hold; `Retry-After` says when to ask again.", body = Ready),
    ),
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let ready = assess(&app);
    if ready.ready {
        return respond::json(StatusCode::OK, ready);
    }
    let mut response = respond::json(StatusCode::SERVICE_UNAVAILABLE, ready);
    response.headers_mut().insert(RETRY_AFTER, ASK_AGAIN.into());
    response
}

/// The same as `/health/ready`.
#[utoipa::path(
    get, path = "/health/readiness", tag = "health",
    responses(
        (status = 200, description = "All checks hold.", body = Ready),
        (status = 503, description = "Some check does not hold; `Retry-After` says when to ask again.", body = Ready),
    ),
)]
pub(crate) async fn readiness(state: State<Arc<App>>) -> Response {
    ready(state).await
}

fn assess(app: &App) -> Ready {
    let snapshot = app.snapshot();
    let plugins: BTreeMap<String, Standing> = snapshot
        .wanted_plugins()
        .map(|name| (name.to_owned(), standing(app, name)))
        .collect();
    let backends: BTreeMap<String, Backend> = (snapshot.backends.state().into_iter())
        .map(|state| {
            let standing = match (state.ready, state.reading) {
                (true, _) => Backend::Ready,
                (false, true) => Backend::Reading,
                (false, false) => Backend::Unavailable,
            };
            (state.key(), standing)
        })
        .collect();
    let settled = |standing: &Standing| matches!(standing, Standing::Loaded | Standing::Refused);
    let required = &snapshot.config.health.required;
    let circuit = standing::worst(required.iter().map(|one| standing::circuit(app, one)));
    let checks = Checks {
        plugin_folder: app.runtime.scanned().now_or_never().is_some(),
        plugins: plugins.values().all(settled),
        indexes: backends.values().all(|standing| *standing != Backend::Reading),
        required: required.iter().all(|dependency| {
            // How a model or a shared cache stands is known from its last answer alone.
            // A host that gets no work for it would get none for ever; the breaker lets
            // one try.
            let answers = matches!(dependency.kind, "llm" | "cache")
                || backends
                    .get(&dependency.to_string())
                    .is_none_or(|standing| *standing == Backend::Ready);
            answers && standing::circuit(app, dependency).state != Circuit::Open
        }),
        serving: app.drain.is_ready(),
    };
    let ready = checks.plugin_folder && checks.plugins && checks.indexes && checks.required && checks.serving;
    Ready {
        status: if ready { "ready" } else { "not_ready" },
        ready,
        engines: plugins.values().filter(|one| **one == Standing::Loaded).count(),
        active_streams: app.shed.in_flight(),
        circuit_state: circuit.state.as_str(),
        timestamp: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        checks,
        plugins,
        backends,
    }
}

fn standing(app: &App, name: &str) -> Standing {
    // A version that serves counts, whatever became of a newer one.
    if app.target(name).is_some() {
        return Standing::Loaded;
    }
    match app.runtime.plugin(name).map(|status| status.state) {
        Some(PluginState::Active) => Standing::Loaded,
        // It has had its turn and answers nobody: for a balancer, the same.
        Some(PluginState::Refused | PluginState::Waiting) => Standing::Refused,
        Some(PluginState::Loading) => Standing::Loading,
        Some(PluginState::Removed) | None => Standing::Missing,
    }
}
