//! The outbox: a session's bounded, numbered queue of frames to its client.
//!
//! Guarantees, in this order:
//!
//! 1. Numbers rise by one with each frame and are never given twice. A frame
//!    that is dropped keeps its number, so that the client sees the gap.
//! 2. A frame that ends a message is never dropped and never waits. There is at
//!    most one for each message that the session took, and [`Outbox::room`] holds
//!    new messages back while these are not read, so they stay bounded.
//! 3. Frames stay after they were read, as many as fit, so that a client that
//!    lost its socket can read them again: [`Outbox::covers`] tells truly
//!    whether everything after a number is still here.
//! 4. Past the bound (`[outbox] size` frames or `bytes`), in order: what was
//!    read goes first; then chunks of one reply that nobody has read yet are
//!    joined; then the sender waits. A reader that stays too slow for longer
//!    than `wait` meets `on_full`: it is told to close, or frames are dropped
//!    and counted. Without a reader there is nobody to close: `close` lets the
//!    sender wait (until its deadline), the other two drop at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_protocol::ServerFrame;
use tokio::sync::Notify;

use crate::config::OnFull;

/// The bounds of an outbox.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub frames: usize,
    pub bytes: usize,
    pub wait: Duration,
    pub on_full: OnFull,
}

/// A frame with its number.
#[derive(Debug)]
pub struct Numbered {
    pub seq: u64,
    /// How many frames were dropped just before this one.
    pub dropped: u64,
    pub frame: ServerFrame,
}

impl Numbered {
    pub fn encode(&self) -> String {
        self.frame.encode(Some(self.seq), self.dropped)
    }
}

#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    /// Something was appended.
    appended: Notify,
    /// Something was read, or a reader came or went.
    read: Notify,
    /// A reader was told that it is too slow.
    told: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Arc<Numbered>>,
    bytes: usize,
    /// The last number given.
    last_seq: u64,
    /// Everything up to here was written by some reader.
    written_to: u64,
    /// Everything up to here was at least given to one.
    given_to: u64,
    /// The highest number that is no longer here.
    lost_to: u64,
    /// Dropped since the last frame that was kept.
    dropped: u64,
    dropped_total: u64,
    /// A frame was dropped, and nothing was read since.
    deaf: bool,
    places: Vec<Place>,
    readers_ever: u64,
}

/// Where a reader stands.
#[derive(Debug)]
struct Place {
    reader: u64,
    written: u64,
    given: u64,
    /// Told to go: what it has not read no longer holds others up.
    too_slow: bool,
}

enum Room {
    Yes,
    Joined,
    Full,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between lock and unlock can leave the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends without waiting. For frames that answer a message with its end,
    /// for those whose sender has waited for [`Outbox::room`], and for the few of
    /// a message that are bounded by themselves.
    pub fn push_now(&self, bounds: &Bounds, frame: ServerFrame) -> u64 {
        let seq = self.lock().append(bounds, frame);
        self.appended.notify_waiters();
        seq
    }

    /// Appends an answer's last frame that is not a message's own: a refusal or a
    /// replay. These are as many as the client asks for, so it has to read them.
    pub async fn push_last(&self, bounds: &Bounds, frame: ServerFrame) {
        self.room(bounds).await;
        self.push_now(bounds, frame);
    }

    /// Appends when there is room. Returns how many frames this cost under a
    /// dropping policy. Cancel-safe: a dropped future has appended nothing.
    pub async fn push(&self, bounds: &Bounds, mut frame: ServerFrame) -> u64 {
        let mut patience = None;
        loop {
            let read = self.read.notified();
            tokio::pin!(read);
            read.as_mut().enable();
            let (readers, deaf);
            (frame, readers, deaf) = match self.try_push(bounds, frame) {
                Ok(()) => return 0,
                Err(full) => full,
            };
            if readers == 0 && bounds.on_full == OnFull::Close {
                read.await;
                continue;
            }
            let end = *patience.get_or_insert_with(|| tokio::time::Instant::now() + bounds.wait);
            if readers > 0 && !deaf && tokio::time::timeout_at(end, read).await.is_ok() {
                continue;
            }
            if bounds.on_full != OnFull::Close {
                return self.drop_for(bounds, frame);
            }
            // Whoever is told no longer counts, so this ends with the readers.
            self.lock().give_up_on_the_slowest();
            self.told.notify_waiters();
            // Whoever waits for room no longer waits for that reader.
            self.read.notify_waiters();
            patience = None;
        }
    }

    /// Appends or joins, or gives the frame back with the number of readers and
    /// whether they were waited for in vain already.
    fn try_push(&self, bounds: &Bounds, frame: ServerFrame) -> Result<(), (ServerFrame, usize, bool)> {
        let mut state = self.lock();
        match state.room(bounds, Some(&frame)) {
            Room::Yes => {
                state.append(bounds, frame);
            }
            Room::Joined => {}
            Room::Full => return Err((frame, state.readers(), state.deaf)),
        }
        drop(state);
        self.appended.notify_waiters();
        Ok(())
    }

    /// Waits until a frame would be taken without waiting, as long as somebody
    /// reads. Under a dropping policy handlers may keep the outbox full, so what
    /// is never dropped may fill it once more before anybody waits.
    pub async fn room(&self, bounds: &Bounds) {
        let limit = match bounds.on_full {
            OnFull::Close => *bounds,
            OnFull::DropNewest | OnFull::DropOldest => Bounds {
                frames: bounds.frames.saturating_mul(2),
                bytes: bounds.bytes.saturating_mul(2),
                ..*bounds
            },
        };
        loop {
            let read = self.read.notified();
            tokio::pin!(read);
            read.as_mut().enable();
            if !self.is_full_for_a_reader(&limit) {
                return;
            }
            read.await;
        }
    }

    fn is_full_for_a_reader(&self, bounds: &Bounds) -> bool {
        let mut state = self.lock();
        state.readers() > 0 && matches!(state.room(bounds, None), Room::Full)
    }

    fn drop_for(&self, bounds: &Bounds, frame: ServerFrame) -> u64 {
        let mut state = self.lock();
        // Nobody is waited for again until somebody has read.
        state.deaf = true;
        if bounds.on_full == OnFull::DropOldest && state.drop_oldest_unread() {
            state.append(bounds, frame);
        } else {
            state.last_seq += 1;
            state.lost_to = state.last_seq;
            state.count_drop();
        }
        drop(state);
        self.appended.notify_waiters();
        1
    }

    /// A reader of what comes after `after`. While it lives the outbox has
    /// somebody who can be too slow.
    pub fn reader(self: &Arc<Self>, after: u64) -> Reader {
        let mut state = self.lock();
        state.readers_ever += 1;
        let id = state.readers_ever;
        state.deaf = false;
        let cursor = after.min(state.last_seq);
        state.written_to = state.written_to.max(cursor);
        state.given_to = state.given_to.max(cursor);
        state.places.push(Place {
            reader: id,
            written: cursor,
            given: cursor,
            too_slow: false,
        });
        drop(state);
        self.read.notify_waiters();
        Reader {
            outbox: self.clone(),
            id,
            cursor,
        }
    }

    /// The client has everything up to `seq`: it need not be kept.
    pub fn ack(&self, seq: u64) {
        let mut state = self.lock();
        let given = state.places.iter().map(|p| p.given).min();
        let seq = seq.min(given.unwrap_or(state.given_to));
        while state.frames.front().is_some_and(|f| f.seq <= seq) {
            state.evict_front();
        }
        drop(state);
        self.read.notify_waiters();
    }

    /// The last number given.
    pub fn last_seq(&self) -> u64 {
        self.lock().last_seq
    }

    /// Whether every frame after `after` is still here.
    pub fn covers(&self, after: u64) -> bool {
        let state = self.lock();
        after >= state.lost_to && after <= state.last_seq
    }

    /// Frames dropped by policy since the session began.
    pub fn dropped_total(&self) -> u64 {
        self.lock().dropped_total
    }
}

impl State {
    /// Readers that others wait for.
    fn readers(&self) -> usize {
        self.places.iter().filter(|p| !p.too_slow).count()
    }

    /// Everything up to here was written by whoever reads. Without a reader:
    /// by whoever came furthest.
    fn read_to(&self) -> u64 {
        let places = self.places.iter().filter(|p| !p.too_slow);
        places.map(|p| p.written).min().unwrap_or(self.written_to)
    }

    fn give_up_on_the_slowest(&mut self) {
        let behind = self.read_to();
        for place in &mut self.places {
            place.too_slow |= place.written <= behind;
        }
    }

    fn unread(&self) -> usize {
        let read_to = self.read_to();
        let first = self.frames.partition_point(|f| f.seq <= read_to);
        self.frames.len() - first
    }

    /// Makes room by letting go of what was read; else joins `frame` to an
    /// unread chunk of the same reply.
    fn room(&mut self, bounds: &Bounds, frame: Option<&ServerFrame>) -> Room {
        while self.frames.len() >= bounds.frames || self.bytes >= bounds.bytes {
            match self.frames.front() {
                Some(front) if front.seq <= self.read_to() => self.evict_front(),
                _ => break,
            }
        }
        if let Some(frame) = frame
            && self.bytes < bounds.bytes
            && self.unread() >= bounds.frames / 2
            && self.join(frame)
        {
            return Room::Joined;
        }
        if self.frames.len() >= bounds.frames || self.bytes >= bounds.bytes {
            return Room::Full;
        }
        Room::Yes
    }

    fn join(&mut self, frame: &ServerFrame) -> bool {
        let given_to = self.given_to;
        let Some(last) = self.frames.back_mut() else {
            return false;
        };
        if last.seq <= given_to {
            return false;
        }
        let ServerFrame::Chunk {
            id,
            handler,
            content,
            replayed: false,
        } = frame
        else {
            return false;
        };
        // Not given to anybody, so nobody else holds it.
        let Some(Numbered {
            frame:
                ServerFrame::Chunk {
                    id: last_id,
                    handler: last_handler,
                    content: joined,
                    replayed: false,
                },
            ..
        }) = Arc::get_mut(last)
        else {
            return false;
        };
        if last_id != id || last_handler != handler {
            return false;
        }
        joined.push_str(content);
        self.bytes += content.len();
        true
    }

    fn append(&mut self, bounds: &Bounds, frame: ServerFrame) -> u64 {
        let _ = self.room(bounds, None);
        self.last_seq += 1;
        self.bytes += frame.weight();
        self.frames.push_back(Arc::new(Numbered {
            seq: self.last_seq,
            dropped: std::mem::take(&mut self.dropped),
            frame,
        }));
        self.last_seq
    }

    fn evict_front(&mut self) {
        if let Some(front) = self.frames.pop_front() {
            self.bytes = self.bytes.saturating_sub(front.frame.weight());
            self.lost_to = self.lost_to.max(front.seq);
        }
        if self.frames.is_empty() {
            // An idle session holds no buffer.
            self.frames = VecDeque::new();
        }
    }

    fn drop_oldest_unread(&mut self) -> bool {
        let read_to = self.read_to();
        let first = self.frames.partition_point(|f| f.seq <= read_to);
        // Whoever else holds a frame is writing it.
        let may_go = |f: &Arc<Numbered>| !f.frame.is_final() && Arc::strong_count(f) == 1;
        let oldest = (first..self.frames.len()).find(|&i| self.frames.get(i).is_some_and(may_go));
        let Some((at, gone)) = oldest.and_then(|i| Some((i, self.frames.remove(i)?))) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(gone.frame.weight());
        self.lost_to = self.lost_to.max(gone.seq);
        self.dropped_total += 1;
        // The mark moves on to what now comes first after the gap.
        match self.frames.get_mut(at).and_then(Arc::get_mut) {
            Some(next) => next.dropped += gone.dropped + 1,
            None => self.dropped += gone.dropped + 1,
        }
        true
    }

    fn count_drop(&mut self) {
        self.dropped += 1;
        self.dropped_total += 1;
    }
}

/// Reads an outbox in order.
#[derive(Debug)]
pub struct Reader {
    outbox: Arc<Outbox>,
    id: u64,
    cursor: u64,
}

/// Whether a reader is too slow.
#[derive(Debug, Clone)]
pub struct Patience {
    outbox: Arc<Outbox>,
    reader: u64,
}

impl Patience {
    /// Waits until a sender has lost patience with the reader.
    pub async fn lost(&self) {
        loop {
            let told = self.outbox.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self
                .outbox
                .lock()
                .places
                .iter()
                .any(|p| p.reader == self.reader && p.too_slow)
            {
                return;
            }
            told.await;
        }
    }
}

impl Reader {
    /// Everything up to here was given.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The next frame; waits for it. Cancel-safe.
    pub async fn next(&mut self) -> Arc<Numbered> {
        loop {
            let outbox = self.outbox.clone();
            let appended = outbox.appended.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            if let Some(frame) = self.try_next() {
                return frame;
            }
            appended.await;
        }
    }

    /// The next frame, if it is there. Asking for it says that the one before
    /// was written; until then that one is not let go, so that a socket that is
    /// closed in the middle of it costs the client nothing.
    pub fn try_next(&mut self) -> Option<Arc<Numbered>> {
        let mut state = self.outbox.lock();
        let at = state.frames.partition_point(|f| f.seq <= self.cursor);
        let next = state.frames.get(at).cloned();
        let written = self.cursor;
        if let Some(frame) = &next {
            self.cursor = frame.seq;
        }
        let mut news = false;
        if let Some(place) = state.places.iter_mut().find(|p| p.reader == self.id) {
            news = place.written < written;
            place.written = written;
            place.given = self.cursor;
        }
        state.deaf &= !news;
        state.written_to = state.written_to.max(written);
        state.given_to = state.given_to.max(self.cursor);
        drop(state);
        if news {
            self.outbox.read.notify_waiters();
        }
        next
    }

    /// To learn of it when this reader is too slow.
    pub fn patience(&self) -> Patience {
        Patience {
            outbox: self.outbox.clone(),
            reader: self.id,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.outbox.lock().places.retain(|p| p.reader != self.id);
        self.outbox.read.notify_waiters();
    }
}
