//! The counters of all host calls, one row a function.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::capability::{Capabilities, HostFunction};

/// The functions that every plugin has, beyond the WASI base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    ReplySend,
    ReplySendBinary,
    ReplyStatus,
    ReplyData,
    CallMeta,
    CallClaim,
    CallSetting,
    CallSession,
    CallTraceparent,
    CallDeadline,
    CallAttempt,
    CallPrevious,
    Log,
}

impl Base {
    /// In the order of their rows, with the names that metrics and logs use.
    const ALL: [(Base, &'static str); 13] = [
        (Base::ReplySend, "reply.send"),
        (Base::ReplySendBinary, "reply.send-binary"),
        (Base::ReplyStatus, "reply.status"),
        (Base::ReplyData, "reply.data"),
        (Base::CallMeta, "call.meta"),
        (Base::CallClaim, "call.claim"),
        (Base::CallSetting, "call.setting"),
        (Base::CallSession, "call.session"),
        (Base::CallTraceparent, "call.traceparent"),
        (Base::CallDeadline, "call.deadline-ms"),
        (Base::CallAttempt, "call.attempt"),
        (Base::CallPrevious, "call.previous"),
        (Base::Log, "logging.log"),
    ];
}

/// What became of a host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Denied,
    Error,
}

#[derive(Default)]
struct Tally {
    ok: AtomicU64,
    denied: AtomicU64,
    error: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

/// Which row a function counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row(usize);

impl From<Base> for Row {
    fn from(function: Base) -> Row {
        Row(function as usize)
    }
}

/// The counters of all host calls.
pub(crate) struct HostCalls {
    /// The base first, then the capabilities' in their order.
    rows: Vec<(&'static str, Tally)>,
    of_capabilities: HashMap<&'static str, Row>,
}

impl HostCalls {
    pub(crate) fn new(capabilities: &Capabilities) -> HostCalls {
        let mut rows: Vec<_> = Base::ALL
            .iter()
            .map(|(_, name)| (*name, Tally::default()))
            .collect();
        let mut of_capabilities = HashMap::new();
        for function in capabilities.iter().flat_map(|capability| capability.functions()) {
            of_capabilities.entry(function.name).or_insert_with(|| {
                rows.push((function.name, Tally::default()));
                Row(rows.len() - 1)
            });
        }
        HostCalls {
            rows,
            of_capabilities,
        }
    }

    /// The row of a capability's function; a function that its capability does
    /// not list counts nowhere.
    pub(super) fn row(&self, function: &HostFunction) -> Row {
        let row = self.of_capabilities.get(function.name);
        row.copied().unwrap_or(Row(usize::MAX))
    }

    pub(super) fn record(&self, row: Row, verdict: Verdict, bytes: u64, nanos: u64) {
        let Some((_, tally)) = self.rows.get(row.0) else {
            return;
        };
        let count = match verdict {
            Verdict::Ok => &tally.ok,
            Verdict::Denied => &tally.denied,
            Verdict::Error => &tally.error,
        };
        count.fetch_add(1, Ordering::Relaxed);
        tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        tally.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The counters as they stand, always in the same order.
    pub(crate) fn read(&self) -> Vec<HostCallStats> {
        let rows = self.rows.iter();
        rows.map(|(name, tally)| HostCallStats {
            function: name,
            ok: tally.ok.load(Ordering::Relaxed),
            denied: tally.denied.load(Ordering::Relaxed),
            error: tally.error.load(Ordering::Relaxed),
            bytes: tally.bytes.load(Ordering::Relaxed),
            seconds: tally.nanos.load(Ordering::Relaxed) as f64 / 1e9,
        })
        .collect()
    }
}

/// What guests did with one host function since the start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostCallStats {
    pub function: &'static str,
    pub ok: u64,
    /// Refused because the plugin was not granted it.
    pub denied: u64,
    /// Answered with an error, or abandoned because the call ended meanwhile.
    pub error: u64,
    /// What guests passed in.
    pub bytes: u64,
    /// Time spent inside, waiting for slow clients included.
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_in_the_order_of_the_catalogue() {
        for (at, (function, _)) in Base::ALL.iter().enumerate() {
            assert_eq!(*function as usize, at);
        }
    }
}
