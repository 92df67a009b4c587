//! A client of `/chat` that takes nothing on trust: every numbered frame must
//! follow the one before it without a gap or a repetition, or the test fails.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, http};

use crate::frames::{is_final, kind, number, text};
use crate::within;

/// One WebSocket on `/chat`, after its `hello`.
pub struct Chat {
    socket: WebSocketStream<TcpStream>,
    /// The `hello` that answered, or the last one after a resume.
    pub hello: Value,
    /// The highest `seq` seen, or the one resumed after.
    pub seq: u64,
    /// The epoch that was asked for.
    epoch: String,
    gaps_allowed: bool,
    /// After a `hello` that did not recover, the first number may be any.
    first_is_free: bool,
}

/// How to open a [`Chat`].
#[derive(Clone, Debug, Default)]
pub struct Connect {
    query: String,
    epoch: String,
    headers: Vec<(&'static str, String)>,
    after: u64,
    source: Option<SocketAddr>,
}

/// What arrived.
#[derive(Debug)]
pub enum Event {
    Frame(Value),
    /// The socket is closed; without a code when it ended without a close frame.
    Closed(Option<u16>),
}

/// Everything that came for one message, up to its final frame.
#[derive(Debug)]
pub struct Reply {
    /// Every frame with this id, in order, the final one included.
    pub frames: Vec<Value>,
    /// The chunks' text, joined.
    pub text: String,
    /// The `done` or `error` frame.
    pub last: Value,
}

impl Connect {
    /// Asks in the query for an earlier session.
    #[must_use]
    pub fn resume(self, session: &str, epoch: &str, after: u64) -> Self {
        self.query(&format!("session={session}&epoch={epoch}&after={after}"))
    }

    /// Any query, as it is.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.query = format!("?{query}");
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("epoch", epoch)) => epoch.clone_into(&mut self.epoch),
                Some(("after", after)) => self.after = after.parse().unwrap_or(0),
                _ => {}
            }
        }
        self
    }

    /// Adds a header to the upgrade request, or replaces it.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Connects from this local address.
    #[must_use]
    pub fn from_address(mut self, source: SocketAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Opens the socket, without waiting for a `hello`.
    ///
    /// # Errors
    /// As the handshake fails; a refusal holds the HTTP response.
    pub async fn socket(self, addr: SocketAddr, path: &str) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = format!("ws://{addr}{path}{}", self.query)
            .into_client_request()
            .expect("a WebSocket request");
        for (name, value) in &self.headers {
            let value = http::HeaderValue::from_str(value).expect("a header value");
            request.headers_mut().insert(*name, value);
        }
        let stream = match self.source {
            None => TcpStream::connect(addr).await?,
            Some(source) => {
                let socket = tokio::net::TcpSocket::new_v4()?;
                socket.bind(source)?;
                socket.connect(addr).await?
            }
        };
        stream.set_nodelay(true)?;
        let opening = tokio_tungstenite::client_async(request, stream);
        let (socket, _) = within("the WebSocket handshake", opening).await?;
        Ok(socket)
    }

    /// Opens the socket and reads its `hello`.
    pub async fn open(self, addr: SocketAddr) -> Chat {
        let mut chat = Chat::silent(self, addr, "/chat").await;
        chat.hello().await;
        chat
    }

    /// Opens the socket and expects a refusal: its HTTP status.
    pub async fn refused(self, addr: SocketAddr, path: &str) -> u16 {
        match self.socket(addr, path).await {
            Ok(_) => panic!("{path} let the socket in"),
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{path} answered with no HTTP status: {error}"),
        }
    }
}

impl Chat {
    /// A fresh session.
    pub async fn connect(addr: SocketAddr) -> Chat {
        Connect::default().open(addr).await
    }

    /// A socket on which nothing has been read yet, not even `hello`.
    pub async fn silent(connect: Connect, addr: SocketAddr, path: &str) -> Chat {
        let (epoch, seq) = (connect.epoch.clone(), connect.after);
        let socket = connect.socket(addr, path).await.expect("a WebSocket");
        Chat {
            socket,
            hello: Value::Null,
            seq,
            epoch,
            gaps_allowed: false,
            first_is_free: false,
        }
    }

    /// Reads the next frame, which must be a `hello`.
    pub async fn hello(&mut self) -> &Value {
        self.expect("hello").await;
        &self.hello
    }

    /// From now on numbers may be missing (never repeated, never backwards).
    pub fn allow_gaps(&mut self) {
        self.gaps_allowed = true;
    }

    #[must_use]
    pub fn session(&self) -> &str {
        text(&self.hello, "session")
    }

    #[must_use]
    pub fn epoch(&self) -> &str {
        text(&self.hello, "epoch")
    }

    /// How to come back to this session after what was seen so far.
    #[must_use]
    pub fn comeback(&self) -> Connect {
        Connect::default().resume(self.session(), self.epoch(), self.seq)
    }

    pub async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.try_send_text(text).await.expect("sending a frame");
    }

    /// Sends where the other side may have closed already.
    ///
    /// # Errors
    /// When it has.
    pub async fn try_send_text(&mut self, text: &str) -> Result<(), Error> {
        let sending = self.socket.send(Message::text(text));
        within("the socket to take a frame", sending).await
    }

    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.send_message(Message::binary(bytes.to_vec())).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        within("the socket to take a frame", self.socket.send(message))
            .await
            .expect("sending a frame");
    }

    /// Sends a message of type `mtype`.
    pub async fn message(&mut self, id: &str, mtype: &str, content: &str) {
        self.send(json!({"type": "message", "id": id, "mtype": mtype, "content": content}))
            .await;
    }

    /// Sends a message and reads up to its final frame. Frames of other
    /// messages may not come between.
    pub async fn ask(&mut self, id: &str, mtype: &str, content: &str) -> Reply {
        self.message(id, mtype, content).await;
        self.reply(id).await
    }

    /// The next frame or the end of the socket.
    pub async fn event(&mut self) -> Event {
        loop {
            let message = within("a frame on /chat", self.socket.next()).await;
            match message {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(&text)
                        .unwrap_or_else(|error| panic!("a frame is not JSON ({error}): {text}"));
                    self.check_number(&frame);
                    return Event::Frame(frame);
                }
                Some(Ok(Message::Close(close))) => {
                    return Event::Closed(close.map(|close| close.code.into()));
                }
                Some(Ok(Message::Binary(_))) => panic!("/chat sent a binary frame"),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Event::Closed(None),
            }
        }
    }

    /// The next text frame of a raw endpoint, as it is; `None` when the socket
    /// closes instead.
    pub async fn text_frame(&mut self) -> Option<String> {
        loop {
            match within("a text frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                other => panic!("{other:?} where a text frame was due"),
            }
        }
    }

    /// Another epoch begins anew; within the same one, what comes after a
    /// `hello` that did not recover still comes after what was asked for.
    fn check_number(&mut self, frame: &Value) {
        let Some(seq) = number(frame, "seq") else { return };
        if kind(frame) == "hello" {
            self.hello = frame.clone();
            if frame["recovered"] != json!(true) {
                self.first_is_free = true;
                if self.epoch() != self.epoch {
                    self.seq = 0;
                }
            }
            self.epoch = self.epoch().to_owned();
            return;
        }
        let in_order = if self.gaps_allowed || std::mem::take(&mut self.first_is_free) {
            seq > self.seq
        } else {
            seq == self.seq + 1
        };
        assert!(in_order, "frame {seq} came after {}: {frame}", self.seq);
        self.seq = seq;
    }

    /// The next frame; the socket must stay open.
    pub async fn frame(&mut self) -> Value {
        match self.event().await {
            Event::Frame(frame) => frame,
            Event::Closed(code) => panic!("the socket closed ({code:?}) where a frame was due"),
        }
    }

    /// The next frame, which must be of this type.
    pub async fn expect(&mut self, wanted: &str) -> Value {
        let frame = self.frame().await;
        assert_eq!(kind(&frame), wanted, "in {frame}");
        frame
    }

    /// Reads on until a frame of this type comes, and returns it.
    pub async fn until(&mut self, wanted: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if kind(&frame) == wanted {
                return frame;
            }
        }
    }

    /// Reads on until the socket closes, and returns the close code.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Event::Closed(code) = self.event().await {
                return code;
            }
        }
    }

    /// Reads the frames of message `id` up to its final one.
    pub async fn reply(&mut self, id: &str) -> Reply {
        let mut reply = Reply {
            frames: Vec::new(),
            text: String::new(),
            last: Value::Null,
        };
        loop {
            let frame = self.frame().await;
            assert_eq!(text(&frame, "id"), id, "in {frame}");
            if kind(&frame) == "chunk" {
                reply.text.push_str(text(&frame, "content"));
            }
            let last = is_final(&frame);
            reply.frames.push(frame.clone());
            if last {
                reply.last = frame;
                return reply;
            }
        }
    }

    /// Proves that nothing more is on its way for what was sent so far: a ping
    /// goes out, and the pong must come before any frame.
    pub async fn expect_nothing(&mut self) {
        self.send_message(Message::Ping("quiet?".into())).await;
        loop {
            match within("a pong", self.socket.next()).await {
                Some(Ok(Message::Pong(_))) => return,
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("expected nothing, got {other:?}"),
            }
        }
    }

    /// Closes in good order and waits for the other side.
    pub async fn close(mut self) {
        let closing = async {
            let _ = self.socket.close(None).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        within("the closing handshake", closing).await;
    }

    /// Vanishes without a word, as a dead network would have it: the connection
    /// is reset.
    pub fn vanish(self) {
        let stream = self.socket.into_inner();
        let _ = stream.set_zero_linger();
        drop(stream);
    }
}

impl Reply {
    /// The frames of one type.
    #[must_use]
    pub fn of(&self, wanted: &str) -> Vec<&Value> {
        self.frames.iter().filter(|frame| kind(frame) == wanted).collect()
    }

    /// The code of the final error.
    ///
    /// # Panics
    /// When the reply ended well.
    #[must_use]
    pub fn error_code(&self) -> &str {
        assert_eq!(kind(&self.last), "error", "in {}", self.last);
        text(&self.last, "code")
    }

    /// The version that answered, out of `done`.
    ///
    /// # Panics
    /// When the reply ended in an error.
    #[must_use]
    pub fn version(&self) -> &str {
        assert_eq!(kind(&self.last), "done", "in {}", self.last);
        text(&self.last, "version")
    }
}
