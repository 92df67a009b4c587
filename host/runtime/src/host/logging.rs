//! `wasi:logging`, and what a guest writes to stdout and stderr: both become
//! records of the host's log, under the target `plugin`, with the plugin's name
//! and version and the trace of the call.
//!
//! Bounds: a record is cut at 8 KiB, a call writes at most 1,000; the rest are
//! counted, and one line at the end says how many were dropped. The last lines of
//! its standard error, up to 1 KiB, are kept whatever was dropped: should the guest
//! crash, they say why.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::CallState;
use crate::bindings::wasi::logging::logging::{Host, Level};
use crate::gate::Base;
use crate::generation::Identity;
use crate::text::cut;

/// The longest record, in bytes.
pub(super) const RECORD_MAX_BYTES: usize = 8 * 1024;

/// The longest name of a record's context, in bytes.
const CONTEXT_MAX_BYTES: usize = 256;

/// How many records one call may write.
const RECORDS_MAX: u32 = 1000;

/// How much is kept of what a guest last wrote to standard error, in bytes.
const LAST_WORDS_MAX_BYTES: usize = 1024;

/// What Rust's panics end with; no guest has an environment to set.
const MISLEADING: &str = "note: run with `RUST_BACKTRACE=1` environment variable";

/// Where the records of one call go.
pub(crate) struct PluginLog {
    plugin: Arc<Identity>,
    traceparent: String,
    written: AtomicU32,
    last_words: Mutex<String>,
}

impl PluginLog {
    pub(crate) fn new(plugin: Arc<Identity>, traceparent: String) -> PluginLog {
        PluginLog {
            plugin,
            traceparent,
            written: AtomicU32::new(0),
            last_words: Mutex::default(),
        }
    }

    /// A line of the guest's standard error.
    pub(super) fn write_error(&self, level: Level, context: &str, line: &str) {
        if line.starts_with(MISLEADING) {
            return;
        }
        self.write(level, context, line);
        let mut words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if !words.is_empty() {
            words.push('\n');
        }
        words.push_str(cut(line, LAST_WORDS_MAX_BYTES));
        let excess = words.len().saturating_sub(LAST_WORDS_MAX_BYTES);
        let excess = words.ceil_char_boundary(excess);
        words.drain(..excess);
    }

    /// The end of what the guest wrote to standard error; of a panic, all that it
    /// says and nothing from before.
    pub(crate) fn last_words(&self) -> Option<String> {
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let panic = words.rfind(" panicked at ");
        let line = |at: usize| words.get(..at)?.rfind('\n');
        let start = panic.and_then(line).map_or(0, |newline| newline + 1);
        let words = words.get(start..).unwrap_or(&words).trim();
        // On one line, as a person would say it: where, then what.
        let words = words.replace(":\n", ": ").replace('\n', "; ");
        (!words.is_empty()).then_some(words)
    }

    pub(super) fn write(&self, level: Level, context: &str, message: &str) {
        if self.written.fetch_add(1, Ordering::Relaxed) >= RECORDS_MAX {
            return;
        }
        let context = cut(context, CONTEXT_MAX_BYTES);
        let message = cut(message, RECORD_MAX_BYTES);
        let (plugin, version, traceparent) = self.fields();
        macro_rules! record {
            ($level:ident) => {
                tracing::$level!(target: "plugin", plugin, version, traceparent, context, "{message}")
            };
        }
        match level {
            Level::Trace => record!(trace),
            Level::Debug => record!(debug),
            Level::Info => record!(info),
            Level::Warn => record!(warn),
            Level::Error | Level::Critical => record!(error),
        }
    }

    fn fields(&self) -> (&str, &str, &str) {
        (&self.plugin.name, &self.plugin.version, &self.traceparent)
    }
}

impl Drop for PluginLog {
    fn drop(&mut self) {
        let written = self.written.load(Ordering::Relaxed);
        if written > RECORDS_MAX {
            let dropped = written - RECORDS_MAX;
            let (plugin, version, traceparent) = self.fields();
            tracing::warn!(
                target: "plugin", plugin, version, traceparent, dropped,
                "the call wrote more than {RECORDS_MAX} log records; the rest were dropped"
            );
        }
    }
}

impl Host for CallState {
    fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        let pass = self.gate.base(Base::Log, message.len());
        self.log.write(level, &context, &message);
        pass.leave_with(());
        Ok(())
    }
}
