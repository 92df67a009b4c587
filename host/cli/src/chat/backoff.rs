//! When to try again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);

/// Waits that double, each drawn from the upper half of its step, so that many
/// clients of a host that comes back do not come at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// The next wait. `dice` is a random number.
    pub(super) fn next(&mut self, dice: u64) -> Duration {
        let step = FIRST.saturating_mul(1 << self.attempt.min(10)).min(LONGEST);
        self.attempt += 1;
        let half = u64::try_from(step.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(half + dice % (half + 1))
    }

    /// The connection has proved good.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// Random bits; zero where the system has none, which only costs jitter.
pub(super) fn dice() -> u64 {
    getrandom::u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_stay_in_the_upper_half() {
        let mut low = Backoff::default();
        let mut high = Backoff::default();
        for step in [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000] {
            assert_eq!(low.next(0), Duration::from_millis(step / 2));
            assert_eq!(high.next(step / 2), Duration::from_millis(step));
        }
        low.reset();
        assert_eq!(low.next(0), FIRST / 2);
    }
}
