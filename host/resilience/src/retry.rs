//! Trying again: when, how often, and how much of it all together.
//!
//! The wait doubles from `backoff` to `backoff_max`, and half of it is random,
//! so that callers who failed together do not come back together
//! (exponential backoff with equal jitter).
//!
//! A [`Budget`] bounds retries by the calls that are made anyway: within any ten
//! seconds at most `budget` retries for each call, and a few more where there
//! are hardly any calls. When everything fails, the load grows by that share and
//! not by the number of retries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::window::Window;

/// The budget looks back so far.
const WINDOW: Duration = Duration::from_secs(10);
/// Retries within it that are free, so that a quiet host can retry at all.
const FREE: f64 = 10.0;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Further attempts after the first; 0: none.
    pub retries: u32,
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// Retries for each call, over ten seconds.
    pub budget: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            retries: 0,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            budget: 0.2,
        }
    }
}

impl Settings {
    /// How long to wait before the retry of this number, counted from 1.
    pub fn wait(&self, number: u32) -> Duration {
        let doubled = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.backoff.saturating_mul(doubled).min(self.backoff_max);
        let half = whole / 2;
        half + half.mul_f64(random())
    }
}

/// From 0 to 1. Spread matters here, not secrecy.
fn random() -> f64 {
    let bits = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(bits) / f64::from(u32::MAX)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Retries made since the start.
    pub retried: u64,
    /// Retries that the budget did not allow.
    pub budget_spent: u64,
}

/// What retries are paid from.
#[derive(Debug)]
pub struct Budget {
    /// Calls and retries.
    window: Mutex<Window<2>>,
    retried: AtomicU64,
    spent: AtomicU64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            window: Mutex::new(Window::new(WINDOW, Instant::now())),
            retried: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        }
    }
}

impl Budget {
    /// A call is made, whatever becomes of it.
    pub fn call(&self) {
        self.window().add(Instant::now(), [1, 0]);
    }

    /// Whether a retry may be made; if so, it is paid for.
    pub fn retry(&self, settings: &Settings) -> bool {
        let now = Instant::now();
        let mut window = self.window();
        let [calls, retries] = window.sums(now);
        let may = (retries as f64) < settings.budget * calls as f64 + FREE;
        if may {
            window.add(now, [0, 1]);
        }
        drop(window);
        let counter = if may { &self.retried } else { &self.spent };
        counter.fetch_add(1, Ordering::Relaxed);
        may
    }

    pub fn standing(&self) -> Standing {
        Standing {
            retried: self.retried.load(Ordering::Relaxed),
            budget_spent: self.spent.load(Ordering::Relaxed),
        }
    }

    fn window(&self) -> MutexGuard<'_, Window<2>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // B22, O10
    #[test]
    fn a_wait_doubles_up_to_its_bound_and_half_of_it_is_random() {
        let settings = Settings::default();
        for (number, whole_ms) in [(1, 100), (2, 200), (3, 400), (6, 2_000), (40, 2_000)] {
            let whole = Duration::from_millis(whole_ms);
            let waits: Vec<_> = (0..200).map(|_| settings.wait(number)).collect();
            assert!(waits.iter().all(|wait| *wait >= whole / 2 && *wait <= whole));
            assert!(waits.iter().any(|wait| *wait != waits[0]), "all at one time");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retries_stay_within_their_share_of_the_calls() {
        let (budget, settings) = (Budget::default(), Settings::default());
        let mut retried = 0;
        for _ in 0..1_000 {
            budget.call();
            retried += u32::from(budget.retry(&settings)) + u32::from(budget.retry(&settings));
        }
        assert_eq!(retried, 210, "0.2 of 1,000, and ten that are free");
        let standing = budget.standing();
        assert_eq!((standing.retried, standing.budget_spent), (210, 1_790));
        tokio::time::advance(WINDOW).await;
        assert!(budget.retry(&settings), "a quiet host may retry again");
    }

    #[tokio::test(start_paused = true)]
    async fn without_calls_a_few_are_free_and_no_more() {
        let (budget, settings) = (Budget::default(), Settings::default());
        let made = (0..100).filter(|_| budget.retry(&settings)).count();
        assert_eq!(made, 10);
    }
}
