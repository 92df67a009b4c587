//! What one server of a model was asked, and how that ended. It outlives a change
//! of the server's settings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::fault::Kind;
use super::Usage;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// Its client left, or its call's time was over.
    Cancelled,
    Unavailable,
    Timeout,
    RateLimited,
    Rejected,
    Failed,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Success,
        Outcome::Cancelled,
        Outcome::Unavailable,
        Outcome::Timeout,
        Outcome::RateLimited,
        Outcome::Rejected,
        Outcome::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Cancelled => "cancelled",
            Outcome::Unavailable => "unavailable",
            Outcome::Timeout => "timeout",
            Outcome::RateLimited => "rate_limited",
            Outcome::Rejected => "rejected",
            Outcome::Failed => "failed",
        }
    }

    pub(super) fn of(kind: Kind) -> Outcome {
        match kind {
            Kind::Unavailable => Outcome::Unavailable,
            Kind::Timeout => Outcome::Timeout,
            Kind::RateLimited => Outcome::RateLimited,
            Kind::Failed => Outcome::Failed,
            Kind::Rejected | Kind::Misconfigured | Kind::Forbidden | Kind::Invalid => Outcome::Rejected,
            Kind::LeftAlone | Kind::Overloaded | Kind::TooLate | Kind::BudgetExceeded => Outcome::Cancelled,
        }
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ended: [AtomicU64; Outcome::ALL.len()],
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    cost: Mutex<f64>,
}

/// What was counted of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetCounts {
    pub model: String,
    /// Its name in `[llm.MODEL.targets]`; empty where there are none.
    pub target: String,
    /// Requests, by how they ended.
    pub requests: Vec<(Outcome, u64)>,
    /// As its server counted them, else by estimate.
    pub tokens: Usage,
    /// Of these tokens, by the operator's prices.
    pub cost: f64,
}

impl Tally {
    pub(super) fn ended(&self, outcome: Outcome) {
        for (known, count) in Outcome::ALL.iter().zip(&self.ended) {
            if *known == outcome {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn tokens(&self, more: Usage) {
        self.input_tokens.fetch_add(more.input_tokens, Ordering::Relaxed);
        self.output_tokens
            .fetch_add(more.output_tokens, Ordering::Relaxed);
    }

    pub(super) fn costs(&self, more: f64) {
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner) += more;
    }

    pub(super) fn counts(&self, model: &str, target: &str) -> TargetCounts {
        let all = Outcome::ALL.iter().zip(&self.ended);
        TargetCounts {
            model: model.to_owned(),
            target: target.to_owned(),
            requests: all
                .map(|(outcome, count)| (*outcome, count.load(Ordering::Relaxed)))
                .collect(),
            cost: *self.cost.lock().unwrap_or_else(PoisonError::into_inner),
            tokens: Usage {
                input_tokens: self.input_tokens.load(Ordering::Relaxed),
                output_tokens: self.output_tokens.load(Ordering::Relaxed),
            },
        }
    }
}
