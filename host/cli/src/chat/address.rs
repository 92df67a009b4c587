//! Where the chat is, and in one sentence why it cannot be reached.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::state::Resume;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
pub(super) type Received = Result<Message, Error>;

const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a chat.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Address {
    /// Host and port.
    authority: String,
    path: String,
    query: Option<String>,
}

impl Address {
    /// Reads what a person would type: `ws://host:port/path`, the same with
    /// `http`, or only `host:port`. Without a path it is `/chat`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Address> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("ws", text));
        match scheme {
            "ws" | "http" => {}
            "wss" | "https" => bail!(
                "{scheme}:// needs TLS, which this client does not speak; use a ws:// address, such as ws://127.0.0.1:8000/chat"
            ),
            _ => bail!("{text:?} is not the address of a chat; it looks like ws://127.0.0.1:8000/chat"),
        }
        let uri: Uri = format!("ws://{rest}").parse().with_context(|| {
            format!("{text:?} is not the address of a chat; it looks like ws://127.0.0.1:8000/chat")
        })?;
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let path = match uri.path() {
            "" | "/" => "/chat".to_owned(),
            path => path.to_owned(),
        };
        Ok(Address {
            authority,
            path,
            query: uri.query().map(str::to_owned),
        })
    }

    /// The host, as links on its pages begin.
    pub(super) fn host(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// The URL to connect to, with the session to go on with.
    fn url(&self, resume: Option<&Resume>) -> String {
        let mut url = format!("ws://{}{}", self.authority, self.path);
        let mut mark = '?';
        if let Some(query) = &self.query {
            url.push('?');
            url.push_str(query);
            mark = '&';
        }
        if let Some(Resume {
            session,
            epoch,
            after,
        }) = resume
        {
            let _infallible = write!(
                url,
                "{mark}session={}&epoch={}&after={after}",
                escape(session),
                escape(epoch)
            );
        }
        url
    }

    /// Connects, within ten seconds.
    pub(super) async fn dial(self, resume: Option<Resume>) -> Result<Box<Socket>, DialError> {
        let url = self.url(resume.as_ref());
        match tokio::time::timeout(DIAL_TIMEOUT, connect_async_with_config(url, None, true)).await {
            Err(_) => Err(DialError(format!(
                "{} did not answer within {} s",
                self.authority,
                DIAL_TIMEOUT.as_secs()
            ))),
            Ok(Err(error)) => Err(DialError(self.explain(&error))),
            Ok(Ok((socket, _))) => Ok(Box::new(socket)),
        }
    }

    fn explain(&self, error: &Error) -> String {
        let Address { authority, path, .. } = self;
        match error {
            Error::Io(e) if e.kind() == ErrorKind::ConnectionRefused => {
                format!("nothing listens on {authority}; is the host running? `segue serve` starts it")
            }
            Error::Io(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                format!("{authority} hung up; does it speak WebSocket?")
            }
            Error::Io(e) => format!("{authority} cannot be reached: {e}"),
            Error::Http(response) => {
                let status = response.status().as_u16();
                let said = response.body().as_deref().and_then(message_of);
                match (status, said) {
                    (404, _) => format!(
                        "{authority} answers, but there is no chat at {path}; the usual path is /chat"
                    ),
                    (_, Some(said)) => format!("{authority} refuses the connection: {said}"),
                    (200..=299 | 400 | 405 | 426, None) => {
                        format!("{authority}{path} does not speak WebSocket (it answered {status})")
                    }
                    (_, None) => format!("{authority} refuses the connection with status {status}"),
                }
            }
            Error::Url(e) => format!("{authority}{path} is not an address to connect to: {e}"),
            _ => format!("{authority} does not speak WebSocket"),
        }
    }
}

/// One sentence about a connection that did not come about.
#[derive(Debug)]
pub(super) struct DialError(pub(super) String);

/// The text of an error body: `{"error":{"message":...}}`.
fn message_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.get("error")?.get("message")?.as_str()?.to_owned())
}

/// Percent-encodes what is not plain in a query.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        Address::parse(text).unwrap().url(None)
    }

    #[test]
    fn what_a_person_types_becomes_an_address() {
        assert_eq!(url("ws://127.0.0.1:8000/chat"), "ws://127.0.0.1:8000/chat");
        assert_eq!(url("http://localhost:8000"), "ws://localhost:8000/chat");
        assert_eq!(url("localhost:8000/"), "ws://localhost:8000/chat");
        assert_eq!(url("ws://[::1]:9/other?a=b"), "ws://[::1]:9/other?a=b");
        for wrong in ["wss://host/chat", "ftp://host", "", "ws://", "http://a b"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_session_goes_into_the_query() {
        let resume = Resume {
            session: "a b".into(),
            epoch: "E".into(),
            after: 41,
        };
        let at = |text: &str| Address::parse(text).unwrap().url(Some(&resume));
        assert_eq!(at("ws://h/chat"), "ws://h/chat?session=a%20b&epoch=E&after=41");
        assert_eq!(
            at("ws://h/chat?x=1"),
            "ws://h/chat?x=1&session=a%20b&epoch=E&after=41"
        );
    }

    #[tokio::test]
    async fn each_way_to_fail_has_its_sentence() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: [&[u8]; 4] = [
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"",
        ];
        let server = tokio::spawn(async move {
            for answer in answers {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let (mut socket, _) = listener.accept().await.unwrap();
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(answer).await;
            }
        });
        for expected in [
            "no chat at /chat",
            "does not speak WebSocket (it answered 200)",
            "does not speak WebSocket",
            "WebSocket",
        ] {
            let error = Address::parse(&format!("127.0.0.1:{port}"))
                .unwrap()
                .dial(None)
                .await
                .err()
                .unwrap()
                .0;
            assert!(error.contains(expected), "{error:?} without {expected:?}");
        }
        server.await.unwrap();
        let refused = Address::parse(&format!("127.0.0.1:{port}"))
            .unwrap()
            .dial(None)
            .await
            .err()
            .unwrap()
            .0;
        assert!(refused.contains("nothing listens on 127.0.0.1:"), "{refused}");
    }
}
