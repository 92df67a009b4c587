//! What a call sends, as its caller takes it: pieces that the guest sent, and
//! in their place among them what comes of the sources that it handed over.
//!
//! A source is read only while somebody asks for the next piece, so its upstream
//! feels a slow client; it needs no task and, once the guest has returned, no
//! instance. It ends with the call's deadline or cancellation, and when the
//! guest ends in an error.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::settings::Limits;
use crate::spec::{CallError, EndpointKind, HandlerError, Outcome, Reply};
use crate::stats::Tenure;

/// A running source of text, which stops when it is dropped. Its first error is
/// its last word.
pub type Source = Pin<Box<dyn Stream<Item = Result<String, HandlerError>> + Send>>;

/// What a guest sends.
pub(crate) enum Item {
    Reply(Reply),
    Source(Source),
}

/// How a guest ended.
pub(super) struct GuestEnd {
    pub(super) outcome: Outcome,
    /// A source of its may still run, and decides how the call ends.
    pub(super) handed_over: bool,
}

/// When a call is over, whatever it does.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) kind: EndpointKind,
    pub(super) limits: Limits,
    pub(super) deadline: Duration,
    pub(super) until: Instant,
    pub(super) cancel: CancellationToken,
    pub(super) stop: CancellationToken,
}

/// The receiving end of a call's reply.
pub(super) struct Replies {
    items: mpsc::Receiver<Item>,
    source: Option<Source>,
    bounds: Bounds,
    /// How the guest ended, once that is known.
    guest: Option<GuestEnd>,
    guest_ends: oneshot::Receiver<GuestEnd>,
    /// Where a call is counted that a source has ended.
    tenure: Arc<Tenure>,
    counted: bool,
    /// What ended a source before its time, and the call with it.
    failure: Option<CallError>,
    /// What was handed on so far, and how much of it came from sources.
    passed: Counts,
    forwarded: Counts,
    had_source: bool,
    answered: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    chunks: u32,
    bytes: u64,
}

impl Counts {
    fn add(&mut self, bytes: usize) {
        self.chunks = self.chunks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// What happened while a source was awaited.
enum Awaited {
    Cancelled,
    Deadline,
    Guest(Option<GuestEnd>),
    Piece(Option<Result<String, HandlerError>>),
}

impl Replies {
    pub(super) fn new(
        items: mpsc::Receiver<Item>,
        guest_ends: oneshot::Receiver<GuestEnd>,
        bounds: Bounds,
        tenure: Arc<Tenure>,
    ) -> Replies {
        Replies {
            items,
            source: None,
            bounds,
            guest: None,
            guest_ends,
            tenure,
            counted: false,
            failure: None,
            passed: Counts::default(),
            forwarded: Counts::default(),
            had_source: false,
            answered: false,
        }
    }

    /// The next piece. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Reply> {
        loop {
            if self.failure.is_some() {
                return None;
            }
            if self.source.is_some() {
                if let Some(reply) = self.next_of_source().await {
                    return Some(reply);
                }
                continue;
            }
            match self.items.recv().await? {
                Item::Source(source) => {
                    self.had_source = true;
                    // A guest that has failed already cancels what it started.
                    if !matches!(&self.guest, Some(end) if end.outcome.result.is_err()) {
                        self.source = Some(source);
                    }
                }
                Item::Reply(reply) => {
                    let bytes = match &reply {
                        Reply::Chunk(text) | Reply::Data(text) => text.len(),
                        Reply::Binary(bytes) => bytes.len(),
                        Reply::Status(_) => 0,
                    };
                    self.answered |= !matches!(reply, Reply::Status(_));
                    self.pass(bytes);
                    return self.failure.is_none().then_some(reply);
                }
            }
        }
    }

    /// The next piece of the source, `None` when it is over for whatever reason.
    async fn next_of_source(&mut self) -> Option<Reply> {
        // A source that always has a piece would never let the clock speak.
        if Instant::now() >= self.bounds.until {
            let deadline = self.bounds.deadline;
            self.fail(CallError::DeadlineExceeded { deadline });
            return None;
        }
        let source = self.source.as_mut()?;
        let Bounds {
            until, cancel, stop, ..
        } = &self.bounds;
        let awaited = tokio::select! {
            biased;
            () = cancel.cancelled() => Awaited::Cancelled,
            () = stop.cancelled() => Awaited::Cancelled,
            ended = &mut self.guest_ends, if self.guest.is_none() => Awaited::Guest(ended.ok()),
            piece = source.next() => Awaited::Piece(piece),
            () = tokio::time::sleep_until((*until).into()) => Awaited::Deadline,
        };
        match awaited {
            Awaited::Piece(Some(Ok(text))) => {
                self.forwarded.add(text.len());
                self.pass(text.len());
                self.answered |= !text.is_empty();
                return self.failure.is_none().then_some(Reply::Chunk(text));
            }
            Awaited::Piece(None) => self.source = None,
            Awaited::Piece(Some(Err(error))) => self.fail(CallError::Handler(error)),
            Awaited::Cancelled => self.fail(CallError::Cancelled),
            Awaited::Deadline => {
                let deadline = self.bounds.deadline;
                self.fail(CallError::DeadlineExceeded { deadline });
            }
            Awaited::Guest(end) => {
                let end = end.unwrap_or_else(stopping);
                if end.outcome.result.is_err() {
                    self.source = None;
                }
                self.guest = Some(end);
            }
        }
        None
    }

    /// Counts a piece, of which the limits may be the last that the guest did
    /// not feel: what it sends itself it was already held to.
    fn pass(&mut self, bytes: usize) {
        self.passed.add(bytes);
        if !self.had_source {
            return;
        }
        let limits = &self.bounds.limits;
        if self.passed.bytes > limits.reply_bytes {
            self.fail(CallError::ReplyTooLarge {
                limit_bytes: limits.reply_bytes,
            });
        } else if self.passed.chunks > limits.chunks {
            self.fail(CallError::TooManyChunks { limit: limits.chunks });
        }
    }

    /// Ends the call, the guest included.
    fn fail(&mut self, error: CallError) {
        self.source = None;
        self.failure = Some(error);
        self.items.close();
        self.bounds.cancel.cancel();
    }

    /// The client has left: sends fail from now on, and a source is stopped.
    pub(super) fn close(&mut self) {
        self.items.close();
        if self.source.take().is_some() && self.failure.is_none() {
            self.failure = Some(CallError::ClientGone);
        }
    }

    /// How the call ended. What was not asked for until then is thrown away.
    pub(super) async fn finish(mut self) -> Outcome {
        let mut unread = self.source.take().is_some();
        while let Some(item) = self.items.recv().await {
            unread |= matches!(item, Item::Source(_));
        }
        let end = match self.guest.take() {
            Some(end) => end,
            None => (&mut self.guest_ends).await.unwrap_or_else(|_| stopping()),
        };
        let mut outcome = end.outcome;
        let silent = self.had_source && !self.answered && self.bounds.kind == EndpointKind::Message;
        if let Some(error) = self.failure.take() {
            outcome.result = Err(error);
        } else if silent && !unread && outcome.result.is_ok() {
            outcome.result = Err(CallError::EmptyReply);
        }
        let usage = &mut outcome.usage;
        usage.chunks = usage.chunks.saturating_add(self.forwarded.chunks);
        usage.reply_bytes = usage.reply_bytes.saturating_add(self.forwarded.bytes);
        if end.handed_over {
            let left = self.bounds.until.saturating_duration_since(Instant::now());
            usage.ms = crate::units::millis(self.bounds.deadline.saturating_sub(left)).max(usage.ms);
            self.tenure.count_call(&outcome.result);
        }
        self.counted = true;
        outcome
    }
}

/// A call that nobody finishes is cancelled; one that its guest has ended was
/// counted there, unless a source was to end it.
impl Drop for Replies {
    fn drop(&mut self) {
        let ended = self.guest.take().or_else(|| self.guest_ends.try_recv().ok());
        if !self.counted && ended.is_some_and(|end| end.handed_over) {
            self.tenure.count_call(&Err(CallError::Cancelled));
        }
    }
}

fn stopping() -> GuestEnd {
    GuestEnd {
        outcome: Outcome {
            result: Err(CallError::Internal {
                message: String::from("the host is stopping"),
            }),
            usage: crate::spec::Usage::default(),
        },
        handed_over: false,
    }
}

#[cfg(test)]
mod tests;
