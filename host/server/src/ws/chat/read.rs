//! The reading half of a chat socket: frames become messages, cancels, acks.

use std::pin::Pin;
use std::sync::Arc;

use segue_protocol::{ClientFrame, CloseCode, ErrorCode, FrameError, RequestError, ServerFrame};

use super::super::socket::{self, Pulse, Received, Stream};
use super::notices::Notices;
use super::{Exit, Resume};
use crate::dispatch;
use crate::limits::Caller;
use crate::session::{Session, Taken};
use crate::state::App;

/// After so many frames in a row that cannot be read the socket is closed.
const MAX_BAD_FRAMES: u32 = 100;

/// What the frames are for.
pub(super) struct To<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) session: &'a Arc<Session>,
    pub(super) notices: &'a Notices,
    /// The trace of messages that say none.
    pub(super) traceparent: Option<&'a str>,
}

/// Reads frames until the peer is gone or the host has had enough.
pub(super) async fn read(
    to: &To<'_>,
    caller: &mut Caller,
    stream: &mut Stream,
    pulse: &Pulse,
    mut next: Option<Received>,
) -> Exit {
    let To {
        app,
        session,
        notices,
        traceparent,
    } = *to;
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
                Box::pin(refuse(app, session, notices, FrameError { id: None, error })).await;
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
            Ok(mut frame) => {
                bad_frames = 0;
                if let (ClientFrame::Message(message), Some(trace)) = (&mut frame, traceparent) {
                    message.traceparent.get_or_insert_with(|| trace.to_owned());
                }
                // On the heap while there is work, so that an idle socket does
                // not hold room for it.
                let work = Box::pin(on_frame(app, session, caller, notices, frame));
                next = meanwhile(app, session, stream, pulse, work).await;
            }
            Err(bad) => {
                Box::pin(refuse(app, session, notices, bad)).await;
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
    mut work: Pin<Box<impl Future<Output = ()>>>,
) -> Option<Received> {
    let mut ahead = None;
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

async fn on_frame(
    app: &Arc<App>,
    session: &Arc<Session>,
    caller: &mut Caller,
    notices: &Notices,
    frame: ClientFrame,
) {
    let refused = match frame {
        ClientFrame::Message(message) => {
            let id = message.id.clone();
            match dispatch::accept(app, session, message, caller).await {
                Ok(Taken::Finished(exchange)) => return dispatch::replay(app, session, &exchange).await,
                Ok(_) => return,
                // Sent again too often, or at the wrong time: the message has, or will
                // have, its one last frame, and this is not it.
                Err(error) if is_passing(&error) && id.as_ref().is_some_and(|id| session.has_taken(id)) => {
                    FrameError { id: None, error }
                }
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

/// Whether it says nothing about the message.
fn is_passing(error: &RequestError) -> bool {
    matches!(
        error.code,
        ErrorCode::RateLimited | ErrorCode::Overloaded | ErrorCode::Draining | ErrorCode::ForbiddenAddress
    )
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
