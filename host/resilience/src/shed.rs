//! Load shedding: what a host has no time for is refused early, so that what it
//! took is still answered in time.
//!
//! Two signals. One is a bound on the work under way. The other is how late the
//! host is: the delay between the moment at which something should have begun and
//! the one at which it did, measured from outside by [`Shedder::observe`]. As in
//! CoDel the smallest delay of an `interval` counts: one late moment is a burst,
//! but a host that was never in time for a whole interval has a queue that does
//! not go away.
//!
//! | state | what happens | next state |
//! |---|---|---|
//! | any | work comes, and `in_flight` is under way | the same; it is refused |
//! | calm | work comes | calm; it is let in |
//! | calm | an interval ends in which the host was in time | calm |
//! | calm | an interval ends in which it never was | shedding, a fifth of what comes |
//! | shedding | work comes | shedding; its share is refused, evenly spread |
//! | shedding | an interval ends in which it never was in time | shedding, a fifth more, at most nine tenths |
//! | shedding | an interval ends in which it was | shedding, a tenth less; calm at none |
//! | shedding | nobody has measured for ten intervals | calm |
//!
//! A tenth always gets in: somebody has to find out that it is over. Who must
//! never be refused (probes, operators, what ends work) does not ask here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// In tenths of what comes.
const UP: u32 = 2;
const DOWN: u32 = 1;
const MOST: u32 = 9;

/// Intervals without a measurement after which there is none.
const STALE: u32 = 10;

/// When a host has enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Work under way at a time; `None` is not bounded.
    pub in_flight: Option<usize>,
    /// The delay that is no queue yet; `None` does not look at delays.
    pub delay: Option<Duration>,
    pub interval: Duration,
}

/// Why work is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// As much as allowed is under way.
    InFlight,
    /// The host is late with everything.
    Delay,
}

impl Reason {
    pub const ALL: [Reason; 2] = [Reason::InFlight, Reason::Delay];

    pub fn as_str(self) -> &'static str {
        match self {
            Reason::InFlight => "in_flight",
            Reason::Delay => "delay",
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Standing {
    pub in_flight: usize,
    /// The share of work that is refused because the host is late.
    pub shedding: f64,
    /// The smallest delay of the last interval.
    pub delay_ms: Option<u64>,
}

#[derive(Debug)]
pub struct Shedder {
    in_flight: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// The share that is refused, in tenths.
    share: u32,
    /// Tenths that are due: at ten somebody is refused.
    due: u32,
    interval_began: Instant,
    /// The smallest delay since then.
    least: Option<Duration>,
    measured: Option<Instant>,
    last: Option<Duration>,
}

impl Shedder {
    pub fn new(settings: Settings) -> Arc<Shedder> {
        Arc::new(Shedder {
            in_flight: AtomicUsize::new(0),
            inner: Mutex::new(Inner {
                settings,
                share: 0,
                due: 0,
                interval_began: Instant::now(),
                least: None,
                measured: None,
                last: None,
            }),
        })
    }

    /// Other settings from now on. What is under way stays.
    pub fn configure(&self, settings: Settings) {
        let mut inner = self.inner();
        if settings.delay.is_none() {
            inner.calm_down();
        }
        inner.settings = settings;
    }

    /// Lets work in, which counts until what is returned is dropped; or says why
    /// not.
    pub fn enter(self: &Arc<Shedder>) -> Result<Work, Reason> {
        let most = {
            let mut inner = self.inner();
            if inner.refuses(Instant::now()) {
                return Err(Reason::Delay);
            }
            inner.settings.in_flight.unwrap_or(usize::MAX)
        };
        let one_more = |now: usize| (now < most).then_some(now + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map(|_| Work(Arc::clone(self)))
            .map_err(|_| Reason::InFlight)
    }

    /// The same for what is over as soon as it is let in.
    pub fn check(&self) -> Result<(), Reason> {
        match self.inner().refuses(Instant::now()) {
            true => Err(Reason::Delay),
            false => Ok(()),
        }
    }

    /// Something began so much later than it should have.
    pub fn observe(&self, delay: Duration) {
        self.inner().observe(delay, Instant::now());
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub fn standing(&self) -> Standing {
        let mut inner = self.inner();
        inner.forget_if_stale(Instant::now());
        Standing {
            in_flight: self.in_flight(),
            shedding: f64::from(inner.share) / 10.0,
            delay_ms: inner
                .last
                .map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn refuses(&mut self, now: Instant) -> bool {
        self.forget_if_stale(now);
        self.due += self.share;
        let refused = self.due >= 10;
        if refused {
            self.due -= 10;
        }
        refused
    }

    fn observe(&mut self, delay: Duration, now: Instant) {
        let Some(most) = self.settings.delay else {
            return;
        };
        self.measured = Some(now);
        let least = self.least.map_or(delay, |least| least.min(delay));
        if now.saturating_duration_since(self.interval_began) < self.settings.interval {
            self.least = Some(least);
            return;
        }
        (self.interval_began, self.least, self.last) = (now, None, Some(least));
        self.share = match least > most {
            true => (self.share + UP).min(MOST),
            false => self.share.saturating_sub(DOWN),
        };
        if self.share == 0 {
            self.due = 0;
        }
    }

    fn forget_if_stale(&mut self, now: Instant) {
        let old = self.settings.interval * STALE;
        if self
            .measured
            .is_some_and(|at| now.saturating_duration_since(at) >= old)
        {
            self.calm_down();
        }
    }

    fn calm_down(&mut self) {
        (self.share, self.due) = (0, 0);
        (self.least, self.measured, self.last) = (None, None, None);
    }
}

/// Work that was let in. Under way until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Work(Arc<Shedder>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn shedder(in_flight: Option<usize>) -> Arc<Shedder> {
        Shedder::new(Settings {
            in_flight,
            delay: Some(ms(100)),
            interval: INTERVAL,
        })
    }

    /// An interval in which the host was late by these.
    async fn interval(shedder: &Shedder, delays: [u64; 4]) {
        for delay in delays {
            advance(INTERVAL / 4).await;
            shedder.observe(ms(delay));
        }
    }

    /// How many of a hundred are refused.
    fn refused(shedder: &Arc<Shedder>) -> usize {
        (0..100)
            .filter(|_| shedder.enter().is_err_and(|why| why == Reason::Delay))
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_work_under_way_the_next_is_refused_until_one_ends() {
        let shedder = shedder(Some(2));
        let (first, _second) = (shedder.enter().unwrap(), shedder.enter().unwrap());
        assert_eq!(shedder.enter().unwrap_err(), Reason::InFlight);
        assert!(shedder.check().is_ok(), "it would not be under way");
        drop(first);
        let _third = shedder.enter().unwrap();
        assert_eq!(shedder.in_flight(), 2);
        shedder.configure(Settings {
            in_flight: None,
            delay: None,
            interval: INTERVAL,
        });
        let _more: Vec<_> = (0..50).map(|_| shedder.enter().unwrap()).collect();
        assert_eq!(shedder.in_flight(), 52);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_delay_refuses_nobody() {
        let shedder = shedder(None);
        for _ in 0..5 {
            interval(&shedder, [900, 700, 100, 500]).await;
        }
        assert_eq!(refused(&shedder), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_never_in_time_refuses_more_and_more_and_never_all() {
        let shedder = shedder(None);
        let mut shares = Vec::new();
        for _ in 0..7 {
            interval(&shedder, [900, 101, 200, 300]).await;
            shares.push(refused(&shedder));
        }
        assert_eq!(shares, [20, 40, 60, 80, 90, 90, 90]);
        let standing = shedder.standing();
        assert_eq!(
            (standing.shedding, standing.delay_ms, standing.in_flight),
            (0.9, Some(101), 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn in_time_again_it_refuses_less_and_less_until_it_is_calm() {
        let shedder = shedder(None);
        interval(&shedder, [200; 4]).await;
        interval(&shedder, [200; 4]).await;
        let mut shares = Vec::new();
        for _ in 0..5 {
            interval(&shedder, [200, 200, 5, 200]).await;
            shares.push(refused(&shedder));
        }
        assert_eq!(shares, [30, 20, 10, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_measures_any_more_refuses_nobody() {
        let shedder = shedder(None);
        interval(&shedder, [200; 4]).await;
        advance(9 * INTERVAL).await;
        assert_eq!(refused(&shedder), 20);
        advance(INTERVAL).await;
        assert_eq!(refused(&shedder), 0);
        interval(&shedder, [200; 4]).await;
        shedder.configure(Settings {
            in_flight: None,
            delay: None,
            interval: INTERVAL,
        });
        assert_eq!(refused(&shedder), 0, "switched off");
        interval(&shedder, [200; 4]).await;
        assert_eq!(refused(&shedder), 0, "and no longer looked at");
    }
}
