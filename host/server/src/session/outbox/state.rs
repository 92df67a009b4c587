//! What an outbox holds, and its rules: who has read what, what may go, what is
//! joined. Everything here happens under the outbox's lock and at once.

use std::collections::VecDeque;
use std::sync::Arc;

use segue_protocol::ServerFrame;

use super::{Bounds, Numbered};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) frames: VecDeque<Arc<Numbered>>,
    pub(super) bytes: usize,
    /// The last number given.
    pub(super) last_seq: u64,
    /// Everything up to here was written by some reader.
    pub(super) written_to: u64,
    /// Everything up to here was at least given to one.
    pub(super) given_to: u64,
    /// The highest number that is no longer here.
    pub(super) lost_to: u64,
    /// Dropped since the last frame that was kept.
    pub(super) dropped: u64,
    pub(super) dropped_total: u64,
    /// A frame was dropped, and nothing was read since.
    pub(super) deaf: bool,
    pub(super) places: Vec<Place>,
    pub(super) readers_ever: u64,
}

/// Where a reader stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) reader: u64,
    pub(super) written: u64,
    pub(super) given: u64,
    /// Told to go: what it has not read no longer holds others up.
    pub(super) too_slow: bool,
}

pub(super) enum Room {
    Yes,
    Joined,
    Full,
}
impl State {
    /// Readers that others wait for.
    pub(super) fn readers(&self) -> usize {
        self.places.iter().filter(|p| !p.too_slow).count()
    }

    /// Everything up to here was written by whoever reads. Without a reader:
    /// by whoever came furthest.
    pub(super) fn read_to(&self) -> u64 {
        let places = self.places.iter().filter(|p| !p.too_slow);
        places.map(|p| p.written).min().unwrap_or(self.written_to)
    }

    pub(super) fn give_up_on_the_slowest(&mut self) {
        let behind = self.read_to();
        for place in &mut self.places {
            place.too_slow |= place.written <= behind;
        }
    }

    pub(super) fn unread(&self) -> usize {
        let read_to = self.read_to();
        let first = self.frames.partition_point(|f| f.seq <= read_to);
        self.frames.len() - first
    }

    /// Makes room by letting go of what was read; else joins `frame` to an
    /// unread chunk of the same reply.
    pub(super) fn room(&mut self, bounds: &Bounds, frame: Option<&ServerFrame>) -> Room {
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

    pub(super) fn join(&mut self, frame: &ServerFrame) -> bool {
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

    pub(super) fn append(&mut self, bounds: &Bounds, frame: ServerFrame) -> u64 {
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

    pub(super) fn evict_front(&mut self) {
        if let Some(front) = self.frames.pop_front() {
            self.bytes = self.bytes.saturating_sub(front.frame.weight());
            self.lost_to = self.lost_to.max(front.seq);
        }
        if self.frames.is_empty() {
            // An idle session holds no buffer.
            self.frames = VecDeque::new();
        }
    }

    pub(super) fn drop_oldest_unread(&mut self) -> bool {
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

    pub(super) fn count_drop(&mut self) {
        self.dropped += 1;
        self.dropped_total += 1;
    }
}
