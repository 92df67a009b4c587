//! What answers say of breakers and of the bulkhead that clients should see.
//!
//! The breakers that matter are those of `[health] required` and the one of
//! `[server] provisioning`. While one of them is not closed, answers carry
//! `X-Circuit-State` (`open` or `half_open`) and `Retry-After`. With `[server]
//! provisioning` they carry `X-RateLimit-Provisioning-Limit`, how many calls its
//! bulkhead lets in at a time, and `-Remaining`, how many more it would let in now.
//!
//! Not on what is the same for everybody at all times: the page, the API's
//! description, health and metrics.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use segue_resilience::breaker::State;

use crate::limits::is_quiet;
use crate::standing::{circuit, worst};
use crate::state::App;

pub(crate) const CIRCUIT_STATE: HeaderName = HeaderName::from_static("x-circuit-state");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-provisioning-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-provisioning-remaining");

/// Writes it into the head of an answer. What is there already was said by whoever
/// knows better.
pub(super) fn tell(app: &App, template: &str, headers: &mut HeaderMap) {
    let snapshot = app.snapshot();
    let provisioning = snapshot.config.server.provisioning.as_ref();
    let required = &snapshot.config.health.required;
    if is_quiet(template) || matches!(template, "/" | "/openapi.json") {
        return;
    }
    let matter = required.iter().chain(provisioning);
    let worst = worst(matter.map(|dependency| circuit(app, dependency)));
    if worst.state != State::Closed {
        let state = HeaderValue::from_static(worst.state.as_str());
        headers.entry(CIRCUIT_STATE).or_insert(state);
        let wait = worst.retry_after.unwrap_or_default();
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers
            .entry(RETRY_AFTER)
            .or_insert(HeaderValue::from(seconds.max(1)));
    }
    let Some(shown) = provisioning else { return };
    let bulkhead = app.guards.get(shown.kind, &shown.name).state().bulkhead;
    if let Some(limit) = bulkhead.concurrency {
        let taken = u32::try_from(bulkhead.in_flight).unwrap_or(u32::MAX);
        headers.insert(LIMIT, limit.into());
        headers.insert(REMAINING, limit.saturating_sub(taken).into());
    }
}
