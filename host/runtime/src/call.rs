//! One call of a handler, from admission to outcome.
//!
//! Guarantees: a call runs in an instance of its own, on the guest threads, and
//! ends by its deadline or within a tick of its cancellation even while the
//! guest spins; whatever a guest does, and even if a host function panics, ends
//! in an [`Outcome`]; the reply's pieces arrive in order, all those sent before
//! the end included, and among them in their place those of the sources that the
//! guest handed over.
//!
//! When the outcome is known, everything of the call is already gone: its
//! instance, its admission units, its hold on the generation. These go when the
//! guest ends, also while a source of its still runs.

mod outcome;
mod replies;
mod trace;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::admission::{Admission, Admitted};
use crate::capability::{Meters, Services};
use crate::engine::Ticker;
use crate::gate::{Gate, Rulebook};
use crate::generation::{Generation, InFlightGuard};
use crate::host::{CallState, ReplySide, Setting};
use crate::spec::{CallError, CallSpec, Context, Outcome, Reply, Request, Usage};
use outcome::{End, Interrupted};
pub(crate) use replies::Item;
pub use replies::Source;
use replies::{Bounds, GuestEnd, Replies};

/// Pieces of a reply that wait for a slow caller before the guest is parked.
const REPLIES: usize = 4;

/// What a host call may at least hand over, in bytes, however small the memory.
const HOSTCALL_MIN_BYTES: usize = 1 << 20;

/// A call that runs, or has run.
///
/// Dropping it cancels the call.
pub struct Call {
    replies: Replies,
    meters: Meters,
    guard: DropGuard,
}

impl Call {
    /// The next piece of the reply, in order; `None` when the call is over. Not
    /// asking parks the handler once a few pieces wait, and whatever source it
    /// handed over. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Reply> {
        self.replies.next().await
    }

    /// How the call ended. Pieces not asked for until then are thrown away.
    pub async fn finish(self) -> Outcome {
        let mut outcome = self.replies.finish().await;
        self.guard.disarm();
        outcome.usage.meters = self.meters.read();
        outcome
    }

    /// The client has left: sends fail with `client_gone` from now on, and what
    /// the handler has forwarded stops. The handler may still finish, within its
    /// deadline.
    pub fn close_replies(&mut self) {
        self.replies.close();
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Call").finish_non_exhaustive()
    }
}

/// What all calls share.
pub(crate) struct Caller {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    pub(crate) admission: Arc<Admission>,
    pub(crate) rules: Arc<Rulebook>,
    /// Ends every call.
    pub(crate) stop: CancellationToken,
}

impl Caller {
    /// Starts a call on `generation`, on the threads of `guests`. It begins at
    /// once or, past a bound, has already ended as `overloaded`.
    pub(crate) fn call(
        self: &Arc<Caller>,
        guests: &tokio::runtime::Handle,
        generation: &Arc<Generation>,
        spec: CallSpec,
    ) -> Call {
        let (sender, items) = mpsc::channel(REPLIES);
        let (done, outcome) = oneshot::channel();
        let cancel = spec.cancel.child_token();
        let limits = generation.limits();
        let deadline = spec
            .deadline
            .map_or(limits.deadline, |asked| asked.min(limits.deadline));
        let started = Instant::now();
        let bounds = Bounds {
            kind: spec.context.kind,
            limits,
            deadline,
            until: started + deadline,
            cancel: cancel.clone(),
            stop: self.stop.clone(),
        };
        let meters = Meters::default();
        let call = Call {
            replies: Replies::new(items, outcome, bounds.clone(), Arc::clone(&generation.tenure)),
            meters: meters.clone(),
            guard: cancel.drop_guard(),
        };
        let tenure = &generation.tenure;
        match self.admission.try_admit(&tenure.share, generation.weight) {
            Ok(admitted) => {
                let held = Held {
                    _plugin: tenure.in_flight.enter(),
                    _version: generation.in_flight.enter(),
                    _admitted: admitted,
                };
                let run = Run {
                    caller: Arc::clone(self),
                    generation: Arc::clone(generation),
                    request: spec.request,
                    context: spec.context,
                    services: spec.services,
                    meters,
                    bounds,
                    sender,
                    started,
                };
                guests.spawn(run.complete(held, done));
            }
            Err(scope) => {
                let result = Err(CallError::Overloaded { scope });
                tenure.count_call(&result);
                let usage = Usage::default();
                // The receiver is in `call`.
                let _ = done.send(GuestEnd {
                    outcome: Outcome { result, usage },
                    handed_over: false,
                });
            }
        }
        call
    }
}

/// What a call occupies, from its start until nothing of it is left.
struct Held {
    _plugin: InFlightGuard,
    _version: InFlightGuard,
    _admitted: Admitted,
}

/// An admitted call.
struct Run {
    caller: Arc<Caller>,
    generation: Arc<Generation>,
    request: Request,
    context: Context,
    services: Services,
    meters: Meters,
    bounds: Bounds,
    sender: mpsc::Sender<Item>,
    started: Instant,
}

impl Run {
    async fn complete(self, held: Held, done: oneshot::Sender<GuestEnd>) {
        let tenure = Arc::clone(&self.generation.tenure);
        let started = self.started;
        let ended = AssertUnwindSafe(self.run()).catch_unwind().await;
        let end = ended.unwrap_or_else(|_| GuestEnd {
            outcome: outcome::panicked(started),
            handed_over: false,
        });
        // What a source ends is counted when that ends.
        if !end.handed_over {
            tenure.count_call(&end.outcome.result);
        }
        drop(held);
        // Nobody may be waiting any more.
        let _ = done.send(end);
    }

    async fn run(self) -> GuestEnd {
        let Run {
            caller,
            generation,
            request,
            context,
            services,
            meters,
            bounds,
            sender,
            started,
        } = self;
        let Bounds {
            kind,
            limits,
            deadline,
            until,
            cancel,
            stop,
        } = bounds;
        let _ticking = caller.ticker.hold();
        let identity = &generation.identity;
        let trace = context.traceparent.clone();
        let under = context.trace.clone();
        let access = Arc::clone(&generation.tenure.access);
        let setting = Setting {
            context,
            deadline: until,
            cancel: cancel.clone(),
            services,
            meters,
        };
        let state = CallState::new(
            Arc::clone(identity),
            setting,
            Gate::new(Arc::clone(identity), access, Arc::clone(&caller.rules), under),
            ReplySide::new(kind, limits, sender),
        );
        let mut store = Store::new(&caller.engine, state);
        store.limiter(|state| &mut state.meter);
        let memory_bytes = usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX);
        store.set_hostcall_fuel(memory_bytes.max(HOSTCALL_MIN_BYTES));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback({
            let (cancel, stop) = (cancel.clone(), stop.clone());
            move |_| {
                // Busy threads may be late with timers, so the guest itself
                // looks at the clock.
                let over = cancel.is_cancelled() || stop.is_cancelled();
                if over || Instant::now() >= until {
                    return Err(wasmtime::Error::new(Interrupted));
                }
                Ok(UpdateDeadline::Yield(1))
            }
        });
        let end = tokio::select! {
            biased;
            () = cancel.cancelled() => End::Cancelled,
            () = stop.cancelled() => End::Cancelled,
            () = tokio::time::sleep_until(until.into()) => End::Deadline,
            end = handle(&generation, &mut store, request) => end,
        };
        let end = match end {
            End::Interrupted if cancel.is_cancelled() || stop.is_cancelled() => End::Cancelled,
            End::Interrupted => End::Deadline,
            end => end,
        };
        let outcome = outcome::decide(end, store.data(), kind, deadline, started);
        outcome::log(&outcome, identity, &trace);
        GuestEnd {
            outcome: outcome.into_public(),
            handed_over: store.data().reply.handed_over(),
        }
        // The store goes before the generation, whose code it uses.
    }
}

/// A fresh instance, and the call into it.
async fn handle(generation: &Generation, store: &mut Store<CallState>, request: Request) -> End {
    let handler = match generation.code.instantiate_async(&mut *store).await {
        Ok(handler) => handler,
        Err(error) => return End::of_instantiation(error),
    };
    match handler.call_handle(&mut *store, &request.into()).await {
        Ok(Ok(())) => End::Returned,
        Ok(Err(error)) => End::Refused(error.into()),
        Err(error) => End::of_trap(error),
    }
}
