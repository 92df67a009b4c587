//! Where a conversation stands: what was seen, what is owed, what to say next.
//!
//! Pure: no socket, no clock, no terminal. It keeps true that
//!
//! 1. each numbered frame counts once;
//! 2. a message is sent again only under its own id, and only while the host
//!    remembers that id in the same session;
//! 3. "nothing was missed" is claimed only when the host said so, in the epoch
//!    that this client was in;
//! 4. answers are told one after the other, in the order of their messages,
//!    however the host's frames interleave them.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::event::{Continuity, Event, Failure};
use super::frame::Frame;
use super::message::{Manner, Message, Phase};

/// At most this many messages without an answer.
pub(super) const MAX_WAITING: usize = 64;
/// Frames between acknowledgements.
const ACK_EVERY: u64 = 20;
/// Handlers whose version is remembered, to tell of swaps.
const MAX_VERSIONS: usize = 256;
/// What a frame has around the content of its message, at most.
const ENVELOPE: usize = 512;

/// Where to go on after the socket was lost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resume {
    pub(super) session: String,
    pub(super) epoch: String,
    pub(super) after: u64,
}

#[derive(Debug)]
pub(super) struct Conversation {
    manner: Manner,
    /// Session and epoch, once there was a hello.
    place: Option<(String, String)>,
    last: u64,
    acked: u64,
    /// What the host had numbered at its hello: nothing is sent again before
    /// everything up to there has been seen.
    catch_up: u64,
    /// The hello has told that frames are missing.
    gap_known: bool,
    online: bool,
    connection: u64,
    max_frame: usize,
    id_window: Duration,
    pending: VecDeque<Message>,
    versions: HashMap<String, String>,
}

impl Conversation {
    pub(super) fn new(manner: Manner) -> Conversation {
        Conversation {
            manner,
            place: None,
            last: 0,
            acked: 0,
            catch_up: 0,
            gap_known: false,
            online: false,
            connection: 0,
            max_frame: 1 << 20,
            id_window: Duration::from_secs(24 * 3600),
            pending: VecDeque::new(),
            versions: HashMap::new(),
        }
    }

    /// What to put into the address of the next connection.
    pub(super) fn resume(&self) -> Option<Resume> {
        let (session, epoch) = self.place.clone()?;
        Some(Resume {
            session,
            epoch,
            after: self.last,
        })
    }

    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Takes a line to be sent as soon as may be.
    pub(super) fn compose(&mut self, id: String, content: String, now: Instant) -> Result<(), Failure> {
        let bytes = Value::from(content.as_str()).to_string().len() + ENVELOPE;
        if bytes > self.max_frame {
            return Err(Failure::own(
                "too_large",
                format!(
                    "the line is too long for the host, which takes {} bytes",
                    self.max_frame
                ),
            ));
        }
        if self.pending.len() >= MAX_WAITING {
            return Err(Failure::own(
                "session_busy",
                format!("{MAX_WAITING} messages wait for an answer already"),
            ));
        }
        self.pending.push_back(Message::new(id, content, now));
        Ok(())
    }

    /// Cancels the oldest message without an answer. What never left this client
    /// ends at once, the rest when the host says so. `None`: nothing to cancel.
    pub(super) fn cancel(&mut self) -> Option<Vec<Event>> {
        let message = self
            .pending
            .iter_mut()
            .find(|m| !m.cancel && m.phase != Phase::Ended)?;
        message.cancel = true;
        if message.phase == Phase::Queued {
            message.fail(Failure::own("cancelled", "cancelled before it was sent".into()));
        }
        let mut events = Vec::new();
        self.tell(&mut events);
        Some(events)
    }

    /// The socket is gone.
    pub(super) fn disconnected(&mut self) {
        self.online = false;
    }

    /// What is to be sent now, in order.
    pub(super) fn outgoing(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        if !self.online || self.last < self.catch_up {
            return frames;
        }
        for message in self.pending.iter_mut().filter(|m| m.phase != Phase::Ended) {
            let unconfirmed = message.phase == Phase::Sent && message.connection != self.connection;
            if message.phase == Phase::Queued || unconfirmed {
                message.phase = Phase::Sent;
                message.connection = self.connection;
                frames.push(self.manner.frame(&message.id, &message.content));
            }
            if message.cancel && message.cancelled_on != self.connection {
                message.cancelled_on = self.connection;
                frames.push(json!({"type": "cancel", "id": message.id}).to_string());
            }
        }
        frames
    }

    /// The acknowledgement that is due; `idle`: nothing else is going on.
    pub(super) fn acknowledgement(&mut self, idle: bool) -> Option<String> {
        let open = self.last.saturating_sub(self.acked);
        if !self.online || open == 0 || (open < ACK_EVERY && !idle) {
            return None;
        }
        self.acked = self.last;
        Some(json!({"type": "ack", "seq": self.last}).to_string())
    }

    /// Whether there is something to acknowledge.
    pub(super) fn owes_ack(&self) -> bool {
        self.online && self.last > self.acked
    }

    /// Takes a frame of the host.
    pub(super) fn on_frame(&mut self, frame: &Frame, now: Instant) -> Vec<Event> {
        match frame.kind.as_str() {
            "hello" => return self.on_hello(frame, now),
            "drain" => return Vec::new(),
            _ => {}
        }
        let mut events = Vec::new();
        if let Some(seq) = frame.number() {
            if seq <= self.last {
                return events;
            }
            let gap = (seq - self.last - 1).max(frame.dropped);
            if gap > 0 && !self.gap_known {
                self.pending
                    .iter_mut()
                    .filter(|m| m.phase == Phase::Running)
                    .for_each(|m| m.answer.lost_some());
                events.push(Event::Dropped(gap));
            }
            self.gap_known = false;
            self.last = seq;
        }
        match &frame.id {
            Some(id) => {
                let known = self.pending.iter_mut().find(|m| m.id == *id);
                if let Some(message) = known.filter(|m| matches!(m.phase, Phase::Sent | Phase::Running)) {
                    message.on_frame(frame, self.last);
                }
                self.tell(&mut events);
            }
            None if frame.kind == "error" && frame.code != "session_unknown" => {
                events.push(Event::Warning(format!("{} ({})", frame.message, frame.code)));
            }
            None => {}
        }
        events
    }

    fn on_hello(&mut self, hello: &Frame, now: Instant) -> Vec<Event> {
        let before = self.place.replace((hello.session.clone(), hello.epoch.clone()));
        let continuity = match before {
            None => Continuity::New,
            Some((session, _)) if session != hello.session => Continuity::Forgotten,
            Some((_, epoch)) if epoch == hello.epoch && hello.recovered => Continuity::Whole,
            Some((_, epoch)) => {
                if epoch != hello.epoch {
                    (self.last, self.acked) = (0, 0);
                }
                Continuity::Gaps
            }
        };
        if matches!(continuity, Continuity::New | Continuity::Forgotten) {
            (self.last, self.acked) = (0, 0);
        }
        let whole = continuity == Continuity::Whole;
        self.catch_up = if whole { hello.seq.unwrap_or(0) } else { 0 };
        self.gap_known = !whole;
        self.max_frame = hello.max_frame.unwrap_or(self.max_frame);
        self.id_window = hello.id_window_ms.map_or(self.id_window, Duration::from_millis);
        self.online = true;
        self.connection += 1;

        match continuity {
            Continuity::Gaps => self.ask_again(),
            Continuity::Forgotten => {
                self.give_up(|_| true, "the host no longer knows the session this was sent in")
            }
            Continuity::New | Continuity::Whole => {}
        }
        let window = self.id_window;
        self.give_up(
            |m| m.phase == Phase::Sent && now.duration_since(m.since) > window,
            "this waited longer than the host remembers ids",
        );
        let mut events = vec![Event::Connected(continuity)];
        self.tell(&mut events);
        events
    }

    /// Frames are missing, perhaps the last one of an answer: everything that
    /// was sent is asked for again, under its id.
    fn ask_again(&mut self) {
        for message in self.pending.iter_mut().filter(|m| m.phase == Phase::Running) {
            message.phase = Phase::Sent;
            message.answer.lost_some();
        }
    }

    /// What may have run is never sent again where its id means nothing.
    fn give_up(&mut self, lost: impl Fn(&Message) -> bool, why: &str) {
        for message in &mut self.pending {
            if matches!(message.phase, Phase::Sent | Phase::Running) && lost(message) {
                let mut failure = Failure::own(
                    "unconfirmed",
                    format!("{why}, so whether it was answered is not known"),
                );
                failure.retryable = true;
                message.fail(failure);
            }
        }
    }

    /// Tells what is held of the oldest message, and of the next ones when it
    /// has ended.
    fn tell(&mut self, events: &mut Vec<Event>) {
        while let Some(oldest) = self.pending.front_mut() {
            let held = std::mem::take(&mut oldest.held);
            let ended = oldest.phase == Phase::Ended;
            for event in held {
                if let Event::Done { parts, .. } = &event {
                    for part in parts {
                        self.note_version(&part.handler, part.version.as_deref(), events);
                    }
                }
                events.push(event);
            }
            if !ended {
                return;
            }
            self.pending.pop_front();
        }
    }

    /// Tells of a handler that answered with another version before.
    fn note_version(&mut self, handler: &str, version: Option<&str>, events: &mut Vec<Event>) {
        let Some(version) = version else { return };
        if let Some(known) = self.versions.get_mut(handler) {
            if known != version {
                version.clone_into(known);
                events.push(Event::Swapped {
                    handler: handler.to_owned(),
                    version: version.to_owned(),
                });
            }
        } else if self.versions.len() < MAX_VERSIONS {
            self.versions.insert(handler.to_owned(), version.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
