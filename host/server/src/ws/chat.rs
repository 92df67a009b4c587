//! `/chat`: a session's socket.
//!
//! One task a socket. It reads and writes at the same time: a client that reads
//! slowly can still cancel, and a client that floods is held back by its own
//! unread answers. Which session it speaks for is settled first: the query
//! names one to resume, or the first frame does, or it gets a new one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use segue_protocol::{ClientFrame, CloseCode, ErrorCode, FrameError, RequestError, ServerFrame};
use serde::Deserialize;
use tokio::sync::Notify;

use super::socket::{self, Beat, Pulse, Received, Sink, Stream};
use crate::dispatch;
use crate::drain::{Phase, reconnect_in_ms};
use crate::edge::respond;
use crate::session::{Attachment, Reader, Session, Signal, Taken};
use crate::state::App;
use crate::telemetry::metrics::Held;

/// After so many frames in a row that cannot be read the socket is closed.
const MAX_BAD_FRAMES: u32 = 100;

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
    query: Result<Query<ResumeQuery>, QueryRejection>,
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
    socket::bounded(upgrade, max_frame)
        .on_upgrade(move |socket| tasks.track_future(serve(app, socket, resume)))
        .into_response()
}

async fn serve(app: Arc<App>, socket: WebSocket, resume: Option<Resume>) {
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
        let exit = tokio::select! {
            exit = read(&app, &attachment.session, &notices, &mut stream, &pulse, first.take()) => exit,
            exit = write(&app, &attachment, &notices, &mut sink, &pulse, reader) => exit,
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

/// Frames beside the numbers, for this socket alone. At most
/// [`Notices::BOUND`] wait; then reading pauses.
#[derive(Default)]
struct Notices {
    waiting: Mutex<VecDeque<ServerFrame>>,
    changed: Notify,
}

impl Notices {
    const BOUND: usize = 16;

    fn waiting(&self) -> MutexGuard<'_, VecDeque<ServerFrame>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn put(&self, frame: ServerFrame) {
        while self.waiting().len() >= Self::BOUND {
            // Reader and writer are one task: nothing changes between the two.
            self.changed.notified().await;
        }
        self.waiting().push_back(frame);
        self.changed.notify_one();
    }

    async fn next(&self) -> ServerFrame {
        loop {
            if let Some(frame) = self.waiting().pop_front() {
                self.changed.notify_one();
                return frame;
            }
            self.changed.notified().await;
        }
    }
}

/// Reads frames until the peer is gone or the host has had enough.
async fn read(
    app: &Arc<App>,
    session: &Arc<Session>,
    notices: &Notices,
    stream: &mut Stream,
    pulse: &Pulse,
    mut next: Option<Received>,
) -> Exit {
    let mut bad_frames = 0;
    let mut unused = true;
    loop {
        let received = match next.take() {
            Some(received) => received,
            None => socket::receive(stream, pulse).await,
        };
        let text = match received {
            Received::Text(text) => text,
            Received::Binary(_) => {
                let error = RequestError::new(
                    ErrorCode::InvalidFrame,
                    "/chat speaks JSON in text frames, not binary",
                );
                refuse(app, session, notices, FrameError { id: None, error }).await;
                bad_frames += 1;
                if bad_frames >= MAX_BAD_FRAMES {
                    return Exit::Host(CloseCode::TooManyBadFrames);
                }
                continue;
            }
            Received::Over(code) => return Exit::Peer(code),
        };
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Resume {
                session,
                epoch,
                after,
            }) if unused => {
                return Exit::Switch(Resume {
                    session,
                    epoch,
                    after,
                });
            }
            Ok(frame) => {
                bad_frames = 0;
                let work = on_frame(app, session, notices, frame);
                next = meanwhile(app, session, stream, pulse, work).await;
            }
            Err(bad) => {
                refuse(app, session, notices, bad).await;
                bad_frames += 1;
                if bad_frames >= MAX_BAD_FRAMES {
                    return Exit::Host(CloseCode::TooManyBadFrames);
                }
            }
        }
        unused = false;
    }
}

/// Does `work`, which may wait while the client does not read what it was sent.
/// A cancel or an ack that comes meanwhile is obeyed at once; the first other
/// thing is given back, and what comes after it waits in the socket.
async fn meanwhile(
    app: &App,
    session: &Session,
    stream: &mut Stream,
    pulse: &Pulse,
    work: impl Future<Output = ()>,
) -> Option<Received> {
    let mut ahead = None;
    tokio::pin!(work);
    loop {
        let received = tokio::select! {
            biased;
            () = &mut work => return ahead,
            received = socket::receive(stream, pulse), if ahead.is_none() => received,
        };
        match received {
            Received::Over(_) => return Some(received),
            received if obeyed(app, session, &received) => {}
            received => ahead = Some(received),
        }
    }
}

fn obeyed(app: &App, session: &Session, received: &Received) -> bool {
    let Received::Text(text) = received else {
        return false;
    };
    match ClientFrame::parse(text) {
        Ok(ClientFrame::Ack { seq }) => {
            session.outbox.ack(seq);
            true
        }
        // One that is not known yet may be the very message that waits.
        Ok(ClientFrame::Cancel { id }) => {
            let snapshot = app.snapshot();
            session.cancel(&id, &snapshot.rules, &snapshot.bounds)
        }
        _ => false,
    }
}

async fn on_frame(app: &Arc<App>, session: &Arc<Session>, notices: &Notices, frame: ClientFrame) {
    let refused = match frame {
        ClientFrame::Message(message) => {
            let id = message.id.clone();
            match dispatch::accept(app, session, message).await {
                Ok(Taken::Finished(exchange)) => return dispatch::replay(app, session, &exchange).await,
                Ok(_) => return,
                Err(error) => FrameError { id, error },
            }
        }
        ClientFrame::Cancel { id } => {
            let snapshot = app.snapshot();
            if session.cancel(&id, &snapshot.rules, &snapshot.bounds) {
                return;
            }
            let message = format!("there is no message {id:?} in this session to cancel");
            FrameError {
                id: None,
                error: RequestError::new(ErrorCode::MessageUnknown, message),
            }
        }
        ClientFrame::Ack { seq } => return session.outbox.ack(seq),
        ClientFrame::Auth { .. } => FrameError {
            id: None,
            error: RequestError::new(
                ErrorCode::InvalidFrame,
                "this host runs without authentication; send no token",
            ),
        },
        ClientFrame::Resume { .. } => FrameError {
            id: None,
            error: RequestError::new(
                ErrorCode::InvalidFrame,
                "`resume` is the first frame of a socket; open a new one to change sessions",
            ),
        },
    };
    refuse(app, session, notices, refused).await;
}

/// Answers a frame with an error: numbered if it is about a message, beside the
/// numbers otherwise. Waits while the client does not read.
async fn refuse(app: &App, session: &Session, notices: &Notices, refused: FrameError) {
    let FrameError { id, error } = refused;
    let Some(id) = id else {
        return notices.put(ServerFrame::ConnectionError { error }).await;
    };
    let frame = ServerFrame::Error {
        id: id.into(),
        handler: None,
        error,
        last: true,
        replayed: false,
    };
    session.outbox.push_last(&app.snapshot().bounds, frame).await;
}

/// Writes the outbox to the socket until the host has a reason to close.
async fn write(
    app: &App,
    attachment: &Attachment,
    notices: &Notices,
    sink: &mut Sink,
    pulse: &Pulse,
    mut reader: Reader,
) -> Exit {
    let session = &attachment.session;
    let patience = reader.patience();
    let too_slow = patience.lost();
    let draining = async {
        app.drain.reached(Phase::Draining).await;
        session.idle().await;
    };
    let mut signal = attachment.signal.clone();
    let told = async {
        // The sender is gone only after a newer socket has replaced it.
        signal
            .wait_for(|signal| *signal != Signal::None)
            .await
            .map_or(Signal::TakenOver, |s| *s)
    };
    tokio::pin!(too_slow, draining, told);
    let mut pinged = None;
    loop {
        tokio::select! {
            biased;
            signal = &mut told => {
                return Exit::Host(match signal {
                    Signal::Erased => CloseCode::SessionErased,
                    _ => CloseCode::TakenOver,
                });
            }
            () = &mut too_slow => return Exit::Host(CloseCode::SlowConsumer),
            frame = reader.next() => {
                let sent = tokio::select! {
                    sent = sink.send(Message::Text(frame.encode().into())) => sent,
                    () = &mut too_slow => return Exit::Host(CloseCode::SlowConsumer),
                    () = tokio::time::sleep(pulse.patience()) => return Exit::Host(CloseCode::PingTimeout),
                };
                if sent.is_err() {
                    return Exit::Peer(None);
                }
                app.metrics.frames_sent.inc();
            }
            notice = notices.next() => {
                if send(sink, &notice, None).await.is_err() {
                    return Exit::Peer(None);
                }
            }
            () = &mut draining => return Exit::Host(CloseCode::Draining),
            beat = pulse.beat(pinged) => match beat {
                Beat::Ping => {
                    pinged = Some(tokio::time::Instant::now());
                    if sink.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                        return Exit::Peer(None);
                    }
                }
                Beat::Lost => return Exit::Host(CloseCode::PingTimeout),
            },
        }
    }
}
