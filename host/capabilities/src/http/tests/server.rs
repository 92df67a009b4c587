//! A server that plays a part on each connection and logs what it saw.

use std::future::Future;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// What a server saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Connected,
    Head(String),
    Bytes(String),
    /// The other side left.
    Closed,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    log: mpsc::UnboundedReceiver<Seen>,
    _accepting: AbortOnDropHandle<()>,
}

/// What connections are made of.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Wire for T {}

/// The server's end of one connection.
pub(super) struct Peer {
    wire: Box<dyn Wire>,
    log: mpsc::UnboundedSender<Seen>,
}

impl Server {
    /// Plays `part` on every connection, each on its own.
    pub(super) async fn start<F>(part: impl Fn(Peer) -> F + Send + 'static) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Server::on("127.0.0.1:0", part).await
    }

    pub(super) async fn on<F>(address: &str, part: impl Fn(Peer) -> F + Send + 'static) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, log) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut playing = tokio::task::JoinSet::new();
            loop {
                let (wire, _) = listener.accept().await.unwrap();
                let log = sender.clone();
                let _ = log.send(Seen::Connected);
                let wire = Box::new(wire);
                playing.spawn(part(Peer { wire, log }));
            }
        });
        Server {
            address,
            log,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// Answers every request on a connection with `body`.
    pub(super) async fn answering(body: &'static str) -> Server {
        Server::start(move |mut peer| async move {
            while peer.head().await.is_some() {
                peer.answer(body).await;
            }
        })
        .await
    }

    pub(super) fn uri(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.address.port())
    }

    /// The next entry of the log.
    pub(super) async fn next(&mut self) -> Seen {
        self.log.recv().await.unwrap()
    }

    /// Waits for an entry, past others.
    pub(super) async fn saw(&mut self, what: &Seen) {
        while self.next().await != *what {}
    }

    /// Waits for a request and returns its head.
    pub(super) async fn head(&mut self) -> String {
        loop {
            if let Seen::Head(head) = self.next().await {
                return head;
            }
        }
    }

    /// What stands in the log and was not read yet.
    pub(super) fn unread(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.log.try_recv().ok()).collect()
    }
}

impl Peer {
    /// The same connection behind `wrap`, such as TLS.
    pub(super) async fn behind<W: Wire, F: Future<Output = Option<W>>>(
        self,
        wrap: impl FnOnce(Box<dyn Wire>) -> F,
    ) -> Option<Peer> {
        let wire = Box::new(wrap(self.wire).await?);
        Some(Peer { wire, log: self.log })
    }

    /// Reads the head of a request; `None` when the other side has left.
    pub(super) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.wire.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => {
                    let _ = self.log.send(Seen::Closed);
                    return None;
                }
            }
        }
        let head = String::from_utf8(head).unwrap();
        let _ = self.log.send(Seen::Head(head.clone()));
        Some(head)
    }

    /// Reads once; whatever has come.
    pub(super) async fn bytes(&mut self) -> String {
        let mut buffer = vec![0; 64 * 1024];
        let count = self.wire.read(&mut buffer).await.unwrap_or(0);
        let bytes = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let _ = self.log.send(Seen::Bytes(bytes.clone()));
        bytes
    }

    /// Reads until `end` has come or the other side has left.
    pub(super) async fn until(&mut self, end: &str) -> String {
        let mut all = String::new();
        while !all.ends_with(end) {
            match self.bytes().await {
                piece if piece.is_empty() => break,
                piece => all.push_str(&piece),
            }
        }
        all
    }

    pub(super) async fn write(&mut self, text: &str) {
        // The other side may have left: what it saw is what counts.
        let _ = self.wire.write_all(text.as_bytes()).await;
        let _ = self.wire.flush().await;
    }

    pub(super) async fn answer(&mut self, body: &str) {
        let length = body.len();
        self.write(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// Answers nothing more and logs when the other side leaves.
    pub(super) async fn linger(&mut self) {
        let mut buffer = [0; 4096];
        while matches!(self.wire.read(&mut buffer).await, Ok(count) if count > 0) {}
        let _ = self.log.send(Seen::Closed);
    }
}
