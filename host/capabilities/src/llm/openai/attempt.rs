//! One request to one server, from being let in to the end of its answer: what
//! that end is told to.
//!
//! Guarantees: an attempt is counted once, whichever way it ends, dropping it
//! included. One that its client leaves says nothing about the server. One that
//! is dropped because the call's deadline was over before the first text is the
//! server's failure, if it had a fair time: a second, or half of its patience if
//! that is less. What it cost is settled with it ([`budget`](super::super::budget)
//! says by what rule).

use std::sync::Arc;
use std::time::Duration;

use segue_resilience::{Admission, Judged};
use tokio::time::Instant;

use super::super::budget::{Bill, estimate};
use super::super::fault::{Fault, Kind};
use super::Usage;
use super::tally::{Outcome, Tally};

/// Less time than this is no fair time for an answer.
const FAIR: Duration = Duration::from_secs(1);

pub(super) struct Attempt {
    /// Until it has ended.
    admission: Option<Admission>,
    tally: Arc<Tally>,
    since: Instant,
    fair: Duration,
    deadline: Option<Instant>,
    begun: bool,
    /// Whether it is the only server of its model.
    alone: bool,
    bill: Bill,
    prompt_bytes: u64,
    answer_bytes: u64,
    /// What the server told so far.
    told: Option<Usage>,
}

/// What an answer is charged by.
enum Ended {
    Finished,
    BrokeOff,
    Refused,
}

impl Attempt {
    /// `patience` is how long the server may take to its first text.
    pub(super) fn new(
        admission: Admission,
        tally: Arc<Tally>,
        patience: Duration,
        deadline: Option<Instant>,
        alone: bool,
        (bill, prompt_bytes): (Bill, usize),
    ) -> Attempt {
        Attempt {
            admission: Some(admission),
            tally,
            since: Instant::now(),
            fair: FAIR.min(patience / 2),
            deadline,
            begun: false,
            alone,
            bill,
            prompt_bytes: prompt_bytes as u64,
            answer_bytes: 0,
            told: None,
        }
    }

    /// The first text has come.
    pub(super) fn begun(&mut self) {
        self.begun = true;
    }

    /// So much text has come.
    pub(super) fn said(&mut self, bytes: usize) {
        self.answer_bytes += bytes as u64;
    }

    /// What the server says that it cost so far.
    pub(super) fn costs(&mut self, cost: Option<Usage>) {
        if let Some(cost) = cost {
            self.told = Some(cost);
        }
    }

    fn settle(&mut self, ended: Ended) {
        let guess = estimate(self.prompt_bytes, self.answer_bytes);
        let usage = match ended {
            Ended::Finished => self.told.unwrap_or(guess),
            Ended::BrokeOff => self.told.unwrap_or_default().or_more(guess),
            Ended::Refused => self.told.unwrap_or_default(),
        };
        self.bill.comes_to(usage);
        self.tally.tokens(usage);
        self.tally.costs(self.bill.cost());
    }

    pub(super) fn succeeded(mut self) {
        self.settle(Ended::Finished);
        self.tally.ended(Outcome::Success);
        if let Some(admission) = self.admission.take() {
            admission.succeeded();
        }
    }

    pub(super) fn failed(mut self, fault: &Fault) {
        self.settle(match fault.kind {
            Kind::Timeout | Kind::Failed => Ended::BrokeOff,
            _ => Ended::Refused,
        });
        self.tally.ended(Outcome::of(fault.kind));
        let Some(admission) = self.admission.take() else {
            return;
        };
        match fault.kind {
            // The deadline's doing.
            Kind::Timeout if self.is_late() && !self.had_its_time() => drop(admission),
            // It says so at once, and its words help more than a breaker's.
            Kind::Misconfigured if self.alone => drop(admission),
            _ => admission.judge(fault.verdict()),
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn had_its_time(&self) -> bool {
        self.since.elapsed() >= self.fair
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else {
            return;
        };
        self.settle(Ended::BrokeOff);
        if !self.begun && self.is_late() && self.had_its_time() {
            self.tally.ended(Outcome::Timeout);
            admission.failed(None);
        } else {
            self.tally.ended(Outcome::Cancelled);
        }
    }
}
