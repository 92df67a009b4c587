//! A response under way, read by whoever polls it.
//!
//! It has no task and no buffer of its own: bytes are taken off the socket when
//! somebody asks, so a reader that does not ask is felt by the server, and
//! dropping it closes the connection. While nothing comes it holds the socket, a
//! timer, and a part of a line if the last bytes ended within one.
//!
//! Silence counts while somebody waits, and not while nobody reads.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::answer::{Answer, Broken, Usage};
use super::connect::Link;
use super::exchange::Head;
use super::framing::{BadFraming, Framing};

/// Read at once, and with it the most text in a piece.
const READ_BYTES: usize = 4096;

/// How long what may follow the answer (what it cost) is waited for.
const TAIL: Duration = Duration::from_secs(5);

/// Why an answer ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("{0}")]
    Broken(#[from] Broken),
    #[error("{0}")]
    Framing(#[from] BadFraming),
    #[error("the end of the connection within the answer")]
    Closed,
    #[error("silence for longer than allowed")]
    Silent,
}

/// What comes of reading.
pub(super) enum Step {
    Text(String),
    End(Result<(), Cut>),
}

/// An answer that comes in.
pub(super) struct Reading {
    link: Link,
    framing: Framing,
    kept: bool,
    answer: Answer,
    ended: Option<Result<(), Cut>>,
    silence: Silence,
    first_timeout: Duration,
    idle_timeout: Duration,
}

/// The clock of a wait.
#[derive(Default)]
struct Silence {
    sleep: Option<Pin<Box<Sleep>>>,
    counts: bool,
}

impl Reading {
    /// Goes on behind `head`. `first_timeout` is what is left until the first
    /// event has to come.
    pub(super) fn new(
        link: Link,
        head: Head,
        max_answer: u64,
        first_timeout: Duration,
        idle_timeout: Duration,
    ) -> Reading {
        let mut reading = Reading {
            link,
            framing: head.framing,
            kept: head.kept,
            answer: Answer::new(max_answer),
            ended: None,
            silence: Silence::default(),
            first_timeout,
            idle_timeout,
        };
        if let Err(cut) = reading.take(&head.rest) {
            reading.kept = false;
            reading.ended = Some(reading.excused(cut));
        }
        reading
    }

    /// What it has cost, as far as is known.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.answer.usage()
    }

    /// Waits for the first text, or for an end without any.
    pub(super) async fn begun(&mut self) -> Result<(), Cut> {
        poll_fn(|context| self.poll_ready(context)).await;
        match self.ended.take() {
            Some(Err(cut)) if !self.answer.has_text() => Err(cut),
            ended => {
                self.ended = ended;
                Ok(())
            }
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        ready!(self.poll_ready(context));
        Poll::Ready(match self.answer.take_text() {
            Some(text) => Step::Text(text),
            None => Step::End(self.ended.take().unwrap_or(Ok(()))),
        })
    }

    /// Reads until there is text, or an end.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.answer.has_text() || self.ended.is_some() {
                return Poll::Ready(());
            }
            let mut buffer = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = match Pin::new(&mut self.link).poll_read(context, &mut buffer) {
                Poll::Ready(read) => read,
                Poll::Pending => {
                    ready!(self.poll_silence(context));
                    self.ended = Some(self.excused(Cut::Silent));
                    continue;
                }
            };
            let events = self.answer.events();
            let taken = match read {
                Ok(()) if buffer.filled().is_empty() && self.framing.may_close() => {
                    self.kept = false;
                    self.ended = Some(self.answer.finish().map_err(Cut::from));
                    continue;
                }
                Ok(()) if !buffer.filled().is_empty() => self.take(buffer.filled()),
                Ok(()) | Err(_) => Err(Cut::Closed),
            };
            if let Err(cut) = taken {
                self.kept = false;
                self.ended = Some(self.excused(cut));
            }
            self.silence.heard(events != self.answer.events());
        }
    }

    /// What goes wrong after the answer was finished does not matter.
    fn excused(&self, cut: Cut) -> Result<(), Cut> {
        match self.answer.is_whole() {
            true => Ok(()),
            false => Err(cut),
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Cut> {
        loop {
            if self.framing.is_ended() {
                self.kept &= bytes.is_empty();
                self.ended = Some(self.answer.finish().map_err(Cut::from));
                return Ok(());
            }
            if bytes.is_empty() {
                break;
            }
            let (body, rest) = self.framing.split(bytes)?;
            self.answer.feed(body)?;
            bytes = rest;
        }
        if self.answer.is_done() {
            self.ended = Some(Ok(()));
        }
        Ok(())
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let patience = if self.answer.is_whole() {
            self.idle_timeout.min(TAIL)
        } else if self.answer.events() == 0 {
            self.first_timeout
        } else {
            self.idle_timeout
        };
        self.silence.poll(patience, context)
    }

    /// The connection, if another request may follow on it, and whether nothing
    /// of this response is still to come.
    pub(super) fn into_link(self) -> Option<(Link, Framing)> {
        self.kept.then_some((self.link, self.framing))
    }
}

impl Silence {
    /// Something came. What meant nothing (comments, part of a line) does not
    /// start the clock anew, unless it ran out while nobody was reading.
    fn heard(&mut self, meant_something: bool) {
        let over = self
            .sleep
            .as_ref()
            .is_some_and(|sleep| sleep.deadline() <= Instant::now());
        if meant_something || over {
            self.counts = false;
        }
    }

    fn poll(&mut self, patience: Duration, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.counts {
            self.counts = true;
            sleep.as_mut().reset(Instant::now() + patience);
        }
        sleep.as_mut().poll(context)
    }
}

/// Reads what is left of a response that matters to nobody, so that its
/// connection can be used again. `None` when that would take too long.
pub(super) async fn drained(mut link: Link, mut framing: Framing) -> Option<Link> {
    use tokio::io::AsyncReadExt;

    let mut buffer = [0; 1024];
    let mut budget = READ_BYTES;
    while !framing.is_ended() {
        let read = tokio::time::timeout(Duration::from_secs(1), link.read(&mut buffer)).await;
        let read = read.ok()?.ok().filter(|read| *read > 0)?;
        budget = budget.checked_sub(read)?;
        let mut bytes = buffer.get(..read)?;
        while !bytes.is_empty() {
            if framing.is_ended() {
                return None;
            }
            bytes = framing.split(bytes).ok()?.1;
        }
    }
    Some(link)
}
