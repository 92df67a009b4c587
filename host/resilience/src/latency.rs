//! How long calls took, as Prometheus counts it: cumulative buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in seconds; what took longer is in the last bucket, which has
/// none.
pub const BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

#[derive(Debug, Default)]
pub(crate) struct Latency {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// What was counted, not cumulated: how many within each bound of [`BOUNDS`] and
/// not within the one before, and how many past all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    pub counts: [u64; BOUNDS.len() + 1],
    pub sum_seconds: f64,
}

impl Latency {
    pub(crate) fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn histogram(&self) -> Histogram {
        Histogram {
            counts: std::array::from_fn(|bucket| {
                self.counts
                    .get(bucket)
                    .map_or(0, |count| count.load(Ordering::Relaxed))
            }),
            sum_seconds: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

impl Histogram {
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_bucket_whose_bound_it_does_not_exceed() {
        let latency = Latency::default();
        for ms in [0.4, 0.5, 0.6, 40_000.0] {
            latency.record(Duration::from_secs_f64(ms / 1e3));
        }
        let histogram = latency.histogram();
        assert_eq!((histogram.counts[0], histogram.counts[1]), (2, 1));
        assert_eq!((histogram.counts[BOUNDS.len()], histogram.count()), (1, 4));
        assert!((histogram.sum_seconds - 40.0015).abs() < 1e-9);
    }
}
