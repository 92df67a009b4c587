//! The connection as one value that is waited on: up, being made, or between
//! two attempts.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use segue_protocol::CloseCode;
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;

use super::address::{DialError, Received, Socket};

/// How long a write may take before the connection counts as lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for the other side of a goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

type Dialling = Pin<Box<dyn Future<Output = Result<Box<Socket>, DialError>> + Send>>;

pub(super) enum Link {
    Up(Box<Socket>),
    Dialling(Dialling),
    Waiting(Pin<Box<Sleep>>),
    /// Nobody wants a connection.
    Off,
}

#[derive(Debug)]
pub(super) enum LinkEvent {
    Dialled(Result<Box<Socket>, DialError>),
    Text(String),
    /// A sign of life.
    Beat,
    Lost(Loss),
    /// The wait is over.
    RetryNow,
}

/// How a connection ended, and what its end asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Loss {
    pub(super) why: String,
    pub(super) reconnect: bool,
}

impl Link {
    pub(super) fn dialling(
        work: impl Future<Output = Result<Box<Socket>, DialError>> + Send + 'static,
    ) -> Link {
        Link::Dialling(Box::pin(work))
    }

    pub(super) fn waiting(wait: Duration) -> Link {
        Link::Waiting(Box::pin(tokio::time::sleep(wait)))
    }

    /// The next thing that happens to it. Cancel-safe. A connection without any
    /// sign of life for `silence` is lost.
    pub(super) async fn next(&mut self, silence: Duration) -> LinkEvent {
        match self {
            Link::Up(socket) => match tokio::time::timeout(silence, socket.next()).await {
                Err(_) => LinkEvent::Lost(Loss::of("the host has gone silent")),
                Ok(received) => heard(received),
            },
            Link::Dialling(work) => LinkEvent::Dialled(work.await),
            Link::Waiting(wait) => {
                wait.await;
                LinkEvent::RetryNow
            }
            Link::Off => std::future::pending().await,
        }
    }

    /// Sends frames, in order.
    pub(super) async fn send(&mut self, frames: Vec<String>) -> Result<(), Loss> {
        let Link::Up(socket) = self else { return Ok(()) };
        if frames.is_empty() {
            return Ok(());
        }
        let work = async {
            for frame in frames {
                socket.feed(Message::text(frame)).await?;
            }
            socket.flush().await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, work).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Loss::of("the connection was lost")),
        }
    }

    /// Says goodbye and lets go.
    pub(super) async fn close(&mut self) {
        if let Link::Up(mut socket) = std::mem::replace(self, Link::Off) {
            let goodbye = CloseFrame {
                code: WireCode::Normal,
                reason: "".into(),
            };
            let work = async {
                if socket.send(Message::Close(Some(goodbye))).await.is_ok() {
                    while let Some(Ok(_)) = socket.next().await {}
                }
            };
            let _best_effort = tokio::time::timeout(CLOSE_TIMEOUT, work).await;
        }
    }
}

fn heard(received: Option<Received>) -> LinkEvent {
    match received {
        Some(Ok(Message::Text(text))) => LinkEvent::Text(text.to_string()),
        Some(Ok(Message::Close(frame))) => LinkEvent::Lost(Loss::close(frame)),
        Some(Ok(_)) => LinkEvent::Beat,
        Some(Err(_)) | None => LinkEvent::Lost(Loss::of("the connection was lost")),
    }
}

impl Loss {
    fn of(why: &str) -> Loss {
        Loss {
            why: why.to_owned(),
            reconnect: true,
        }
    }

    /// What a close frame asks for: see [`CloseCode`], and RFC 6455, section
    /// 7.4.1. What would happen again at once is not tried again.
    fn close(frame: Option<CloseFrame>) -> Loss {
        let Some(CloseFrame { code, reason }) = frame else {
            return Loss::of("the host closed the connection");
        };
        let code = u16::from(code);
        let known = CloseCode::ALL.iter().find(|known| known.code() == code);
        let why = match (known, reason.as_str()) {
            (Some(CloseCode::TakenOver), _) => "this session was taken over by another connection".to_owned(),
            (Some(CloseCode::SessionErased), _) => "this session was erased".to_owned(),
            (Some(CloseCode::Draining), _) => "the host is restarting".to_owned(),
            (Some(known), "") => format!("the host closed the connection: {}", known.reason()),
            (_, "") => format!("the host closed the connection ({code})"),
            (_, reason) => format!("the host closed the connection: {reason} ({code})"),
        };
        let reconnect = matches!(code, 1001 | 1005 | 1006 | 1011..=1015 | 4000..4500);
        Loss { why, reconnect }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(code: u16) -> Loss {
        Loss::close(Some(CloseFrame {
            code: code.into(),
            reason: "".into(),
        }))
    }

    #[test]
    fn close_codes_decide_as_the_catalogue_says() {
        for code in CloseCode::ALL.iter().filter(|c| c.code() >= 4000) {
            assert_eq!(close(code.code()).reconnect, code.reconnect(), "{code:?}");
        }
        assert!(close(4321).reconnect && !close(4999).reconnect);
        assert!(close(1001).reconnect && close(1011).reconnect && Loss::close(None).reconnect);
        assert!(!close(1000).reconnect && !close(1009).reconnect && !close(1003).reconnect);
        assert!(close(4500).why.contains("another connection"));
    }
}
