//! One handler's part in answering a message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_capabilities::llm::Substitutes;
use segue_capabilities::session::{Conversation, Current};
use segue_protocol::{ErrorCode, PartSummary, RequestError, ServerFrame, Usage};
use segue_runtime::trace::{Scope, Span, SpanKind};
use segue_runtime::{CallError, CallSpec, Context, EndpointKind, Part, Payload, Reply, Request, Services};
use serde_json::Map;
use serde_json::value::RawValue;

use crate::errors;
use crate::guarded;
use crate::session::{Exchange, PartRecord, Session};
use crate::state::{App, Snapshot};

/// The call's own deadline speaks first; this is for a client that does not
/// read.
const GRACE: Duration = Duration::from_millis(100);

/// How long a client that does not read may keep the host's own words waiting.
const SAY: Duration = Duration::from_secs(30);

/// Everything that a message is answered with.
pub struct Turn<'a> {
    pub app: &'a Arc<App>,
    pub session: &'a Arc<Session>,
    pub exchange: &'a Arc<Exchange>,
    pub snapshot: Arc<Snapshot>,
    /// What the parts are steps of.
    pub trace: &'a Scope,
    /// Models that stand in for others.
    pub substitutes: Option<Arc<Substitutes>>,
}

/// How a handler's part ended.
#[derive(Debug)]
pub struct Ended {
    handler: Arc<str>,
    version: Option<Arc<str>>,
    /// Where its record stands in the exchange.
    index: usize,
    pub error: Option<RequestError>,
    usage: Usage,
    /// Whether the client was told that it failed.
    reported: bool,
}

impl Ended {
    pub fn is_cancelled(&self) -> bool {
        self.error
            .as_ref()
            .is_some_and(|e| e.code == ErrorCode::Cancelled)
    }

    pub fn summary(&self) -> PartSummary {
        PartSummary {
            handler: self.handler.clone(),
            version: self.version.clone(),
            ok: self.error.is_none(),
            error: self.error.as_ref().map(|e| e.code.as_str()),
            usage: self.usage.clone(),
        }
    }
}

impl Turn<'_> {
    /// Calls one handler: pins its version, calls it under a deadline, numbers
    /// what it says into the outbox, and maps how it ended.
    pub async fn part(&self, handler: &str, deadline: Option<Instant>, previous: Vec<Part>) -> Ended {
        let mut span = self
            .trace
            .child(SpanKind::Internal, || format!("call {handler}").into());
        span.set_text("segue.handler.name", handler);
        let ended = self.answered(handler, deadline, previous, &span).await;
        if let Some(version) = &ended.version {
            span.set_text("segue.handler.version", version);
        }
        let outcome = ended.error.as_ref().map_or("ok", |error| error.code.as_str());
        span.set("segue.outcome", outcome);
        // A client that cancels wants just that.
        if ended.error.is_some() && !ended.is_cancelled() {
            span.fail(outcome);
        }
        ended
    }

    async fn answered(
        &self,
        handler: &str,
        deadline: Option<Instant>,
        previous: Vec<Part>,
        span: &Span,
    ) -> Ended {
        let handler: Arc<str> = handler.into();
        let target = self.app.target(&handler);
        let version = target.as_ref().and_then(|t| t.version());
        let index = self.open_record(&handler, version.as_ref());
        let mut ended = Ended {
            handler: handler.clone(),
            version,
            index,
            error: None,
            usage: Usage::default(),
            reported: false,
        };
        let Some(target) = target else {
            ended.error = Some(
                RequestError::new(
                    ErrorCode::HandlerUnavailable,
                    format!("the handler {handler} is not loaded"),
                )
                .retry_after_ms(1_000),
            );
            return self.close_record(ended);
        };

        let allowed = match deadline {
            Some(end) => target
                .deadline()
                .min(end.saturating_duration_since(Instant::now())),
            None => target.deadline(),
        };
        let admitted = guarded::admit(self.app, &handler, allowed, &self.exchange.cancel).await;
        let (admission, allowed) = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                ended.error = Some(self.draining(&refused.code).unwrap_or(refused));
                return self.close_record(ended);
            }
        };
        let since = Instant::now();
        let mut call = target.call(&self.app.runtime, self.spec(allowed, previous, span.scope()));
        let give_up = tokio::time::Instant::now() + allowed + GRACE;
        let mut cut = None;
        while let Some(reply) = call.next().await {
            let Some(frame) = self.record(index, &handler, reply) else {
                continue;
            };
            tokio::select! {
                dropped = self.session.outbox.push(&self.snapshot.bounds, frame) => {
                    self.app.metrics.frames_dropped.inc_by(dropped);
                }
                () = self.exchange.cancel.cancelled() => {
                    cut = Some(CallError::Cancelled);
                    break;
                }
                () = tokio::time::sleep_until(give_up) => {
                    cut = Some(CallError::DeadlineExceeded { deadline: allowed });
                    break;
                }
            }
        }
        call.close_replies();
        let mut outcome = call.finish().await;
        // A client that does not read is no fault of the handler's.
        match cut {
            Some(_) => drop(admission),
            None => admission.judge(guarded::verdict(
                &outcome.result,
                since.elapsed(),
                target.deadline(),
            )),
        }
        // The handler may have returned well before; but what it said last, or
        // what it forwarded, was not passed on, so this is no answer.
        if let Some(error) = cut
            && matches!(outcome.result, Ok(()) | Err(CallError::ClientGone))
        {
            outcome.result = Err(error);
        }

        ended.usage = Usage {
            chunks: outcome.usage.chunks,
            reply_bytes: outcome.usage.reply_bytes,
            memory_peak_bytes: outcome.usage.memory_peak_bytes,
            ms: outcome.usage.ms,
            meters: outcome.usage.meters,
        };
        ended.error = outcome.result.err().map(|error| self.explain(&ended, &error));
        self.close_record(ended)
    }

    fn spec(&self, deadline: Duration, previous: Vec<Part>, trace: &Scope) -> CallSpec {
        let message = &self.exchange.message;
        CallSpec {
            request: Request {
                id: self.exchange.id.to_string(),
                mtype: message.mtype.clone(),
                payload: Payload::Text(message.content.clone()),
                rag_sql: message.rag_sql,
                rag_doc: message.rag_doc,
            },
            context: Context {
                kind: EndpointKind::Message,
                meta: self.exchange.meta.clone(),
                claims: Arc::new(Map::new()),
                session: Some(self.session.id.to_string()),
                traceparent: trace.traceparent(),
                trace: trace.clone(),
                attempt: 1,
                previous,
            },
            deadline: Some(deadline),
            cancel: self.exchange.cancel.clone(),
            services: self.services(),
        }
    }

    /// What all calls share, and this one's conversation.
    fn services(&self) -> Services {
        let conversation: Arc<dyn Conversation> = self.session.clone();
        let current = Arc::new(Current(conversation));
        let services = self.snapshot.services.with(current);
        match &self.substitutes {
            Some(substitutes) => services.with(Arc::clone(substitutes)),
            None => services,
        }
    }

    /// Keeps what the handler said and makes a frame of it.
    fn record(&self, index: usize, handler: &Arc<str>, reply: Reply) -> Option<ServerFrame> {
        let id = self.exchange.id.clone();
        let handler = handler.clone();
        let mut record = self.exchange.record();
        let part = record.parts.get_mut(index)?;
        match reply {
            Reply::Chunk(content) => {
                part.content.push_str(&content);
                Some(ServerFrame::Chunk {
                    id,
                    handler,
                    content,
                    replayed: false,
                })
            }
            Reply::Data(json) => {
                // The runtime lets only JSON through.
                let data = RawValue::from_string(json).ok()?;
                part.data.push(data.clone());
                Some(ServerFrame::Data {
                    id,
                    handler,
                    data,
                    replayed: false,
                })
            }
            Reply::Status(text) => Some(ServerFrame::Status { id, handler, text }),
            // Refused by the runtime where the client speaks JSON.
            Reply::Binary(_) => None,
        }
    }

    /// The text for the client. The runtime has logged what happened inside.
    fn explain(&self, ended: &Ended, error: &CallError) -> RequestError {
        let told = errors::of_call(&ended.handler, error);
        self.draining(&told.code).unwrap_or(told)
    }

    /// What is told in place of `cancelled` when it was the host that cancelled. A
    /// client's own cancel stays one while the host drains: told to resend, it would
    /// ask again for what it no longer wants.
    fn draining(&self, code: &ErrorCode) -> Option<RequestError> {
        let by_host = self.app.cut.is_cancelled() && !self.session.is_erased();
        (*code == ErrorCode::Cancelled && by_host).then(|| {
            RequestError::new(
                ErrorCode::Draining,
                "the host is shutting down; connect again and resend",
            )
            .retry_after_ms(crate::drain::reconnect_in_ms())
        })
    }

    /// Tells the client that one of several handlers failed.
    pub fn report_failure(&self, ended: &mut Ended) {
        ended.reported = true;
        let Some(error) = ended.error.clone().filter(|_| !ended.is_cancelled()) else {
            return;
        };
        tracing::warn!(handler = &*ended.handler, code = error.code.as_str(), %error, "one of several handlers failed");
        let frame = ServerFrame::Error {
            id: self.exchange.id.clone(),
            handler: Some(ended.handler.clone()),
            error,
            last: false,
            replayed: false,
        };
        self.push(frame);
    }

    /// The same of those that were not told yet, before somebody else answers.
    pub fn report_unreported(&self, ended: &mut [Ended]) {
        for part in ended.iter_mut().filter(|part| !part.reported) {
            self.report_failure(part);
        }
    }

    /// What the host itself does meanwhile, in the name of `from`.
    pub fn status(&self, from: &str, text: String) {
        self.push(ServerFrame::Status {
            id: self.exchange.id.clone(),
            handler: from.into(),
            text,
        });
    }

    /// A part that the host itself has the words for. Waits for a client that does
    /// not read no longer than the outbox does.
    pub async fn say(&self, from: &str, content: String, data: Vec<Box<RawValue>>) -> Ended {
        let from: Arc<str> = from.into();
        let index = self.open_record(&from, None);
        let pieces = std::iter::once(Reply::Chunk(content))
            .chain(data.into_iter().map(|data| Reply::Data(data.get().to_owned())));
        for piece in pieces {
            let Some(frame) = self.record(index, &from, piece) else {
                continue;
            };
            tokio::select! {
                dropped = self.session.outbox.push(&self.snapshot.bounds, frame) => {
                    self.app.metrics.frames_dropped.inc_by(dropped);
                }
                () = self.exchange.cancel.cancelled() => break,
                () = tokio::time::sleep(SAY) => break,
            }
        }
        let cancelled = self.exchange.cancel.is_cancelled();
        let cancelled = cancelled.then(|| RequestError::new(ErrorCode::Cancelled, "cancelled"));
        self.close_record(Ended {
            handler: from,
            version: None,
            index,
            error: cancelled.map(|error| self.draining(&error.code).unwrap_or(error)),
            usage: Usage::default(),
            reported: false,
        })
    }

    /// Takes back what a failed handler has said, before another one answers.
    pub fn restart(&self, failed: &Ended) {
        let said_something = {
            let mut record = self.exchange.record();
            record.parts.get_mut(failed.index).is_some_and(|part| {
                let said = !part.content.is_empty() || !part.data.is_empty();
                part.content.clear();
                part.data.clear();
                said
            })
        };
        if said_something {
            self.push(ServerFrame::Restart {
                id: self.exchange.id.clone(),
                handler: failed.handler.clone(),
            });
        }
    }

    /// Numbers a frame of which a handler has at most one. It never waits: no
    /// deadline runs here, and a client that has left may never come back.
    fn push(&self, frame: ServerFrame) {
        self.session.outbox.push_now(&self.snapshot.bounds, frame);
    }

    /// What the next handler of a sequence reads.
    pub fn as_previous(&self, ended: &Ended) -> Part {
        let record = self.exchange.record();
        let part = record.parts.get(ended.index);
        Part {
            handler: ended.handler.to_string(),
            content: part.map_or_else(String::new, |p| p.content.clone()),
            data: part.map_or_else(Vec::new, |p| p.data.iter().map(|d| d.get().to_owned()).collect()),
            failure: ended.error.as_ref().map(errors::to_handler),
        }
    }

    fn open_record(&self, handler: &Arc<str>, version: Option<&Arc<str>>) -> usize {
        let mut record = self.exchange.record();
        record.parts.push(PartRecord {
            handler: handler.clone(),
            version: version.cloned(),
            content: String::new(),
            data: Vec::new(),
            error: None,
        });
        record.parts.len() - 1
    }

    fn close_record(&self, ended: Ended) -> Ended {
        if let Some(part) = self.exchange.record().parts.get_mut(ended.index) {
            part.error = ended.error.clone();
        }
        ended
    }
}
