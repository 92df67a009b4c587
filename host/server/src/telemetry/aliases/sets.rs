//! Names that come ready: those of three hosts that Segue takes the place of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Alias;

/// Aliases that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AliasSet {
    /// `nyx_orchestrator_*`.
    Nyx,
    /// `orch_*`.
    Acexy,
    /// `circuit_breaker_state`, `database_connections_*`.
    Nest,
}

/// `name`, `metric`, `match`, `rename`.
type Row = (&'static str, &'static str, Pairs, Pairs);
type Pairs = &'static [(&'static str, &'static str)];

const NYX: &[Row] = &[
    (
        "nyx_orchestrator_active_connections",
        "segue_connections",
        &[],
        &[],
    ),
    (
        "nyx_orchestrator_messages_received_total",
        "segue_messages_received_total",
        &[],
        &[("mtype", "message_type")],
    ),
    (
        "nyx_orchestrator_messages_sent_total",
        "segue_frames_sent_total",
        &[],
        &[],
    ),
    (
        "nyx_orchestrator_message_processing_seconds",
        "segue_message_seconds",
        &[],
        &[("mtype", "message_type")],
    ),
];

const ERRORS: &str = "orch_communication_errors_total";
const CALLS: &str = "segue_breaker_calls_total";
const AS_ERROR: Pairs = &[("dependency", "source"), ("outcome", "error_type")];

const ACEXY: &[Row] = &[
    (
        "orch_api_requests_total",
        "segue_http_requests_total",
        &[],
        &[("route", "endpoint")],
    ),
    (
        "orch_api_duration_seconds",
        "segue_http_request_seconds",
        &[],
        &[("route", "endpoint")],
    ),
    // What is reached over a network: a handler is part of the host.
    (
        ERRORS,
        CALLS,
        &[("dependency", "cache*"), ("outcome", "failure")],
        AS_ERROR,
    ),
    (
        ERRORS,
        CALLS,
        &[("dependency", "http*"), ("outcome", "failure")],
        AS_ERROR,
    ),
    (
        ERRORS,
        CALLS,
        &[("dependency", "keyvalue*"), ("outcome", "failure")],
        AS_ERROR,
    ),
    (
        ERRORS,
        CALLS,
        &[("dependency", "llm*"), ("outcome", "failure")],
        AS_ERROR,
    ),
    (
        ERRORS,
        CALLS,
        &[("dependency", "search*"), ("outcome", "failure")],
        AS_ERROR,
    ),
    (
        ERRORS,
        CALLS,
        &[("dependency", "sql*"), ("outcome", "failure")],
        AS_ERROR,
    ),
    ("orch_circuit_state", "segue_breaker_state", &[], &[]),
];

const NEST: &[Row] = &[
    // 1 is open: the alert on it is `circuit_breaker_state{service="..."} == 1`.
    (
        "circuit_breaker_state",
        "segue_breaker_state",
        &[("state", "open")],
        &[("dependency", "service"), ("state", "")],
    ),
    (
        "database_connections_active",
        "segue_sql_queries_active",
        &[],
        &[],
    ),
    ("database_connections_max", "segue_sql_queries_max", &[], &[]),
];

impl AliasSet {
    pub const ALL: [(&'static str, AliasSet); 3] = [
        ("nyx", AliasSet::Nyx),
        ("acexy", AliasSet::Acexy),
        ("nest", AliasSet::Nest),
    ];

    pub fn aliases(self) -> impl Iterator<Item = Alias> {
        let rows = match self {
            AliasSet::Nyx => NYX,
            AliasSet::Acexy => ACEXY,
            AliasSet::Nest => NEST,
        };
        rows.iter().map(|(name, metric, only, rename)| Alias {
            name: (*name).to_owned(),
            metric: (*metric).to_owned(),
            only: owned(only),
            rename: owned(rename),
            labels: BTreeMap::new(),
        })
    }
}

fn owned(pairs: Pairs) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalogue;

    #[test]
    fn what_a_set_speaks_of_is_there() {
        for (set, aliases) in AliasSet::ALL.map(|(_, set)| (set, set.aliases())) {
            for alias in aliases {
                let metric = catalogue::find(&alias.metric);
                let metric = metric.unwrap_or_else(|| panic!("{set:?}: {}", alias.metric));
                for label in alias.only.keys().chain(alias.rename.keys()) {
                    assert!(metric.labels.contains(&label.as_str()), "{set:?}: {label}");
                }
            }
        }
    }
}
