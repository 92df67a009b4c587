//! A completion under way, of whichever provider.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use futures_util::Stream;
use segue_runtime::{HandlerError, Source};

use super::fault::Fault;
use super::openai::{Answering, Usage};

/// An answer, piece by piece. It runs from the start; what has come is not read
/// further than somebody asks for. Dropping it stops it: the server's connection
/// is closed.
pub struct Completion {
    provider: Provider,
    /// How it failed, which it says as often as it is asked.
    failed: Option<Box<Fault>>,
}

enum Provider {
    Offline(vec::IntoIter<String>),
    OpenAi(Answering),
}

impl Completion {
    pub(super) fn offline(pieces: Vec<String>) -> Completion {
        Completion::of(Provider::Offline(pieces.into_iter()))
    }

    pub(super) fn openai(answering: Answering) -> Completion {
        Completion::of(Provider::OpenAi(answering))
    }

    fn of(provider: Provider) -> Completion {
        Completion {
            provider,
            failed: None,
        }
    }

    /// The next piece, `None` at the end; after an error the same error. Nothing
    /// is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<String>, Fault> {
        if let Some(fault) = &self.failed {
            return Err(Fault::clone(fault));
        }
        poll_fn(|context| self.poll(context)).await.transpose()
    }

    /// What it cost, as the model's server has told so far.
    pub fn usage(&self) -> Option<Usage> {
        match &self.provider {
            Provider::Offline(_) => None,
            Provider::OpenAi(answering) => answering.usage(),
        }
    }

    /// The rest of it, for the host to send.
    pub fn into_source(self) -> Source {
        Box::pin(self)
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<String, Fault>>> {
        if self.failed.is_some() {
            return Poll::Ready(None);
        }
        let next = match &mut self.provider {
            Provider::Offline(pieces) => Poll::Ready(pieces.next().map(Ok)),
            Provider::OpenAi(answering) => answering.poll_next(context),
        };
        if let Poll::Ready(Some(Err(fault))) = &next {
            self.failed = Some(Box::new(fault.clone()));
        }
        next
    }
}

impl Stream for Completion {
    type Item = Result<String, HandlerError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
            .map(|piece| piece.map(|piece| piece.map_err(HandlerError::from)))
    }
}
