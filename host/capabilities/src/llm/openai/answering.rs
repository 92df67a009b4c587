//! A completion of an OpenAI-compatible server, as a stream of text.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use segue_resilience::{Admission, Judged};
use segue_runtime::Meters;
use tokio_util::task::AbortOnDropHandle;

use super::super::fault::{Fault, Kind};
use super::reading::{Reading, Step};
use super::{Client, Usage};

/// An answer under way. Dropping it closes its connection.
pub(in super::super) struct Answering {
    state: State,
    client: Arc<Client>,
    meters: Meters,
    cost: Option<Usage>,
    /// Its way through the guard; gone without a word, it counts as neither.
    admission: Option<Admission>,
}

enum State {
    /// The host's task connects, sends and waits for the response.
    Opening(AbortOnDropHandle<Result<(Reading, Admission), Fault>>),
    Reading(Box<Reading>),
    Over,
}

impl Answering {
    pub(super) fn new(
        opening: AbortOnDropHandle<Result<(Reading, Admission), Fault>>,
        client: Arc<Client>,
        meters: Meters,
    ) -> Answering {
        Answering {
            state: State::Opening(opening),
            client,
            meters,
            cost: None,
            admission: None,
        }
    }

    /// What it cost, as the server has told so far.
    pub(in super::super) fn usage(&self) -> Option<Usage> {
        self.cost
    }

    /// The next piece, `None` at the end and after an error.
    pub(in super::super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<String, Fault>>> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match ready!(Pin::new(opening).poll(context)) {
                    Ok(Ok((reading, admission))) => {
                        self.state = State::Reading(Box::new(reading));
                        self.admission = Some(admission);
                    }
                    Ok(Err(fault)) => {
                        self.state = State::Over;
                        return Poll::Ready(Some(Err(fault)));
                    }
                    Err(_) => {
                        self.state = State::Over;
                        let fault = Fault::new(Kind::Unavailable, "the host is stopping");
                        return Poll::Ready(Some(Err(fault)));
                    }
                },
                State::Reading(reading) => {
                    let step = reading.poll(context);
                    let cost = reading.usage();
                    self.count(cost);
                    return match ready!(step) {
                        Step::Text(text) => Poll::Ready(Some(Ok(text))),
                        Step::End(result) => self.end(result),
                    };
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn end(&mut self, result: Result<(), super::Cut>) -> Poll<Option<Result<String, Fault>>> {
        let state = std::mem::replace(&mut self.state, State::Over);
        Poll::Ready(match result {
            Ok(()) => {
                if let Some(admission) = self.admission.take() {
                    admission.succeeded();
                }
                self.client.answered();
                if let State::Reading(reading) = state {
                    self.client.reuse(*reading);
                }
                None
            }
            Err(cut) => {
                let fault = self.client.failed(cut);
                if let Some(admission) = self.admission.take() {
                    admission.judge(fault.verdict());
                }
                Some(Err(fault))
            }
        })
    }

    /// Servers tell the cost once, at the end, or again and again as it grows.
    fn count(&mut self, cost: Option<Usage>) {
        let Some(cost) = cost.filter(|cost| self.cost != Some(*cost)) else {
            return;
        };
        let counted = self.cost.replace(cost).unwrap_or_default();
        let more = |now: u64, before: u64| now.saturating_sub(before);
        self.meters
            .add("llm.input_tokens", more(cost.input_tokens, counted.input_tokens));
        self.meters.add(
            "llm.output_tokens",
            more(cost.output_tokens, counted.output_tokens),
        );
    }
}
