//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::faults::Faults;
use crate::forward::ForwardRow;
use crate::memory::MemoryRow;
use crate::message::MessageRow;
use crate::swap::SwapRow;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    cores: usize,
    processor: String,
    /// Too few repetitions to be told to anybody.
    quick: bool,
    /// Unoptimised, so nothing of it counts.
    debug: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) message: Vec<MessageRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) swap: Vec<SwapRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) memory: Vec<MemoryRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) forward: Vec<ForwardRow>,
    pub(crate) faults: Faults,
}

impl Report {
    pub(crate) fn of_this_machine(quick: bool) -> Report {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        Report {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: model.map_or_else(
                || std::env::consts::ARCH.to_owned(),
                |model| model.trim_start_matches([' ', '\t', ':']).to_owned(),
            ),
            quick,
            debug: cfg!(debug_assertions),
            ..Report::default()
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "{} cores, {}; client and servers share them.{}{}\n",
            self.cores,
            self.processor,
            if self.quick { " A quick run." } else { "" },
            if self.debug { " **Not optimised.**" } else { "" },
        );
        self.message_table(&mut out);
        self.swap_table(&mut out);
        self.memory_table(&mut out);
        self.forward_table(&mut out);
        self.faults_tables(&mut out);
        out
    }

    fn message_table(&self, out: &mut String) {
        if self.message.is_empty() {
            return;
        }
        out.push_str(
            "\n| path of a message | alone, median | alone, p99 | answers/s, 32 at a time | cost in bare echoes |\n\
             |---|--:|--:|--:|--:|\n",
        );
        for row in &self.message {
            let _ = writeln!(
                out,
                "| {} | {:.0} µs | {:.0} µs | {:.0} | {:.1} |",
                row.way, row.p50_us, row.p99_us, row.per_second, row.ratio
            );
        }
    }

    fn swap_table(&self, out: &mut String) {
        if self.swap.is_empty() {
            return;
        }
        out.push_str("\n| swap, from the file's drop to the first answer | median | slowest | bar |\n|---|--:|--:|--:|\n");
        for row in &self.swap {
            let bar = row
                .bar_ms
                .map_or_else(|| "-".to_owned(), |bar| judged(row.median_ms, bar, "ms"));
            let _ = writeln!(
                out,
                "| {} ({} swaps) | {:.0} ms | {:.0} ms | {bar} |",
                row.what, row.swaps, row.median_ms, row.slowest_ms
            );
        }
    }

    fn memory_table(&self, out: &mut String) {
        if self.memory.is_empty() {
            return;
        }
        out.push_str("\n| memory of a session with its socket | idle | after one message | bar (idle) |\n|---|--:|--:|--:|\n");
        for row in &self.memory {
            let _ = writeln!(
                out,
                "| {} sessions | {:.1} KiB | {:.1} KiB | {} |",
                row.sessions,
                row.idle_kib,
                row.asked_kib,
                judged(row.idle_kib, row.bar_kib, "KiB")
            );
        }
    }

    fn forward_table(&self, out: &mut String) {
        if self.forward.is_empty() {
            return;
        }
        out.push_str("\n| answer of a model that was forwarded and waits | each, in the host | instances held | bar |\n|---|--:|--:|--:|\n");
        for row in &self.forward {
            let _ = writeln!(
                out,
                "| {} at once | {:.1} KiB | {:.0} | {} |",
                row.parked,
                row.kib,
                row.instances,
                judged(row.kib, row.bar_kib, "KiB")
            );
        }
    }
}

impl Report {
    fn faults_tables(&self, out: &mut String) {
        let faults = &self.faults;
        if !faults.unrelated.is_empty() {
            out.push_str(
                "\n| messages that do not need what fails | median | p99 | p99 to that without a fault | bar |\n\
                 |---|--:|--:|--:|--:|\n",
            );
        }
        for row in &faults.unrelated {
            let verdict = |bar| if row.ratio <= bar { "met" } else { "**missed**" };
            let bar = row
                .bar
                .map_or_else(|| "-".to_owned(), |bar| format!("{bar:.1}, {}", verdict(bar)));
            let _ = writeln!(
                out,
                "| fault: {} | {:.0} µs | {:.0} µs | {:.2} | {bar} |",
                row.fault, row.p50_us, row.p99_us, row.ratio
            );
        }
        if let Some(row) = &faults.open {
            let bar = judged(row.p99_us, row.bar_us, "µs");
            let _ = writeln!(
                out,
                "\n| an open breaker | median | p99 | bar (p99) |\n|---|--:|--:|--:|\n\
                 | a message whose model is left alone, to its error | {:.0} µs | {:.0} µs | {bar} |",
                row.p50_us, row.p99_us
            );
        }
        if !faults.check.is_empty() {
            out.push_str("\n| the breaker itself | each | bar |\n|---|--:|--:|\n");
        }
        for row in &faults.check {
            let _ = writeln!(
                out,
                "| {} | {:.0} ns | {} |",
                row.what,
                row.ns,
                judged(row.ns, row.bar_ns, "ns")
            );
        }
    }
}

fn judged(value: f64, bar: f64, unit: &str) -> String {
    let verdict = if value <= bar { "met" } else { "**missed**" };
    format!("{bar:.0} {unit}, {verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bar_shows() {
        assert_eq!(judged(12.0, 12.0, "KiB"), "12 KiB, met");
        assert_eq!(judged(12.1, 12.0, "KiB"), "12 KiB, **missed**");
    }

    #[test]
    fn parts_that_were_not_measured_have_no_table() {
        let report = Report::of_this_machine(true);
        assert!(!report.markdown().contains('|'));
    }
}
