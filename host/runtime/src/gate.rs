//! The choke point of every host call.
//!
//! A host function begins with [`Gate::enter`] and ends with [`Pass::leave`];
//! nothing a guest can call does its work outside the two. What is decided and
//! recorded about host calls (grants, counts, durations) is decided and
//! recorded here, once for all of them.
//!
//! The functions of this version belong to the world `handler` itself and need
//! no grant ([`Function::capability`] is `None`), so `enter` lets all of them
//! through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

use crate::generation::Identity;

/// Every function that the host offers to guests beyond the WASI base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
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

impl Function {
    const ALL: [Function; 13] = [
        Function::ReplySend,
        Function::ReplySendBinary,
        Function::ReplyStatus,
        Function::ReplyData,
        Function::CallMeta,
        Function::CallClaim,
        Function::CallSetting,
        Function::CallSession,
        Function::CallTraceparent,
        Function::CallDeadline,
        Function::CallAttempt,
        Function::CallPrevious,
        Function::Log,
    ];

    /// As metrics and logs name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Function::ReplySend => "reply.send",
            Function::ReplySendBinary => "reply.send-binary",
            Function::ReplyStatus => "reply.status",
            Function::ReplyData => "reply.data",
            Function::CallMeta => "call.meta",
            Function::CallClaim => "call.claim",
            Function::CallSetting => "call.setting",
            Function::CallSession => "call.session",
            Function::CallTraceparent => "call.traceparent",
            Function::CallDeadline => "call.deadline-ms",
            Function::CallAttempt => "call.attempt",
            Function::CallPrevious => "call.previous",
            Function::Log => "logging.log",
        }
    }
}

impl Function {
    /// The capability that must be granted before a plugin may call this;
    /// `None` for what belongs to the world `handler` itself.
    fn capability(self) -> Option<&'static str> {
        match self {
            Function::ReplySend
            | Function::ReplySendBinary
            | Function::ReplyStatus
            | Function::ReplyData
            | Function::CallMeta
            | Function::CallClaim
            | Function::CallSetting
            | Function::CallSession
            | Function::CallTraceparent
            | Function::CallDeadline
            | Function::CallAttempt
            | Function::CallPrevious
            | Function::Log => None,
        }
    }
}

/// What became of a host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
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

/// The counters of all host calls, one row a function.
#[derive(Default)]
pub(crate) struct HostCalls {
    rows: [Tally; Function::ALL.len()],
}

impl HostCalls {
    fn record(&self, function: Function, verdict: Verdict, bytes: u64, nanos: u64) {
        let Some(row) = self.rows.get(function as usize) else {
            return;
        };
        let count = match verdict {
            Verdict::Ok => &row.ok,
            Verdict::Denied => &row.denied,
            Verdict::Error => &row.error,
        };
        count.fetch_add(1, Ordering::Relaxed);
        row.bytes.fetch_add(bytes, Ordering::Relaxed);
        row.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The counters as they stand, in the catalogue's order.
    pub(crate) fn read(&self) -> Vec<HostCallStats> {
        let functions = Function::ALL.iter().zip(&self.rows);
        functions
            .map(|(function, row)| HostCallStats {
                function: function.name(),
                ok: row.ok.load(Ordering::Relaxed),
                denied: row.denied.load(Ordering::Relaxed),
                error: row.error.load(Ordering::Relaxed),
                bytes: row.bytes.load(Ordering::Relaxed),
                seconds: row.nanos.load(Ordering::Relaxed) as f64 / 1e9,
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

/// One call's way through the choke point.
#[derive(Clone)]
pub(crate) struct Gate {
    plugin: Arc<Identity>,
    counters: Arc<HostCalls>,
}

impl Gate {
    pub(crate) fn new(plugin: Arc<Identity>, counters: Arc<HostCalls>) -> Gate {
        Gate { plugin, counters }
    }

    /// Begins a host call that was handed `bytes` bytes. An error refuses it.
    pub(crate) fn enter(&self, function: Function, bytes: usize) -> Result<Pass, Denied> {
        let pass = Pass {
            counters: Arc::clone(&self.counters),
            function,
            bytes: bytes as u64,
            since: Instant::now(),
            verdict: Verdict::Error,
        };
        match function.capability() {
            Some(capability) if !self.plugin.is_granted(capability) => {
                pass.settle(Verdict::Denied);
                Err(Denied {
                    plugin: self.plugin.name.clone(),
                    function: function.name(),
                    capability,
                })
            }
            _ => Ok(pass),
        }
    }
}

/// The plugin was not granted the function it called.
#[derive(Debug, thiserror::Error)]
#[error("{function} is not granted; add {capability} to [grants] in {plugin}.toml")]
pub(crate) struct Denied {
    plugin: String,
    function: &'static str,
    capability: &'static str,
}

/// A host call that was let through and has not ended yet. Dropped without
/// [`leave`](Pass::leave), which happens when the call it belongs to is aborted,
/// it counts as an error.
#[must_use]
pub(crate) struct Pass {
    counters: Arc<HostCalls>,
    function: Function,
    bytes: u64,
    since: Instant,
    verdict: Verdict,
}

impl Pass {
    /// Ends the host call and hands its result on.
    pub(crate) fn leave<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        let verdict = if result.is_ok() {
            Verdict::Ok
        } else {
            Verdict::Error
        };
        self.settle(verdict);
        result
    }

    /// Ends a host call that cannot fail.
    pub(crate) fn leave_with<T>(self, value: T) -> T {
        self.settle(Verdict::Ok);
        value
    }

    fn settle(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters
            .record(self.function, self.verdict, self.bytes, nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_call_is_counted_once_whichever_way_it_ends() {
        let counters = Arc::new(HostCalls::default());
        let gate = Gate::new(Arc::new(Identity::for_tests()), Arc::clone(&counters));
        let pass = gate.enter(Function::ReplySend, 10).unwrap();
        pass.leave(Ok::<(), ()>(())).unwrap();
        let pass = gate.enter(Function::ReplySend, 5).unwrap();
        pass.leave(Err::<(), ()>(())).unwrap_err();
        drop(gate.enter(Function::ReplySend, 1).unwrap());
        let rows = counters.read();
        assert_eq!(rows[0].function, "reply.send");
        assert_eq!((rows[0].ok, rows[0].error, rows[0].bytes), (1, 2, 16));
    }

    #[test]
    fn the_rows_are_in_the_order_of_the_catalogue() {
        for (at, function) in Function::ALL.iter().enumerate() {
            assert_eq!(*function as usize, at);
        }
    }
}
