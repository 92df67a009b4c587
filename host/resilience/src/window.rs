//! Counts over the last while.
//!
//! A window is ten buckets in a ring; what is older than all of them is
//! forgotten bucket by bucket. Counting and summing take constant time and no
//! memory.

use std::time::Duration;

use tokio::time::Instant;

const BUCKETS: usize = 10;

/// `C` counters, each summed over the window.
#[derive(Debug)]
pub struct Window<const C: usize> {
    bucket: Duration,
    began: Instant,
    /// The number of the newest bucket, counted from `began`.
    newest: u64,
    counts: [[u64; C]; BUCKETS],
}

impl<const C: usize> Window<C> {
    pub fn new(length: Duration, now: Instant) -> Window<C> {
        Window {
            bucket: (length / BUCKETS as u32).max(Duration::from_millis(1)),
            began: now,
            newest: 0,
            counts: [[0; C]; BUCKETS],
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts = [[0; C]; BUCKETS];
    }

    pub fn add(&mut self, now: Instant, more: [u64; C]) {
        let bucket = self.turn(now);
        if let Some(counts) = self.counts.get_mut(bucket) {
            for (count, more) in counts.iter_mut().zip(more) {
                *count = count.saturating_add(more);
            }
        }
    }

    pub fn sums(&mut self, now: Instant) -> [u64; C] {
        self.turn(now);
        let mut sums = [0; C];
        for counts in &self.counts {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        sums
    }

    /// Clears the buckets that time has passed over; which one it is now.
    fn turn(&mut self, now: Instant) -> usize {
        let elapsed = now.saturating_duration_since(self.began).as_nanos();
        let number = u64::try_from(elapsed / self.bucket.as_nanos().max(1)).unwrap_or(u64::MAX);
        let passed = number.saturating_sub(self.newest);
        for step in 1..=passed.min(BUCKETS as u64) {
            if let Some(counts) = self.counts.get_mut(place(self.newest + step)) {
                *counts = [0; C];
            }
        }
        self.newest = self.newest.max(number);
        place(self.newest)
    }
}

fn place(number: u64) -> usize {
    (number % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_window_does_not_count() {
        let mut window = Window::<1>::new(Duration::from_secs(10), Instant::now());
        for second in 0..25_u64 {
            window.add(Instant::now(), [1]);
            assert_eq!(window.sums(Instant::now()), [(second + 1).min(10)]);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        tokio::time::advance(Duration::from_secs(1_000)).await;
        assert_eq!(window.sums(Instant::now()), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stands_still_or_was_ahead_loses_nothing() {
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        let mut window = Window::<2>::new(Duration::from_secs(1), start);
        window.add(Instant::now(), [1, 0]);
        window.add(start, [1, 2]);
        assert_eq!(window.sums(Instant::now()), [2, 2]);
    }
}
