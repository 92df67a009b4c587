//! Queries that took long: counted, and written to the log.
//!
//! What counts is the database's own time. A query that waits for its turn, or for
//! a plugin that reads its rows slowly, is not slow.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use segue_resilience::Window;
use tokio::time::Instant;

/// A statement may be longer than a line of a log should be.
const SHOWN_BYTES: usize = 1000;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Slow {
    from: Option<Duration>,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    total: u64,
    lately: Window<1>,
}

impl Slow {
    /// A query is slow `from` so long; none is, where there is nothing.
    pub(super) fn new(from: Option<Duration>) -> Slow {
        Slow {
            from,
            counted: Mutex::new(Counted {
                total: 0,
                lately: Window::new(HOUR, Instant::now()),
            }),
        }
    }

    /// Notes a query that has ended. Values that it was given are not logged, but
    /// what stands in its text is.
    pub(super) fn note(&self, database: &str, plugin: &str, sql: &str, took: Duration) {
        if self.from.is_none_or(|from| took < from) {
            return;
        }
        {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.total += 1;
            counted.lately.add(Instant::now(), [1]);
        }
        let shown = sql.floor_char_boundary(SHOWN_BYTES);
        let statement = sql.get(..shown).unwrap_or(sql);
        let took = humantime::format_duration(Duration::from_millis(
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        ));
        tracing::warn!(database, plugin, statement, "slow query: {took}");
    }

    /// Since the start, and within the last hour.
    pub(super) fn counts(&self) -> (u64, u64) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let [lately] = counted.lately.sums(Instant::now());
        (counted.total, lately)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    // O12, O32
    #[tokio::test(start_paused = true)]
    async fn what_took_as_long_as_the_bar_is_slow_for_an_hour() {
        let slow = Slow::new(Some(100 * MS));
        slow.note("shop", "sql-rag", "SELECT 1", 99 * MS);
        assert_eq!(slow.counts(), (0, 0));
        slow.note("shop", "sql-rag", "SELECT 1", 100 * MS);
        tokio::time::advance(HOUR / 2).await;
        slow.note("shop", "sql-rag", "SELECT 1", 3000 * MS);
        assert_eq!(slow.counts(), (2, 2));
        tokio::time::advance(HOUR * 3 / 4).await;
        assert_eq!(slow.counts(), (2, 1));
        tokio::time::advance(HOUR).await;
        assert_eq!(slow.counts(), (2, 0));
    }

    #[tokio::test]
    async fn without_a_bar_nothing_is() {
        let slow = Slow::new(None);
        slow.note("shop", "sql-rag", "SELECT 1", Duration::MAX);
        assert_eq!(slow.counts(), (0, 0));
    }
}
