//! A completion under way, of whichever provider.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_util::Stream;
use segue_runtime::{HandlerError, Source};
use tokio::task::JoinHandle;

use super::fault::{Fault, Kind};
use super::openai::{Answering, Usage};
use super::remembered::Keeping;
use crate::cache::Place;

/// An answer, piece by piece. It runs from the start; what has come is not read
/// further than somebody asks for. Dropping it stops it: the server's connection
/// is closed.
pub struct Completion {
    provider: Provider,
    /// How it failed, which it says as often as it is asked.
    failed: Option<Box<Fault>>,
    /// It is to be kept once it has ended.
    keeping: Option<Keeping>,
}

enum Provider {
    /// All of it is there.
    Whole(vec::IntoIter<String>),
    OpenAi(Answering),
    /// A cache is asked before.
    Coming(Coming),
}

/// Dropped, it comes no more.
struct Coming(JoinHandle<Result<Completion, Fault>>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Completion {
    pub(super) fn whole(pieces: Vec<String>) -> Completion {
        Completion::of(Provider::Whole(pieces.into_iter()))
    }

    /// What comes of this task.
    pub(super) fn coming(task: JoinHandle<Result<Completion, Fault>>) -> Completion {
        Completion::of(Provider::Coming(Coming(task)))
    }

    /// The same, and it is kept once it has come to its end.
    pub(super) fn kept_in(mut self, place: Place) -> Completion {
        self.keeping = Some(Keeping::new(place));
        self
    }

    pub(super) fn openai(answering: Answering) -> Completion {
        Completion::of(Provider::OpenAi(answering))
    }

    fn of(provider: Provider) -> Completion {
        Completion {
            provider,
            failed: None,
            keeping: None,
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
            Provider::Whole(_) | Provider::Coming(_) => None,
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
        if let Provider::Coming(Coming(task)) = &mut self.provider {
            let broken = || Fault::new(Kind::Failed, "the answer broke off inside the host");
            match ready!(Pin::new(task).poll(context)) {
                Ok(Ok(come)) => *self = come,
                Ok(Err(fault)) => return self.fails(fault),
                Err(_) => return self.fails(broken()),
            }
        }
        let next = match &mut self.provider {
            Provider::Whole(pieces) => Poll::Ready(pieces.next().map(Ok)),
            Provider::OpenAi(answering) => answering.poll_next(context),
            // What has come is not to come.
            Provider::Coming(_) => Poll::Ready(None),
        };
        match &next {
            Poll::Ready(Some(Ok(piece))) => {
                if let Some(keeping) = &mut self.keeping {
                    keeping.piece(piece);
                }
            }
            Poll::Ready(Some(Err(fault))) => {
                self.failed = Some(Box::new(fault.clone()));
                self.keeping = None;
            }
            Poll::Ready(None) => {
                if let Some(keeping) = self.keeping.take() {
                    keeping.ended();
                }
            }
            Poll::Pending => {}
        }
        next
    }

    fn fails(&mut self, fault: Fault) -> Poll<Option<Result<String, Fault>>> {
        self.failed = Some(Box::new(fault.clone()));
        Poll::Ready(Some(Err(fault)))
    }
}

impl Stream for Completion {
    type Item = Result<String, HandlerError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
            .map(|piece| piece.map(|piece| piece.map_err(HandlerError::from)))
    }
}
