//! What ends a query that runs.
//!
//! SQLite asks the [`Watch`] of its connection every hundred instructions
//! whether to go on, and a few instructions, such as counting the rows of a
//! whole table, ask only for an interrupt. The [`Brake`] of a query does both,
//! and never touches the query that uses the connection after it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;
use tokio_util::sync::CancellationToken;

use super::scratch;

/// How often the temporary files of a query are measured.
const SCRATCH_LOOK: Duration = Duration::from_millis(5);

/// Why a query was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its time is over.
    Late,
    /// Nobody waits for it.
    Dropped,
    /// Its temporary files are too large.
    Scratch,
}

impl Why {
    const ALL: [Why; 3] = [Why::Late, Why::Dropped, Why::Scratch];
}

/// The bounds of what a connection does now.
#[derive(Debug)]
pub(super) struct Watch {
    since: Instant,
    /// Nanoseconds after `since`.
    until: AtomicU64,
    /// Bytes that may be written to temporary files.
    scratch_max: AtomicU64,
    scratch_start: AtomicU64,
    scratch_next: AtomicU64,
    /// 0, or the place in [`Why::ALL`] from 1.
    why: AtomicU8,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            since: Instant::now(),
            until: AtomicU64::new(u64::MAX),
            scratch_max: AtomicU64::new(u64::MAX),
            scratch_start: AtomicU64::new(0),
            scratch_next: AtomicU64::new(u64::MAX),
            why: AtomicU8::new(0),
        }
    }
}

impl Watch {
    /// Begins anew, on the thread that the query runs on.
    pub(super) fn start(&self, until: Instant, scratch_max_bytes: u64) {
        let until = nanos(until.saturating_duration_since(self.since));
        self.until.store(until, Ordering::Relaxed);
        self.scratch_max.store(scratch_max_bytes, Ordering::Relaxed);
        let written = scratch::written_bytes();
        let next = written.map_or(u64::MAX, |_| self.now());
        self.scratch_start.store(written.unwrap_or(0), Ordering::Relaxed);
        self.scratch_next.store(next, Ordering::Relaxed);
        self.why.store(0, Ordering::Release);
    }

    fn stop(&self, why: Why) {
        let place = Why::ALL.iter().position(|each| *each == why).unwrap_or(0);
        let place = u8::try_from(place + 1).unwrap_or(1);
        // The first reason stays.
        let _ = self
            .why
            .compare_exchange(0, place, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Why the query has to end, if it has to.
    pub(super) fn why(&self) -> Option<Why> {
        let place = usize::from(self.why.load(Ordering::Acquire));
        Why::ALL.get(place.checked_sub(1)?).copied()
    }

    /// Whether the query has to end. Asked on the query's own thread.
    pub(super) fn is_over(&self) -> bool {
        if self.why.load(Ordering::Acquire) != 0 {
            return true;
        }
        let now = self.now();
        if now >= self.until.load(Ordering::Relaxed) {
            self.stop(Why::Late);
        } else if now >= self.scratch_next.load(Ordering::Relaxed) {
            let next = now.saturating_add(nanos(SCRATCH_LOOK));
            self.scratch_next.store(next, Ordering::Relaxed);
            let start = self.scratch_start.load(Ordering::Relaxed);
            let written = scratch::written_bytes().unwrap_or(0).saturating_sub(start);
            if written > self.scratch_max.load(Ordering::Relaxed) {
                self.stop(Why::Scratch);
            }
        }
        self.why().is_some()
    }

    fn now(&self) -> u64 {
        nanos(self.since.elapsed())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Stops one query, from any thread, before it began or while it runs.
#[derive(Debug, Default)]
pub(super) struct Brake {
    state: Mutex<State>,
    pulled: CancellationToken,
}

#[derive(Default)]
struct State {
    why: Option<Why>,
    engine: Option<(Arc<Watch>, InterruptHandle)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

impl Brake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the query. Doing it again does no harm, and catches one that had
    /// not quite begun.
    pub(super) fn pull(&self, why: Why) {
        let mut state = self.state();
        let why = *state.why.get_or_insert(why);
        if let Some((watch, handle)) = &state.engine {
            watch.stop(why);
            handle.interrupt();
        }
        drop(state);
        self.pulled.cancel();
    }

    /// Once it was pulled.
    pub(super) async fn pulled(&self) {
        self.pulled.cancelled().await;
    }

    /// Why the query was stopped.
    pub(super) fn why(&self) -> Option<Why> {
        self.state().why
    }

    /// Takes a connection for the query, until the result is dropped. Nothing
    /// if the query was stopped before.
    pub(super) fn hold(&self, watch: &Arc<Watch>, handle: InterruptHandle) -> Option<Held<'_>> {
        let mut state = self.state();
        if state.why.is_some() {
            return None;
        }
        state.engine = Some((Arc::clone(watch), handle));
        Some(Held(self))
    }
}

/// A connection that a [`Brake`] may stop.
pub(super) struct Held<'brake>(&'brake Brake);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.state().engine = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_until_the_next_start() {
        let watch = Watch::default();
        assert!(!watch.is_over());
        watch.stop(Why::Dropped);
        watch.stop(Why::Late);
        assert_eq!(watch.why(), Some(Why::Dropped));
        watch.start(Instant::now() + Duration::from_secs(60), u64::MAX);
        assert!(!watch.is_over());
        watch.start(Instant::now(), u64::MAX);
        assert!(watch.is_over());
        assert_eq!(watch.why(), Some(Why::Late));
    }

    #[test]
    fn a_brake_stops_what_it_holds_and_nothing_after_it() {
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        let watch = Arc::new(Watch::default());
        let first = Brake::default();
        let held = first.hold(&watch, sqlite.get_interrupt_handle()).unwrap();
        drop(held);
        watch.start(Instant::now() + Duration::from_secs(60), u64::MAX);
        first.pull(Why::Dropped);
        assert!(!watch.is_over());

        let second = Brake::default();
        let _held = second.hold(&watch, sqlite.get_interrupt_handle()).unwrap();
        second.pull(Why::Late);
        assert!(watch.is_over());
        assert!(first.hold(&watch, sqlite.get_interrupt_handle()).is_none());
    }
}
