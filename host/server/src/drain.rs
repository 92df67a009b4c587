//! Leaving in good order.
//!
//! `Serving` -> `Leaving` (ready fails, everything else goes on, so that
//! balancers see it) -> `Draining` (no new messages; idle sockets are told to
//! come back elsewhere and closed; what runs may finish) -> `Stopped`.

use segue_protocol::{ErrorCode, RequestError};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    Leaving,
    Draining,
    Stopped,
}

#[derive(Debug)]
pub struct Drain {
    phase: watch::Sender<Phase>,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain {
            phase: watch::Sender::new(Phase::Serving),
        }
    }
}

impl Drain {
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Goes on to `phase`; never back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let onward = phase > *now;
            if onward {
                *now = phase;
            }
            onward
        });
    }

    /// Waits until the drain has come to `phase`.
    pub async fn reached(&self, phase: Phase) {
        let mut now = self.phase.subscribe();
        // The sender lives in `self`.
        let _ = now.wait_for(|now| *now >= phase).await;
    }

    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Serving
    }

    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Refuses what would begin something new.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.is_draining() {
            return Err(RequestError::new(
                ErrorCode::Draining,
                "the host is shutting down; connect again and resend",
            )
            .retry_after_ms(reconnect_in_ms()));
        }
        Ok(())
    }
}

/// A wait for clients to come back after, spread so that they do not come all
/// at once: 0.5 s to 3 s.
pub fn reconnect_in_ms() -> u64 {
    let mut random = [0_u8; 2];
    // Without randomness all come at once: worse, not wrong.
    let _ = getrandom::fill(&mut random);
    500 + u64::from(u16::from_le_bytes(random)) * 2_500 / u64::from(u16::MAX)
}
