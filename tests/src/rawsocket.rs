//! RFC 6455 by hand, over a plain TCP stream.
//!
//! A WebSocket library refuses to send what a conformance test must send:
//! unmasked frames, reserved bits, bad UTF-8, fragments of control frames. This
//! client writes exactly the bytes it is told to, and reads frames without
//! judging them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::within;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// RFC 6455, section 11.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    /// Any of the others, as its number.
    Reserved(u8),
}

/// One frame, as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    /// The three reserved bits, as a number from 0 to 7.
    pub reserved: u8,
    pub opcode: Opcode,
    pub masked: bool,
    pub payload: Vec<u8>,
}

/// A WebSocket after its handshake, as bytes.
pub struct RawSocket {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Opcode {
    const fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
            Self::Reserved(number) => number,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => Self::Reserved(other),
        }
    }
}

impl Frame {
    /// A whole, well-formed client frame.
    #[must_use]
    pub fn new(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            reserved: 0,
            opcode,
            masked: true,
            payload: payload.into(),
        }
    }

    #[must_use]
    pub fn text(payload: &str) -> Self {
        Self::new(Opcode::Text, payload)
    }

    #[must_use]
    pub fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(Opcode::Binary, payload)
    }

    /// A close frame with a code and a reason.
    #[must_use]
    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_ref());
        Self::new(Opcode::Close, payload)
    }

    /// The same frame with more to follow.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    /// The same frame with these reserved bits.
    #[must_use]
    pub fn with_reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    /// The same frame without a mask.
    #[must_use]
    pub fn unmasked(mut self) -> Self {
        self.masked = false;
        self
    }

    /// The code of a close frame, if it carries one.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self.payload.as_slice() {
            [high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }

    /// The bytes of this frame on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() + 14);
        out.push(u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode.number());
        let mask_bit = u8::from(self.masked) << 7;
        let length = self.payload.len();
        if let (Ok(short), true) = (u8::try_from(length), length < 126) {
            out.push(mask_bit | short);
        } else if let Ok(medium) = u16::try_from(length) {
            out.push(mask_bit | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        } else {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
        if self.masked {
            out.extend_from_slice(&MASK);
            let masks = MASK.iter().cycle();
            out.extend(self.payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
        } else {
            out.extend_from_slice(&self.payload);
        }
        out
    }
}

impl RawSocket {
    /// Connects and upgrades.
    pub async fn open(addr: SocketAddr, path: &str) -> RawSocket {
        let stream = TcpStream::connect(addr).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let (reader, writer) = stream.into_split();
        let mut socket = RawSocket {
            reader: BufReader::new(reader),
            writer,
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        socket.write(request.as_bytes()).await;
        let head = within("the upgrade's answer", socket.read_head()).await;
        assert!(head.starts_with("HTTP/1.1 101"), "no upgrade: {head}");
        let accept = derive_accept_key(KEY.as_bytes());
        assert!(head.contains(&accept), "no {accept} in {head}");
        socket
    }

    async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.reader.read_u8().await.expect("a byte of the answer"));
            assert!(head.len() < 16 * 1024, "the answer's headers never end");
        }
        String::from_utf8(head).expect("headers in ASCII")
    }

    /// Writes these bytes, whatever they mean.
    ///
    /// # Panics
    /// When the other side no longer takes them.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).await.expect("writing to the socket");
    }

    /// Writes these bytes; the other side may have closed already.
    ///
    /// # Errors
    /// When it has.
    pub async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within("the socket to take bytes", self.writer.write_all(bytes)).await
    }

    pub async fn send(&mut self, frame: &Frame) {
        self.write(&frame.encode()).await;
    }

    /// Sends each byte in a segment of its own.
    pub async fn send_bytewise(&mut self, frame: &Frame) {
        for byte in frame.encode() {
            self.write(&[byte]).await;
        }
    }

    /// No more will be written; reading goes on.
    pub async fn finish_writing(&mut self) {
        self.writer.shutdown().await.expect("a half-close");
    }

    /// The next frame, `None` when the connection has ended.
    pub async fn read(&mut self) -> Option<Frame> {
        within("a frame", self.read_frame()).await
    }

    async fn read_frame(&mut self) -> Option<Frame> {
        let first = self.reader.read_u8().await.ok()?;
        let second = self.reader.read_u8().await.ok()?;
        let length = match second & 0x7f {
            126 => u64::from(self.reader.read_u16().await.ok()?),
            127 => self.reader.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let masked = second & 0x80 != 0;
        assert!(!masked, "a server must not mask its frames");
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        self.reader.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            fin: first & 0x80 != 0,
            reserved: first >> 4 & 7,
            opcode: Opcode::from_number(first & 0x0f),
            masked,
            payload,
        })
    }

    /// The next data message, put together from its fragments. Pongs and pings
    /// between them are skipped.
    ///
    /// # Panics
    /// When the connection ends or closes first.
    pub async fn message(&mut self) -> (Opcode, Vec<u8>) {
        let mut whole: Option<(Opcode, Vec<u8>)> = None;
        loop {
            let frame = self.read().await.expect("a message, not the end");
            assert_eq!(frame.reserved, 0, "reserved bits in {:?}", frame.opcode);
            match (frame.opcode, &mut whole) {
                (Opcode::Ping | Opcode::Pong, _) => continue,
                (Opcode::Continuation, Some((_, payload))) => payload.extend(frame.payload),
                (Opcode::Text | Opcode::Binary, None) => {
                    whole = Some((frame.opcode, frame.payload));
                }
                (opcode, _) => panic!("{opcode:?} where a message was due"),
            }
            if frame.fin {
                return whole.expect("a message has begun");
            }
        }
    }

    /// Reads on to the close frame and to the end of the connection behind it.
    /// `None` when the connection ended without a close frame.
    pub async fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(frame) = self.read().await {
            if frame.opcode == Opcode::Close {
                code = frame.close_code().or(Some(1005));
                break;
            }
        }
        if code.is_some() {
            let rest = within("the end after a close frame", self.read_frame()).await;
            assert_eq!(rest, None, "no frame may follow a close frame");
        }
        code
    }
}
