//! The servers that stand for one model, and which of them is asked.
//!
//! Of those that may be asked, the ones of the lowest order are chosen from by
//! weight. May be asked: is not out by its breaker, and was there when last looked
//! ([`probe`](super::probe)); where nobody was, any that is not out. Until the first
//! text of an answer another may be tried; from then on the answer is that
//! server's, to its end or its failure.
//!
//! | an attempt, before the first text | counts as | then |
//! |---|---|---|
//! | is not let in (breaker, bulkhead) | nothing: nothing is sent | the next server, at no cost |
//! | fails (unreachable, silent, cut, garbage, 5xx, 408) | failure | the next server, or a retry |
//! | is refused for now (429) | failure; out for as long as it says | the next server, or a retry |
//! | is refused for how the server is set up (401, 402, 404, 3xx) | failure; neither where it is the only one | the next server |
//! | is refused for either of them (403) | neither | the next server |
//! | is refused for what was asked (any other 4xx) | neither | its error |
//! | is cut by the call's deadline, having had a fair time | failure | its error |
//! | is cut by the call's deadline, having had less | neither | its error |
//! | is cancelled | neither | |
//!
//! Each server that was not asked yet may be asked once. After that come retries:
//! the wait of the retry settings, or the one that a server has named if that is
//! not longer than they allow, then any of them again, at most `retries` times in
//! all. Every attempt after the first is paid from the retry budget of the server
//! that failed.

use std::sync::Arc;
use std::time::Duration;

use segue_resilience::{Admission, Guard, Guards, Refused};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::super::budget::{Bill, Charged};
use super::super::fault::{Fault, Kind, Onward};
use super::super::models::Asker;
use super::super::prompt::Prompt;
use super::super::settings::{self, Targets};
use super::answering::Open;
use super::attempt::Attempt;
use super::tally::{Tally, TargetCounts};
use super::{Answering, Client, Cut};
use crate::share::{Full, Places};

/// One model.
pub(in super::super) struct Group {
    members: Vec<Member>,
    max_in_flight: usize,
    places: Arc<Places>,
    handle: Handle,
}

struct Member {
    /// Empty where it is the only one.
    name: String,
    order: u32,
    weight: u32,
    client: Arc<Client>,
    guard: Arc<Guard>,
    tally: Arc<Tally>,
}

/// What is asked.
struct Question {
    prompt: Prompt,
    traceparent: String,
    deadline: Option<Instant>,
    charged: Arc<Charged>,
}

impl Group {
    /// The servers of `model`. Those of `before` whose settings are the same keep
    /// their connections. A target without a name has its model's guard.
    pub(in super::super) fn new(
        model: &str,
        targets: Targets,
        before: Option<&Group>,
        guards: &Guards,
        handle: &Handle,
    ) -> Arc<Group> {
        let member = |(name, target): (String, settings::Target)| {
            let full = match name.is_empty() {
                true => String::from(model),
                false => format!("{model}/{name}"),
            };
            let known = before.and_then(|group| group.members.iter().find(|member| member.name == name));
            let same = known.filter(|member| *member.client.settings() == target.server);
            Member {
                client: match same {
                    Some(member) => Arc::clone(&member.client),
                    None => Client::start(&full, target.server, handle.clone()),
                },
                guard: guards.get("llm", &full),
                tally: known.map_or_else(Arc::default, |member| Arc::clone(&member.tally)),
                name,
                order: target.order,
                weight: target.weight.max(1),
            }
        };
        Arc::new(Group {
            members: targets.targets.into_iter().map(member).collect(),
            max_in_flight: targets.max_in_flight,
            places: before.map_or_else(Arc::default, |group| Arc::clone(&group.places)),
            handle: handle.clone(),
        })
    }

    /// How it does, for the operator.
    pub(in super::super) fn state(&self) -> (bool, String) {
        let state = |member: &Member| {
            let (ready, detail) = member.client.state();
            match member.name.is_empty() {
                true => (ready, detail),
                false if member.guard.is_out().is_some() => {
                    (false, format!("{}: {detail}; left alone for now", member.name))
                }
                false => (ready, format!("{}: {detail}", member.name)),
            }
        };
        let states: Vec<_> = self.members.iter().map(state).collect();
        let details: Vec<_> = states.iter().map(|(_, detail)| detail.as_str()).collect();
        (states.iter().any(|(ready, _)| *ready), details.join(" | "))
    }

    /// What was asked of each.
    pub(in super::super) fn counts(&self, model: &str) -> Vec<TargetCounts> {
        let members = self.members.iter();
        members
            .map(|member| member.tally.counts(model, &member.name))
            .collect()
    }

    /// Starts a completion.
    pub(in super::super) fn ask(
        self: &Arc<Group>,
        prompt: &Prompt,
        asker: Asker<'_>,
        charged: Arc<Charged>,
    ) -> Result<Answering, Fault> {
        let place = self.places.take(asker.plugin, self.max_in_flight);
        let place = place.map_err(|full| {
            let why = match full {
                Full::All(most) => format!("{most} completions of this model are under way"),
                Full::Share(most) => format!("this plugin has its share of the model, {most} completions"),
            };
            Fault::new(Kind::Overloaded, why)
        })?;
        asker.meters.add("llm.requests", 1);
        let question = Question {
            prompt: prompt.clone(),
            traceparent: String::from(asker.traceparent),
            deadline: asker.deadline,
            charged,
        };
        let opening = self.handle.spawn(Arc::clone(self).open(question));
        let opening = AbortOnDropHandle::new(opening);
        Ok(Answering::new(opening, asker.meters.clone(), place))
    }

    /// Asks one server after the other, until one says its first text.
    async fn open(self: Arc<Group>, question: Question) -> Result<Box<Open>, Fault> {
        let mut asked = vec![false; self.members.len()];
        let mut before: Option<Fault> = None;
        // Whether everybody was asked once, and how many more were asked since.
        let (mut again, mut retries) = (false, 0);
        loop {
            let (at, member, admission) = match self.admit(&mut asked, question.deadline).await {
                Ok(admitted) => admitted,
                // The first failure says more than that it is left alone now.
                Err(refused) => return Err(before.unwrap_or_else(|| refused.into())),
            };
            if before.is_none() {
                member.guard.budget().call();
            }
            let alone = self.members.len() == 1;
            let fault = match member.attempt(&question, admission, alone).await {
                Ok(open) => return Ok(Box::new(open)),
                Err(fault) => fault,
            };
            if let Some(mark) = asked.get_mut(at) {
                *mark = true;
            }
            let policy = member.guard.policy();
            let others = self.pick(&asked).is_some();
            let wait = match (fault.kind.onward(), others) {
                (Onward::Nowhere, _) | (Onward::Elsewhere, false) => return Err(fault),
                (_, true) => Duration::ZERO,
                (Onward::Anywhere, false) => fault
                    .retry_after
                    .unwrap_or_else(|| policy.retry.wait(retries + 1)),
            };
            again |= !others;
            if again {
                retries += 1;
            }
            let in_time = question
                .deadline
                .is_none_or(|deadline| Instant::now() + wait < deadline);
            let may = retries <= policy.retry.retries && wait <= policy.retry.backoff_max && in_time;
            if !may || !member.guard.budget().retry(&policy.retry) {
                return Err(fault);
            }
            before = Some(fault);
            if !others {
                sleep(wait).await;
                asked.fill(false);
            }
        }
    }

    /// A server that lets the attempt in. Those that do not are marked as asked;
    /// where only full ones are left, one of them is waited for.
    async fn admit(
        &self,
        asked: &mut [bool],
        deadline: Option<Instant>,
    ) -> Result<(usize, &Member, Admission), Refused> {
        let mut full = None;
        while let Some((at, member)) = self.pick(asked) {
            match member.guard.try_admit() {
                Ok(admission) => return Ok((at, member, admission)),
                Err(Refused::Full) if full.is_none() => full = Some((at, member)),
                Err(_) => {}
            }
            if let Some(mark) = asked.get_mut(at) {
                *mark = true;
            }
        }
        if let Some((at, member)) = full {
            let admission = member.guard.admit(deadline).await?;
            return Ok((at, member, admission));
        }
        // All are out. The one that is back first counts the rejection.
        let first = self.members.iter().enumerate();
        let first = first.min_by_key(|(_, member)| member.guard.is_out().unwrap_or_default());
        match first {
            Some((at, member)) => Ok((at, member, member.guard.try_admit()?)),
            None => Err(Refused::Full),
        }
    }

    /// One that was not asked yet and may be: of the lowest order, by weight.
    fn pick(&self, asked: &[bool]) -> Option<(usize, &Member)> {
        let mut open: Vec<(usize, &Member)> = self
            .members
            .iter()
            .enumerate()
            .filter(|(at, member)| asked.get(*at) == Some(&false) && member.guard.is_out().is_none())
            .collect();
        if open.iter().any(|(_, member)| !member.client.is_down()) {
            open.retain(|(_, member)| !member.client.is_down());
        }
        let order = open.iter().map(|(_, member)| member.order).min()?;
        open.retain(|(_, member)| member.order == order);
        let sum: u64 = open.iter().map(|(_, member)| u64::from(member.weight)).sum();
        // Spread matters here, not secrecy.
        let mut left = getrandom::u64().unwrap_or_default() % sum.max(1);
        for (at, member) in open {
            match left.checked_sub(u64::from(member.weight)) {
                Some(rest) => left = rest,
                None => return Some((at, member)),
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn client(&self) -> &Client {
        &self.members[0].client
    }

    #[cfg(test)]
    pub(super) fn of(client: Client, guards: &Guards, handle: &Handle) -> Arc<Group> {
        Arc::new(Group {
            max_in_flight: client.settings().max_in_flight,
            members: vec![Member {
                name: String::new(),
                order: 1,
                weight: 1,
                client: Arc::new(client),
                guard: guards.get("llm", "main"),
                tally: Arc::default(),
            }],
            places: Arc::default(),
            handle: handle.clone(),
        })
    }
}

impl Member {
    async fn attempt(&self, question: &Question, admission: Admission, alone: bool) -> Result<Open, Fault> {
        let own = self.client.settings().first_token_timeout;
        let most = self.guard.policy().timeout;
        let patience = most.map_or(own, |most| most.min(own));
        let tally = Arc::clone(&self.tally);
        let bytes = question.prompt.bytes();
        let bill = Bill::new(Arc::clone(&question.charged), self.client.settings().price, bytes);
        let deadline = question.deadline;
        let mut attempt = Attempt::new(admission, tally, patience, deadline, alone, (bill, bytes));
        let until = Instant::now() + patience;
        let until = question.deadline.map_or(until, |deadline| deadline.min(until));
        let opening = self.client.open(&question.prompt, &question.traceparent, until);
        // The server's own patience is until its first event, whatever that is; this
        // one until its first text.
        let opened = match most {
            Some(most) => timeout(most, opening).await,
            None => Ok(opening.await),
        };
        match opened.unwrap_or_else(|_| Err(self.client.failed(&Cut::Silent))) {
            Ok(reading) => {
                attempt.begun();
                Ok(Open {
                    reading,
                    client: Arc::clone(&self.client),
                    attempt,
                })
            }
            Err(fault) => {
                attempt.failed(&fault);
                Err(fault)
            }
        }
    }
}

#[cfg(test)]
mod tests;
