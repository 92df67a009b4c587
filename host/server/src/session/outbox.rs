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
//!    and counted, and it is not waited for again until it has read. Without a reader there is nobody to close: `close` lets the
//!    sender wait (until its deadline), the other two drop at once.

mod reader;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_protocol::ServerFrame;
use tokio::sync::Notify;

use crate::config::OnFull;
pub use reader::{Patience, Reader};
use state::{Place, Room, State};

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

/// What became of a frame that was offered.
enum Offered {
    Taken,
    Full {
        frame: ServerFrame,
        readers: usize,
        /// Those were waited for in vain already.
        deaf: bool,
    },
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
                Offered::Taken => return 0,
                Offered::Full { frame, readers, deaf } => (frame, readers, deaf),
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

    /// Appends or joins, or gives the frame back.
    fn try_push(&self, bounds: &Bounds, frame: ServerFrame) -> Offered {
        let mut state = self.lock();
        match state.room(bounds, Some(&frame)) {
            Room::Yes => {
                state.append(bounds, frame);
            }
            Room::Joined => {}
            Room::Full => {
                return Offered::Full {
                    frame,
                    readers: state.readers(),
                    deaf: state.deaf,
                };
            }
        }
        drop(state);
        self.appended.notify_waiters();
        Offered::Taken
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
        // Nearly always there is one.
        state.places.reserve_exact(1);
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
