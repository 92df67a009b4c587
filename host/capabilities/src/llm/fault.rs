//! How a completion fails: the codes of `segue:llm`, each with the sentence that
//! the guest gets.
//!
//! Guarantees: no sentence holds a key, an address or more than
//! [`QUOTE_MAX_BYTES`] of what a server said; all that is in the log.

use std::time::Duration;

use segue_resilience::{Judged, Refused, Repeat, Verdict};
use segue_runtime::HandlerError;

/// How much of a server's own words reaches a guest.
pub(super) const QUOTE_MAX_BYTES: usize = 300;

/// Which code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Refused, closed before an answer, 5xx.
    Unavailable,
    /// Silent for longer than the operator allows.
    Timeout,
    /// 429.
    RateLimited,
    /// Any other 4xx: the question is wrong, whoever is asked.
    Rejected,
    /// A wrong key, an unpaid bill, an unknown model, a redirect: how this server is
    /// set up is wrong, and another may answer.
    Misconfigured,
    /// Status 403. Some servers say so of a key, others of a question: another may
    /// answer, and nothing is known of this one.
    Forbidden,
    /// Cut off or senseless after it had begun.
    Failed,
    /// It has failed lately and is left alone for a while.
    LeftAlone,
    /// Too many completions at once.
    Overloaded,
    /// The prompt is past a bound.
    Invalid,
    /// The call's deadline was over before anything was sent.
    TooLate,
    /// What the operator allows to be spent is used up for now.
    BudgetExceeded,
}

/// Who may answer after a failure, while nothing was said yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onward {
    /// Nobody: it would fail everywhere.
    Nowhere,
    /// Another server.
    Elsewhere,
    /// Another server, or this one a little later.
    Anywhere,
}

impl Kind {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Unavailable => "upstream_unavailable",
            Kind::Timeout => "upstream_timeout",
            Kind::RateLimited => "upstream_rate_limited",
            Kind::Rejected | Kind::Misconfigured | Kind::Forbidden => "upstream_rejected",
            Kind::Failed => "upstream_failed",
            Kind::LeftAlone => "circuit_open",
            Kind::Overloaded => "overloaded",
            Kind::Invalid => "invalid_argument",
            Kind::TooLate => "deadline_exceeded",
            Kind::BudgetExceeded => "budget_exceeded",
        }
    }

    /// Whether the same prompt may do better a little later.
    pub fn retryable(self) -> bool {
        match self {
            Kind::Rejected | Kind::Misconfigured | Kind::Forbidden | Kind::Invalid | Kind::TooLate => false,
            Kind::Unavailable
            | Kind::Timeout
            | Kind::RateLimited
            | Kind::Failed
            | Kind::LeftAlone
            | Kind::Overloaded
            | Kind::BudgetExceeded => true,
        }
    }

    pub(super) fn onward(self) -> Onward {
        match self {
            Kind::Unavailable | Kind::Timeout | Kind::RateLimited | Kind::Failed => Onward::Anywhere,
            Kind::Misconfigured | Kind::Forbidden => Onward::Elsewhere,
            Kind::Rejected
            | Kind::LeftAlone
            | Kind::Overloaded
            | Kind::Invalid
            | Kind::TooLate
            | Kind::BudgetExceeded => Onward::Nowhere,
        }
    }
}

/// Why there is no answer, or no more of it. Its text is for the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: Kind,
    pub message: String,
    pub retry_after: Option<Duration>,
}

impl Fault {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Fault {
        Fault {
            kind,
            message: message.into(),
            retry_after: None,
        }
    }
}

impl From<Refused> for Fault {
    fn from(why: Refused) -> Fault {
        match why {
            Refused::Open { retry_after } => Fault {
                retry_after: Some(retry_after),
                ..Fault::new(
                    Kind::LeftAlone,
                    "the model's server failed lately and is left alone for a while",
                )
            },
            Refused::Full => Fault::new(Kind::Overloaded, "as many completions as allowed wait"),
            Refused::TooLate => Fault::new(
                Kind::TooLate,
                "the model's server could not be asked before the deadline",
            ),
            Refused::TimedOut { .. } => {
                Fault::new(Kind::Timeout, "the model's server is silent for too long")
            }
        }
    }
}

/// What a fault says of the model's server. One that did not take the request may
/// be right.
impl Judged for Fault {
    fn verdict(&self) -> Verdict {
        let repeat = match (self.kind, self.retry_after) {
            (Kind::RateLimited | Kind::Unavailable, Some(wait)) => Repeat::After(wait),
            (Kind::RateLimited | Kind::Unavailable | Kind::Timeout, _) => Repeat::Soon,
            (Kind::Failed | Kind::Misconfigured, _) => Repeat::Never,
            (
                Kind::Rejected
                | Kind::Forbidden
                | Kind::LeftAlone
                | Kind::Overloaded
                | Kind::Invalid
                | Kind::TooLate
                | Kind::BudgetExceeded,
                _,
            ) => return Verdict::Neither,
        };
        Verdict::Failure { repeat }
    }
}

impl From<Fault> for HandlerError {
    fn from(fault: Fault) -> HandlerError {
        let ms = fault
            .retry_after
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        HandlerError {
            code: String::from(fault.kind.code()),
            message: fault.message,
            retryable: fault.kind.retryable(),
            retry_after_ms: ms,
        }
    }
}

/// At most `max` bytes of a text that comes from a server, on one line.
pub(super) fn clip(text: &str, max: usize) -> String {
    let mut clipped = String::with_capacity(text.len().min(max));
    for c in text.trim().chars() {
        if clipped.len() + c.len_utf8() > max {
            clipped.push('…');
            break;
        }
        clipped.push(if c.is_control() { ' ' } else { c });
    }
    clipped
}
