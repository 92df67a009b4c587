//! The other side: a socket that a test speaks for.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::super::super::models::Models;
use super::super::super::settings::OpenAi;

/// The head of a streamed response.
pub(super) const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One event.
pub(super) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// The event of a piece of text.
pub(super) fn delta(text: &str) -> String {
    event(&json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

pub(super) struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// One connection.
pub(super) struct Link(Either<TcpStream, TlsStream<TcpStream>>);

pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Server {
    pub(super) async fn start() -> Server {
        Server {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            tls: None,
        }
    }

    pub(super) async fn start_tls(key: &CertifiedKey<rcgen::KeyPair>) -> Server {
        let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        Server {
            tls: Some(TlsAcceptor::from(Arc::new(config))),
            ..Server::start().await
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// A model behind it.
    pub(super) fn settings(&self) -> OpenAi {
        let port = self.address().port();
        let base_url = match self.tls {
            Some(_) => format!("https://localhost:{port}/v1"),
            None => format!("http://127.0.0.1:{port}/v1/"),
        };
        OpenAi::at(OpenAi::parse_base_url(&base_url).unwrap(), "m")
    }

    pub(super) async fn accept(&self) -> Link {
        let (stream, _) = self.listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        Link(match &self.tls {
            Some(tls) => Either::Right(tls.accept(stream).await.unwrap()),
            None => Either::Left(stream),
        })
    }
}

impl Link {
    /// The next request, whole.
    pub(super) async fn request(&mut self) -> Request {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a request"));
        }
        let head = String::from_utf8(head).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        Request { head, body }
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    /// The other side may have had enough.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
        let _ = self.0.flush().await;
    }

    /// One chunk of a chunked body.
    pub(super) async fn chunk(&mut self, text: &str) {
        self.send(&format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    /// Says `text` again and again, until the other side takes no more of it.
    pub(super) async fn fill(&mut self, text: &str) -> usize {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len()).repeat(100);
        let Either::Left(stream) = &mut self.0 else {
            panic!("only over plain connections");
        };
        let mut filled = 0;
        loop {
            let mut full = 0;
            let written = loop {
                match stream.try_write(chunk.as_bytes()) {
                    Ok(written) => break written,
                    // Loopback hands over in the background: ask again, some
                    // times, whether there is room.
                    Err(_) if full < 100 => {
                        full += 1;
                        tokio::task::yield_now().await;
                    }
                    Err(_) => return filled,
                }
            };
            filled += written;
            // The rest of a chunk that was taken in part is not sent: what is
            // tested ends before it.
            if written < chunk.len() {
                return filled;
            }
        }
    }

    /// Waits until the other side has closed.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.0.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "more was sent before the end");
    }
}

impl Models {
    /// Waits until so many connections of the model `main` wait for a request.
    pub(super) async fn until_pooled(&self, count: usize) {
        let client = self.group("main").client();
        while client.pool.len() != count {
            tokio::task::yield_now().await;
        }
    }
}
