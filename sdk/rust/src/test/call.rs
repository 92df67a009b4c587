//! What a test says about the call that its handler is to answer.

use std::time::Duration;

use serde_json::Value;

use super::Run;
use super::fake::Fake;
use crate::bindings::segue::plugin::types::{Payload, Request, RequestFlags};
use crate::{Message, Part, Reply, Result};

/// A call in the making. Where nothing is said: id `test`, mtype `chat`, session
/// `session`, first attempt, the host's default limits, nothing granted.
#[derive(Debug)]
pub struct Call {
    request: Request,
    pub(super) fake: Fake,
}

impl Call {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Payload::Text(text.into()))
    }

    /// A binary frame of a raw endpoint.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Payload::Binary(bytes.into())).raw()
    }

    fn new(payload: Payload) -> Self {
        let request = Request {
            id: "test".into(),
            mtype: "chat".into(),
            payload,
            flags: RequestFlags::empty(),
        };
        let fake = Fake::default();
        Self { request, fake }
    }

    /// On a raw endpoint: no session, no message type, frames instead of JSON.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.fake.raw = true;
        self.fake.session = None;
        self.request.mtype.clear();
        self
    }

    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.request.id = id.into();
        self
    }

    #[must_use]
    pub fn mtype(mut self, mtype: impl Into<String>) -> Self {
        self.request.mtype = mtype.into();
        self
    }

    /// Asks for an answer from databases.
    #[must_use]
    pub fn rag_sql(mut self) -> Self {
        self.request.flags = self.request.flags | RequestFlags::RAG_SQL;
        self
    }

    /// Asks for an answer from documents.
    #[must_use]
    pub fn rag_doc(mut self) -> Self {
        self.request.flags = self.request.flags | RequestFlags::RAG_DOC;
        self
    }

    /// Adds to the client's `meta`.
    #[must_use]
    pub fn meta(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fake.meta.insert(key.into(), value.into());
        self
    }

    /// Adds a verified claim about who asks.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fake.claims.insert(name.into(), value.into());
        self
    }

    /// Adds to the plugin's `[settings]`.
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fake.settings.insert(key.into(), value.into());
        self
    }

    #[must_use]
    pub fn session(mut self, id: impl Into<String>) -> Self {
        self.fake.session = Some(id.into());
        self
    }

    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.fake.traceparent = traceparent.into();
        self
    }

    /// What the handler is told is left of its time. The fake does not end it.
    #[must_use]
    pub fn deadline(mut self, left: Duration) -> Self {
        self.fake.deadline = left;
        self
    }

    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.fake.attempt = attempt;
        self
    }

    /// Adds the result of an earlier handler of the sequence.
    #[must_use]
    pub fn previous(mut self, part: Part) -> Self {
        self.fake.previous.push(part);
        self
    }

    /// `[limits] reply`, in bytes.
    #[must_use]
    pub fn limit_bytes(mut self, bytes: usize) -> Self {
        self.fake.max_bytes = bytes;
        self
    }

    /// `[limits] chunks`.
    #[must_use]
    pub fn limit_chunks(mut self, chunks: usize) -> Self {
        self.fake.max_chunks = chunks;
        self
    }

    /// Has the client leave after that many things were sent: every further
    /// send fails with `client_gone`.
    #[must_use]
    pub fn client_leaves_after(mut self, sent: usize) -> Self {
        self.fake.leaves_after = Some(sent);
        self
    }

    /// Runs `handler` and tells what came of it. A panic of the handler is the
    /// test's panic.
    pub fn run(self, handler: impl FnOnce(Message, &mut Reply) -> Result<()>) -> Run {
        let message = Message::new(self.request);
        self.fake.run(|| handler(message, &mut Reply::new()))
    }
}
