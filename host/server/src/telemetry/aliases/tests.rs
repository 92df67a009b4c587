use std::collections::BTreeMap;
use std::time::Duration;

use segue_resilience::Guards;

use super::{Alias, AliasSet};
use crate::telemetry::Metrics;

/// Without what changes by itself.
fn text(metrics: &Metrics) -> String {
    let text = String::from_utf8(metrics.render().unwrap().1).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("process_"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    owned.collect()
}

fn alias(name: &str, metric: &str, rename: &[(&str, &str)]) -> Alias {
    Alias {
        name: name.to_owned(),
        metric: metric.to_owned(),
        only: BTreeMap::new(),
        rename: pairs(rename),
        labels: BTreeMap::new(),
    }
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} in\n{text}");
    }
}

// N33-N36, X9, X10, X12, X14, O50
#[tokio::test]
async fn dashboards_made_for_other_names_find_them() {
    let metrics = Metrics::new().unwrap();
    let guards = Guards::permissive();
    metrics.watch_guards(guards.clone()).unwrap();
    guards
        .get("http", "https://a.example")
        .try_admit()
        .unwrap()
        .failed(None);
    guards.get("handler", "chat").try_admit().unwrap().failed(None);
    metrics.message_received("chat");
    metrics.message_ended("chat", "ok", Duration::from_millis(3));
    let (get, ok) = (http::Method::GET, http::StatusCode::OK);
    metrics.http_answered("/chat", &get, ok, Duration::from_millis(3));
    let without = text(&metrics);
    assert!(!without.contains("nyx_") && !without.contains("orch_") && !without.contains("circuit_"));
    metrics.name_also(
        AliasSet::ALL
            .into_iter()
            .flat_map(|(_, set)| set.aliases())
            .collect(),
    );
    let with = text(&metrics);
    assert!(with.starts_with(&without), "what there was is as it was");
    has(
        &with,
        &[
            "# TYPE nyx_orchestrator_active_connections gauge",
            "nyx_orchestrator_active_connections 0",
            "# TYPE nyx_orchestrator_messages_received_total counter",
            "nyx_orchestrator_messages_received_total{message_type=\"chat\"} 1",
            "nyx_orchestrator_messages_sent_total 0",
            "# TYPE nyx_orchestrator_message_processing_seconds histogram",
            "nyx_orchestrator_message_processing_seconds_bucket{message_type=\"chat\",le=\"0.005\"} 1",
            "nyx_orchestrator_message_processing_seconds_bucket{message_type=\"chat\",le=\"0.0025\"} 0",
            "nyx_orchestrator_message_processing_seconds_count{message_type=\"chat\"} 1",
            "orch_api_requests_total{endpoint=\"/chat\",method=\"GET\",status=\"200\"} 1",
            "orch_api_duration_seconds_count{endpoint=\"/chat\",method=\"GET\"} 1",
            "orch_circuit_state{dependency=\"http.https://a.example\",state=\"closed\"} 1",
            "orch_communication_errors_total{error_type=\"failure\",source=\"http.https://a.example\"} 1",
            "circuit_breaker_state{service=\"http.https://a.example\"} 0",
        ],
    );
    assert!(
        !with.contains("source=\"handler"),
        "a handler is nobody one talks to"
    );
    let types = with
        .lines()
        .filter(|line| line.starts_with("# TYPE orch_communication"));
    assert_eq!(types.count(), 1, "a name is told once");
    metrics.name_also(Vec::new());
    assert_eq!(text(&metrics), without, "and the names go as they came");
}

// O50: as the alert on it is written.
#[tokio::test]
async fn a_breaker_is_named_as_an_alert_knows_it() {
    let metrics = Metrics::new().unwrap();
    let guards = Guards::permissive();
    metrics.watch_guards(guards.clone()).unwrap();
    let queue = guards.get("cache", "jobs");
    let _other = guards.get("llm", "main");
    metrics.name_also(vec![Alias {
        only: pairs(&[("dependency", "cache.jobs"), ("state", "closed")]),
        labels: pairs(&[("service", "message-queue")]),
        ..alias(
            "circuit_breaker_state",
            "segue_breaker_state",
            &[("dependency", ""), ("state", "")],
        )
    }]);
    queue.try_admit().unwrap().succeeded();
    let text = text(&metrics);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("circuit")).collect();
    assert_eq!(lines, ["circuit_breaker_state{service=\"message-queue\"} 1"]);
}

#[tokio::test]
async fn series_that_come_to_be_the_same_are_one() {
    let metrics = Metrics::new().unwrap();
    let guards = Guards::permissive();
    metrics.watch_guards(guards.clone()).unwrap();
    let (a, b) = (guards.get("sql", "a"), guards.get("sql", "b"));
    let _held = (
        a.try_admit().unwrap(),
        b.try_admit().unwrap(),
        b.try_admit().unwrap(),
    );
    for (mtype, ms) in [("chat", 3), ("docs", 30), ("docs", 3)] {
        metrics.message_received(mtype);
        metrics.message_ended(mtype, "ok", Duration::from_millis(ms));
    }
    metrics.name_also(vec![
        alias(
            "all_messages_total",
            "segue_messages_received_total",
            &[("mtype", "")],
        ),
        alias("all_seconds", "segue_message_seconds", &[("mtype", "")]),
        alias("all_calls", "segue_bulkhead_in_flight", &[("dependency", "")]),
        alias("any_state", "segue_breaker_state", &[("dependency", "")]),
        // Of two metrics, in one family.
        alias("gauges", "segue_connections", &[]),
        alias("gauges", "segue_bulkhead_in_flight", &[]),
        // One that there is nothing of.
        alias("none_total", "segue_rate_limited_total", &[]),
    ]);
    let text = text(&metrics);
    has(
        &text,
        &[
            "all_messages_total 3",
            "all_seconds_bucket{le=\"0.005\"} 2",
            "all_seconds_bucket{le=\"0.05\"} 3",
            "all_seconds_bucket{le=\"+Inf\"} 3",
            "all_seconds_count 3",
            "all_calls 3",
            "any_state{state=\"closed\"} 1",
            "any_state{state=\"open\"} 0",
            "gauges 0",
            "gauges{dependency=\"sql.b\"} 2",
        ],
    );
    assert!(!text.contains("none_total"));
    assert_eq!(text.matches("# TYPE gauges ").count(), 1);
}
