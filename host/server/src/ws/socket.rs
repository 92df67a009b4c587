//! What every WebSocket of the host does alike.

use std::sync::Mutex;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use segue_protocol::CloseCode;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite;

pub type Sink = SplitSink<WebSocket, Message>;
pub type Stream = SplitStream<WebSocket>;

/// Small buffers: an idle socket costs what it holds.
const BUFFER_BYTES: usize = 4 * 1024;
/// How long a closing socket may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Bounds frames and messages, fragments together, at `max_bytes`.
pub fn bounded(upgrade: WebSocketUpgrade, max_bytes: usize) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        // Beyond a whole message waiting, writing fails rather than hoards.
        .max_write_buffer_size(BUFFER_BYTES + 2 * max_bytes.max(64 * 1024 * 1024))
        .max_frame_size(max_bytes)
        .max_message_size(max_bytes)
}

/// What comes from the socket.
#[derive(Debug)]
pub enum Received {
    Text(Utf8Bytes),
    Binary(bytes::Bytes),
    /// The peer closes, has left, or broke the protocol: answer with this code.
    Over(Option<u16>),
}

impl Received {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        match self {
            Received::Text(text) => text.len(),
            Received::Binary(bytes) => bytes.len(),
            Received::Over(_) => 0,
        }
    }
}

/// The next message that is not about the connection itself. Cancel-safe.
pub async fn receive(stream: &mut Stream, pulse: &Pulse) -> Received {
    loop {
        match stream.next().await {
            Some(Ok(message)) => {
                pulse.heard();
                match message {
                    Message::Text(text) => return Received::Text(text),
                    Message::Binary(bytes) => return Received::Binary(bytes),
                    // The library answers pings by itself.
                    Message::Ping(_) | Message::Pong(_) => {}
                    Message::Close(_) => return Received::Over(None),
                }
            }
            Some(Err(error)) => return Received::Over(close_code_for(error)),
            None => return Received::Over(None),
        }
    }
}

/// RFC 6455, section 7.4.1: which code answers which fault.
fn close_code_for(error: axum::Error) -> Option<u16> {
    use tungstenite::Error;
    let error = error.into_inner();
    match error.downcast_ref::<Error>()? {
        Error::Capacity(_) => Some(1009),
        Error::Utf8(_) => Some(1007),
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(1002),
        _ => None,
    }
}

/// Whether the other end is still there: pings when it is quiet.
#[derive(Debug)]
pub struct Pulse {
    last_heard: Mutex<Instant>,
    interval: Duration,
    timeout: Duration,
}

/// What the pulse asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Beat {
    Ping,
    /// The ping was not answered.
    Lost,
}

impl Pulse {
    pub fn new(interval: Duration, timeout: Duration) -> Pulse {
        Pulse {
            last_heard: Mutex::new(Instant::now()),
            interval,
            timeout,
        }
    }

    fn last_heard(&self) -> Instant {
        *self
            .last_heard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Something came from the other end.
    pub fn heard(&self) {
        *self
            .last_heard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }

    /// Waits until a ping is due, or until the one at `pinged` is overdue.
    /// Cancel-safe.
    pub async fn beat(&self, pinged: Option<Instant>) -> Beat {
        loop {
            let heard = self.last_heard();
            match pinged.filter(|at| heard < *at) {
                Some(at) => {
                    // Nobody wakes this up when an answer comes: look when the
                    // next ping would be due, and again when time is up.
                    let overdue = at + self.timeout;
                    let next = at + self.interval;
                    if Instant::now() >= overdue {
                        return Beat::Lost;
                    }
                    let look = if Instant::now() < next {
                        next.min(overdue)
                    } else {
                        overdue
                    };
                    tokio::time::sleep_until(look).await;
                }
                None => {
                    let due = heard + self.interval;
                    if Instant::now() >= due {
                        return Beat::Ping;
                    }
                    tokio::time::sleep_until(due).await;
                }
            }
        }
    }

    /// How long writing may make no headway at all.
    pub fn patience(&self) -> Duration {
        self.interval + self.timeout
    }
}

/// Closes in good order: says why, waits for the peer to say goodbye, for a
/// bounded time, then lets go.
pub async fn close(mut sink: Sink, mut stream: Stream, code: u16, reason: &str) {
    let goodbye = async {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from(reason),
        };
        if sink.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}

/// Finishes a closing handshake that the peer began.
pub async fn answer_close(mut sink: Sink, mut stream: Stream) {
    let goodbye = async {
        while let Some(Ok(_)) = stream.next().await {}
        let _ = sink.close().await;
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}

/// Closes with a code of the catalogue.
pub async fn close_with(sink: Sink, stream: Stream, code: CloseCode) {
    close(sink, stream, code.code(), code.reason()).await;
}
