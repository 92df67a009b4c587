//! The order of a session's messages, and which ids it remembers.
//!
//! Pure bookkeeping under the session's lock: what waits, what runs, what is
//! over and still kept. Messages start in order of arrival, `max_in_flight` at
//! a time; at most `queue` wait. Finished exchanges are kept for `id_window`,
//! at most `id_max` of them and `history_bytes`; the latest one is always kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use segue_protocol::{ErrorCode, Incoming, RequestError};

use super::exchange::{Exchange, Fingerprint};

/// The bounds of a conversation, from `[session]`.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub max_in_flight: usize,
    pub queue: usize,
    pub id_window: Duration,
    pub id_max: usize,
    pub history_bytes: usize,
}

#[derive(Debug, Default)]
pub struct Conversation {
    by_id: HashMap<Arc<str>, Arc<Exchange>>,
    /// In order of arrival.
    order: VecDeque<Arc<Exchange>>,
    waiting: VecDeque<Arc<Exchange>>,
    running: usize,
    /// Of finished exchanges.
    finished_bytes: usize,
}

/// What an id that comes again means.
#[derive(Debug)]
pub enum Known {
    No,
    Running(Arc<Exchange>),
    Finished(Arc<Exchange>),
}

impl Conversation {
    /// Whether `id` was used before; an error if for something else. A message
    /// that failed in a way that may pass is forgotten: the same id asks again.
    pub fn known(&mut self, id: &str, message: &Incoming) -> Result<Known, RequestError> {
        let Some(exchange) = self.by_id.get(id) else {
            return Ok(Known::No);
        };
        if exchange.fingerprint != Fingerprint::of(message) {
            return Err(RequestError::new(
                ErrorCode::IdConflict,
                format!("the id {id:?} was used for another message; use a new id"),
            ));
        }
        let exchange = exchange.clone();
        if !exchange.is_finished() {
            return Ok(Known::Running(exchange));
        }
        if exchange.may_be_asked_again() {
            self.forget(&exchange);
            return Ok(Known::No);
        }
        Ok(Known::Finished(exchange))
    }

    fn forget(&mut self, exchange: &Exchange) {
        self.by_id.remove(&exchange.id);
        self.order.retain(|kept| kept.id != exchange.id);
        self.finished_bytes = self.finished_bytes.saturating_sub(exchange.weight());
    }

    pub fn is_full(&self, rules: &Rules) -> bool {
        self.running >= rules.max_in_flight && self.waiting.len() >= rules.queue
    }

    pub fn add(&mut self, exchange: Arc<Exchange>) {
        self.by_id.insert(exchange.id.clone(), exchange.clone());
        self.order.push_back(exchange.clone());
        self.waiting.push_back(exchange);
    }

    /// The next message that may start now.
    pub fn start(&mut self, rules: &Rules) -> Option<Arc<Exchange>> {
        if self.running >= rules.max_in_flight {
            return None;
        }
        let exchange = self.waiting.pop_front()?;
        self.running += 1;
        Some(exchange)
    }

    /// A running message is over.
    pub fn finish(&mut self, exchange: &Exchange, rules: &Rules) {
        self.running = self.running.saturating_sub(1);
        self.keep(exchange, rules);
    }

    pub fn is_waiting(&self, id: &str) -> bool {
        self.waiting.iter().any(|e| &*e.id == id)
    }

    /// A message was cancelled before it started.
    pub fn withdraw(&mut self, id: &str, rules: &Rules) -> Option<Arc<Exchange>> {
        let at = self.waiting.iter().position(|e| &*e.id == id)?;
        let exchange = self.waiting.remove(at)?;
        self.keep(&exchange, rules);
        Some(exchange)
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Exchange>> {
        self.by_id.get(id)
    }

    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }

    /// All that is kept, oldest first.
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Arc<Exchange>> {
        self.order.iter()
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Lets go of the oldest that are over, as far as the bounds demand.
    fn keep(&mut self, exchange: &Exchange, rules: &Rules) {
        self.finished_bytes += exchange.weight();
        let now = SystemTime::now();
        // What still runs is not over, and the one that just ended stays.
        let over = |kept: &Arc<Exchange>| kept.is_finished() && kept.id != exchange.id;
        while let Some(at) = self.order.iter().position(over)
            && let Some(oldest) = self.order.get(at)
        {
            let aged = now
                .duration_since(oldest.taken_at)
                .is_ok_and(|age| age > rules.id_window);
            if !aged && self.order.len() <= rules.id_max && self.finished_bytes <= rules.history_bytes {
                break;
            }
            self.finished_bytes = self.finished_bytes.saturating_sub(oldest.weight());
            let id = oldest.id.clone();
            self.by_id.remove(&id);
            self.order.remove(at);
        }
    }
}
