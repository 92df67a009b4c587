//! Connections that wait for the next request.
//!
//! Bounded in number and in time: nothing is kept for longer than a server is
//! likely to, and one that the server has closed meanwhile is not given out.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::connect::Link;

/// How many wait at most.
const IDLE_MAX: usize = 16;

/// How long one waits at most.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// A clone is the same pool.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Idle>>);

#[derive(Default)]
struct Idle {
    links: Vec<(Instant, Link)>,
    watched: bool,
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is still open, the latest first.
    pub(super) async fn take(&self) -> Option<Link> {
        loop {
            let (since, mut link) = self.idle().links.pop()?;
            if since.elapsed() < IDLE_TIME && is_quiet(&mut link).await {
                return Some(link);
            }
        }
    }

    /// Keeps one whose response has ended.
    pub(super) fn put(&self, link: Link, handle: &Handle) {
        let mut idle = self.idle();
        if idle.links.len() < IDLE_MAX {
            idle.links.push((Instant::now(), link));
        }
        if !idle.watched {
            idle.watched = true;
            handle.spawn(self.clone().watch());
        }
    }

    /// Closes what has waited too long, until nothing waits.
    async fn watch(self) {
        loop {
            sleep(IDLE_TIME / 4).await;
            let mut idle = self.idle();
            idle.links.retain(|(since, _)| since.elapsed() < IDLE_TIME);
            if idle.links.is_empty() {
                idle.watched = false;
                return;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.idle().links.len()
    }
}

/// Whether nothing has come that was not asked for, the end included.
async fn is_quiet(link: &mut Link) -> bool {
    poll_fn(|context| {
        let mut byte = [0];
        let read = Pin::new(&mut *link).poll_read(context, &mut ReadBuf::new(&mut byte));
        Poll::Ready(read.is_pending())
    })
    .await
}
