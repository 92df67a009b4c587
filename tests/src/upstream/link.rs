//! The connections of the scripted server: HTTP/1.1 by hand, since no library
//! would cut, reset or babble as a broken server does.
//!
//! While an answer is played the connection is watched, so that the moment at
//! which a client leaves is known whatever the server is doing.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::act::{self, Act};
use super::{Asked, Closed, Shared};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// Accepts until it is dropped, and its connections with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let mut number = 0;
        shared.log.send_modify(|log| {
            number = log.connections.len();
            log.connections.push(None);
        });
        links.spawn(serve(stream, number, Arc::clone(&shared)));
        while links.try_join_next().is_some() {}
    }
}

/// How an answer ended.
enum End {
    /// Another request may follow.
    Kept,
    Close,
    Reset,
    /// The client has left.
    Left,
}

async fn serve(mut stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let mut read = Vec::new();
    loop {
        let left = |within_answer: bool| {
            let at = Instant::now();
            let closed = Closed { at, within_answer };
            shared
                .log
                .send_modify(|log| log.connections[connection] = Some(closed));
        };
        let Some(asked) = request(&mut stream, &mut read, connection).await else {
            return left(false);
        };
        let acts = shared.acts(&asked);
        shared.log.send_modify(|log| match asked.is_look() {
            true => log.looks.push(asked),
            false => log.asked.push(asked),
        });
        let (mut reader, writer) = stream.split();
        let mut stage = Stage {
            writer,
            begun: false,
            usage: None,
        };
        let end = tokio::select! {
            end = stage.play(acts, &shared) => end,
            () = until_left(&mut reader, &mut read) => End::Left,
        };
        match end {
            End::Kept => {}
            End::Close => return,
            End::Reset => return stream.set_zero_linger().expect("a reset"),
            End::Left => return left(true),
        }
    }
}

/// The next request; `None` when there is none.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>, connection: usize) -> Option<Asked> {
    let head = loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break read.drain(..end + 4).collect::<Vec<u8>>();
        }
        more(stream, read).await?;
    };
    let head = String::from_utf8(head).expect("a head in ASCII");
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let mut asked = Asked {
        line: line.strip_suffix(" HTTP/1.1").unwrap_or(line).to_owned(),
        headers,
        body: Value::Null,
        at: Instant::now(),
        connection,
    };
    let length = asked
        .header("content-length")
        .map_or(0, |length| length.parse().expect("a length"));
    while read.len() < length {
        more(stream, read).await?;
    }
    let body: Vec<u8> = read.drain(..length).collect();
    asked.body = serde_json::from_slice(&body).unwrap_or_default();
    Some(asked)
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    let count = stream.read_buf(read).await.ok()?;
    (count > 0).then_some(())
}

async fn until_left(reader: &mut ReadHalf<'_>, read: &mut Vec<u8>) {
    while let Ok(1..) = reader.read_buf(read).await {}
}

/// An answer under way.
struct Stage<'a> {
    writer: WriteHalf<'a>,
    begun: bool,
    usage: Option<(u64, u64)>,
}

impl Stage<'_> {
    /// A write that fails is the client's leaving, which the other side of the
    /// connection sees.
    async fn play(&mut self, acts: Vec<Act>, shared: &Shared) -> End {
        match self.try_play(acts, shared).await {
            Ok(end) => end,
            Err(_) => End::Left,
        }
    }

    async fn try_play(&mut self, acts: Vec<Act>, shared: &Shared) -> io::Result<End> {
        for act in acts {
            match act {
                Act::Tokens(tokens) => {
                    for token in tokens {
                        self.say(&act::event(&act::delta(&token))).await?;
                    }
                }
                Act::Drip(tokens, pause) => {
                    let mut pace = tokio::time::interval(pause);
                    for token in tokens {
                        pace.tick().await;
                        self.say(&act::event(&act::delta(&token))).await?;
                    }
                }
                Act::Usage { input, output } => self.usage = Some((input, output)),
                Act::Event(data) => self.say(&act::event(&data)).await?,
                Act::Raw(bytes) => self.say(&bytes).await?,
                Act::Begin => self.begin().await?,
                Act::Pause => shared.releases.acquire().await.expect("open").forget(),
                Act::Hang => std::future::pending().await,
                Act::Endless => {
                    self.say(b"data: {\"choices\":[{\"delta\":{\"content\":\"")
                        .await?;
                    loop {
                        self.say(&[b'x'; 4096]).await?;
                    }
                }
                Act::Fails(message) => {
                    let error = serde_json::json!({"error": {"message": message, "type": "server_error"}});
                    self.say(&act::event(&error)).await?;
                    return self.end(b"").await;
                }
                Act::Unfinished => return self.end(b"").await,
                Act::Cut => return Ok(End::Close),
                Act::Senseless(bytes) => {
                    self.writer.write_all(&bytes).await?;
                    return Ok(End::Close);
                }
                Act::Reset => return Ok(End::Reset),
                Act::Status(status, headers, body) => return self.status(status, &headers, &body).await,
                Act::Document(text) => {
                    let body = act::document(&text, self.usage).to_string();
                    let json = (String::from("Content-Type"), String::from("application/json"));
                    return self.status(200, &[json], &body).await;
                }
            }
        }
        self.end(&act::ending(self.usage)).await
    }

    async fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.writer.write_all(HEAD.as_bytes()).await?;
        }
        Ok(())
    }

    /// One chunk, in one write.
    async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.begin().await?;
        self.writer.write_all(&chunk(bytes)).await
    }

    /// The last words, if there are any, and the end of the body in one write:
    /// the next request may follow at once.
    async fn end(&mut self, last: &[u8]) -> io::Result<End> {
        self.begin().await?;
        let mut bytes = if last.is_empty() { Vec::new() } else { chunk(last) };
        bytes.extend_from_slice(b"0\r\n\r\n");
        self.writer.write_all(&bytes).await?;
        Ok(End::Kept)
    }

    async fn status(&mut self, status: u16, headers: &[(String, String)], body: &str) -> io::Result<End> {
        let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.writer
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .await?;
        Ok(End::Kept)
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}
