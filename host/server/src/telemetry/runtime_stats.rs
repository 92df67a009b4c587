//! What the plugin runtime and the log count, read when they are asked for.

use prometheus::core::{Collector, Desc};
use prometheus::{CounterVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, proto};
use segue_runtime::{AccessStatus, Runtime, Stats};

use super::logs::LogHandle;

/// Plugins are named by the operator's files and host functions by the WIT, so
/// neither label takes a client's text.
pub(super) struct RuntimeCollector {
    runtime: Runtime,
    families: Families,
}

struct Families {
    loads: IntCounterVec,
    calls: IntCounterVec,
    in_flight: IntGaugeVec,
    host_calls: IntCounterVec,
    host_bytes: IntCounterVec,
    host_seconds: CounterVec,
    instances: IntGauge,
    instances_in_use: IntGauge,
    compiles: IntCounterVec,
    capability_calls: IntCounterVec,
}

impl Families {
    fn new() -> Result<Families, prometheus::Error> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        Ok(Families {
            loads: counters(
                "segue_plugin_loads_total",
                "Plugin files that were loaded or refused.",
                &["plugin", "outcome"],
            )?,
            calls: counters(
                "segue_plugin_calls_total",
                "Calls of plugins, by how they ended: ok or an error code.",
                &["plugin", "outcome"],
            )?,
            in_flight: IntGaugeVec::new(
                Opts::new("segue_plugin_calls_in_flight", "Calls of plugins running now."),
                &["plugin"],
            )?,
            host_calls: counters(
                "segue_host_calls_total",
                "Calls from plugins into the host, by what became of them.",
                &["function", "verdict"],
            )?,
            host_bytes: counters(
                "segue_host_call_bytes_total",
                "Bytes that plugins handed to the host.",
                &["function"],
            )?,
            host_seconds: CounterVec::new(
                Opts::new(
                    "segue_host_call_seconds_total",
                    "Time spent in host calls, waiting for slow clients included.",
                ),
                &["function"],
            )?,
            instances: IntGauge::new("segue_instances", "Instances that may be in use at a time.")?,
            instances_in_use: IntGauge::new("segue_instances_in_use", "Instances in use now.")?,
            compiles: counters(
                "segue_plugin_compiles_total",
                "Components taken from the compile cache (hit) or compiled (miss).",
                &["cache"],
            )?,
            capability_calls: counters(
                "segue_capability_calls_total",
                "Calls of plugins to capabilities: allowed, or denied for want of a grant.",
                &["plugin", "capability", "verdict"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 10] {
        [
            &self.loads,
            &self.calls,
            &self.in_flight,
            &self.host_calls,
            &self.host_bytes,
            &self.host_seconds,
            &self.instances,
            &self.instances_in_use,
            &self.compiles,
            &self.capability_calls,
        ]
    }

    /// What never came up is left out: a component may import any name.
    fn fill_access(&self, plugin: &str, access: &[AccessStatus]) {
        for row in access {
            for (verdict, count) in [("allowed", row.used), ("denied", row.denied)] {
                if count > 0 {
                    self.capability_calls
                        .with_label_values(&[plugin, row.capability.as_str(), verdict])
                        .inc_by(count);
                }
            }
        }
    }

    fn fill(&self, stats: &Stats) {
        for plugin in &stats.plugins {
            let name = plugin.name.as_str();
            self.loads
                .with_label_values(&[name, "loaded"])
                .inc_by(plugin.loaded);
            self.loads
                .with_label_values(&[name, "refused"])
                .inc_by(plugin.refused);
            self.in_flight
                .with_label_values(&[name])
                .set(signed(plugin.in_flight as u64));
            for (outcome, count) in &plugin.calls {
                self.calls.with_label_values(&[name, *outcome]).inc_by(*count);
            }
        }
        for row in &stats.host_calls {
            for (verdict, count) in [("ok", row.ok), ("denied", row.denied), ("error", row.error)] {
                self.host_calls
                    .with_label_values(&[row.function, verdict])
                    .inc_by(count);
            }
            self.host_bytes
                .with_label_values(&[row.function])
                .inc_by(row.bytes);
            self.host_seconds
                .with_label_values(&[row.function])
                .inc_by(row.seconds);
        }
        self.instances.set(i64::from(stats.instances));
        self.instances_in_use.set(i64::from(stats.instances_in_use));
        self.compiles
            .with_label_values(&["hit"])
            .inc_by(stats.compile_hits);
        self.compiles
            .with_label_values(&["miss"])
            .inc_by(stats.compile_misses);
    }
}

impl RuntimeCollector {
    pub(super) fn new(runtime: Runtime) -> Result<Self, prometheus::Error> {
        Ok(RuntimeCollector {
            runtime,
            families: Families::new()?,
        })
    }
}

impl Collector for RuntimeCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families
            .all()
            .into_iter()
            .flat_map(|family| family.desc())
            .collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // New ones each time: the runtime's numbers are totals, and a plugin
        // that it has forgotten must be forgotten here too.
        let Ok(families) = Families::new() else {
            return Vec::new();
        };
        families.fill(&self.runtime.stats());
        for plugin in self.runtime.plugins() {
            families.fill_access(&plugin.name, &plugin.access);
        }
        families
            .all()
            .into_iter()
            .flat_map(|family| family.collect())
            .collect()
    }
}

/// Log lines that were dropped.
pub(super) struct LogCollector {
    logs: LogHandle,
    dropped: IntCounter,
}

impl LogCollector {
    pub(super) fn new(logs: LogHandle) -> Result<Self, prometheus::Error> {
        let dropped = IntCounter::new(
            "segue_log_dropped_total",
            "Log lines dropped because the writer could not keep up.",
        )?;
        Ok(LogCollector { logs, dropped })
    }
}

impl Collector for LogCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.dropped.desc()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        self.dropped.reset();
        self.dropped.inc_by(self.logs.dropped());
        self.dropped.collect()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use segue_runtime::{HostCallStats, PluginStats};

    #[test]
    fn the_runtimes_totals_are_shown_as_they_are() {
        let stats = Stats {
            instances_in_use: 3,
            instances: 1000,
            plugins: vec![PluginStats {
                name: "echo".to_owned(),
                in_flight: 2,
                calls: vec![("ok", 7), ("handler_trapped", 1)],
                loaded: 2,
                refused: 1,
            }],
            host_calls: vec![HostCallStats {
                function: "reply.send",
                ok: 9,
                denied: 0,
                error: 1,
                bytes: 100,
                seconds: 0.5,
            }],
            compile_hits: 4,
            compile_misses: 5,
        };
        let families = Families::new().unwrap();
        families.fill(&stats);
        let access = |capability: &str, used, denied| AccessStatus {
            capability: capability.to_owned(),
            used,
            denied,
            ..AccessStatus::default()
        };
        families.fill_access("echo", &[access("sql", 12, 1), access("never", 0, 0)]);
        let found: Vec<_> = families
            .all()
            .into_iter()
            .flat_map(|family| family.collect())
            .collect();
        let text = prometheus::TextEncoder::new().encode_to_string(&found).unwrap();
        for line in [
            "segue_plugin_loads_total{outcome=\"refused\",plugin=\"echo\"} 1",
            "segue_plugin_calls_total{outcome=\"handler_trapped\",plugin=\"echo\"} 1",
            "segue_plugin_calls_in_flight{plugin=\"echo\"} 2",
            "segue_host_calls_total{function=\"reply.send\",verdict=\"error\"} 1",
            "segue_instances_in_use 3",
            "segue_plugin_compiles_total{cache=\"hit\"} 4",
            "segue_capability_calls_total{capability=\"sql\",plugin=\"echo\",verdict=\"allowed\"} 12",
            "segue_capability_calls_total{capability=\"sql\",plugin=\"echo\",verdict=\"denied\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("never"), "{text}");
    }
}
