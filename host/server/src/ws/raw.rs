//! Raw endpoints: a WebSocket straight to one handler.
//!
//! No session and no JSON: each message from the client is one call, one after
//! the other in order; each thing the handler sends is one frame. An error closes
//! with [`CloseCode::HandlerFailed`] and the error's code in the reason.
//!
//! While a call runs some more messages are read ahead, so that a client that
//! leaves is noticed; past that they wait in the client's own socket. One that
//! closes the socket, or whose connection ends, ends its call at once, and with
//! it what the call waits for; what it had sent ahead is not answered. One that
//! breaks the protocol is still there, and gets the answers due to what came
//! before.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use segue_protocol::{CloseCode, ErrorCode, RequestError};
use segue_resilience::Admission;
use segue_resilience::shed::Work;
use segue_runtime::trace::{Scope, Span, SpanKind};
use segue_runtime::{CallError, CallSpec, Context, EndpointKind, Payload, Reply, Request};
use serde_json::Map;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::socket::{self, Beat, Pulse, Received, Sink, Stream};
use crate::drain::Phase;
use crate::edge::{address, respond};
use crate::errors;
use crate::guarded;
use crate::overload;
use crate::state::App;
use crate::target::{Running, Target};
use crate::telemetry::metrics::Held;

/// The label of raw calls in metrics about messages.
const MTYPE: &str = "raw";
/// A close frame's reason has room for so many bytes.
const MAX_REASON_BYTES: usize = 123;
/// No more messages are read ahead than this, nor once they hold so many bytes.
const MAX_AHEAD: usize = 64;
const MAX_AHEAD_BYTES: usize = 64 * 1024;

/// Messages that came while the one before them is answered, in order.
#[derive(Default)]
struct Ahead {
    waiting: VecDeque<Received>,
    bytes: usize,
}

impl Ahead {
    /// Whether one more may be read: none after the last.
    fn has_room(&self) -> bool {
        let over = matches!(self.waiting.back(), Some(Received::Over(_)));
        !over && self.waiting.len() < MAX_AHEAD && self.bytes < MAX_AHEAD_BYTES
    }

    fn add(&mut self, received: Received) {
        self.bytes += received.len();
        self.waiting.push_back(received);
    }

    fn take(&mut self) -> Option<Received> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.len();
        Some(next)
    }

    fn has_message(&self) -> bool {
        matches!(
            self.waiting.front(),
            Some(Received::Text(_) | Received::Binary(_))
        )
    }
}

enum Exit {
    Peer(Option<u16>),
    Host(CloseCode),
    Failed(RequestError),
}

/// What a socket leads to, and from where.
pub struct Line {
    /// Of the endpoint.
    pub path: Arc<str>,
    pub handler: String,
    pub traceparent: Option<String>,
    /// Of the client.
    pub address: IpAddr,
}

/// Opens a socket. The router calls it for the paths that `[[endpoint]]` names.
pub async fn upgrade(app: Arc<App>, line: Line, upgrade: WebSocketUpgrade) -> Response {
    if let Err(error) = app.drain.check() {
        return respond::error(&error);
    }
    let max_frame = app.snapshot().config.server.max_raw_frame;
    let tasks = app.tasks.clone();
    socket::bounded(upgrade, max_frame)
        .on_upgrade(move |socket| tasks.track_future(serve(app, line, socket)))
        .into_response()
}

async fn serve(app: Arc<App>, line: Line, socket: WebSocket) {
    let _open = Held::new(&app.metrics.connections);
    let (mut sink, mut stream) = socket.split();
    let snapshot = app.snapshot();
    let pulse = Pulse::new(
        snapshot.config.server.ping_interval,
        snapshot.config.server.ping_timeout,
    );
    drop(snapshot);

    let exit = converse(&app, &line, &mut sink, &mut stream, &pulse).await;
    match exit {
        Exit::Peer(None) => socket::answer_close(sink, stream).await,
        Exit::Peer(Some(code)) => socket::close(sink, stream, code, "protocol error").await,
        Exit::Host(code) => socket::close_with(sink, stream, code).await,
        Exit::Failed(error) => {
            let reason = error.to_string();
            let reason = reason
                .get(..reason.floor_char_boundary(MAX_REASON_BYTES))
                .unwrap_or_default();
            socket::close(sink, stream, CloseCode::HandlerFailed.code(), reason).await;
        }
    }
}

async fn converse(app: &Arc<App>, line: &Line, sink: &mut Sink, stream: &mut Stream, pulse: &Pulse) -> Exit {
    let draining = app.drain.reached(Phase::Draining);
    tokio::pin!(draining);
    let mut ahead = Ahead::default();
    let mut pinged = None;
    loop {
        let received = match ahead.take() {
            Some(received) => received,
            None => tokio::select! {
                biased;
                () = &mut draining => return Exit::Host(CloseCode::Draining),
                received = socket::receive(stream, pulse) => received,
                beat = pulse.beat(pinged) => match beat {
                    Beat::Lost => return Exit::Host(CloseCode::PingTimeout),
                    Beat::Ping => {
                        pinged = Some(tokio::time::Instant::now());
                        if sink.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                            return Exit::Peer(None);
                        }
                        continue;
                    }
                },
            },
        };
        let payload = match received {
            Received::Text(text) => Payload::Text(text.as_str().to_owned()),
            Received::Binary(bytes) => Payload::Binary(bytes.into()),
            Received::Over(code) => return Exit::Peer(code),
        };
        let step = step(app, line);
        let trace_id = (step.scope().context()).map(|trace| tracing::field::display(trace.trace_id()));
        let span = tracing::info_span!("raw", trace_id, handler = line.handler);
        let answered = answer(app, line, payload, step, sink, stream, pulse, &mut ahead)
            .instrument(span)
            .await;
        if let Err(exit) = answered {
            return exit;
        }
        // A client that is always a message ahead would go on for ever.
        if ahead.has_message() && app.drain.is_draining() {
            return Exit::Host(CloseCode::Draining);
        }
    }
}

/// The span of one message.
fn step(app: &App, line: &Line) -> Span {
    let above = line.traceparent.as_deref();
    let mut span = app
        .tracer
        .begin(above, SpanKind::Consumer, || "process raw".into());
    span.set("messaging.system", "segue");
    span.set("messaging.operation.type", "process");
    span.set("messaging.operation.name", "process");
    span.set("messaging.destination.name", MTYPE);
    span.set_text("segue.handler.name", &line.handler);
    span
}

/// Answers one message.
#[expect(clippy::too_many_arguments, reason = "one socket, in its parts")]
async fn answer(
    app: &Arc<App>,
    line: &Line,
    payload: Payload,
    mut span: Span,
    sink: &mut Sink,
    stream: &mut Stream,
    pulse: &Pulse,
    ahead: &mut Ahead,
) -> Result<(), Exit> {
    let handler = line.handler.as_str();
    app.metrics.message_received(MTYPE);
    let started = std::time::Instant::now();
    let cancel = app.cut.child_token();
    let Begun {
        target,
        admission,
        allowed,
        work: _work,
    } = match begin(app, line, &cancel).await {
        Ok(begun) => begun,
        Err(error) => {
            app.metrics
                .message_ended(MTYPE, error.code.as_str(), started.elapsed());
            span.fail(error.code.as_str());
            return Err(Exit::Failed(error));
        }
    };
    let since = std::time::Instant::now();
    let spec = CallSpec {
        deadline: Some(allowed),
        ..spec(app, payload, span.scope(), cancel.clone())
    };
    let mut call = target.call(&app.runtime, spec);
    let relayed = relay(app, &mut call, sink, stream, pulse, ahead).await;
    if matches!(relayed, Relayed::Gone) {
        cancel.cancel();
    }
    call.close_replies();
    let mut outcome = call.finish().await;
    // It was cancelled because of that.
    if matches!(relayed, Relayed::Gone) && outcome.result == Err(CallError::Cancelled) {
        outcome.result = Err(CallError::ClientGone);
    }
    match relayed {
        Relayed::TooSlow => drop(admission),
        _ => admission.judge(guarded::verdict(
            &outcome.result,
            since.elapsed(),
            target.deadline(),
        )),
    }
    let error = outcome
        .result
        .as_ref()
        .err()
        .map(|error| errors::of_call(handler, error));
    let code = error.as_ref().map_or("ok", |error| error.code.as_str());
    app.metrics.message_ended(MTYPE, code, started.elapsed());
    span.set("segue.outcome", code);
    if outcome
        .result
        .as_ref()
        .is_err_and(|e| !matches!(e, CallError::ClientGone | CallError::Cancelled))
    {
        span.fail(code);
    }
    if let Some(error) = outcome
        .result
        .err()
        .filter(|e| !matches!(e, CallError::ClientGone))
    {
        tracing::warn!(handler, version = target.version().as_deref(), code, %error, "handler failed");
    }
    match (relayed, error) {
        (Relayed::Gone, _) => Err(Exit::Peer(None)),
        (Relayed::TooSlow, _) => Err(Exit::Host(CloseCode::SlowConsumer)),
        (Relayed::Whole, Some(error)) => Err(Exit::Failed(error)),
        (Relayed::Whole, None) => Ok(()),
    }
}

/// A call that may be made.
struct Begun {
    target: Target,
    /// It counts as under way.
    work: Work,
    admission: Admission,
    /// How long it may take.
    allowed: Duration,
}

/// Who sends it, limits, whether the host has time for it, who answers, a place
/// for the call.
async fn begin(app: &App, line: &Line, cancel: &CancellationToken) -> Result<Begun, RequestError> {
    address::check(line.address, &app.snapshot().config.server)?;
    app.limits.frame(line.address, &line.path)?;
    let work = overload::enter(app)?;
    let handler = line.handler.as_str();
    let target = app.target(handler).ok_or_else(|| {
        RequestError::new(
            ErrorCode::HandlerUnavailable,
            format!("the handler {handler} is not loaded"),
        )
    })?;
    let (admission, allowed) = guarded::admit(app, handler, target.deadline(), cancel).await?;
    Ok(Begun {
        target,
        work,
        admission,
        allowed,
    })
}

/// How passing on came to an end.
enum Relayed {
    /// The handler has ended and all that it sent is written.
    Whole,
    /// Nobody is there any more.
    Gone,
    /// The client reads nothing.
    TooSlow,
}

/// Passes on what the handler sends until it has ended or the client has left.
async fn relay(
    app: &App,
    call: &mut Running,
    sink: &mut Sink,
    stream: &mut Stream,
    pulse: &Pulse,
    ahead: &mut Ahead,
) -> Relayed {
    loop {
        let reply = tokio::select! {
            reply = call.next() => match reply {
                Some(reply) => reply,
                None => return Relayed::Whole,
            },
            received = socket::receive(stream, pulse), if ahead.has_room() => {
                if matches!(received, Received::Over(None)) {
                    return Relayed::Gone;
                }
                ahead.add(received);
                continue;
            }
        };
        let message = match reply {
            Reply::Chunk(text) => Message::Text(text.into()),
            Reply::Binary(bytes) => Message::Binary(bytes.into()),
            // The runtime refuses data here and drops status.
            Reply::Status(_) | Reply::Data(_) => continue,
        };
        match tokio::time::timeout(pulse.patience(), sink.send(message)).await {
            Ok(Ok(())) => app.metrics.frames_sent.inc(),
            Ok(Err(_)) => return Relayed::Gone,
            Err(_) => return Relayed::TooSlow,
        }
    }
}

/// A raw call has no session, so its services have none either.
fn spec(app: &App, payload: Payload, trace: &Scope, cancel: CancellationToken) -> CallSpec {
    CallSpec {
        request: Request {
            id: format!("h-{}", crate::ids::random()),
            mtype: String::new(),
            payload,
            rag_sql: false,
            rag_doc: false,
        },
        context: Context {
            kind: EndpointKind::Raw,
            meta: Arc::new(Map::new()),
            claims: Arc::new(Map::new()),
            session: None,
            traceparent: trace.traceparent(),
            trace: trace.clone(),
            attempt: 1,
            previous: Vec::new(),
        },
        deadline: None,
        cancel,
        services: app.snapshot().services.clone(),
    }
}

#[cfg(test)]
mod tests;
