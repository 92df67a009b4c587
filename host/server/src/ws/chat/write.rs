//! The writing half of a chat socket: the outbox, notices, pings, and every
//! reason of the host's to close.

use axum::extract::ws::Message;
use futures_util::SinkExt as _;
use segue_protocol::CloseCode;

use super::super::socket::{Beat, Pulse, Sink};
use super::notices::Notices;
use super::{Exit, send};
use crate::drain::Phase;
use crate::session::{Attachment, Reader, Signal};
use crate::state::App;

/// Writes the outbox to the socket until the host has a reason to close.
pub(super) async fn write(
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
