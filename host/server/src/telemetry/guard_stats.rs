//! What the guards count, read when it is asked for.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, proto};
use segue_resilience::breaker::State;
use segue_resilience::{BOUNDS, GuardState, Guards, Histogram};

const DEPENDENCY: &str = "dependency";
const SECONDS: &str = "segue_dependency_seconds";
const SECONDS_HELP: &str =
    "How long calls of dependencies and handlers took; of a model, until its answer ended.";

/// Dependencies are named by the configuration, by grants and by plugins' files,
/// so the label takes no client's text.
pub(super) struct GuardCollector {
    guards: Arc<Guards>,
    families: Families,
    seconds: Desc,
}

struct Families {
    state: IntGaugeVec,
    calls: IntCounterVec,
    transitions: IntCounterVec,
    in_flight: IntGaugeVec,
    places: IntGaugeVec,
    waiting: IntGaugeVec,
    refused: IntCounterVec,
    retries: IntCounterVec,
}

impl Families {
    fn new() -> Result<Families, prometheus::Error> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauges =
            |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        Ok(Families {
            state: gauges(
                "segue_breaker_state",
                "1 for the state that the breaker is in, 0 for the others.",
                &[DEPENDENCY, "state"],
            )?,
            calls: counters(
                "segue_breaker_calls_total",
                "Calls by how they ended, or rejected by an open breaker.",
                &[DEPENDENCY, "outcome"],
            )?,
            transitions: counters(
                "segue_breaker_transitions_total",
                "How often the breaker came into a state.",
                &[DEPENDENCY, "to"],
            )?,
            in_flight: gauges("segue_bulkhead_in_flight", "Calls under way now.", &[DEPENDENCY])?,
            places: gauges(
                "segue_bulkhead_places",
                "Calls that may be under way at a time, where that is bounded.",
                &[DEPENDENCY],
            )?,
            waiting: gauges(
                "segue_bulkhead_waiting",
                "Calls that wait for a place now.",
                &[DEPENDENCY],
            )?,
            refused: counters(
                "segue_bulkhead_rejected_total",
                "Calls that found no place.",
                &[DEPENDENCY],
            )?,
            retries: counters(
                "segue_retries_total",
                "Further attempts that were made, or not for want of budget.",
                &[DEPENDENCY, "outcome"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 8] {
        [
            &self.state,
            &self.calls,
            &self.transitions,
            &self.in_flight,
            &self.places,
            &self.waiting,
            &self.refused,
            &self.retries,
        ]
    }

    fn fill(&self, guard: &GuardState) {
        let name = guard.dependency.to_string();
        let name = name.as_str();
        let breaker = &guard.breaker;
        for state in State::ALL {
            self.state
                .with_label_values(&[name, state.as_str()])
                .set(i64::from(state == breaker.state));
        }
        let stats = &breaker.stats;
        for (outcome, count) in [
            ("success", stats.successes),
            ("failure", stats.failures),
            ("neither", stats.neither),
            ("rejected", stats.rejections),
        ] {
            self.calls.with_label_values(&[name, outcome]).inc_by(count);
        }
        for (to, count) in [
            ("open", stats.opened),
            ("half_open", stats.half_opened),
            ("closed", stats.closed),
        ] {
            self.transitions.with_label_values(&[name, to]).inc_by(count);
        }
        let bulkhead = &guard.bulkhead;
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.in_flight
            .with_label_values(&[name])
            .set(gauge(bulkhead.in_flight));
        if let Some(places) = bulkhead.concurrency {
            self.places.with_label_values(&[name]).set(i64::from(places));
        }
        self.waiting
            .with_label_values(&[name])
            .set(gauge(bulkhead.waiting));
        self.refused.with_label_values(&[name]).inc_by(bulkhead.rejected);
        for (outcome, count) in [
            ("retried", guard.retries.retried),
            ("budget_spent", guard.retries.budget_spent),
        ] {
            self.retries.with_label_values(&[name, outcome]).inc_by(count);
        }
    }
}

impl GuardCollector {
    pub(super) fn new(guards: Arc<Guards>) -> Result<GuardCollector, prometheus::Error> {
        let labels = vec![DEPENDENCY.to_owned()];
        Ok(GuardCollector {
            guards,
            families: Families::new()?,
            seconds: Desc::new(
                SECONDS.to_owned(),
                SECONDS_HELP.to_owned(),
                labels,
                Default::default(),
            )?,
        })
    }
}

impl Collector for GuardCollector {
    fn desc(&self) -> Vec<&Desc> {
        let families = self.families.all();
        let all = families.into_iter().flat_map(Collector::desc);
        all.chain([&self.seconds]).collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // Made anew each time, so that what is forgotten is not told for ever.
        let Ok(families) = Families::new() else {
            return Vec::new();
        };
        let mut seconds = proto::MetricFamily::default();
        seconds.set_name(SECONDS.to_owned());
        seconds.set_help(SECONDS_HELP.to_owned());
        seconds.set_field_type(proto::MetricType::HISTOGRAM);
        let mut histograms = Vec::new();
        for guard in self.guards.states() {
            families.fill(&guard);
            histograms.push(histogram(&guard.dependency.to_string(), &guard.latency));
        }
        seconds.set_metric(histograms);
        let mut all: Vec<_> = families.all().into_iter().flat_map(Collector::collect).collect();
        if !seconds.get_metric().is_empty() {
            all.push(seconds);
        }
        all
    }
}

/// As Prometheus wants it: each bucket holds those before it.
fn histogram(dependency: &str, counted: &Histogram) -> proto::Metric {
    let mut sum = 0;
    let buckets = BOUNDS.iter().zip(&counted.counts).map(|(bound, count)| {
        sum += count;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(sum);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counted.count());
    histogram.set_sample_sum(counted.sum_seconds);
    let mut label = proto::LabelPair::default();
    label.set_name(DEPENDENCY.to_owned());
    label.set_value(dependency.to_owned());
    let mut metric = proto::Metric::default();
    metric.set_label(vec![label]);
    metric.set_histogram(histogram);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn what_the_guards_counted_can_be_read() {
        let guards = Guards::permissive();
        let metrics = Metrics::new().unwrap();
        metrics.watch_guards(Arc::clone(&guards)).unwrap();
        let guard = guards.get("llm", "main");
        guard.try_admit().unwrap().succeeded();
        guard.try_admit().unwrap().failed(None);
        let held = guard.try_admit().unwrap();
        let text = String::from_utf8(metrics.render().unwrap().1).unwrap();
        for line in [
            "segue_breaker_state{dependency=\"llm.main\",state=\"closed\"} 1",
            "segue_breaker_state{dependency=\"llm.main\",state=\"open\"} 0",
            "segue_breaker_calls_total{dependency=\"llm.main\",outcome=\"success\"} 1",
            "segue_breaker_calls_total{dependency=\"llm.main\",outcome=\"failure\"} 1",
            "segue_bulkhead_in_flight{dependency=\"llm.main\"} 1",
            "segue_dependency_seconds_bucket{dependency=\"llm.main\",le=\"0.5\"} 2",
            "segue_dependency_seconds_count{dependency=\"llm.main\"} 2",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        drop(held);
        guards.retain(|_| false);
        let text = String::from_utf8(metrics.render().unwrap().1).unwrap();
        assert!(!text.contains("llm.main"), "{text}");
    }
}
