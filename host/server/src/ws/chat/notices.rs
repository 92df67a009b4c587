//! Frames beside the numbers, on their way from a socket's reading half to its
//! writing half.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use segue_protocol::ServerFrame;
use tokio::sync::Notify;

/// Frames beside the numbers, for this socket alone. At most
/// [`Notices::BOUND`] wait; then reading pauses.
#[derive(Default)]
pub(super) struct Notices {
    waiting: Mutex<VecDeque<ServerFrame>>,
    changed: Notify,
}

impl Notices {
    const BOUND: usize = 16;

    fn waiting(&self) -> MutexGuard<'_, VecDeque<ServerFrame>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn put(&self, frame: ServerFrame) {
        while self.waiting().len() >= Self::BOUND {
            // Reader and writer are one task: nothing changes between the two.
            self.changed.notified().await;
        }
        self.waiting().push_back(frame);
        self.changed.notify_one();
    }

    pub(super) async fn next(&self) -> ServerFrame {
        loop {
            if let Some(frame) = self.waiting().pop_front() {
                self.changed.notify_one();
                return frame;
            }
            self.changed.notified().await;
        }
    }
}
