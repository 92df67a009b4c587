//! From the way a call ended to its outcome: the one place that decides which
//! error it was.
//!
//! In this order: cancelled, past the deadline, out of memory, past a limit of
//! the reply, the client gone, then the trap or the handler's own error.

use std::time::{Duration, Instant};

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::trace;

use crate::error::clip;
use crate::generation::Identity;
use crate::host::{CallState, ReplyFault};
use crate::spec::{CallError, EndpointKind, HandlerError, Outcome, Scope, Usage};
use crate::text::cut;

/// What is passed on of a handler's own error.
const CODE_MAX_BYTES: usize = 64;
const MESSAGE_MAX_BYTES: usize = 4 * 1024;

/// What the log takes of what went wrong inside the host.
const DETAIL_MAX_BYTES: usize = 8 * 1024;

/// The epoch callback's word for "the call is over".
#[derive(Debug, thiserror::Error)]
#[error("the call is over")]
pub(super) struct Interrupted;

/// How a call came to its end.
pub(super) enum End {
    Cancelled,
    Deadline,
    /// By the epoch callback, for one of the two reasons above.
    Interrupted,
    Returned,
    Refused(HandlerError),
    /// The guest trapped, or a host function ended it.
    Trapped(wasmtime::Error),
    /// No instance could be made, for no fault of the guest's code.
    NoInstance(wasmtime::Error),
}

impl End {
    pub(super) fn of_trap(error: wasmtime::Error) -> End {
        if error.is::<Interrupted>() {
            return End::Interrupted;
        }
        End::Trapped(error)
    }

    pub(super) fn of_instantiation(error: wasmtime::Error) -> End {
        if error.is::<Trap>() || error.is::<I32Exit>() || error.is::<Interrupted>() {
            return End::of_trap(error);
        }
        End::NoInstance(error)
    }
}

/// An outcome with what only the log is told.
pub(super) struct Decided {
    outcome: Outcome,
    detail: Option<wasmtime::Error>,
    /// What the guest last wrote to standard error.
    stderr: Option<String>,
}

impl Decided {
    pub(super) fn into_public(self) -> Outcome {
        self.outcome
    }
}

pub(super) fn decide(
    end: End,
    state: &CallState,
    kind: EndpointKind,
    deadline: Duration,
    started: Instant,
) -> Decided {
    let (result, detail) = match end {
        End::Cancelled | End::Interrupted => (Err(CallError::Cancelled), None),
        End::Deadline => (Err(CallError::DeadlineExceeded { deadline }), None),
        End::Trapped(error) | End::NoInstance(error) if state.meter.denied() => {
            let limit_bytes = state.meter.limit_bytes();
            (Err(CallError::MemoryExceeded { limit_bytes }), Some(error))
        }
        end => match (state.reply.fault(), end) {
            (Some(fault), _) => (Err(of_fault(fault, state)), None),
            (None, End::Trapped(error)) => (Err(of_trap(&error)), Some(error)),
            (None, End::NoInstance(error)) => (Err(no_instance(&error)), Some(error)),
            (None, End::Refused(error)) => (Err(CallError::Handler(bounded(error))), None),
            (None, _) if kind == EndpointKind::Message && !state.reply.answered() => {
                (Err(CallError::EmptyReply), None)
            }
            (None, _) => (Ok(()), None),
        },
    };
    let usage = Usage {
        chunks: state.reply.chunks(),
        reply_bytes: state.reply.bytes(),
        memory_peak_bytes: state.meter.peak_bytes(),
        ms: ms_since(started),
        ..Usage::default()
    };
    Decided {
        outcome: Outcome { result, usage },
        stderr: detail.as_ref().and_then(|_| state.last_words()),
        detail,
    }
}

/// A host function panicked; the panic itself was printed where it happened.
pub(super) fn panicked(started: Instant) -> Outcome {
    tracing::error!("a host function panicked during a call; the call ends, the host goes on");
    Outcome {
        result: Err(CallError::Internal {
            message: String::from("an internal fault"),
        }),
        usage: Usage {
            ms: ms_since(started),
            ..Usage::default()
        },
    }
}

fn ms_since(started: Instant) -> f64 {
    crate::units::millis(started.elapsed())
}

fn of_fault(fault: ReplyFault, state: &CallState) -> CallError {
    let limits = state.reply.limits();
    match fault {
        ReplyFault::TooLarge => CallError::ReplyTooLarge {
            limit_bytes: limits.reply_bytes,
        },
        ReplyFault::TooManyChunks => CallError::TooManyChunks { limit: limits.chunks },
        ReplyFault::ClientGone => CallError::ClientGone,
    }
}

fn of_trap(error: &wasmtime::Error) -> CallError {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        if *trap == Trap::StackOverflow {
            return CallError::StackExhausted;
        }
        let text = trap.to_string();
        let text = text.strip_prefix("wasm trap: ").unwrap_or(&text);
        let message = String::from(text);
        return CallError::Trapped { message };
    }
    let message = match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(status)) => format!("it exited with status {status}"),
        None => String::from("it misused a function of the host"),
    };
    CallError::Trapped { message }
}

fn no_instance(error: &wasmtime::Error) -> CallError {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        // Admission counts memories and tables; a component of very many core
        // instances can still find the pool empty.
        let scope = Scope::Host;
        return CallError::Overloaded { scope };
    }
    CallError::Internal {
        message: String::from("the handler could not be instantiated"),
    }
}

fn bounded(error: HandlerError) -> HandlerError {
    HandlerError {
        code: clip(&error.code, CODE_MAX_BYTES),
        message: String::from(cut(&error.message, MESSAGE_MAX_BYTES)),
        ..error
    }
}

/// What the operator learns of a call that did not end well.
pub(super) fn log(decided: &Decided, plugin: &Identity, traceparent: &str) {
    let Err(error) = &decided.outcome.result else {
        return;
    };
    let (name, version, code) = (&plugin.name, &plugin.version, error.code());
    match &decided.detail {
        Some(detail) => {
            // What there is none of is left out.
            let backtrace = trace::backtrace(detail);
            let causes = trace::causes(detail);
            tracing::warn!(
                plugin = name,
                version,
                traceparent,
                code,
                stderr = decided.stderr,
                backtrace,
                detail = causes.as_deref().map(|causes| cut(causes, DETAIL_MAX_BYTES)),
                "a call failed: {error}"
            );
        }
        None => tracing::debug!(
            plugin = name,
            version,
            traceparent,
            code,
            "a call failed: {error}"
        ),
    }
}
