//! The answer as server-sent events.
//!
//! A task reads the session's outbox and hands events to the connection
//! through a short channel. It ends with the message's last frame, when the
//! client has left, or when the client is so slow that the outbox has no more
//! room; the client then comes back with `Last-Event-ID`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use segue_protocol::ServerFrame;
use tokio::sync::mpsc;

use super::LastEvent;
use crate::dispatch;
use crate::session::{Exchange, ReplyReader, Session, Taken};
use crate::state::App;

/// Events that the client may be behind the task.
const EVENTS_AHEAD: usize = 16;

/// When it is over it has happened that nothing more will come.
type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) fn answer(
    app: &Arc<App>,
    session: &Arc<Session>,
    taken: Taken,
    now: ReplyReader,
    last_event: Option<&LastEvent>,
) -> Response {
    let (reader, exchange, ending) = begin(app, session, taken, now, last_event);
    let (events, received) = mpsc::channel(EVENTS_AHEAD);
    let pump = Pump {
        app: app.clone(),
        session: session.clone(),
        exchange,
        events,
    };
    app.tasks.spawn(pump.run(reader, ending));
    let events = stream::unfold(received, async |mut received| {
        let event = received.recv().await?;
        Some((Ok::<_, Infallible>(event), received))
    });
    let alive = KeepAlive::new().interval(app.snapshot().config.server.ping_interval);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    // Proxies of a common kind would otherwise hold events back.
    response
        .headers_mut()
        .insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    response
}

/// Where the answer is read from: after the client's last event; else from the
/// message's first frame; else, when the outbox has let go of that, again from
/// the record, or from now on.
fn begin(
    app: &Arc<App>,
    session: &Arc<Session>,
    taken: Taken,
    now: ReplyReader,
    last_event: Option<&LastEvent>,
) -> (ReplyReader, Arc<Exchange>, Ending) {
    let (exchange, finished) = match taken {
        Taken::New(exchange) => return (now, exchange.clone(), ends(exchange)),
        Taken::Running(exchange) => (exchange, false),
        Taken::Finished(exchange) => (exchange, true),
    };
    let first = exchange.accepted_seq.saturating_sub(1);
    let known = last_event.filter(|event| *event.epoch == *session.epoch).map(|event| event.seq);
    let kept = [known, Some(first)]
        .into_iter()
        .flatten()
        .find(|&after| after >= first && session.outbox.covers(after));
    match kept {
        Some(after) => (session.read_reply(after), exchange.clone(), ends(exchange)),
        None if finished => {
            let (app, session, again) = (app.clone(), session.clone(), exchange.clone());
            let replay = async move { dispatch::replay(&app, &session, &again).await };
            (now, exchange, Box::pin(replay))
        }
        None => (now, exchange.clone(), ends(exchange)),
    }
}

fn ends(exchange: Arc<Exchange>) -> Ending {
    Box::pin(async move { exchange.finished().await })
}

struct Pump {
    app: Arc<App>,
    session: Arc<Session>,
    exchange: Arc<Exchange>,
    events: mpsc::Sender<Event>,
}

impl Pump {
    async fn run(self, mut reader: ReplyReader, mut ending: Ending) {
        let id = self.exchange.id.clone();
        let mut ended = false;
        loop {
            let frame = tokio::select! {
                biased;
                frame = reader.next_of(&id) => frame,
                // All frames are in the outbox, and none is left to be read.
                () = std::future::ready(()), if ended => return self.say_the_end().await,
                () = &mut ending, if !ended => {
                    ended = true;
                    continue;
                }
                () = self.events.closed() => return,
            };
            let event = self.event(&frame.frame, frame.encode(), Some(frame.seq));
            if !self.send(event).await || frame.frame.is_final() {
                return;
            }
        }
    }

    /// The last frame was read before, or is no longer kept: how the message
    /// ended is known all the same.
    async fn say_the_end(&self) {
        let last = {
            let record = self.exchange.record();
            record.end.as_ref().map(|end| self.exchange.last_frame(end, true))
        };
        if let Some(frame) = last {
            self.send(self.event(&frame, frame.encode(None, 0), None)).await;
        }
    }

    fn event(&self, frame: &ServerFrame, text: String, seq: Option<u64>) -> Event {
        let event = Event::default().event(frame.kind()).data(text);
        match seq {
            Some(seq) => event.id(format!("{}:{seq}", self.session.epoch)),
            None => event,
        }
    }

    /// `false` when the client has left or is too slow.
    async fn send(&self, event: Event) -> bool {
        let sent = tokio::select! {
            biased;
            sent = self.events.send(event) => sent.is_ok(),
            () = self.session.outbox.too_slow() => false,
        };
        if sent {
            self.app.metrics.frames_sent.inc();
        }
        sent
    }
}
