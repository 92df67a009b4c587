//! `/chat`: a session's socket.
//!
//! One task a socket. It reads and writes at the same time: a client that reads
//! slowly can still cancel, and a client that floods is held back by its own
//! unread answers. Which session it speaks for is settled first: the query
//! names one to resume, or the first frame does, or it gets a new one.

mod notices;
mod read;
mod write;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use segue_protocol::{ClientFrame, CloseCode, ErrorCode, RequestError, ServerFrame};
use serde::Deserialize;

use super::socket::{self, Pulse, Received, Sink, Stream};
use crate::drain::reconnect_in_ms;
use crate::edge::address::ClientAddress;
use crate::edge::respond;
use crate::limits::{Caller, Via};
use crate::session::{Attachment, Reader};
use crate::state::App;
use crate::telemetry::TraceContext;
use crate::telemetry::metrics::Held;
use notices::Notices;

/// Which session to go on with.
#[derive(Debug, Deserialize)]
pub struct ResumeQuery {
    session: Option<String>,
    epoch: Option<String>,
    #[serde(default)]
    after: u64,
}

struct Resume {
    session: String,
    epoch: Option<String>,
    after: u64,
}

/// Why a socket ends.
enum Exit {
    /// The peer closed, left, or broke the protocol.
    Peer(Option<u16>),
    /// The host closes.
    Host(CloseCode),
    /// The client asked for another session on the same socket.
    Switch(Resume),
}

pub async fn upgrade(
    State(app): State<Arc<App>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    query: Result<Query<ResumeQuery>, QueryRejection>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Err(error) = app.drain.check() {
        return respond::error(&error);
    }
    let resume = match query {
        Ok(Query(query)) => query.session.map(|session| Resume {
            session,
            epoch: query.epoch,
            after: query.after,
        }),
        Err(rejection) => {
            let error = RequestError::new(ErrorCode::InvalidMessage, rejection.body_text());
            return respond::error(&error);
        }
    };
    let max_frame = app.snapshot().config.server.max_frame;
    let tasks = app.tasks.clone();
    let traceparent = traceparent(&headers);
    socket::bounded(upgrade, max_frame)
        .on_upgrade(move |socket| tasks.track_future(serve(app, socket, resume, address, traceparent)))
        .into_response()
}

/// The trace that the socket's messages are of, unless they say another.
fn traceparent(headers: &HeaderMap) -> Option<Arc<str>> {
    let said = headers.get("traceparent")?.to_str().ok()?;
    TraceContext::parse(said).map(|trace| trace.to_string().into())
}

async fn serve(
    app: Arc<App>,
    socket: WebSocket,
    resume: Option<Resume>,
    address: IpAddr,
    traceparent: Option<Arc<str>>,
) {
    let mut caller = Caller::new(address, Via::Socket);
    let _open = Held::new(&app.metrics.connections);
    let (mut sink, mut stream) = socket.split();
    let server = app.snapshot().config.server.clone();
    let pulse = Pulse::new(server.ping_interval, server.ping_timeout);
    drop(server);

    let (mut resume, mut first) = match resume {
        Some(resume) => (Some(resume), None),
        None => first_frame(&app, &mut stream, &pulse).await,
    };
    let exit = loop {
        // Gone before it began: no session is opened for it.
        if let Some(Received::Over(code)) = &first {
            break Exit::Peer(*code);
        }
        let (attachment, reader, hello) = match settle(&app, &mut sink, resume.take()).await {
            Ok(settled) => settled,
            Err(exit) => break exit,
        };
        if send(&mut sink, &hello, None).await.is_err() {
            break Exit::Peer(None);
        }
        let notices = Notices::default();
        let to = read::To {
            app: &app,
            session: &attachment.session,
            notices: &notices,
            traceparent: traceparent.as_deref(),
        };
        let exit = tokio::select! {
            exit = read::read(&to, &mut caller, &mut stream, &pulse, first.take()) => exit,
            exit = write::write(&app, &attachment, &notices, &mut sink, &pulse, reader) => exit,
        };
        match exit {
            Exit::Switch(other) => {
                // What it got meanwhile, and never used, is not kept.
                let left = &attachment.session;
                if left.outbox.last_seq() == 0 && other.session != *left.id {
                    app.sessions.erase(&left.id);
                }
                resume = Some(other);
            }
            exit => break exit,
        }
    };
    match exit {
        Exit::Peer(None) => socket::answer_close(sink, stream).await,
        Exit::Peer(Some(code)) => socket::close(sink, stream, code, "protocol error").await,
        Exit::Host(code) => {
            if code == CloseCode::Draining {
                let drain = ServerFrame::Drain {
                    reconnect_in_ms: reconnect_in_ms(),
                };
                let _ = tokio::time::timeout(Duration::from_secs(1), send(&mut sink, &drain, None)).await;
            }
            socket::close_with(sink, stream, code).await;
        }
        Exit::Switch(_) => {}
    }
}

/// Gives a socket that named no session the chance to name one first.
async fn first_frame(app: &App, stream: &mut Stream, pulse: &Pulse) -> (Option<Resume>, Option<Received>) {
    let wait = app.snapshot().config.session.resume_wait;
    let Ok(received) = tokio::time::timeout(wait, socket::receive(stream, pulse)).await else {
        return (None, None);
    };
    if let Received::Text(text) = &received
        && let Ok(ClientFrame::Resume {
            session,
            epoch,
            after,
        }) = ClientFrame::parse(text)
    {
        return (
            Some(Resume {
                session,
                epoch,
                after,
            }),
            None,
        );
    }
    (None, Some(received))
}

/// Finds or opens the session, and says so in a `hello` that is never better
/// than the truth.
async fn settle(
    app: &Arc<App>,
    sink: &mut Sink,
    resume: Option<Resume>,
) -> Result<(Attachment, Reader, ServerFrame), Exit> {
    let snapshot = app.snapshot();
    let mut known = None;
    if let Some(resume) = resume {
        known = app.sessions.get(&resume.session).map(|session| (session, resume));
        if known.is_none() {
            let error = RequestError::new(
                ErrorCode::SessionUnknown,
                "there is no such session; a new one begins",
            );
            let _ = send(sink, &ServerFrame::ConnectionError { error }, None).await;
        }
    }
    let (attachment, reader, recovered) = match known {
        Some((session, resume)) => {
            let attachment = session.attach();
            let same = resume.epoch.as_deref() == Some(&*session.epoch);
            let after = if same { resume.after } else { 0 };
            // The reader first: from then on nothing is taken from under it, so
            // that `recovered` is still true when it is read.
            let reader = session.outbox.reader(after);
            let recovered = same && session.outbox.covers(after);
            (attachment, reader, recovered)
        }
        None => {
            let session = app
                .sessions
                .open(snapshot.config.session.max_sessions)
                .map_err(|_| Exit::Host(CloseCode::Overloaded))?;
            (session.attach(), session.outbox.reader(0), false)
        }
    };
    let session = &attachment.session;
    let hello = ServerFrame::Hello {
        session: session.id.clone(),
        epoch: session.epoch.clone(),
        recovered,
        last_seq: session.outbox.last_seq(),
        max_frame: snapshot.config.server.max_frame as u64,
        id_window_ms: millis(snapshot.config.session.id_window),
        id_max: snapshot.config.session.id_max as u64,
        ping_interval_ms: millis(snapshot.config.server.ping_interval),
    };
    Ok((attachment, reader, hello))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn send(sink: &mut Sink, frame: &ServerFrame, seq: Option<u64>) -> Result<(), axum::Error> {
    sink.send(Message::Text(frame.encode(seq, 0).into())).await
}
