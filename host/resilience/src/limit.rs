//! A limit: so many in a while, for each key by itself. A token bucket for every
//! key: it holds `burst` tokens, each call takes one, and `rate` of them come back
//! within `period`, evenly.
//!
//! | a call comes | and | then |
//! |---|---|---|
//! | for a key | its bucket has a token | it passes and takes one |
//! | for a key | its bucket is empty | it is refused, takes nothing, and is told when to come back |
//! | for a new key | fewer than `most` keys are known | it gets a full bucket of its own |
//! | for a new key | `most` are known, some of them with full buckets again | those are forgotten, it gets one of its own |
//! | for a new key | `most` are known, none with a full bucket | it shares one bucket with all others of its kind |
//! | that passed | turns out to be refused elsewhere | its token is given back |
//!
//! So who invents keys gets no further than with one, what is kept is bounded, and
//! who was known before notices nothing of it. Full buckets are looked for once a
//! second at most.
//!
//! The arithmetic is `governor`'s: the generic cell rate algorithm, on tokio's
//! clock. What a [`Decision`] says of times is never too early.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use serde::Serialize;
use tokio::time::Instant;

/// Keys that are known at a time, unless said otherwise.
pub const MOST_KEYS: usize = 100_000;

/// How often full buckets are looked for at most.
const SWEEP: Duration = Duration::from_secs(1);

/// The longest time that an empty bucket takes to be full.
pub const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

/// How many in which while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// At least 1.
    pub rate: u32,
    pub period: Duration,
    /// So many at once, at least 1.
    pub burst: u32,
}

impl Settings {
    /// `rate` within `period`, all of them at once if need be.
    pub fn new(rate: u32, period: Duration) -> Settings {
        Settings {
            rate,
            period,
            burst: rate,
        }
    }

    /// How long one token takes to come back.
    pub fn each(&self) -> Duration {
        (self.period / self.rate.max(1)).max(Duration::from_nanos(1))
    }

    /// How long an empty bucket takes to be full.
    pub fn whole(&self) -> Duration {
        self.each().saturating_mul(self.burst.max(1))
    }

    fn quota(&self) -> Quota {
        let one = NonZeroU32::MIN;
        // More would not fit into governor's nanoseconds.
        let most = LONGEST.as_nanos() / self.each().as_nanos().max(1);
        let burst = self.burst.min(u32::try_from(most).unwrap_or(u32::MAX));
        Quota::with_period(self.each())
            .unwrap_or(Quota::per_second(one))
            .allow_burst(NonZeroU32::new(burst).unwrap_or(one))
    }
}

/// What became of one call, and how its bucket stands after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Tokens that the bucket holds at most.
    pub limit: u32,
    pub remaining: u32,
    /// When there is one more at the latest; zero in a full bucket.
    pub next: Duration,
    /// When the bucket is full again at the latest, if nobody takes any more.
    pub reset: Duration,
    /// When to come back; `None` if it passed.
    pub retry_after: Option<Duration>,
}

impl Decision {
    pub fn passed(&self) -> bool {
        self.retry_after.is_none()
    }
}

/// One limit over the keys `K`.
pub struct Limiter<K: Hash + Eq + Clone> {
    settings: Settings,
    limiter: RateLimiter<K, Shared<K>, TokioClock, StateInformationMiddleware>,
    buckets: Arc<Buckets<K>>,
    swept: Mutex<Option<Instant>>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub fn new(settings: Settings) -> Limiter<K> {
        Limiter::bounded(settings, MOST_KEYS)
    }

    /// With a bound of its own on the keys that are known at a time.
    pub fn bounded(settings: Settings, most: usize) -> Limiter<K> {
        let buckets = Arc::new(Buckets::new(most));
        let limiter = RateLimiter::new(settings.quota(), Shared(Arc::clone(&buckets)), TokioClock);
        Limiter {
            settings,
            limiter,
            buckets,
            swept: Mutex::default(),
        }
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Keys that are known now.
    pub fn keys(&self) -> usize {
        self.limiter.len()
    }

    /// Takes a token for `key`, if there is one.
    pub fn check(&self, key: &K) -> Decision {
        if self.buckets.is_full() {
            self.sweep();
        }
        let quota = self.settings.quota();
        let (limit, each) = (quota.burst_size().get(), quota.replenish_interval());
        match self.limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let taken = limit.saturating_sub(remaining);
                Decision {
                    limit,
                    remaining,
                    next: if taken > 0 { each } else { Duration::ZERO },
                    reset: each.saturating_mul(taken),
                    retry_after: None,
                }
            }
            Err(until) => {
                let wait = until.wait_time_from(TokioClock.now());
                Decision {
                    limit,
                    remaining: 0,
                    next: wait,
                    reset: wait.saturating_add(each.saturating_mul(limit.saturating_sub(1))),
                    retry_after: Some(wait),
                }
            }
        }
    }

    /// Gives back what a call took that passed here and went no further.
    pub fn give_back(&self, key: &K) {
        let each = self.settings.quota().replenish_interval();
        self.buckets.give_back(key, each.into());
    }

    fn sweep(&self) {
        let now = Instant::now();
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_none_or(|at| now.saturating_duration_since(at) >= SWEEP) {
            *swept = Some(now);
            drop(swept);
            self.limiter.retain_recent();
        }
    }
}

/// The buckets: for each key the time at which it will be full, as governor
/// counts it.
struct Buckets<K> {
    known: Mutex<Known<K>>,
    most: usize,
}

struct Known<K> {
    own: HashMap<K, Nanos>,
    shared: Option<Nanos>,
}

impl<K> Buckets<K> {
    fn new(most: usize) -> Buckets<K> {
        let (own, shared) = (HashMap::new(), None);
        Buckets {
            known: Mutex::new(Known { own, shared }),
            most,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.known().own.len() >= self.most
    }
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn give_back(&self, key: &K, each: Nanos) {
        let mut known = self.known();
        let Known { own, shared } = &mut *known;
        if let Some(full_at) = own.get_mut(key).or(shared.as_mut()) {
            *full_at = full_at.saturating_sub(each);
        }
    }
}

/// The buckets, as governor holds them.
struct Shared<K>(Arc<Buckets<K>>);

impl<K: Hash + Eq + Clone> StateStore for Shared<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut known = self.0.known();
        if let Some(full_at) = known.own.get_mut(key) {
            let (outcome, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(outcome);
        }
        if known.own.len() < self.0.most {
            let (outcome, next) = measure(None)?;
            known.own.insert(key.clone(), next);
            return Ok(outcome);
        }
        let (outcome, next) = measure(known.shared)?;
        known.shared = Some(next);
        Ok(outcome)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Shared<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.known().own.retain(|_, full_at| *full_at > drop_below);
    }

    fn len(&self) -> usize {
        self.0.known().own.len()
    }

    fn is_empty(&self) -> bool {
        self.0.known().own.is_empty()
    }
}

/// tokio's clock, as governor reads it.
#[derive(Clone, Copy, Debug)]
struct TokioClock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Instant);

impl Clock for TokioClock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(Instant::now())
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Moment) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Moment {
        Moment(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

impl Add<Nanos> for Moment {
    type Output = Moment;

    fn add(self, more: Nanos) -> Moment {
        Moment(self.0.checked_add(more.into()).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings(rate: u32, seconds: u64, burst: u32) -> Settings {
        Settings {
            rate,
            period: Duration::from_secs(seconds),
            burst,
        }
    }

    // N39, O41
    #[tokio::test(start_paused = true)]
    async fn a_hundred_a_minute_pass_at_once_and_then_one_each_600_ms() {
        let limiter = Limiter::new(settings(100, 60, 100));
        for remaining in (0..100).rev() {
            let decision = limiter.check(&"one");
            assert!(decision.passed());
            assert_eq!((decision.limit, decision.remaining), (100, remaining));
            assert_eq!(
                decision.reset,
                Duration::from_millis(600) * (100 - decision.remaining)
            );
        }
        let refused = limiter.check(&"one");
        assert_eq!(refused.retry_after, Some(Duration::from_millis(600)));
        assert_eq!((refused.remaining, refused.reset), (0, 60 * SECOND));
        assert!(limiter.check(&"other").passed(), "each key by itself");
        advance(Duration::from_millis(599)).await;
        let refused = limiter.check(&"one");
        assert_eq!(
            refused.retry_after,
            Some(Duration::from_millis(1)),
            "the refusals took nothing"
        );
        advance(Duration::from_millis(1)).await;
        assert!(limiter.check(&"one").passed());
        assert!(!limiter.check(&"one").passed());
        advance(60 * SECOND).await;
        assert_eq!(limiter.check(&"one").remaining, 99, "full again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_may_be_less_or_more_than_the_rate() {
        let few = Limiter::new(settings(60, 60, 2));
        assert_eq!([(); 3].map(|()| few.check(&()).passed()), [true, true, false]);
        advance(SECOND).await;
        assert!(few.check(&()).passed());
        let many = Limiter::new(settings(1, 60, 5));
        assert_eq!((0..9).filter(|_| many.check(&()).passed()).count(), 5);
        advance(59 * SECOND).await;
        assert_eq!(many.check(&()).retry_after, Some(SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_back_can_be_taken_again() {
        let limiter = Limiter::new(settings(2, 60, 2));
        limiter.check(&());
        limiter.check(&());
        assert!(!limiter.check(&()).passed());
        limiter.give_back(&());
        assert!(limiter.check(&()).passed());
        assert!(!limiter.check(&()).passed());
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_most_keys_newcomers_share_and_the_known_notice_nothing() {
        let limiter = Limiter::bounded(settings(2, 60, 2), 3);
        for key in 0..3 {
            assert!(limiter.check(&key).passed());
        }
        // None of the three is full again: two more get what one would.
        let passed = (100..200).filter(|key| limiter.check(key).passed()).count();
        assert_eq!((passed, limiter.keys()), (2, 3));
        assert_eq!(limiter.check(&0).remaining, 0, "it had one left");
        // Of the three only that one is not known to be full by then.
        advance(61 * SECOND).await;
        limiter.check(&201);
        assert_eq!(limiter.keys(), 2);
        assert!(limiter.check(&202).passed());
        assert_eq!(limiter.keys(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn full_buckets_are_looked_for_once_a_second() {
        let limiter = Limiter::bounded(settings(10, 1, 1), 1);
        limiter.check(&0);
        assert!(limiter.check(&1).passed(), "the first of the newcomers");
        advance(SECOND / 2).await;
        limiter.check(&2);
        assert!(
            !limiter.check(&3).passed(),
            "they share, although the known one is full again"
        );
        advance(SECOND / 2).await;
        assert!(limiter.check(&4).passed());
        assert_eq!(limiter.keys(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_out_of_all_proportion_is_bounded_and_does_no_harm() {
        for extreme in [
            settings(0, 60, 0),
            settings(1, 24 * 3600, u32::MAX),
            settings(u32::MAX, 0, u32::MAX),
        ] {
            let limiter = Limiter::new(extreme);
            assert!(limiter.check(&()).passed(), "{extreme:?}");
            assert!(limiter.check(&()).reset <= LONGEST + LONGEST, "{extreme:?}");
        }
    }
}
