//! What a trace tells of a completion: one span from the asking to the last
//! piece, by OpenTelemetry's conventions for generative models. Its identity is
//! what the model's server is told. Neither prompt nor answer is in it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use segue_runtime::trace::{Scope, Span, SpanKind};
use segue_runtime::{HandlerError, Source};

use super::completion::Completion;
use super::fault::Fault;

/// The span of a completion that is under way.
pub(super) struct Told {
    span: Span,
}

impl Told {
    /// `model` as the host's configuration names it; `provider` as OpenTelemetry
    /// names who speaks like it.
    pub(super) fn of(under: &Scope, model: &str, provider: &'static str) -> Told {
        let mut span = under.child(SpanKind::Client, || format!("chat {model}").into());
        span.set("gen_ai.operation.name", "chat");
        span.set("gen_ai.provider.name", provider);
        span.set_text("gen_ai.request.model", model);
        Told { span }
    }

    pub(super) fn traceparent(&self) -> String {
        self.span.scope().traceparent()
    }

    pub(super) fn failed(&mut self, fault: &Fault) {
        self.span.fail(fault.kind.code());
    }

    /// A piece, the end or a fault has come of `completion`.
    pub(super) fn came(&mut self, completion: &Completion, piece: Result<bool, &Fault>) {
        if !self.span.is_taken() {
            return;
        }
        if let Some(usage) = completion.usage() {
            self.span.replace("gen_ai.usage.input_tokens", usage.input_tokens);
            self.span
                .replace("gen_ai.usage.output_tokens", usage.output_tokens);
        }
        match piece {
            Ok(true) => {}
            // Whoever holds it may do so for long.
            Ok(false) => self.span = Span::default(),
            Err(fault) => {
                self.failed(fault);
                self.span = Span::default();
            }
        }
    }

    /// The rest of `completion`, with its span.
    pub(super) fn along(self, completion: Completion) -> Source {
        match self.span.is_taken() {
            true => Box::pin(Along {
                told: self,
                completion,
            }),
            false => completion.into_source(),
        }
    }
}

struct Along {
    told: Told,
    completion: Completion,
}

impl Stream for Along {
    type Item = Result<String, HandlerError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Along { told, completion } = &mut *self;
        let piece = ready!(completion.poll(context));
        told.came(
            completion,
            match &piece {
                Some(Ok(_)) => Ok(true),
                Some(Err(fault)) => Err(fault),
                None => Ok(false),
            },
        );
        Poll::Ready(piece.map(|piece| piece.map_err(HandlerError::from)))
    }
}
