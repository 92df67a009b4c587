//! `GET /health/info`: a handful of figures, in the shape that dashboards of older
//! orchestrators read.
//!
//! What the shape calls a message queue is what messages wait for here: handlers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use segue_resilience::GuardState;
use segue_resilience::breaker::State as Circuit;
use serde::Serialize;
use utoipa::ToSchema;

use super::detailed::state_name;
use crate::edge::respond;
use crate::guarded;
use crate::state::App;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    database: Database,
    message_queue: MessageQueue,
    cache: Cache,
    performance: Performance,
}

/// All databases together.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Database {
    /// Open now, in use or not.
    connections: u64,
    /// Queries of the last hour that took as long as `slow_query` says.
    slow_queries: u64,
}

/// All handlers together.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageQueue {
    /// The worst of them: `CLOSED`, `HALF_OPEN` or `OPEN`.
    circuit_breaker: &'static str,
    /// Calls that failed, since the start.
    failures: u64,
}

/// All caches together.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Cache {
    /// Of all questions, the share that needed no fetch of its own; 0 without any.
    hit_rate: f64,
    /// Of the memory that caches may use, in percent: `45%`.
    memory_usage: String,
}

/// Of the last minute.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Performance {
    /// Time from a message's arrival to its last frame, in ms, on average.
    avg_response_time: f64,
    /// Messages that ended.
    throughput: u64,
}

/// A handful of figures.
#[utoipa::path(
    get, path = "/health/info", tag = "health",
    responses((status = 200, description = "How the host does.", body = Info)),
)]
pub(crate) async fn info(State(app): State<Arc<App>>) -> Response {
    let snapshot = app.snapshot();
    let lately = app.metrics.pace.lately();
    let databases = snapshot.backends.databases().state();
    respond::json(
        StatusCode::OK,
        Info {
            database: Database {
                connections: databases.iter().map(|state| state.connections as u64).sum(),
                slow_queries: databases.iter().map(|state| state.slow_queries_last_hour).sum(),
            },
            message_queue: handlers(&app.guards.states()),
            cache: caches(&app),
            performance: Performance {
                avg_response_time: (lately.average_ms * 10.0).round() / 10.0,
                throughput: lately.messages,
            },
        },
    )
}

fn handlers(guards: &[GuardState]) -> MessageQueue {
    let of_handlers = || (guards.iter()).filter(|guard| guard.dependency.kind == guarded::KIND);
    let any = |state| of_handlers().any(|guard| guard.breaker.state == state);
    let worst = [Circuit::Open, Circuit::HalfOpen]
        .into_iter()
        .find(|state| any(*state));
    MessageQueue {
        circuit_breaker: state_name(worst.unwrap_or(Circuit::Closed)),
        failures: of_handlers().map(|guard| guard.breaker.stats.failures).sum(),
    }
}

fn caches(app: &App) -> Cache {
    let snapshot = app.snapshot();
    let states = snapshot.backends.caches().state();
    let sum = |of: fn(&segue_capabilities::cache::CacheState) -> u64| -> u64 { states.iter().map(of).sum() };
    let fetched = sum(|cache| cache.misses);
    let answered = sum(|cache| cache.hits + cache.stale + cache.joined);
    let room: u64 = (snapshot.config.backends.cache.values())
        .map(|cache| cache.max_bytes)
        .sum();
    Cache {
        hit_rate: share(answered, answered + fetched),
        memory_usage: format!("{:.0}%", share(sum(|cache| cache.bytes), room) * 100.0),
    }
}

fn share(part: u64, of: u64) -> f64 {
    match of {
        0 => 0.0,
        _ => part as f64 / of as f64,
    }
}
