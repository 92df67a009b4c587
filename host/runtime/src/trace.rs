//! Traces: which work was done for whom, under which other work.
//!
//! Guarantees: a span that nobody takes costs nothing, neither randomness nor
//! memory: it has the identity of the work above it, so that what is sent on
//! still belongs to the right trace. One that is taken has an identity of its
//! own, and that is the one sent on, so that whoever continues the trace finds
//! its parent. A span ends when it is dropped, whatever ended the work. What it
//! says is made of names, numbers and codes, never of what a client, a plugin or
//! an upstream wrote, unless who takes it asked for such texts.
//!
//! Where spans go is a matter of who starts the runtime: [`SpanSink`].

mod context;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use context::TraceContext;

/// How much of what a plugin wrote a span says.
const WRITTEN_MAX_BYTES: usize = 4096;

/// Takes the spans that have ended. It must not wait: it is called where the
/// work is done.
pub trait SpanSink: Send + Sync {
    fn ended(&self, span: EndedSpan);

    /// Whether spans may say what a plugin wrote, such as the text of a query.
    fn takes_texts(&self) -> bool {
        false
    }
}

/// On which side of which border the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Within the host.
    Internal,
    /// A request that somebody waits for.
    Server,
    /// A request to somebody else.
    Client,
    /// A message taken in.
    Consumer,
}

/// What a span says under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanValue {
    Text(Cow<'static, str>),
    Number(i64),
    Flag(bool),
}

impl From<&'static str> for SpanValue {
    fn from(text: &'static str) -> SpanValue {
        SpanValue::Text(Cow::Borrowed(text))
    }
}

impl From<String> for SpanValue {
    fn from(text: String) -> SpanValue {
        SpanValue::Text(Cow::Owned(text))
    }
}

impl From<u64> for SpanValue {
    fn from(number: u64) -> SpanValue {
        SpanValue::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u16> for SpanValue {
    fn from(number: u16) -> SpanValue {
        SpanValue::Number(i64::from(number))
    }
}

impl From<bool> for SpanValue {
    fn from(flag: bool) -> SpanValue {
        SpanValue::Flag(flag)
    }
}

/// A span that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedSpan {
    pub context: TraceContext,
    /// The span above it. `None` at the root.
    pub parent: Option<[u8; 8]>,
    /// The span above it is another process's.
    pub parent_is_remote: bool,
    pub name: Cow<'static, str>,
    pub kind: SpanKind,
    pub began: SystemTime,
    pub took: Duration,
    /// Keys are OpenTelemetry's where it has one.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// The code of the error that it ended in.
    pub failed: Option<Cow<'static, str>>,
}

/// Begins traces. Without a sink, the default, it only gives them identities.
#[derive(Clone, Default)]
pub struct Tracer {
    sink: Option<Arc<dyn SpanSink>>,
    /// Of new traces, how many are taken: all of them where `None`.
    one_in: Option<f64>,
}

impl Tracer {
    /// Of the traces that begin here, the share `taken` (0 to 1) is taken, chosen
    /// by trace id. A trace that a caller began is taken if the caller takes it.
    pub fn new(sink: Arc<dyn SpanSink>, taken: f64) -> Tracer {
        Tracer {
            sink: Some(sink),
            one_in: (taken < 1.0).then_some(taken),
        }
    }

    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// The span under which a piece of work begins, in the trace of the caller's
    /// `traceparent` or in a new one.
    pub fn begin(
        &self,
        traceparent: Option<&str>,
        kind: SpanKind,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Span {
        let caller = traceparent.and_then(TraceContext::parse);
        let context = match (&caller, self.one_in) {
            (Some(caller), _) => caller.child(),
            (None, Some(share)) => TraceContext::generate().taken_by(share),
            (None, None) => TraceContext::generate(),
        };
        let sink = self.sink.clone().filter(|_| context.is_sampled());
        let scope = Scope {
            context: Some(context),
            sink,
        };
        Span::open(scope, caller.map(|caller| (caller.span(), true)), kind, name)
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Tracer");
        fields.field("on", &self.is_on()).finish_non_exhaustive()
    }
}

/// Work that other work can be under. Outlives its span: what was started there
/// and still runs belongs there.
#[derive(Clone, Default)]
pub struct Scope {
    context: Option<TraceContext>,
    /// Only of a trace that is taken.
    sink: Option<Arc<dyn SpanSink>>,
}

impl Scope {
    /// A step of this work.
    pub fn child(&self, kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
        let (Some(above), Some(sink)) = (&self.context, &self.sink) else {
            return Span {
                scope: self.clone(),
                open: None,
            };
        };
        let scope = Scope {
            context: Some(above.child()),
            sink: Some(Arc::clone(sink)),
        };
        Span::open(scope, Some((above.span(), false)), kind, name)
    }

    /// Whether spans under it are taken: what only they need need not be made
    /// otherwise.
    pub fn is_taken(&self) -> bool {
        self.sink.is_some()
    }

    pub fn context(&self) -> Option<&TraceContext> {
        self.context.as_ref()
    }

    /// What is told to whoever continues the trace; empty outside of one.
    pub fn traceparent(&self) -> String {
        self.context.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Scope({})", self.traceparent())
    }
}

/// Work that is being done. Dropping it ends it.
#[derive(Default)]
pub struct Span {
    scope: Scope,
    open: Option<Box<Open>>,
}

struct Open {
    since: Instant,
    span: EndedSpan,
}

impl Span {
    fn open(
        scope: Scope,
        parent: Option<([u8; 8], bool)>,
        kind: SpanKind,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Span {
        let open = match (scope.context, &scope.sink) {
            (Some(context), Some(_)) => Some(Box::new(Open {
                since: Instant::now(),
                span: EndedSpan {
                    context,
                    parent: parent.map(|(id, _)| id),
                    parent_is_remote: parent.is_some_and(|(_, remote)| remote),
                    name: name(),
                    kind,
                    began: SystemTime::now(),
                    took: Duration::ZERO,
                    attributes: Vec::new(),
                    failed: None,
                },
            })),
            _ => None,
        };
        Span { scope, open }
    }

    /// For what is done under it.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub fn is_taken(&self) -> bool {
        self.open.is_some()
    }

    /// What it is called, where that is known only at its end.
    pub fn rename(&mut self, name: impl FnOnce() -> Cow<'static, str>) {
        if let Some(open) = &mut self.open {
            open.span.name = name();
        }
    }

    /// It began earlier than it was made.
    pub fn began_at(&mut self, began: SystemTime) {
        if let Some(open) = &mut self.open {
            let earlier = open.span.began.duration_since(began).unwrap_or_default();
            open.since = open.since.checked_sub(earlier).unwrap_or(open.since);
            open.span.began = began;
        }
    }

    /// Says `value` under `key`.
    pub fn set(&mut self, key: &'static str, value: impl Into<SpanValue>) {
        if let Some(open) = &mut self.open {
            open.span.attributes.push((key, value.into()));
        }
    }

    /// The same of a text that has to be copied.
    pub fn set_text(&mut self, key: &'static str, text: &str) {
        if self.is_taken() {
            self.set(key, text.to_owned());
        }
    }

    /// The same of what a plugin wrote, where such texts are taken; up to a bound.
    pub fn set_written(&mut self, key: &'static str, text: &str) {
        if self.scope.sink.as_ref().is_some_and(|sink| sink.takes_texts()) {
            let end = text.floor_char_boundary(WRITTEN_MAX_BYTES);
            self.set_text(key, text.get(..end).unwrap_or_default());
        }
    }

    /// Says `value` under `key`, whatever it said there before.
    pub fn replace(&mut self, key: &'static str, value: impl Into<SpanValue>) {
        if let Some(open) = &mut self.open {
            open.span.attributes.retain(|(said, _)| *said != key);
            open.span.attributes.push((key, value.into()));
        }
    }

    /// The work has failed; `code` names how. The first one counts.
    pub fn fail(&mut self, code: impl Into<Cow<'static, str>>) {
        if let Some(open) = &mut self.open {
            open.span.failed.get_or_insert_with(|| code.into());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let (Some(mut open), Some(sink)) = (self.open.take(), &self.scope.sink) {
            open.span.took = open.since.elapsed();
            sink.ended(open.span);
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Span({})", self.scope.traceparent())
    }
}

#[cfg(test)]
mod tests;
