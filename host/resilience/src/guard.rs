//! Everything that stands around one dependency, in one place.
//!
//! An attempt passes, in this order: the breaker's state (so that nobody queues
//! for what is out), a place in the bulkhead, the breaker itself, then the work
//! under its timeout. Where the work is safe to repeat and the error says that it
//! may help, another attempt follows, if the deadline leaves time for it and the
//! budget pays for it.
//!
//! | an attempt ends | counts as | then |
//! |---|---|---|
//! | well, or with an error that is the caller's | success | its result |
//! | with a failure that may be repeated | failure | a retry, or its error |
//! | with any other failure | failure | its error |
//! | after its own timeout | failure | a retry, or [`Refused::TimedOut`] |
//! | at the caller's deadline, having had a fair time | failure | [`Refused::TimedOut`] |
//! | at the caller's deadline, having had less | neither | [`Refused::TimedOut`] |
//! | because its caller left | neither | |
//!
//! A fair time is a second, or half of the timeout if that is less: a dependency
//! is not blamed for the last milliseconds of somebody's deadline.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::breaker::{self, Breaker, Permit};
use crate::bulkhead::{self, Bulkhead, Place};
use crate::latency::{Histogram, Latency};
use crate::policy::{Judged, Key, Policy, Repeat, Verdict};
use crate::retry::{self, Budget};

/// Less time than this is no fair time for a call.
const FAIR: Duration = Duration::from_secs(1);

/// What stands around one dependency or handler. Other settings take effect on
/// those who come; counts and state stay.
#[derive(Debug)]
pub struct Guard {
    key: Key,
    policy: ArcSwap<Policy>,
    breaker: Arc<Breaker>,
    bulkhead: Arc<Bulkhead>,
    budget: Budget,
    latency: Arc<Latency>,
}

/// How a guard and what is behind it stand.
#[derive(Clone, Debug, Serialize)]
pub struct GuardState {
    pub dependency: Key,
    pub breaker: breaker::Standing,
    pub bulkhead: bulkhead::Standing,
    pub retries: retry::Standing,
    #[serde(skip)]
    pub latency: Histogram,
}

/// Why an attempt was not made, or not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The breaker is open.
    #[error("it has failed lately and is given time to recover")]
    Open { retry_after: Duration },
    /// The bulkhead and its queue are full.
    #[error("as many calls as allowed are under way")]
    Full,
    /// The caller's deadline was over before its turn came.
    #[error("the deadline was over before its turn came")]
    TooLate,
    /// The attempt did not end in time.
    #[error("it did not answer within {}", humantime::format_duration(*.after))]
    TimedOut { after: Duration },
}

impl Refused {
    /// The code of the catalogue of request errors.
    pub fn code(self) -> &'static str {
        match self {
            Refused::Open { .. } => "circuit_open",
            Refused::Full => "overloaded",
            Refused::TooLate => "deadline_exceeded",
            Refused::TimedOut { .. } => "upstream_timeout",
        }
    }

    /// When to come back, where that is known.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Refused::Open { retry_after } => Some(retry_after),
            _ => None,
        }
    }
}

impl Guard {
    pub fn new(key: Key, policy: Policy) -> Guard {
        Guard {
            breaker: Breaker::new(key.clone(), policy.breaker),
            bulkhead: Bulkhead::new(policy.bulkhead),
            budget: Budget::default(),
            latency: Arc::default(),
            policy: ArcSwap::from_pointee(policy),
            key,
        }
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    pub fn configure(&self, policy: Policy) {
        if **self.policy.load() == policy {
            return;
        }
        self.breaker.configure(policy.breaker);
        self.bulkhead.configure(policy.bulkhead);
        self.policy.store(Arc::new(policy));
    }

    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How long it lets nothing through yet, if it does not. Counts nothing.
    pub fn is_out(&self) -> Option<Duration> {
        self.breaker.is_out()
    }

    pub fn state(&self) -> GuardState {
        GuardState {
            dependency: self.key.clone(),
            breaker: self.breaker.standing(),
            bulkhead: self.bulkhead.standing(),
            retries: self.budget.standing(),
            latency: self.latency.histogram(),
        }
    }

    /// Lets one attempt in whose end is seen elsewhere, such as a stream. Waits
    /// in the queue at most until `deadline`.
    pub async fn admit(&self, deadline: Option<Instant>) -> Result<Admission, Refused> {
        self.not_out()?;
        let place = self.bulkhead.enter(deadline).await.map_err(refused)?;
        self.admitted(place)
    }

    /// The same, at once or not at all.
    pub fn try_admit(&self) -> Result<Admission, Refused> {
        self.not_out()?;
        let place = self.bulkhead.try_enter().map_err(refused)?;
        self.admitted(place)
    }

    /// Makes attempts until one ends for good. `safe`: the work may be done
    /// twice. `attempt` is handed its number, from 1.
    pub async fn run<T, E, F, A>(&self, deadline: Option<Instant>, safe: bool, mut attempt: F) -> Result<T, E>
    where
        E: Judged + From<Refused>,
        F: FnMut(u32) -> A,
        A: Future<Output = Result<T, E>>,
    {
        let policy = self.policy();
        let mut before: Option<E> = None;
        self.budget.call();
        for number in 1.. {
            let admission = match self.admit(deadline).await {
                Ok(admission) => admission,
                // The first failure says more than that it is left alone now.
                Err(refused) => return Err(before.unwrap_or_else(|| refused.into())),
            };
            let (error, repeat) = match self.attempt(&policy, deadline, admission, attempt(number)).await {
                Ok(result) => return result,
                Err(failure) => failure,
            };
            let wait = match repeat {
                Repeat::Never => return Err(error),
                Repeat::Soon => policy.retry.wait(number),
                Repeat::After(named) => named,
            };
            let in_time = deadline.is_none_or(|deadline| Instant::now() + wait < deadline);
            let may = safe && number <= policy.retry.retries && wait <= policy.retry.backoff_max && in_time;
            if !may || !self.budget.retry(&policy.retry) {
                return Err(error);
            }
            before = Some(error);
            sleep(wait).await;
        }
        Err(before.unwrap_or_else(|| Refused::TooLate.into()))
    }

    /// One attempt: its result if that stands, else the failure.
    async fn attempt<T, E, A>(
        &self,
        policy: &Policy,
        deadline: Option<Instant>,
        admission: Admission,
        work: A,
    ) -> Result<Result<T, E>, (E, Repeat)>
    where
        E: Judged + From<Refused>,
        A: Future<Output = Result<T, E>>,
    {
        let since = admission.permit.since();
        let own = policy.timeout.map(|timeout| since + timeout);
        let until = own.into_iter().chain(deadline).min();
        let result = match until {
            Some(until) => timeout_at(until, work).await,
            None => Ok(work.await),
        };
        let Ok(result) = result else {
            let after = since.elapsed();
            let fair = policy.timeout.map_or(FAIR, |timeout| FAIR.min(timeout / 2));
            if own == until || after >= fair {
                admission.failed(None);
            }
            return Err((Refused::TimedOut { after }.into(), Repeat::Soon));
        };
        let Err(error) = result else {
            admission.succeeded();
            return Ok(result);
        };
        let verdict = error.verdict();
        admission.judge(verdict);
        match verdict {
            Verdict::Failure { repeat } => Err((error, repeat)),
            Verdict::Success | Verdict::Neither => Ok(Err(error)),
        }
    }

    fn not_out(&self) -> Result<(), Refused> {
        match self.breaker.is_out() {
            None => Ok(()),
            // Counted as a rejection, unless it has just become half-open.
            Some(_) => self.breaker.admit().map(drop).map_err(open),
        }
    }

    fn admitted(&self, place: Place) -> Result<Admission, Refused> {
        let permit = self.breaker.admit().map_err(open)?;
        Ok(Admission {
            permit,
            place,
            latency: Arc::clone(&self.latency),
        })
    }
}

fn open(rejected: breaker::Rejected) -> Refused {
    Refused::Open {
        retry_after: rejected.retry_after,
    }
}

fn refused(why: bulkhead::Rejected) -> Refused {
    match why {
        bulkhead::Rejected::Full => Refused::Full,
        bulkhead::Rejected::TooLate => Refused::TooLate,
    }
}

/// One attempt that was let in. Dropped without a word it counts as neither.
#[derive(Debug)]
#[must_use]
pub struct Admission {
    permit: Permit,
    place: Place,
    latency: Arc<Latency>,
}

impl Admission {
    /// It did its work. The time until now is how long it took.
    pub fn succeeded(self) {
        drop(self.ended().succeeded_permit());
    }

    /// It failed. `retry_after` is when it asked not to be asked before.
    pub fn failed(self, retry_after: Option<Duration>) {
        drop(self.ended().failed_permit(retry_after));
    }

    /// It ended, and this is what the end says.
    pub fn judge(self, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.succeeded(),
            Verdict::Failure {
                repeat: Repeat::After(named),
            } => self.failed(Some(named)),
            Verdict::Failure { .. } => self.failed(None),
            Verdict::Neither => drop(self),
        }
    }

    /// It works, as far as the breaker is concerned; the place is still held, for
    /// a stream whose first piece has come.
    pub fn works(self) -> Place {
        self.ended().succeeded_permit()
    }

    fn ended(self) -> Admission {
        self.latency.record(self.permit.since().elapsed());
        self
    }

    fn succeeded_permit(self) -> Place {
        self.permit.succeeded();
        self.place
    }

    fn failed_permit(self, retry_after: Option<Duration>) -> Place {
        self.permit.failed(retry_after);
        self.place
    }
}

#[cfg(test)]
mod tests;
