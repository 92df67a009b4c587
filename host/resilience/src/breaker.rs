//! A circuit breaker: what has failed lately is left alone for a while.
//!
//! | state | what happens | next state |
//! |---|---|---|
//! | closed | `failure_threshold` failures in a row | open |
//! | closed | of at least `minimum_calls` within `window`, `failure_rate` or more failed | open |
//! | closed | of as many, `slow_call_rate` or more took `slow_call` or longer | open |
//! | closed | a failure that names the time to come back | open, for that time |
//! | open | a call before its time is over | open; the call is rejected |
//! | open | a call after it | half-open; the call is a probe |
//! | half-open | a call while `probes` probes are under way | half-open; the call is rejected |
//! | half-open | `probes` probes succeeded | closed |
//! | half-open | a probe failed, or was slow | open, for twice the time up to `reset_timeout_max` |
//! | half-open | a probe was cancelled | half-open; another may take its place |
//! | any | a call that began before the last change of state ends | the same; it is counted only |
//! | any | an operator's reset | closed |
//!
//! The time doubles with each opening that follows the one before within as long
//! as the breaker was open then; a dependency that flaps is asked less and less.
//! A call that ends as neither (the caller left, or the caller was wrong) moves
//! nothing: it is no proof of health, and no failure.
//!
//! Rejecting costs one lock and one look at the clock. Nothing polls: a breaker
//! whose time is over becomes half-open when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::policy::Key;
use crate::window::Window;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Failures in a row that open it; 0 does not look at rows.
    pub failure_threshold: u32,
    /// Share of failures within the window that opens it; over 1 never does.
    pub failure_rate: f64,
    /// Calls within the window from which on shares count.
    pub minimum_calls: u32,
    pub window: Duration,
    /// From when on a call is slow; `None` does not look at it.
    pub slow_call: Option<Duration>,
    /// Share of slow calls within the window that opens it; over 1 never does.
    pub slow_call_rate: f64,
    /// How long it stays open the first time.
    pub reset_timeout: Duration,
    /// How long at most.
    pub reset_timeout_max: Duration,
    /// Probes at a time when half-open, and successes that close it.
    pub probes: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            failure_threshold: 5,
            failure_rate: 0.5,
            minimum_calls: 20,
            window: Duration::from_secs(10),
            slow_call: None,
            slow_call_rate: 0.8,
            reset_timeout: Duration::from_secs(30),
            reset_timeout_max: Duration::from_secs(300),
            probes: 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Calls pass.
    Closed,
    /// A few calls pass, to see how it is.
    HalfOpen,
    /// No call passes.
    Open,
}

impl State {
    pub const ALL: [State; 3] = [State::Closed, State::HalfOpen, State::Open];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::HalfOpen => "half_open",
            State::Open => "open",
        }
    }
}

/// What was counted since the start. `total` is what was let through and has
/// ended: successes, failures and neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    pub total: u64,
    pub successes: u64,
    pub failures: u64,
    /// Cancelled by the caller, or the caller's own mistake.
    pub neither: u64,
    /// Of the successes and failures, those that were slow.
    pub slow: u64,
    /// Calls that did not pass.
    pub rejections: u64,
    /// How often it opened, became half-open and closed.
    pub opened: u64,
    pub half_opened: u64,
    pub closed: u64,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub state: State,
    /// Failures in a row, up to now.
    pub failures: u32,
    /// When a call may pass again, if none may now.
    pub retry_after_ms: Option<u64>,
    pub stats: Stats,
}

/// It lets nothing through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// When to come back.
    pub retry_after: Duration,
}

/// What a rejected caller is told where probes are under way: they will have
/// ended by then, or it can ask again.
const PROBING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Breaker {
    key: Key,
    inner: Mutex<Inner>,
    rejections: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    settings: Option<Settings>,
    phase: Phase,
    /// Counts changes of state, so that a call knows whether it began before
    /// the last one.
    era: u64,
    row: u32,
    /// Calls, failures, slow ones.
    window: Window<3>,
    /// Openings in a row, which decide how long the next one lasts.
    openings: u32,
    /// Since when it is closed, and how long it was open before.
    closed_since: Instant,
    last_open: Duration,
    stats: Stats,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { under_way: u32, successes: u32 },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Success,
    Failure { retry_after: Option<Duration> },
    Neither,
}

impl Breaker {
    /// Without settings it lets everything through, and counts.
    pub fn new(key: Key, settings: Option<Settings>) -> Arc<Breaker> {
        let now = Instant::now();
        let window = settings.as_ref().map_or(Duration::from_secs(10), |s| s.window);
        Arc::new(Breaker {
            key,
            inner: Mutex::new(Inner {
                settings,
                phase: Phase::Closed,
                era: 0,
                row: 0,
                window: Window::new(window, now),
                openings: 0,
                closed_since: now,
                last_open: Duration::ZERO,
                stats: Stats::default(),
            }),
            rejections: AtomicU64::new(0),
        })
    }

    /// Other settings from now on. What was counted stays, and so does the state,
    /// unless it is switched off: then it closes.
    pub fn configure(&self, settings: Option<Settings>) {
        let mut inner = self.lock();
        if inner.settings == settings {
            return;
        }
        let window = |settings: &Option<Settings>| settings.as_ref().map(|s| s.window);
        if window(&inner.settings) != window(&settings) {
            let length = window(&settings).unwrap_or(Duration::from_secs(10));
            inner.window = Window::new(length, Instant::now());
        }
        let off = settings.is_none();
        inner.settings = settings;
        if off && !matches!(inner.phase, Phase::Closed) {
            self.close(&mut inner, Instant::now());
        }
    }

    /// Lets a call through, or rejects it at once.
    pub fn admit(self: &Arc<Breaker>) -> Result<Permit, Rejected> {
        let now = Instant::now();
        let mut inner = self.lock();
        let reject = |retry_after| {
            self.rejections.fetch_add(1, Ordering::Relaxed);
            Err(Rejected { retry_after })
        };
        if let Phase::Open { until } = inner.phase {
            if now < until {
                return reject(until - now);
            }
            self.half_open(&mut inner);
        }
        let probes = inner.settings.as_ref().map_or(1, |s| s.probes.max(1));
        if let Phase::HalfOpen { under_way, .. } = &mut inner.phase {
            if *under_way >= probes {
                return reject(PROBING);
            }
            *under_way += 1;
        }
        Ok(Permit {
            breaker: Arc::clone(self),
            era: inner.era,
            since: now,
            ended: false,
        })
    }

    /// How long it lets nothing through yet. Admits nobody and counts nothing,
    /// for those who choose among several.
    pub fn is_out(&self) -> Option<Duration> {
        let now = Instant::now();
        let inner = self.lock();
        match inner.phase {
            Phase::Closed => None,
            Phase::Open { until } => until.checked_duration_since(now).filter(|left| !left.is_zero()),
            Phase::HalfOpen { under_way, .. } => {
                let probes = inner.settings.as_ref().map_or(1, |s| s.probes.max(1));
                (under_way >= probes).then_some(PROBING)
            }
        }
    }

    /// `open` means that a call would be rejected or be the first probe.
    pub fn state(&self) -> State {
        self.lock().phase.state()
    }

    /// For those who look on. One whose open time is over is half-open: the next call
    /// is its probe.
    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        let inner = self.lock();
        let left = match inner.phase {
            Phase::Open { until } => Some(until.saturating_duration_since(now)),
            _ => None,
        };
        let still = left.filter(|left| !left.is_zero());
        Standing {
            state: match (left, still) {
                (Some(_), None) => State::HalfOpen,
                _ => inner.phase.state(),
            },
            failures: inner.row,
            retry_after_ms: still.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)),
            stats: Stats {
                rejections: self.rejections.load(Ordering::Relaxed),
                ..inner.stats
            },
        }
    }

    /// An operator knows better: closed, with nothing held against it.
    pub fn reset(&self) {
        let mut inner = self.lock();
        if !matches!(inner.phase, Phase::Closed) {
            self.close(&mut inner, Instant::now());
        }
        inner.row = 0;
        inner.openings = 0;
        inner.window.clear();
    }

    fn end(&self, era: u64, since: Instant, end: End) {
        let now = Instant::now();
        let mut inner = self.lock();
        let Some(settings) = inner.settings else {
            inner.stats.count(end, false);
            return;
        };
        let slow = end != End::Neither
            && settings
                .slow_call
                .is_some_and(|slow| now.saturating_duration_since(since) >= slow);
        inner.stats.count(end, slow);
        if era != inner.era {
            return;
        }
        if let Phase::HalfOpen { under_way, successes } = &mut inner.phase {
            *under_way = under_way.saturating_sub(1);
            match end {
                End::Neither => {}
                End::Success if !slow => {
                    *successes += 1;
                    if *successes >= settings.probes {
                        self.close(&mut inner, now);
                    }
                }
                End::Success => self.open(&mut inner, &settings, now, None),
                End::Failure { retry_after } => self.open(&mut inner, &settings, now, retry_after),
            }
            return;
        }
        let failed = match end {
            End::Neither => return,
            End::Success => {
                inner.row = 0;
                false
            }
            End::Failure { .. } => {
                inner.row = inner.row.saturating_add(1);
                true
            }
        };
        inner.window.add(now, [1, failed.into(), slow.into()]);
        if let End::Failure {
            retry_after: Some(wait),
        } = end
        {
            self.open(&mut inner, &settings, now, Some(wait));
        } else if inner.has_enough(&settings, now, failed, slow) {
            self.open(&mut inner, &settings, now, None);
        }
    }

    fn open(&self, inner: &mut Inner, settings: &Settings, now: Instant, named: Option<Duration>) {
        // Whoever stayed well for as long as it was out begins anew.
        let well = now.saturating_duration_since(inner.closed_since);
        if matches!(inner.phase, Phase::Closed) && well >= inner.last_open {
            inner.openings = 0;
        }
        let most = settings.reset_timeout_max.max(settings.reset_timeout);
        let wait = match named {
            // It said when it will be back, which is no reason to doubt it more.
            Some(named) => named.min(most),
            None => {
                let doubled = 1_u32.checked_shl(inner.openings).unwrap_or(u32::MAX);
                inner.openings = (inner.openings + 1).min(31);
                settings.reset_timeout.saturating_mul(doubled).min(most)
            }
        };
        inner.last_open = wait;
        inner.phase = Phase::Open { until: now + wait };
        inner.era += 1;
        inner.stats.opened += 1;
        tracing::warn!(
            dependency = %self.key,
            failures_in_a_row = inner.row,
            for_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "breaker open: it is left alone for a while"
        );
    }

    fn half_open(&self, inner: &mut Inner) {
        inner.phase = Phase::HalfOpen {
            under_way: 0,
            successes: 0,
        };
        inner.era += 1;
        inner.stats.half_opened += 1;
        tracing::info!(dependency = %self.key, "breaker half-open: a probe goes out");
    }

    fn close(&self, inner: &mut Inner, now: Instant) {
        inner.phase = Phase::Closed;
        inner.era += 1;
        inner.row = 0;
        inner.window.clear();
        inner.closed_since = now;
        inner.stats.closed += 1;
        tracing::info!(dependency = %self.key, "breaker closed: it is well again");
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_enough(&mut self, settings: &Settings, now: Instant, failed: bool, slow: bool) -> bool {
        if failed && settings.failure_threshold > 0 && self.row >= settings.failure_threshold {
            return true;
        }
        if !failed && !slow {
            return false;
        }
        let [calls, failures, slow_calls] = self.window.sums(now);
        if calls < u64::from(settings.minimum_calls.max(1)) {
            return false;
        }
        let reaches = |count: u64, rate: f64| count as f64 >= rate * calls as f64;
        (failed && reaches(failures, settings.failure_rate))
            || (slow && reaches(slow_calls, settings.slow_call_rate))
    }
}

impl Phase {
    fn state(self) -> State {
        match self {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }
}

impl Stats {
    fn count(&mut self, end: End, slow: bool) {
        self.total += 1;
        self.slow += u64::from(slow);
        match end {
            End::Success => self.successes += 1,
            End::Failure { .. } => self.failures += 1,
            End::Neither => self.neither += 1,
        }
    }
}

/// A call that was let through. Dropped without a word it counts as neither.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    breaker: Arc<Breaker>,
    era: u64,
    since: Instant,
    ended: bool,
}

impl Permit {
    pub fn since(&self) -> Instant {
        self.since
    }

    pub fn succeeded(self) {
        self.end(End::Success);
    }

    /// `retry_after` is when the dependency itself asked not to be asked before.
    pub fn failed(self, retry_after: Option<Duration>) {
        self.end(End::Failure { retry_after });
    }

    fn end(mut self, end: End) {
        self.ended = true;
        self.breaker.end(self.era, self.since, end);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.ended {
            self.breaker.end(self.era, self.since, End::Neither);
        }
    }
}

#[cfg(test)]
mod tests;
