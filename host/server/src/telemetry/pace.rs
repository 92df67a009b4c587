//! How fast the host answers: messages of the last minute, and how long they took.
//!
//! For `/health/info`; a dashboard reads `segue_message_seconds`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use segue_resilience::Window;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// A clone counts with the others.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Mutex<Window<2>>>);

/// What ended within the last minute, the newest six seconds of it as far as they
/// went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lately {
    pub messages: u64,
    /// How long one took on average; 0 without any.
    pub average_ms: f64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace(Arc::new(Mutex::new(Window::new(MINUTE, Instant::now()))))
    }
}

impl Pace {
    pub fn ended(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.add(Instant::now(), [1, micros]);
    }

    pub fn lately(&self) -> Lately {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [messages, micros] = window.sums(Instant::now());
        let average_ms = match messages {
            0 => 0.0,
            _ => micros as f64 / messages as f64 / 1e3,
        };
        Lately { messages, average_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_counts_for_a_minute() {
        let pace = Pace::default();
        let none = Lately {
            messages: 0,
            average_ms: 0.0,
        };
        assert_eq!(pace.lately(), none);
        pace.ended(Duration::from_millis(100));
        pace.ended(Duration::from_millis(20));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(
            pace.lately(),
            Lately {
                messages: 2,
                average_ms: 60.0
            }
        );
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(pace.lately(), none);
    }
}
