//! What is done when those who should answer cannot.
//!
//! A route lists its fallbacks; they are tried in order while all of this holds:
//! nobody has answered, nothing was said yet (what a client has read is never
//! taken back behind its back), the client still wants an answer, and what failed
//! failed for a reason that another try elsewhere may not share. A question that
//! was wrong, or that reached for what was not granted, is wrong everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use segue_capabilities::llm::Substitutes;
use segue_protocol::ErrorCode;
use serde_json::value::RawValue;

use crate::config::{Fallback, Route};
use crate::dispatch;
use crate::part::{Ended, Turn};
use crate::session::{Fingerprint, counting};

/// All answers together, in bytes, and one of them.
const ANSWERS_MAX_BYTES: u64 = 32 << 20;
const ANSWER_MAX_BYTES: usize = 256 << 10;

/// Who a fixed text and a kept answer come from: no plugin can be called so.
const TEXT: &str = "fallback.text";
const CACHED: &str = "fallback.cached";

/// What handlers last said, for routes that fall back on it. Bounded by bytes;
/// past that what was used least goes.
#[derive(Debug, Clone)]
pub struct Answers(Cache<Asked, Arc<Answer>>);

/// The question: same message, to the same handlers, of the same session unless
/// answers are shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    session: Option<Arc<str>>,
    handlers: Vec<String>,
    message: Fingerprint,
}

#[derive(Debug)]
struct Answer {
    content: String,
    data: Vec<Box<RawValue>>,
    at: Instant,
}

impl Default for Answers {
    fn default() -> Answers {
        let weight = |_: &Asked, answer: &Arc<Answer>| u32::try_from(answer.bytes()).unwrap_or(u32::MAX);
        let cache = Cache::builder().weigher(weight).max_capacity(ANSWERS_MAX_BYTES);
        Answers(cache.support_invalidation_closures().build())
    }
}

impl Answers {
    /// A session is erased, and with it what was said in it. What was kept for
    /// everybody stays.
    pub fn forget(&self, session: &str) {
        let session: Arc<str> = session.into();
        let of_session = move |asked: &Asked, _: &Arc<Answer>| asked.session.as_ref() == Some(&session);
        // Fails only without support for closures.
        let _ = self.0.invalidate_entries_if(of_session);
    }
}

impl Answer {
    fn bytes(&self) -> usize {
        let data: usize = self.data.iter().map(|data| data.get().len()).sum();
        self.content.len() + data + 256
    }
}

/// Does what the route says until somebody has answered.
pub async fn fall_back(
    turn: &Turn<'_>,
    route: &Route,
    mut ended: Vec<Ended>,
    deadline: Option<Instant>,
) -> Vec<Ended> {
    keep(turn, route, &ended);
    for fallback in &route.fallback {
        if !turn.may_fall_back(&ended) {
            break;
        }
        let (to, next) = match fallback {
            Fallback::Handler(name) => {
                turn.report_unreported(&mut ended);
                let part = turn.part(name, deadline, Vec::new()).await;
                (name.as_str(), vec![part])
            }
            Fallback::Model(models) => {
                turn.report_unreported(&mut ended);
                let turn = turn.with_models(models);
                ("model", dispatch::ask(&turn, route, deadline).await)
            }
            Fallback::Cached { max_age, shared } => {
                let Some(answer) = kept(turn, route, *max_age, *shared) else {
                    continue;
                };
                turn.report_unreported(&mut ended);
                let age = humantime::format_duration(Duration::from_secs(answer.at.elapsed().as_secs()));
                let status = format!("nobody can answer now; this was the answer {age} ago");
                turn.status(CACHED, status);
                let (content, data) = (answer.content.clone(), answer.data.clone());
                ("cached", vec![turn.say(CACHED, content, data).await])
            }
            Fallback::Text(words) => {
                turn.report_unreported(&mut ended);
                ("text", vec![turn.say(TEXT, words.clone(), Vec::new()).await])
            }
        };
        let first = route.handlers.first().map_or("", String::as_str);
        tracing::warn!(handler = first, to, "fell back");
        turn.app.metrics.fell_back(first, to);
        ended.extend(next);
    }
    ended
}

/// Remembers a good answer, if the route may fall back on it.
fn keep(turn: &Turn<'_>, route: &Route, ended: &[Ended]) {
    let wanted = |fallback: &Fallback| match fallback {
        Fallback::Cached { shared, .. } => Some(*shared),
        _ => None,
    };
    let mut wanted = route.fallback.iter().filter_map(wanted).peekable();
    let answered = ended.iter().all(|part| part.error.is_none()) && !ended.is_empty();
    if wanted.peek().is_none() || !answered {
        return;
    }
    let answer = {
        let record = turn.exchange.record();
        let parts: Vec<_> = counting(&record.parts).collect();
        let texts: Vec<&str> = parts.iter().map(|part| part.content.as_str()).collect();
        Answer {
            content: texts.join("\n\n"),
            data: parts.iter().flat_map(|part| part.data.iter().cloned()).collect(),
            at: Instant::now(),
        }
    };
    if answer.bytes() > ANSWER_MAX_BYTES {
        return;
    }
    let answer = Arc::new(answer);
    for shared in wanted {
        turn.app
            .answers
            .0
            .insert(asked(turn, route, shared), Arc::clone(&answer));
    }
}

fn kept(turn: &Turn<'_>, route: &Route, max_age: Duration, shared: bool) -> Option<Arc<Answer>> {
    let answer = turn.app.answers.0.get(&asked(turn, route, shared))?;
    (answer.at.elapsed() <= max_age).then_some(answer)
}

fn asked(turn: &Turn<'_>, route: &Route, shared: bool) -> Asked {
    Asked {
        session: (!shared).then(|| Arc::clone(&turn.session.id)),
        handlers: route.handlers.clone(),
        message: turn.exchange.fingerprint,
    }
}

/// Whether an error of this code may be none elsewhere.
fn is_elsewhere(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Overloaded
            | ErrorCode::RateLimited
            | ErrorCode::BudgetExceeded
            | ErrorCode::CircuitOpen
            | ErrorCode::HandlerUnavailable
            | ErrorCode::HandlerFailed
            | ErrorCode::HandlerTrapped
            | ErrorCode::StackExhausted
            | ErrorCode::MemoryExceeded
            | ErrorCode::DeadlineExceeded
            | ErrorCode::EmptyReply
            | ErrorCode::Internal
            | ErrorCode::QueryTimeout
            | ErrorCode::StoreUnavailable
            | ErrorCode::UpstreamUnavailable
            | ErrorCode::UpstreamTimeout
            | ErrorCode::UpstreamRateLimited
            | ErrorCode::UpstreamRejected
            | ErrorCode::UpstreamFailed
    )
}

impl<'a> Turn<'a> {
    /// Whether nobody has answered, nobody has said anything, and another may do
    /// better.
    fn may_fall_back(&self, ended: &[Ended]) -> bool {
        let elsewhere = |part: &Ended| part.error.as_ref().is_some_and(|error| is_elsewhere(error.code));
        let record = self.exchange.record();
        let silent = |part: &crate::session::PartRecord| part.content.is_empty() && part.data.is_empty();
        ended.iter().all(elsewhere) && record.parts.iter().all(silent) && !self.exchange.cancel.is_cancelled()
    }

    /// The same, with other models.
    fn with_models(&self, models: &BTreeMap<String, String>) -> Turn<'a> {
        Turn {
            substitutes: Some(Arc::new(Substitutes(models.clone()))),
            snapshot: Arc::clone(&self.snapshot),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests;
