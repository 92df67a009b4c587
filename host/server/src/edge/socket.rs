//! An accepted connection, with what it takes up.
//!
//! - The listener's permit is given back when the socket is closed for good,
//!   whoever holds it then: the HTTP connection or, after an upgrade, the
//!   WebSocket.
//! - A peer that reads nothing for [`WRITE_STALL`] while there is something to
//!   write is cut off.
//! - A close is a lingering one: what the peer is still sending is read and
//!   thrown away for a moment, because closing a socket with unread bytes
//!   resets the connection, and a reset may overtake the answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use crate::telemetry::metrics::Held;

/// The longest that a write may make no progress.
pub(super) const WRITE_STALL: Duration = Duration::from_secs(60);
/// The longest that a close waits for the peer's own.
const LINGER: Duration = Duration::from_millis(500);
/// The most that is read and thrown away meanwhile.
const LINGER_BYTES: usize = 1024 * 1024;

pub(super) struct Socket {
    tcp: TcpStream,
    stall: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    closing: Option<Closing>,
    _open: Held,
    _permit: OwnedSemaphorePermit,
}

struct Closing {
    until: Pin<Box<Sleep>>,
    budget: usize,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, stall: Duration, open: Held, permit: OwnedSemaphorePermit) -> Self {
        Socket {
            tcp,
            stall,
            stalled: None,
            closing: None,
            _open: open,
            _permit: permit,
        }
    }

    /// Ends a write that has waited too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        let stall = self.stall;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer reads nothing",
        )))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.watch(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.tcp).poll_write_vectored(cx, parts);
        self.watch(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.tcp).poll_shutdown(cx))?;
        }
        let closing = this.closing.get_or_insert_with(|| Closing {
            until: Box::pin(sleep(LINGER)),
            budget: LINGER_BYTES,
        });
        let mut scratch = [0; 4096];
        while closing.budget > 0 {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.tcp).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    closing.budget = closing.budget.saturating_sub(buf.filled().len());
                }
                // The peer has closed, or is gone: nothing can overtake.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(closing.until.as_mut().poll(cx));
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
