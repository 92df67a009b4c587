//! One request and the head of its response, over one connection.
//!
//! A library's HTTP client would do but for its size: while an answer waits for
//! its next token, hyper holds 20 to 28 KiB for it, mostly a write buffer and a
//! queue of requests that are of no use any more. Here it holds a socket and what
//! is said in [`Reading`](super::reading::Reading), under 1 KiB, and dropping it
//! closes the socket there and then. What is spoken is what a chat completion
//! needs of HTTP/1.1 (RFC 9112): one POST with a length, and any response.
//!
//! Guarantees: a response that comes before the request was taken whole is read
//! all the same (a server may refuse a long prompt by its head); a head has at
//! most 32 KiB and 64 fields.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{self, BadFraming, Framing};

const HEAD_MAX_BYTES: usize = 32 * 1024;
const FIELDS_MAX: usize = 64;
const READ_BYTES: usize = 4096;

/// The head of a response, and what came with it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection can be used again once the body has ended.
    pub(super) kept: bool,
    /// The first bytes of the body.
    pub(super) rest: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResponse {
    #[error("it cannot be connected to: {0}")]
    NotConnected(io::Error),
    /// Before the first byte of a response.
    #[error("it closed the connection without an answer")]
    Closed(Option<io::Error>),
    #[error("it closed the connection within the head of its answer")]
    Cut,
    #[error("it does not speak HTTP/1.1: {0}")]
    Senseless(String),
}

impl From<BadFraming> for NoResponse {
    fn from(fault: BadFraming) -> NoResponse {
        NoResponse::Senseless(fault.to_string())
    }
}

/// Sends `request`, which is a head and a body, and reads the response's head.
pub(super) async fn exchange<T>(link: &mut T, request: &[u8]) -> Result<Head, NoResponse>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut sending = Sending {
        left: request,
        flushed: false,
    };
    let mut read = Vec::new();
    poll_fn(|context| {
        let sent = sending.poll(link, context).is_ready();
        loop {
            let from = read.len();
            match ready!(poll_more(link, &mut read, context)) {
                Ok(()) if read.len() > from => {}
                // Whatever broke while sending shows here, after what the server
                // may have answered.
                Ok(()) if read.is_empty() => return Poll::Ready(Err(NoResponse::Closed(None))),
                Err(fault) if read.is_empty() => return Poll::Ready(Err(NoResponse::Closed(Some(fault)))),
                Ok(()) | Err(_) => return Poll::Ready(Err(NoResponse::Cut)),
            }
            if let Some(mut head) = parse(&mut read)? {
                head.kept &= sent && sending.is_whole();
                return Poll::Ready(Ok(head));
            }
            if read.len() >= HEAD_MAX_BYTES {
                let fault = String::from("a head without an end");
                return Poll::Ready(Err(NoResponse::Senseless(fault)));
            }
        }
    })
    .await
}

/// A request on its way. It is over when it was sent, or can no longer be.
struct Sending<'a> {
    left: &'a [u8],
    flushed: bool,
}

impl Sending<'_> {
    fn poll<T: AsyncWrite + Unpin>(
        &mut self,
        link: &mut T,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.left.is_empty() {
            let written = ready!(Pin::new(&mut *link).poll_write(context, self.left))?;
            match self.left.get(written..) {
                Some(left) if written > 0 => self.left = left,
                _ => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            }
        }
        if !self.flushed {
            ready!(Pin::new(&mut *link).poll_flush(context))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn is_whole(&self) -> bool {
        self.flushed
    }
}

/// Reads once, at the end of `read`; nothing is added at the stream's end.
fn poll_more<T: AsyncRead + Unpin>(
    link: &mut T,
    read: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut buffer = [0; READ_BYTES];
    let mut buffer = ReadBuf::new(&mut buffer);
    ready!(Pin::new(link).poll_read(context, &mut buffer))?;
    read.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(()))
}

/// The head at the start of `read`, once it is whole. Interim responses are
/// taken off and passed over.
fn parse(read: &mut Vec<u8>) -> Result<Option<Head>, NoResponse> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(read);
        let parsed = parsed.map_err(|fault| NoResponse::Senseless(fault.to_string()))?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(None);
        };
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or_else(|| NoResponse::Senseless(String::from("a status that is none")))?;
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            read.drain(..length);
            continue;
        }
        let version = match response.version {
            Some(1) => Version::HTTP_11,
            _ => Version::HTTP_10,
        };
        let headers = headers(response.headers)?;
        return Ok(Some(Head {
            status,
            framing: Framing::of(status.as_u16(), &headers)?,
            kept: framing::is_kept(version, &headers),
            headers,
            rest: read.split_off(length),
        }));
    }
}

fn headers(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, NoResponse> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        match (name, value) {
            (Ok(name), Ok(value)) => headers.append(name, value),
            _ => return Err(NoResponse::Senseless(String::from("a header that is none"))),
        };
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\n\r\nhello";

    /// The head that is read when the other side takes `take` bytes of the
    /// request and answers `answer` in pieces of `size` bytes, then closes.
    async fn head(take: usize, answer: &[u8], size: usize) -> Result<Head, NoResponse> {
        let (mut here, mut there) = duplex(16);
        let serve = async move {
            let mut taken = vec![0; take];
            there.read_exact(&mut taken).await.unwrap();
            for piece in answer.chunks(size) {
                if there.write_all(piece).await.is_err() {
                    return;
                }
            }
        };
        // It hangs up once it knows enough.
        let ask = async move { exchange(&mut here, REQUEST).await };
        tokio::join!(ask, serve).0
    }

    #[tokio::test]
    async fn a_head_is_the_same_however_it_arrives() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 5\r\n\r\nhel";
        for size in 1..=answer.len() {
            let head = head(REQUEST.len(), answer, size).await.unwrap();
            assert_eq!(head.status, 200);
            assert_eq!(
                (head.framing, head.kept),
                (Framing::Length(5), true),
                "in pieces of {size}"
            );
            assert_eq!(head.headers["content-type"], "text/event-stream");
            assert!(b"hel".starts_with(&head.rest));
        }
    }

    #[tokio::test]
    async fn a_response_to_half_a_request_is_read_and_its_connection_not_kept() {
        let refused = head(3, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", 99)
            .await
            .unwrap();
        assert_eq!((refused.status.as_u16(), refused.kept), (413, false));
    }

    #[tokio::test]
    async fn no_response_says_why() {
        let all = REQUEST.len();
        assert!(matches!(head(all, b"", 1).await, Err(NoResponse::Closed(_))));
        assert!(matches!(head(0, b"", 1).await, Err(NoResponse::Closed(_))));
        assert!(matches!(
            head(all, b"HTTP/1.1 200 O", 1).await,
            Err(NoResponse::Cut)
        ));
        for senseless in [
            b"SSH-2.0-server\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\nA: b\r\n"
                .iter()
                .chain([b'x'; 40_000].iter())
                .copied()
                .collect(),
            [b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: b\r\n".repeat(100)].concat(),
            b"HTTP/1.1 099 What\r\n\r\n".to_vec(),
        ] {
            assert!(matches!(
                head(all, &senseless, 1000).await,
                Err(NoResponse::Senseless(_))
            ));
        }
    }
}
