//! The bodies on their way through the host, piece by piece: counted, bounded,
//! and watched for standing still. Neither is ever held as a whole.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::caller::Ticket;
use super::failure::Failure;

/// What a plugin sends.
pub type RequestBody = UnsyncBoxBody<Bytes, Failure>;

/// When the request's body last went on, and whether it has ended.
#[derive(Debug)]
pub(super) struct Progress(Mutex<Mark>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    at: Instant,
    ended: bool,
}

impl Progress {
    pub(super) fn new() -> Arc<Progress> {
        let mark = Mark {
            at: Instant::now(),
            ended: false,
        };
        Arc::new(Progress(Mutex::new(mark)))
    }

    fn read(&self) -> Mark {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened just now.
    pub(super) fn touch(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at = Instant::now();
    }

    fn end(&self) {
        let mut mark = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !mark.ended {
            *mark = Mark {
                at: Instant::now(),
                ended: true,
            };
        }
    }

    /// Waits until the request has stood still for too long: `idle` within its
    /// body, `first_byte` after it.
    pub(super) async fn stalled(&self, idle: Duration, first_byte: Duration) -> Failure {
        loop {
            let mark = self.read();
            let (patience, failure) = match mark.ended {
                true => (first_byte, Failure::ReadTimeout),
                false => (idle, Failure::WriteTimeout),
            };
            sleep_until(mark.at + patience).await;
            if self.read() == mark {
                return failure;
            }
        }
    }
}

/// A request's body, bounded.
///
/// It never ends as if it were whole because the call that wrote it has ended:
/// what the other side gets then is a broken connection.
pub(super) struct Outgoing {
    inner: RequestBody,
    left: u64,
    limit: u64,
    progress: Arc<Progress>,
    over: CancellationToken,
}

impl Outgoing {
    pub(super) fn new(
        inner: RequestBody,
        limit: u64,
        progress: Arc<Progress>,
        over: CancellationToken,
    ) -> Outgoing {
        if inner.is_end_stream() {
            progress.end();
        }
        Outgoing {
            inner,
            left: limit,
            limit,
            progress,
            over,
        }
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Failure> {
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(Failure::RequestTooLarge(self.limit))?;
        self.progress.touch();
        Ok(frame)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let next = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(next) => next,
        };
        Poll::Ready(match next {
            Some(Ok(frame)) => Some(self.take(frame)),
            Some(Err(failure)) => Some(Err(failure)),
            None if self.over.is_cancelled() => Some(Err(Failure::Abandoned)),
            None => {
                self.progress.end();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // A body whose length is known is not asked for its end.
        self.progress.end();
    }
}

/// An answer's body, bounded. Dropped before its end it closes the connection;
/// so does every failure.
#[derive(Debug)]
pub struct Received {
    state: State,
    left: u64,
    limit: u64,
    idle: Duration,
    patience: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum State {
    Open { body: Incoming, _ticket: Ticket },
    Closed,
}

impl Received {
    pub(super) fn new(body: Incoming, ticket: Ticket, limit: u64, idle: Duration) -> Received {
        Received {
            state: State::Open {
                body,
                _ticket: ticket,
            },
            left: limit,
            limit,
            idle,
            patience: None,
        }
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Failure> {
        self.patience = None;
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(Failure::ResponseTooLarge(self.limit))?;
        Ok(frame)
    }

    /// Whether nothing has come for too long, asked each time that nothing comes.
    fn is_out_of_patience(&mut self, cx: &mut Context<'_>) -> bool {
        let idle = self.idle;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(idle)));
        patience.as_mut().poll(cx).is_ready()
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let polled = match &mut self.state {
            State::Closed => return Poll::Ready(None),
            State::Open { body, .. } => Pin::new(body).poll_frame(cx),
        };
        let next = match polled {
            Poll::Ready(Some(Ok(frame))) => Some(self.take(frame)),
            Poll::Ready(Some(Err(fault))) => Some(Err(Failure::of_body(&fault))),
            Poll::Ready(None) => None,
            Poll::Pending if self.is_out_of_patience(cx) => Some(Err(Failure::ReadTimeout)),
            Poll::Pending => return Poll::Pending,
        };
        if !matches!(next, Some(Ok(_))) {
            drop(mem::replace(&mut self.state, State::Closed));
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Open { body, .. } => body.is_end_stream(),
            State::Closed => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Open { body, .. } => body.size_hint(),
            State::Closed => SizeHint::with_exact(0),
        }
    }
}
