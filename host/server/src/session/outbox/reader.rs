//! Reading an outbox in order.

use std::sync::Arc;

use super::{Numbered, Outbox};

/// Reads an outbox in order.
#[derive(Debug)]
pub struct Reader {
    pub(super) outbox: Arc<Outbox>,
    pub(super) id: u64,
    pub(super) cursor: u64,
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
