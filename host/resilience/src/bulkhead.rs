//! A bulkhead: so many calls at a time, so many that wait, and no more.
//!
//! | a call comes | and | then |
//! |---|---|---|
//! | fewer than `concurrency` are under way | nobody waits | it goes in |
//! | `concurrency` are under way | fewer than `queue` wait | it waits, in order of arrival |
//! | as many | `queue` wait | it is refused at once |
//! | it waits | a place becomes free, and it is the first | it goes in |
//! | it waits | `queue_wait`, or its deadline, is over | it is refused |
//! | it waits | its caller leaves | its place in the queue is free |
//!
//! More or fewer places take effect at once for those who come; nobody who is in
//! is put out. A place is held until it is dropped.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// How many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Calls under way, at least 1.
    pub concurrency: u32,
    /// Calls that wait.
    pub queue: u32,
    /// How long one waits at most.
    pub queue_wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// `None`: not bounded here.
    pub concurrency: Option<u32>,
    pub in_flight: u64,
    pub waiting: u64,
    /// Refused since the start.
    pub rejected: u64,
}

/// Why a call did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The queue is full, or the wait was over.
    Full,
    /// The caller's own deadline was over.
    TooLate,
}

#[derive(Debug)]
pub struct Bulkhead {
    places: Arc<Semaphore>,
    size: Mutex<Size>,
    in_flight: AtomicUsize,
    waiting: AtomicUsize,
    rejected: AtomicU64,
}

#[derive(Debug)]
struct Size {
    settings: Option<Settings>,
    /// Places that there are one too many of, until those who hold them leave.
    surplus: usize,
}

/// Places where no bound is set.
const UNBOUNDED: usize = Semaphore::MAX_PERMITS;

impl Bulkhead {
    /// Without settings everybody gets in, and is counted.
    pub fn new(settings: Option<Settings>) -> Arc<Bulkhead> {
        Arc::new(Bulkhead {
            places: Arc::new(Semaphore::new(room(settings))),
            size: Mutex::new(Size { settings, surplus: 0 }),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            rejected: AtomicU64::new(0),
        })
    }

    pub fn configure(&self, settings: Option<Settings>) {
        let mut size = self.size();
        let (before, after) = (room(size.settings), room(settings));
        size.settings = settings;
        if after > before {
            let more = after - before;
            let cancelled = more.min(size.surplus);
            size.surplus -= cancelled;
            self.places.add_permits(more - cancelled);
        } else {
            let fewer = before - after;
            size.surplus += fewer - self.places.forget_permits(fewer);
        }
    }

    /// A place, at once or not at all.
    pub fn try_enter(self: &Arc<Bulkhead>) -> Result<Place, Rejected> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(self.place(permit)),
            Err(_) => Err(self.refuse(Rejected::Full)),
        }
    }

    /// A place, after a wait in the queue if need be.
    pub async fn enter(self: &Arc<Bulkhead>, deadline: Option<Instant>) -> Result<Place, Rejected> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(self.place(permit));
        }
        let Some(settings) = self.size().settings else {
            return Err(self.refuse(Rejected::Full));
        };
        let Some(_waiting) = self.queue(settings.queue as usize) else {
            return Err(self.refuse(Rejected::Full));
        };
        let own = Instant::now() + settings.queue_wait;
        let until = deadline.map_or(own, |deadline| deadline.min(own));
        match timeout_at(until, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.place(permit)),
            // Nobody closes the semaphore.
            Ok(Err(_)) => Err(self.refuse(Rejected::Full)),
            Err(_) if deadline.is_some_and(|deadline| deadline <= own) => Err(self.refuse(Rejected::TooLate)),
            Err(_) => Err(self.refuse(Rejected::Full)),
        }
    }

    pub fn standing(&self) -> Standing {
        Standing {
            concurrency: self.size().settings.map(|settings| settings.concurrency.max(1)),
            in_flight: self.in_flight.load(Ordering::Relaxed) as u64,
            waiting: self.waiting.load(Ordering::Relaxed) as u64,
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    fn queue(&self, most: usize) -> Option<Waiting<'_>> {
        let count = |now: usize| (now < most).then_some(now + 1);
        let joined = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        joined.ok().map(|_| Waiting(&self.waiting))
    }

    fn refuse(&self, why: Rejected) -> Rejected {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        why
    }

    fn place(self: &Arc<Bulkhead>, permit: OwnedSemaphorePermit) -> Place {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Place {
            bulkhead: Arc::clone(self),
            permit: Some(permit),
        }
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn room(settings: Option<Settings>) -> usize {
    settings.map_or(UNBOUNDED, |settings| settings.concurrency.max(1) as usize)
}

/// One in the queue, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Held until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Place {
    bulkhead: Arc<Bulkhead>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.bulkhead.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut size = self.bulkhead.size();
        if size.surplus > 0 {
            size.surplus -= 1;
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(concurrency: u32, queue: u32, wait_ms: u64) -> Option<Settings> {
        Some(Settings {
            concurrency,
            queue,
            queue_wait: Duration::from_millis(wait_ms),
        })
    }

    fn counts(bulkhead: &Bulkhead) -> (u64, u64, u64) {
        let standing = bulkhead.standing();
        (standing.in_flight, standing.waiting, standing.rejected)
    }

    /// Starts a wait, and lets it come to the queue.
    async fn waiter(
        bulkhead: &Arc<Bulkhead>,
        deadline: Option<Instant>,
    ) -> tokio::task::JoinHandle<Result<Place, Rejected>> {
        let bulkhead = Arc::clone(bulkhead);
        let task = tokio::spawn(async move { bulkhead.enter(deadline).await });
        tokio::task::yield_now().await;
        task
    }

    // B21
    #[tokio::test(start_paused = true)]
    async fn so_many_are_in_so_many_wait_in_order_and_the_next_is_refused() {
        let bulkhead = Bulkhead::new(settings(2, 2, 1_000));
        let (first, second) = (bulkhead.enter(None).await.unwrap(), bulkhead.try_enter().unwrap());
        let (third, fourth) = (waiter(&bulkhead, None).await, waiter(&bulkhead, None).await);
        assert_eq!(counts(&bulkhead), (2, 2, 0));
        assert_eq!(bulkhead.enter(None).await.unwrap_err(), Rejected::Full);
        assert_eq!(counts(&bulkhead), (2, 2, 1));
        drop(first);
        let third = third.await.unwrap().unwrap();
        assert!(!fourth.is_finished(), "it came later");
        assert_eq!(counts(&bulkhead), (2, 1, 1));
        drop((second, third));
        drop(fourth.await.unwrap().unwrap());
        assert_eq!(counts(&bulkhead), (0, 0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_bound_or_at_the_callers_deadline_and_says_which() {
        let bulkhead = Bulkhead::new(settings(1, 9, 500));
        let held = bulkhead.try_enter().unwrap();
        let since = Instant::now();
        assert_eq!(bulkhead.enter(None).await.unwrap_err(), Rejected::Full);
        assert_eq!(since.elapsed(), Duration::from_millis(500));
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(
            bulkhead.enter(Some(deadline)).await.unwrap_err(),
            Rejected::TooLate
        );
        assert_eq!(counts(&bulkhead), (1, 0, 2));
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_makes_room_in_it_and_takes_no_place() {
        let bulkhead = Bulkhead::new(settings(1, 1, 60_000));
        let held = bulkhead.try_enter().unwrap();
        let gone = waiter(&bulkhead, None).await;
        gone.abort();
        let _ = gone.await;
        assert_eq!(counts(&bulkhead), (1, 0, 0));
        let waits = waiter(&bulkhead, None).await;
        drop(held);
        drop(waits.await.unwrap().unwrap());
        assert_eq!(counts(&bulkhead), (0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn another_size_holds_at_once_and_puts_nobody_out() {
        let bulkhead = Bulkhead::new(settings(3, 0, 0));
        let mut held: Vec<_> = (0..3).map(|_| bulkhead.try_enter().unwrap()).collect();
        bulkhead.configure(settings(1, 0, 0));
        assert_eq!(bulkhead.standing().in_flight, 3);
        held.truncate(1);
        bulkhead.try_enter().unwrap_err();
        bulkhead.configure(settings(2, 0, 0));
        held.push(bulkhead.try_enter().unwrap());
        bulkhead.try_enter().unwrap_err();
        bulkhead.configure(None);
        held.extend((0..50).map(|_| bulkhead.try_enter().unwrap()));
        bulkhead.configure(settings(2, 0, 0));
        held.clear();
        held.extend((0..2).map(|_| bulkhead.try_enter().unwrap()));
        bulkhead.try_enter().unwrap_err();
        assert_eq!(bulkhead.standing().concurrency, Some(2));
    }
}
