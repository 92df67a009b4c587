//! One session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use segue_capabilities::session::{SessionError, States};
use segue_protocol::{ErrorCode, Incoming, RequestError, ServerFrame};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::conversation::{Conversation, Known, Rules};
use super::exchange::{End, Exchange, Fingerprint, Record};
use super::outbox::{Bounds, Outbox, Patience, Reader};

/// What the host tells the socket of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    None,
    TakenOver,
    Erased,
}

#[derive(Debug)]
pub struct Session {
    /// 128 random bits.
    pub id: Arc<str>,
    /// Names this run of numbers; a session that lost its outbox gets another.
    pub epoch: Arc<str>,
    pub created_at: SystemTime,
    pub outbox: Arc<Outbox>,
    conversation: Mutex<Conversation>,
    /// What plugins keep here.
    states: Mutex<States>,
    presence: Mutex<Presence>,
    /// A message has ended.
    settled: Notify,
    erased: CancellationToken,
}

#[derive(Debug)]
struct Presence {
    socket: Option<watch::Sender<Signal>>,
    /// Counts sockets, so that an old one does not detach a new one.
    generation: u64,
    /// HTTP replies being read.
    readers: usize,
    last_seen: Instant,
}

/// A socket's hold on its session; letting go detaches it.
#[derive(Debug)]
pub struct Attachment {
    pub session: Arc<Session>,
    pub signal: watch::Receiver<Signal>,
    generation: u64,
}

/// What became of a message that was handed in.
#[derive(Debug)]
pub enum Taken {
    New(Arc<Exchange>),
    /// The id is known and its message still runs: its reply goes on.
    Running(Arc<Exchange>),
    /// The id is known and answered: the reply can be replayed.
    Finished(Arc<Exchange>),
}

impl Session {
    pub(super) fn new(id: Arc<str>, epoch: Arc<str>) -> Session {
        Session {
            id,
            epoch,
            created_at: SystemTime::now(),
            outbox: Arc::new(Outbox::default()),
            conversation: Mutex::default(),
            states: Mutex::default(),
            presence: Mutex::new(Presence {
                socket: None,
                generation: 0,
                readers: 0,
                last_seen: Instant::now(),
            }),
            settled: Notify::new(),
            erased: CancellationToken::new(),
        }
    }

    fn conversation(&self) -> MutexGuard<'_, Conversation> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the session to a new socket; an older one is told to go.
    pub fn attach(self: &Arc<Self>) -> Attachment {
        let (socket, signal) = watch::channel(Signal::None);
        let mut presence = self.presence();
        if let Some(old) = presence.socket.replace(socket) {
            let _ = old.send(Signal::TakenOver);
        }
        presence.generation += 1;
        presence.last_seen = Instant::now();
        // It may have been erased since it was found; `erase` tells only those
        // who came before it.
        if let Some(socket) = presence.socket.as_ref().filter(|_| self.is_erased()) {
            socket.send_replace(Signal::Erased);
        }
        Attachment {
            session: self.clone(),
            signal,
            generation: presence.generation,
        }
    }

    /// Takes a message into the conversation and numbers its `accepted`, in one
    /// step, so that no chunk can come before it.
    pub fn take(&self, mut message: Incoming, rules: &Rules, bounds: &Bounds) -> Result<Taken, RequestError> {
        let mut conversation = self.conversation();
        let id: Arc<str> = match &message.id {
            Some(id) => id.as_str().into(),
            None => format!("h-{}", crate::ids::random()).into(),
        };
        match conversation.known(&id, &message)? {
            Known::No => {}
            Known::Running(exchange) => {
                self.outbox
                    .push_now(bounds, ServerFrame::Accepted { id, duplicate: true });
                return Ok(Taken::Running(exchange));
            }
            Known::Finished(exchange) => {
                self.outbox
                    .push_now(bounds, ServerFrame::Accepted { id, duplicate: true });
                return Ok(Taken::Finished(exchange));
            }
        }
        if conversation.is_full(rules) {
            return Err(RequestError::new(
                ErrorCode::SessionBusy,
                format!(
                    "{} messages are waiting already; send the next one after an answer",
                    rules.queue
                ),
            )
            .retry_after_ms(1_000));
        }
        let accepted_seq = self.outbox.push_now(
            bounds,
            ServerFrame::Accepted {
                id: id.clone(),
                duplicate: false,
            },
        );
        let exchange = Arc::new(Exchange {
            fingerprint: Fingerprint::of(&message),
            meta: Arc::new(std::mem::take(&mut message.meta)),
            id,
            message,
            taken_at: SystemTime::now(),
            accepted_seq,
            cancel: self.erased.child_token(),
            record: Mutex::new(Record::default()),
            finished: watch::Sender::new(false),
        });
        conversation.add(exchange.clone());
        Ok(Taken::New(exchange))
    }

    /// The next message whose turn it is.
    pub fn start_next(&self, rules: &Rules) -> Option<Arc<Exchange>> {
        self.conversation().start(rules)
    }

    /// Ends a running message: records how, numbers its last frame.
    pub fn end(&self, exchange: &Exchange, end: End, rules: &Rules, bounds: &Bounds) {
        let mut conversation = self.conversation();
        self.close_exchange(exchange, end, bounds);
        conversation.finish(exchange, rules);
        drop(conversation);
        self.settled.notify_waiters();
    }

    /// Cancels a message. One that waits ends here and now, one that runs when
    /// its handler has let go; one that is over stays as it is. `false` when
    /// there is no such message.
    pub fn cancel(&self, id: &str, rules: &Rules, bounds: &Bounds) -> bool {
        let mut conversation = self.conversation();
        let Some(exchange) = conversation.get(id).cloned() else {
            return false;
        };
        if conversation.is_waiting(id) {
            let error = RequestError::new(ErrorCode::Cancelled, "cancelled before it began");
            self.close_exchange(&exchange, End::Failed(error), bounds);
            conversation.withdraw(id, rules);
            drop(conversation);
            self.settled.notify_waiters();
        } else {
            exchange.cancel.cancel();
        }
        true
    }

    fn close_exchange(&self, exchange: &Exchange, end: End, bounds: &Bounds) {
        self.outbox.push_now(bounds, exchange.last_frame(&end, false));
        let mut record = exchange.record();
        record.end = Some(end);
        record.ended_at = Some(SystemTime::now());
        record.work = None;
        drop(record);
        exchange.finished.send_replace(true);
    }

    /// An HTTP reply reads the outbox. Keeps the session from expiring.
    pub fn read_reply(self: &Arc<Self>, after: u64) -> ReplyReader {
        self.presence().readers += 1;
        ReplyReader {
            reader: self.outbox.reader(after),
            session: self.clone(),
        }
    }

    /// Whether `id` is that of a message that will have a last frame, or has had
    /// one that stands.
    pub fn has_taken(&self, id: &str) -> bool {
        let exchange = self.exchange(id);
        exchange.is_some_and(|exchange| !exchange.may_be_asked_again())
    }

    pub fn exchange(&self, id: &str) -> Option<Arc<Exchange>> {
        self.conversation().get(id).cloned()
    }

    /// What is kept of the conversation, oldest first.
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.conversation().exchanges().cloned().collect()
    }

    pub fn message_count(&self) -> usize {
        self.conversation().len()
    }

    pub fn is_idle(&self) -> bool {
        self.conversation().is_idle()
    }

    pub fn is_attached(&self) -> bool {
        self.presence().socket.is_some()
    }

    /// Waits until nothing runs and nothing waits.
    pub async fn idle(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.is_idle() {
                return;
            }
            settled.await;
        }
    }

    /// Since when nobody has been here; `None` while somebody is, or something
    /// still runs.
    pub(super) fn deserted_since(&self) -> Option<Instant> {
        let presence = self.presence();
        let here = presence.socket.is_some() || presence.readers > 0;
        let since = presence.last_seen;
        drop(presence);
        (!here && self.is_idle()).then_some(since)
    }

    /// Cancels whatever runs or waits. What waits ends when its turn comes.
    pub(super) fn cancel_all(&self) {
        for exchange in self.exchanges() {
            exchange.cancel.cancel();
        }
    }

    pub fn is_erased(&self) -> bool {
        self.erased.is_cancelled()
    }

    /// Works with what plugins keep here, unless the session was erased.
    pub(super) fn states<T>(
        &self,
        work: impl FnOnce(&mut States) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that `erase` clears what comes before it.
        if self.is_erased() {
            return Err(SessionError::Erased);
        }
        work(&mut states)
    }

    /// Ends everything: running messages are cancelled, what plugins keep is
    /// forgotten, the socket is closed.
    pub(super) fn erase(&self) {
        self.erased.cancel();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.clear();
        drop(states);
        if let Some(socket) = &self.presence().socket {
            let _ = socket.send(Signal::Erased);
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut presence = self.session.presence();
        if presence.generation == self.generation {
            presence.socket = None;
            presence.last_seen = Instant::now();
        }
    }
}

/// Reads a session's outbox for an HTTP reply.
#[derive(Debug)]
pub struct ReplyReader {
    reader: Reader,
    session: Arc<Session>,
}

impl ReplyReader {
    /// To learn of it when this reader is too slow.
    pub fn patience(&self) -> Patience {
        self.reader.patience()
    }

    /// Everything up to here, about whichever message, has been read.
    pub fn cursor(&self) -> u64 {
        self.reader.cursor()
    }

    /// The next frame about message `id`; others are passed over. `None` when
    /// something was let go of before its turn. What a policy drops is marked in
    /// the frame after it, and no such gap.
    pub async fn next_of(&mut self, id: &str) -> Option<Arc<super::Numbered>> {
        loop {
            let before = self.reader.cursor();
            let frame = self.reader.next().await;
            if frame.seq > before + 1 && frame.dropped == 0 {
                return None;
            }
            if frame.frame.id().is_some_and(|of| &**of == id) {
                return Some(frame);
            }
        }
    }
}

impl Drop for ReplyReader {
    fn drop(&mut self) {
        let mut presence = self.session.presence();
        presence.readers = presence.readers.saturating_sub(1);
        presence.last_seen = Instant::now();
    }
}
