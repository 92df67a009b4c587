//! What the operating system says about the process, under the names that
//! Prometheus clients use. Where there is no `/proc` nothing is reported.

use prometheus::core::{Collector, Desc};
use prometheus::{IntGauge, proto};

pub(super) struct ProcessCollector {
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    threads: IntGauge,
}

impl ProcessCollector {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(ProcessCollector {
            resident_bytes: IntGauge::new(
                "process_resident_memory_bytes",
                "Resident memory of the process.",
            )?,
            open_fds: IntGauge::new("process_open_fds", "Open file descriptors of the process.")?,
            threads: IntGauge::new("process_threads", "Threads of the process.")?,
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        [&self.resident_bytes, &self.open_fds, &self.threads]
            .iter()
            .flat_map(|gauge| gauge.desc())
            .collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut found = Vec::new();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut report = |gauge: &IntGauge, value: Option<i64>| {
            if let Some(value) = value {
                gauge.set(value);
                found.extend(gauge.collect());
            }
        };
        report(
            &self.resident_bytes,
            field(&status, "VmRSS:").map(|kib| kib * 1024),
        );
        report(&self.threads, field(&status, "Threads:"));
        let open = std::fs::read_dir("/proc/self/fd").ok();
        report(
            &self.open_fds,
            open.and_then(|fds| i64::try_from(fds.count()).ok()),
        );
        found
    }
}

/// The first number after a name in `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_number_after_its_name() {
        let status = "Name:\tsegue\nVmRSS:\t   1234 kB\nThreads:\t9\n";
        assert_eq!(field(status, "VmRSS:"), Some(1234));
        assert_eq!(field(status, "Threads:"), Some(9));
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_threads() {
        let families = ProcessCollector::new().unwrap().collect();
        assert_eq!(families.len(), 3);
    }
}
