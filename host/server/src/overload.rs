//! When the host has enough: `[overload]`, and how it notices.
//!
//! How late the host is, is measured by a task that wants to be woken ten times a
//! second: what keeps it waiting keeps messages waiting too.

use std::sync::Arc;
use std::time::Duration;

use segue_protocol::{ErrorCode, RequestError};
use segue_resilience::shed::{Reason, Shedder, Work};
use tokio::time::{Instant, sleep_until};

use crate::drain::reconnect_in_ms;
use crate::state::App;

/// How often lateness is measured.
const TICK: Duration = Duration::from_millis(100);

/// Takes work in, which counts until what is returned is dropped.
pub fn enter(app: &App) -> Result<Work, RequestError> {
    app.shed.enter().map_err(|why| refused(app, why))
}

/// Whether the host has time for what is soon over.
pub fn check(app: &App) -> Result<(), RequestError> {
    app.shed.check().map_err(|why| refused(app, why))
}

fn refused(app: &App, why: Reason) -> RequestError {
    app.metrics.shed.with_label_values(&[why.as_str()]).inc();
    let message = match why {
        Reason::InFlight => "the host has as much to do as `in_flight` under [overload] allows",
        Reason::Delay => "the host is late with what it has to do; try again in a moment",
    };
    // Spread, so that not all come back at once.
    RequestError::new(ErrorCode::Overloaded, message).retry_after_ms(reconnect_in_ms())
}

/// Measures until it is dropped.
pub async fn watch(shed: Arc<Shedder>) {
    loop {
        let due = Instant::now() + TICK;
        sleep_until(due).await;
        shed.observe(due.elapsed());
    }
}
