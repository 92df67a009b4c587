//! The path of a message, top to bottom.
//!
//! [`accept`] takes it or refuses it at once: drain state, who sends it, limits,
//! route, whether the host has time for it, identity of the id, room in the queue.
//! [`run`] answers it when its turn has come: pins the configuration, calls the
//! handlers of its route, each under a deadline, numbers what they say into the
//! outbox, does what the route says if nobody could answer, and ends it in exactly
//! one frame.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use segue_protocol::{ErrorCode, Incoming, PartSummary, RequestError};
use segue_runtime::trace::{Span, SpanKind};
use tracing::Instrument as _;

use crate::config::{Mode, Route};
use crate::edge::address;
use crate::fallback;
use crate::limits::Caller;
use crate::overload;
use crate::part::{Ended, Turn};
use crate::session::{End, Exchange, Session, Taken};
use crate::state::App;

/// Takes a message into its session, or says why not. Waits only while the
/// client does not read what it was sent before.
pub async fn accept(
    app: &Arc<App>,
    session: &Arc<Session>,
    message: Incoming,
    caller: &mut Caller,
) -> Result<Taken, RequestError> {
    let snapshot = app.snapshot();
    let label = snapshot.routes.label(&message.mtype);
    app.metrics.message_received(label);
    app.drain.check()?;
    address::check(caller.address, &snapshot.config.server)?;
    app.limits.message(caller, &session.id, &message.mtype, label)?;
    snapshot.routes.find(&message)?;
    session.outbox.room(&snapshot.bounds).await;
    // The wait may have been long.
    app.drain.check()?;
    let work = overload::enter(app)?;
    let taken = session.take(message, &snapshot.rules, &snapshot.bounds)?;
    if let Taken::New(exchange) = &taken {
        exchange.hold(work);
        start_waiting(app, session);
    }
    Ok(taken)
}

/// Sends a finished reply again.
pub async fn replay(app: &App, session: &Session, exchange: &Exchange) {
    let snapshot = app.snapshot();
    for frame in exchange.replay() {
        if frame.is_final() {
            session.outbox.push_last(&snapshot.bounds, frame).await;
        } else {
            session.outbox.push(&snapshot.bounds, frame).await;
        }
    }
}

/// Starts as many waiting messages of the session as may run at a time.
fn start_waiting(app: &Arc<App>, session: &Arc<Session>) {
    while let Some(exchange) = session.start_next(&app.snapshot().rules) {
        let step = begin(app, &exchange);
        let trace_id = step
            .scope()
            .context()
            .map(|trace| tracing::field::display(trace.trace_id()));
        let span = tracing::info_span!("message", trace_id, id = %exchange.id);
        app.tasks
            .spawn(run(app.clone(), session.clone(), exchange, step).instrument(span));
    }
}

/// The message's span, from when it was taken, in its client's trace.
fn begin(app: &App, exchange: &Exchange) -> Span {
    let snapshot = app.snapshot();
    let mtype = snapshot.routes.label(&exchange.message.mtype);
    let traceparent = exchange.message.traceparent.as_deref();
    let mut span = app.tracer.begin(traceparent, SpanKind::Consumer, || {
        format!("process {mtype}").into()
    });
    span.began_at(exchange.taken_at);
    span.set("messaging.system", "segue");
    span.set("messaging.operation.type", "process");
    span.set("messaging.operation.name", "process");
    span.set_text("messaging.destination.name", mtype);
    span
}

/// Answers one message.
async fn run(app: Arc<App>, session: Arc<Session>, exchange: Arc<Exchange>, mut span: Span) {
    let started = Instant::now();
    let step = span.scope().child(SpanKind::Internal, || "dispatch".into());
    let turn = Turn {
        snapshot: app.snapshot(),
        app: &app,
        session: &session,
        exchange: &exchange,
        trace: step.scope(),
        substitutes: None,
    };

    let end = std::panic::AssertUnwindSafe(answer(&turn, started))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            tracing::error!("answering a message panicked; the message ends in an error, the host goes on");
            End::Failed(RequestError::new(
                ErrorCode::Internal,
                "something failed inside the host",
            ))
        });

    let outcome = match &end {
        End::Done { .. } => "ok",
        End::Failed(error) => error.code.as_str(),
    };
    let label = turn.snapshot.routes.label(&exchange.message.mtype);
    app.metrics.message_ended(label, outcome, started.elapsed());
    span.set("segue.outcome", outcome);
    if let End::Failed(error) = &end
        && error.code != ErrorCode::Cancelled
    {
        span.fail(outcome);
    }
    let ms = segue_runtime::units::millis(started.elapsed());
    match &end {
        End::Failed(error) if error.code != ErrorCode::Cancelled => {
            tracing::warn!(mtype = label, outcome, ms, %error, "message failed");
        }
        _ => tracing::info!(mtype = label, outcome, ms, "message ended"),
    }
    session.end(&exchange, end, &turn.snapshot.rules, &turn.snapshot.bounds);
    drop(turn);
    drop((step, span));

    start_waiting(&app, &session);
}

/// Has the handlers of the message's route answer it, or whoever the route falls
/// back on.
async fn answer(turn: &Turn<'_>, started: Instant) -> End {
    let route = match turn.snapshot.routes.find(&turn.exchange.message) {
        Ok(route) => route,
        Err(error) => return End::Failed(error),
    };
    let deadline = route.deadline.map(|d| started + d);
    let ended = ask(turn, route, deadline).await;
    // In a box of its own, so that a message under way takes no room for it.
    let ended = Box::pin(fallback::fall_back(turn, route, ended, deadline)).await;
    conclude(ended, started)
}

/// Calls the handlers of a route in its mode.
pub async fn ask(turn: &Turn<'_>, route: &Route, deadline: Option<Instant>) -> Vec<Ended> {
    let several = route.handlers.len() > 1;
    match route.mode {
        Mode::Parallel => {
            let parts = route.handlers.iter().map(async |handler| {
                let mut ended = turn.part(handler, deadline, Vec::new()).await;
                if several {
                    turn.report_failure(&mut ended);
                }
                ended
            });
            join_all(parts).await
        }
        Mode::Sequence => {
            let mut ended: Vec<Ended> = Vec::new();
            for handler in &route.handlers {
                let previous = ended.iter().map(|e| turn.as_previous(e)).collect();
                let mut part = turn.part(handler, deadline, previous).await;
                if several {
                    turn.report_failure(&mut part);
                }
                let cancelled = part.is_cancelled();
                ended.push(part);
                if cancelled {
                    break;
                }
            }
            ended
        }
        Mode::First => {
            let mut ended: Vec<Ended> = Vec::new();
            for handler in &route.handlers {
                if let Some(failed) = ended.last_mut() {
                    turn.report_failure(failed);
                    turn.restart(failed);
                }
                let part = turn.part(handler, deadline, Vec::new()).await;
                // Cancelled by the client, or cut off by the host.
                let last_word = part.error.is_none() || turn.exchange.cancel.is_cancelled();
                ended.push(part);
                if last_word {
                    break;
                }
            }
            ended
        }
    }
}

/// One end for the whole message: it is done if any handler has answered.
fn conclude(ended: Vec<Ended>, started: Instant) -> End {
    if let Some(cancelled) = ended.iter().find(|e| e.is_cancelled()) {
        return End::Failed(cancelled.error.clone().unwrap_or_else(cancelled_error));
    }
    let answered = ended.iter().any(|e| e.error.is_none());
    if !answered {
        let error = ended.into_iter().next_back().and_then(|e| e.error);
        return End::Failed(error.unwrap_or_else(|| {
            RequestError::new(ErrorCode::Internal, "the route of this message names no handler")
        }));
    }
    End::Done {
        parts: ended
            .iter()
            .map(Ended::summary)
            .collect::<Vec<PartSummary>>()
            .into(),
        ms: segue_runtime::units::millis(started.elapsed()),
    }
}

fn cancelled_error() -> RequestError {
    RequestError::new(ErrorCode::Cancelled, "cancelled")
}

#[cfg(test)]
mod tests;
