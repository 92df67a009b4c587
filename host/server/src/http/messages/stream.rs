//! The answer as server-sent events.
//!
//! A task reads the session's outbox and hands events to the connection
//! through a short channel. It ends with the message's last frame, when the
//! client has left, or when the client is so slow that the outbox has no more
//! room, or has let go of something before its turn; the client then comes back
//! with `Last-Event-ID`. Nothing is left out in silence.
//!
//! What the outbox has let go of comes from the record of the message instead,
//! once that is whole: from its beginning, marked `replayed`, and without
//! numbers, since those frames are this client's alone.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use segue_protocol::ServerFrame;
use tokio::sync::mpsc;

use super::LastEvent;
use crate::session::{Exchange, Patience, ReplyReader, Session, Taken};
use crate::state::App;

/// Events that the client may be behind the task.
const EVENTS_AHEAD: usize = 16;

pub(super) fn answer(
    app: &Arc<App>,
    session: &Arc<Session>,
    taken: Taken,
    last_event: Option<&LastEvent>,
) -> Response {
    let (events, received) = mpsc::channel(EVENTS_AHEAD);
    let (source, exchange) = begin(session, taken, last_event);
    let pump = Pump {
        app: app.clone(),
        session: session.clone(),
        exchange,
        events,
    };
    app.tasks.spawn(async move {
        match source {
            Source::Outbox(reader) => pump.read(reader).await,
            Source::Record(reader) => pump.recall(reader).await,
        }
    });
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

enum Source {
    Outbox(ReplyReader),
    Record(ReplyReader),
}

/// Where the answer is read from: after the client's last event; else from the
/// message's first frame; else from the record.
fn begin(session: &Arc<Session>, taken: Taken, last_event: Option<&LastEvent>) -> (Source, Arc<Exchange>) {
    let (Taken::New(exchange) | Taken::Running(exchange) | Taken::Finished(exchange)) = taken;
    let first = exchange.accepted_seq.saturating_sub(1);
    let known = last_event
        .filter(|event| *event.epoch == *session.epoch)
        .map(|event| event.seq);
    let kept = [known, Some(first)]
        .into_iter()
        .flatten()
        .filter(|&after| after >= first)
        .find_map(|after| {
            // The reader first: from then on nothing is taken from under it.
            let reader = session.read_reply(after);
            session.outbox.covers(after).then_some(reader)
        });
    let source = match kept {
        Some(reader) => Source::Outbox(reader),
        None => Source::Record(session.read_reply(session.outbox.last_seq())),
    };
    (source, exchange)
}

struct Pump {
    app: Arc<App>,
    session: Arc<Session>,
    exchange: Arc<Exchange>,
    events: mpsc::Sender<Event>,
}

impl Pump {
    async fn read(self, mut reader: ReplyReader) {
        let patience = reader.patience();
        let mut ended = false;
        loop {
            let frame = tokio::select! {
                biased;
                frame = reader.next_of(&self.exchange.id) => frame,
                // Nothing more will come, and nothing is left to be read: the
                // client has had the last frame before.
                () = std::future::ready(()), if ended => return self.say_the_end(reader.cursor()).await,
                () = self.exchange.finished(), if !ended => {
                    ended = true;
                    continue;
                }
                () = self.events.closed() => return,
            };
            // Read by somebody faster, it has made room.
            let Some(frame) = frame else { return };
            let event = self.event(&frame.frame, frame.encode(), Some(frame.seq));
            if !self.send(event, Some(&patience)).await || frame.frame.is_final() {
                return;
            }
        }
    }

    /// Reads the outbox meanwhile, so that the handler is not held back.
    async fn recall(self, mut reader: ReplyReader) {
        loop {
            tokio::select! {
                biased;
                () = self.exchange.finished() => break,
                () = self.events.closed() => return,
                _ = reader.next_of(&self.exchange.id) => {}
            }
        }
        drop(reader);
        for frame in self.exchange.replay() {
            if !self
                .send(self.event(&frame, frame.encode(None, 0), None), None)
                .await
            {
                return;
            }
        }
    }

    async fn say_the_end(&self, after: u64) {
        if !self.session.outbox.covers(after) {
            return;
        }
        let last = {
            let record = self.exchange.record();
            record.end.as_ref().map(|end| self.exchange.last_frame(end, true))
        };
        if let Some(frame) = last {
            self.send(self.event(&frame, frame.encode(None, 0), None), None)
                .await;
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
    async fn send(&self, event: Event, patience: Option<&Patience>) -> bool {
        let too_slow = async {
            match patience {
                Some(patience) => patience.lost().await,
                None => std::future::pending().await,
            }
        };
        let sent = tokio::select! {
            biased;
            sent = self.events.send(event) => sent.is_ok(),
            () = too_slow => false,
        };
        if sent {
            self.app.metrics.frames_sent.inc();
        }
        sent
    }
}
