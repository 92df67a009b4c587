//! Every metric there may be, with its labels, so that configuration which speaks
//! of one can be checked before there is any. Tests hold it against
//! `docs/observing.md`, and that against a real `/metrics`.

/// What a metric's values mean, by the rule that all their names follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Histogram,
    Gauge,
    /// A gauge that is 1 or 0: true or not.
    Flag,
}

/// A metric, and its labels.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) labels: &'static [&'static str],
}

impl Known {
    pub(crate) fn kind(&self) -> Kind {
        match self.name {
            "segue_breaker_state" | "segue_build_info" => Kind::Flag,
            name if name.ends_with("_total") => Kind::Counter,
            name if name.ends_with("_seconds") => Kind::Histogram,
            _ => Kind::Gauge,
        }
    }
}

const fn known(name: &'static str, labels: &'static [&'static str]) -> Known {
    Known { name, labels }
}

pub(crate) fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

pub(crate) const KNOWN: &[Known] = &[
    known("segue_connections", &[]),
    known("segue_sockets", &["listener"]),
    known("segue_connections_refused_total", &[]),
    known("segue_sessions", &[]),
    known("segue_messages_received_total", &["mtype"]),
    known("segue_messages_total", &["mtype", "outcome"]),
    known("segue_message_seconds", &["mtype"]),
    known("segue_frames_sent_total", &[]),
    known("segue_frames_dropped_total", &[]),
    known("segue_http_requests_total", &["route", "method", "status"]),
    known("segue_http_request_seconds", &["route", "method"]),
    known("segue_breaker_state", &["dependency", "state"]),
    known("segue_breaker_calls_total", &["dependency", "outcome"]),
    known("segue_breaker_transitions_total", &["dependency", "to"]),
    known("segue_dependency_seconds", &["dependency"]),
    known("segue_bulkhead_in_flight", &["dependency"]),
    known("segue_bulkhead_waiting", &["dependency"]),
    known("segue_bulkhead_places", &["dependency"]),
    known("segue_bulkhead_rejected_total", &["dependency"]),
    known("segue_retries_total", &["dependency", "outcome"]),
    known("segue_llm_requests_total", &["model", "target", "outcome"]),
    known("segue_llm_tokens_total", &["model", "target", "direction"]),
    known("segue_llm_cost_total", &["model", "target"]),
    known("segue_llm_budget_remaining", &["budget", "unit"]),
    known("segue_rate_limited_total", &["limit"]),
    known("segue_shed_total", &["reason"]),
    known("segue_cache_requests_total", &["cache", "outcome"]),
    known("segue_cache_entries", &["cache"]),
    known("segue_cache_bytes", &["cache"]),
    known("segue_cache_evictions_total", &["cache"]),
    known("segue_cache_invalidations_total", &["cache"]),
    known("segue_cache_errors_total", &["cache"]),
    known("segue_sql_connections", &["database"]),
    known("segue_sql_queries_active", &["database"]),
    known("segue_sql_queries_max", &["database"]),
    known("segue_sql_slow_queries_total", &["database"]),
    known("segue_fallbacks_total", &["handler", "to"]),
    known("segue_plugin_loads_total", &["plugin", "outcome"]),
    known("segue_plugin_calls_total", &["plugin", "outcome"]),
    known("segue_plugin_calls_in_flight", &["plugin"]),
    known(
        "segue_capability_calls_total",
        &["plugin", "capability", "verdict"],
    ),
    known("segue_host_calls_total", &["function", "verdict"]),
    known("segue_host_call_bytes_total", &["function"]),
    known("segue_host_call_seconds_total", &["function"]),
    known("segue_instances", &[]),
    known("segue_instances_in_use", &[]),
    known("segue_plugin_compiles_total", &["cache"]),
    known("segue_spans_exported_total", &[]),
    known("segue_spans_dropped_total", &[]),
    known("segue_log_dropped_total", &[]),
    known("segue_build_info", &["version"]),
    known("process_resident_memory_bytes", &[]),
    known("process_open_fds", &[]),
    known("process_threads", &[]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_what_the_documents_say() {
        let page = include_str!("../../../../docs/observing.md");
        let mut documented = BTreeMap::new();
        for row in page.lines().filter(|line| line.starts_with("| `segue_")) {
            let mut cells = row
                .split('|')
                .skip(1)
                .map(|cell| cell.split('`').skip(1).step_by(2));
            let (names, labels) = (cells.next().unwrap(), cells.next().unwrap());
            let labels: Vec<&str> = labels.collect();
            documented.extend(names.map(|name| (name, labels.clone())));
        }
        let own = KNOWN.iter().filter(|known| known.name.starts_with("segue_"));
        let own: BTreeMap<_, _> = own.map(|known| (known.name, known.labels.to_vec())).collect();
        assert_eq!(own, documented);
    }
}
