//! Whose turn it is to ask a database.
//!
//! Guarantees: no more queries run than there are connections, no more wait
//! than may, and they start in order of arrival. One plugin never takes all of
//! it: where there are three connections or more it leaves one to the others,
//! and a quarter of the places to wait. What it was answered and has not read
//! yet is bounded too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Plugins that are remembered before the idle ones are forgotten.
const PLUGINS_KEPT: usize = 64;

/// What one plugin may leave unread of one database's answers, over all its
/// calls, in KiB. Past it a query gives no more before what it gave is read.
pub(super) const UNREAD_MAX_KIB: usize = 16 << 10;

/// As many run, and as many wait, as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Share>,
    connections: usize,
    queue: usize,
    plugins: Mutex<HashMap<String, Arc<Share>>>,
}

/// What may run and wait: of all, or of one plugin.
#[derive(Debug)]
struct Share {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    /// In KiB.
    unread: Arc<Semaphore>,
}

impl Share {
    fn new(connections: usize, queue: usize) -> Share {
        Share {
            running: Arc::new(Semaphore::new(connections)),
            waiting: AtomicUsize::new(0),
            queue,
            unread: Arc::new(Semaphore::new(UNREAD_MAX_KIB)),
        }
    }

    fn try_run(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.running).try_acquire_owned().ok()
    }

    async fn run(&self) -> Result<OwnedSemaphorePermit, Full> {
        let running = Arc::clone(&self.running);
        running.acquire_owned().await.map_err(|_| Full)
    }

    fn wait(self: &Arc<Share>) -> Result<Waiting, Full> {
        let taken = self
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
                (waiting < self.queue).then_some(waiting + 1)
            });
        match taken {
            Ok(_) => Ok(Waiting(Arc::clone(self))),
            Err(_) => Err(Full),
        }
    }
}

/// A place in the queue.
struct Waiting(Arc<Share>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// May run until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    share: Arc<Share>,
}

impl Turn {
    fn new(own: OwnedSemaphorePermit, all: OwnedSemaphorePermit, share: Arc<Share>) -> Turn {
        Turn {
            _own: own,
            _all: all,
            share,
        }
    }

    /// Room for what the plugin is answered and has not read yet, in KiB.
    pub(super) fn unread(&self) -> Arc<Semaphore> {
        Arc::clone(&self.share.unread)
    }
}

impl Turns {
    pub(super) fn new(connections: usize, queue: usize) -> Turns {
        Turns {
            all: Arc::new(Share::new(connections, queue)),
            connections,
            queue,
            plugins: Mutex::default(),
        }
    }

    /// Queries that run now.
    pub(super) fn running(&self) -> usize {
        self.connections
            .saturating_sub(self.all.running.available_permits())
    }

    fn share(&self, plugin: &str) -> Arc<Share> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = plugins.get(plugin) {
            return Arc::clone(share);
        }
        if plugins.len() >= PLUGINS_KEPT {
            plugins.retain(|_, share| {
                let idle = share.running.available_permits() == self.own_connections()
                    && share.unread.available_permits() == UNREAD_MAX_KIB;
                Arc::strong_count(share) > 1 || !idle
            });
        }
        let share = Arc::new(Share::new(self.own_connections(), self.queue - self.queue / 4));
        plugins.insert(plugin.to_owned(), Arc::clone(&share));
        share
    }

    /// How many connections one plugin may take.
    fn own_connections(&self) -> usize {
        match self.connections {
            few @ 0..=2 => few,
            many => many - 1,
        }
    }

    /// Waits for a turn, or is told at once that none can be waited for.
    pub(super) async fn take(&self, plugin: &str) -> Result<Turn, Full> {
        let share = self.share(plugin);
        let mut own = share.try_run();
        if own.is_some()
            && let Some(all) = self.all.try_run()
            && let Some(own) = own.take()
        {
            return Ok(Turn::new(own, all, share));
        }
        let places = (share.wait()?, self.all.wait()?);
        let own = match own {
            Some(own) => own,
            None => share.run().await?,
        };
        let all = self.all.run().await?;
        drop(places);
        Ok(Turn::new(own, all, share))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn no_more_run_and_wait_than_may() {
        let turns = Turns::new(1, 1);
        let first = turns.take("a").now_or_never().unwrap().unwrap();
        let mut second = Box::pin(turns.take("b"));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(turns.take("c").now_or_never().unwrap().unwrap_err(), Full);
        drop(first);
        let second = second.now_or_never().unwrap().unwrap();
        let third = Box::pin(turns.take("a"));
        assert!(third.now_or_never().is_none());
        drop(second);
        turns.take("a").now_or_never().unwrap().unwrap();
    }

    #[test]
    fn what_is_no_longer_waited_for_leaves_its_place() {
        let turns = Turns::new(1, 1);
        let _first = turns.take("a").now_or_never().unwrap().unwrap();
        for _ in 0..3 {
            let mut second = Box::pin(turns.take("a"));
            assert!(second.as_mut().now_or_never().is_none());
        }
    }

    #[test]
    fn one_plugin_leaves_a_connection_and_places_to_the_others() {
        let turns = Turns::new(3, 4);
        let greedy = |_| turns.take("greedy").now_or_never();
        let held: Vec<_> = (0..2).map(greedy).map(Option::unwrap).collect();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turns.take("greedy"))).collect();
        for each in &mut waiting {
            assert!(each.as_mut().now_or_never().is_none());
        }
        assert_eq!(turns.take("greedy").now_or_never().unwrap().unwrap_err(), Full);
        let modest = turns.take("modest").now_or_never().unwrap().unwrap();
        assert!(turns.take("other").now_or_never().is_none());
        drop((held, modest));
    }

    #[test]
    fn plugins_that_are_gone_are_forgotten() {
        let turns = Turns::new(2, 2);
        for plugin in 0..10_000 {
            turns.take(&plugin.to_string()).now_or_never().unwrap().unwrap();
        }
        assert!(turns.plugins.lock().unwrap().len() <= PLUGINS_KEPT);
    }
}
