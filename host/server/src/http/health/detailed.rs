//! `GET /health/detailed`: how everything stands that the host depends on.
//!
//! One look at all of it, for people and for programs that watch. Each check, and
//! the whole, is `pass`, `warn` (something is not as it should be, and the host gets
//! work all the same) or `fail` (the host is not ready). What is wrong in detail, with
//! files and addresses, is told by the admin API alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use segue_resilience::GuardState;
use segue_resilience::breaker::State as Circuit;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Backend, Ready, Standing, assess};
use crate::config::Dependency;
use crate::edge::respond;
use crate::state::App;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pass,
    Warn,
    Fail,
}

/// How the host stands, and what it depends on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Detailed {
    status: Status,
    /// RFC 3339, UTC.
    timestamp: String,
    version: &'static str,
    uptime_seconds: u64,
    checks: DetailedChecks,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DetailedChecks {
    /// Whether the host should get work: what `/health/ready` says.
    readiness: Check,
    circuit_breakers: Breakers,
    backends: Backends,
    plugins: Plugins,
}

#[derive(Serialize, ToSchema)]
struct Check {
    status: Status,
    message: String,
}

#[derive(Serialize, ToSchema)]
struct Breakers {
    #[serde(flatten)]
    check: Check,
    /// By kind and name: `llm.main`.
    breakers: BTreeMap<String, Breaker>,
}

#[derive(Serialize, ToSchema)]
struct Breaker {
    name: String,
    /// `CLOSED`, `OPEN` or `HALF_OPEN`.
    state: &'static str,
    /// In a row, up to now.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    stats: BreakerStats,
}

/// Since the start.
#[derive(Serialize, ToSchema)]
struct BreakerStats {
    total: u64,
    failures: u64,
    successes: u64,
    /// Calls that an open breaker did not let through.
    rejections: u64,
}

#[derive(Serialize, ToSchema)]
struct Backends {
    #[serde(flatten)]
    check: Check,
    /// `ready`, `reading` or `unavailable`, by kind and name.
    #[schema(value_type = BTreeMap<String, String>)]
    backends: BTreeMap<String, Backend>,
}

#[derive(Serialize, ToSchema)]
struct Plugins {
    #[serde(flatten)]
    check: Check,
    /// `loaded`, `loading`, `refused` or `missing`: each that a route or an endpoint
    /// names.
    #[schema(value_type = BTreeMap<String, String>)]
    plugins: BTreeMap<String, Standing>,
}

/// How everything stands that the host depends on.
#[utoipa::path(
    get, path = "/health/detailed", tag = "health",
    responses(
        (status = 200, description = "`pass` or `warn`: the host is ready.", body = Detailed),
        (status = 503, description = "`fail`: it is not.", body = Detailed),
    ),
)]
pub(crate) async fn detailed(State(app): State<Arc<App>>) -> Response {
    let detailed = look(&app);
    let status = match detailed.status {
        Status::Pass | Status::Warn => StatusCode::OK,
        Status::Fail => StatusCode::SERVICE_UNAVAILABLE,
    };
    respond::json(status, detailed)
}

/// The same as `/health/detailed`.
#[utoipa::path(
    get, path = "/api/health/detailed", tag = "health",
    responses(
        (status = 200, description = "`pass` or `warn`: the host is ready.", body = Detailed),
        (status = 503, description = "`fail`: it is not.", body = Detailed),
    ),
)]
pub(crate) async fn aliased(app: State<Arc<App>>) -> Response {
    detailed(app).await
}

fn look(app: &App) -> Detailed {
    let ready = assess(app);
    let snapshot = app.snapshot();
    let checks = DetailedChecks {
        readiness: readiness(&ready),
        circuit_breakers: breakers(&app.guards.states(), &snapshot.config.health.required),
        backends: backends(ready.backends),
        plugins: plugins(ready.plugins),
    };
    let each = [
        &checks.readiness,
        &checks.circuit_breakers.check,
        &checks.backends.check,
        &checks.plugins.check,
    ];
    Detailed {
        status: each
            .iter()
            .map(|check| check.status)
            .max()
            .unwrap_or(Status::Pass),
        timestamp: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        checks,
    }
}

fn readiness(ready: &Ready) -> Check {
    let checks = &ready.checks;
    let missing: Vec<&str> = [
        (checks.plugin_folder, "the plugin folder was not read yet"),
        (checks.plugins, "a plugin that is named is not there yet"),
        (checks.indexes, "an index is being read for the first time"),
        (checks.required, "what [health] required names does not answer"),
        (checks.serving, "the host is leaving"),
    ]
    .into_iter()
    .filter_map(|(holds, otherwise)| (!holds).then_some(otherwise))
    .collect();
    match missing.is_empty() {
        true => Check {
            status: Status::Pass,
            message: String::from("The host takes work"),
        },
        false => Check {
            status: Status::Fail,
            message: format!("Not ready: {}", missing.join("; ")),
        },
    }
}

fn breakers(guards: &[GuardState], required: &[Dependency]) -> Breakers {
    let mut status = Status::Pass;
    let mut out = Vec::new();
    // Origins that plugins ask are told by the admin API: they are addresses.
    let guards = guards.iter().filter(|guard| guard.dependency.kind != "http");
    let breakers = guards.map(|guard| {
        let (name, breaker) = (guard.dependency.to_string(), &guard.breaker);
        if breaker.state != Circuit::Closed {
            let is_required = |one: &Dependency| one.to_string() == name;
            let fails = breaker.state == Circuit::Open && required.iter().any(is_required);
            status = status.max(if fails { Status::Fail } else { Status::Warn });
            out.push(name.clone());
        }
        let stats = &breaker.stats;
        let shown = Breaker {
            name: name.clone(),
            state: state_name(breaker.state),
            failures: breaker.failures,
            retry_after_ms: breaker.retry_after_ms,
            stats: BreakerStats {
                total: stats.total,
                failures: stats.failures,
                successes: stats.successes,
                rejections: stats.rejections,
            },
        };
        (name, shown)
    });
    let breakers = breakers.collect();
    let message = match out.is_empty() {
        true => String::from("All circuit breakers operational"),
        false => few("Not closed", &out),
    };
    Breakers {
        check: Check { status, message },
        breakers,
    }
}

/// As the programs write it that this shape comes from.
pub(super) fn state_name(state: Circuit) -> &'static str {
    match state {
        Circuit::Closed => "CLOSED",
        Circuit::Open => "OPEN",
        Circuit::HalfOpen => "HALF_OPEN",
    }
}

fn backends(backends: BTreeMap<String, Backend>) -> Backends {
    let check = whole(&backends, "All backends answer", |one| *one == Backend::Ready);
    Backends { check, backends }
}

fn plugins(plugins: BTreeMap<String, Standing>) -> Plugins {
    let check = whole(&plugins, "All plugins answer", |one| *one == Standing::Loaded);
    Plugins { check, plugins }
}

fn whole<T>(all: &BTreeMap<String, T>, good: &str, is_good: impl Fn(&T) -> bool) -> Check {
    let bad = all.iter().filter(|(_, one)| !is_good(one));
    let bad: Vec<String> = bad.map(|(name, _)| name.clone()).collect();
    match bad.is_empty() {
        true => Check {
            status: Status::Pass,
            message: good.to_owned(),
        },
        false => Check {
            status: Status::Warn,
            message: few("Not answering", &bad),
        },
    }
}

/// A line names a few of them.
fn few(what: &str, names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => format!("{what}: {}", shown.join(", ")),
        more => format!("{what}: {} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_a_few() {
        let names: Vec<String> = (1..=7).map(|number| format!("sql.s{number}")).collect();
        assert_eq!(few("Not closed", names.get(..1).unwrap()), "Not closed: sql.s1");
        assert_eq!(
            few("Not closed", &names),
            "Not closed: sql.s1, sql.s2, sql.s3, sql.s4, sql.s5 and 2 more"
        );
    }
}
