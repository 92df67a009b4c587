//! A completion of an OpenAI-compatible server, as a stream of text.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use segue_runtime::Meters;
use tokio_util::task::AbortOnDropHandle;

use super::super::fault::{Fault, Kind};
use super::attempt::Attempt;
use super::reading::{Reading, Step};
use super::{Client, Cut, Usage};
use crate::share::Place;

/// An answer under way. Dropping it closes its connection.
pub(in super::super) struct Answering {
    state: State,
    meters: Meters,
    cost: Option<Usage>,
    /// Until it is over.
    place: Option<Place>,
}

enum State {
    /// The host's task asks one server after the other, until one says its first
    /// text.
    Opening(AbortOnDropHandle<Result<Box<Open>, Fault>>),
    Reading(Box<Open>),
    Over,
}

/// The answer of one server, whose text has begun. There is no other from here.
pub(super) struct Open {
    pub(super) reading: Reading,
    pub(super) client: Arc<Client>,
    pub(super) attempt: Attempt,
}

impl Answering {
    pub(super) fn new(
        opening: AbortOnDropHandle<Result<Box<Open>, Fault>>,
        meters: Meters,
        place: Place,
    ) -> Answering {
        Answering {
            state: State::Opening(opening),
            meters,
            cost: None,
            place: Some(place),
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
                    Ok(Ok(open)) => self.state = State::Reading(open),
                    Ok(Err(fault)) => {
                        self.over();
                        return Poll::Ready(Some(Err(fault)));
                    }
                    Err(_) => {
                        self.over();
                        let fault = Fault::new(Kind::Unavailable, "the host is stopping");
                        return Poll::Ready(Some(Err(fault)));
                    }
                },
                State::Reading(open) => {
                    let step = open.reading.poll(context);
                    let cost = open.reading.usage();
                    open.attempt.costs(cost);
                    if let Poll::Ready(Step::Text(text)) = &step {
                        open.attempt.said(text.len());
                    }
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

    fn over(&mut self) -> State {
        self.place = None;
        std::mem::replace(&mut self.state, State::Over)
    }

    fn end(&mut self, result: Result<(), Cut>) -> Poll<Option<Result<String, Fault>>> {
        let State::Reading(open) = self.over() else {
            return Poll::Ready(None);
        };
        let Open {
            reading,
            client,
            attempt,
        } = *open;
        Poll::Ready(match result {
            Ok(()) => {
                attempt.succeeded();
                client.answered();
                client.reuse(reading);
                None
            }
            Err(cut) => {
                let fault = client.failed(&cut);
                attempt.failed(&fault);
                Some(Err(fault))
            }
        })
    }

    /// Servers tell the cost once, at the end, or again and again as it grows.
    fn count(&mut self, cost: Option<Usage>) {
        let Some(cost) = cost.filter(|cost| self.cost != Some(*cost)) else {
            return;
        };
        let more = cost.since(self.cost.replace(cost).unwrap_or_default());
        self.meters.add("llm.input_tokens", more.input_tokens);
        self.meters.add("llm.output_tokens", more.output_tokens);
    }
}
