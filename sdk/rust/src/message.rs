//! What a handler is asked, and what it may know about who asks.

use std::time::Duration;

use serde_json::Value;

use crate::bindings::segue::plugin::types::{Payload, Request, RequestFlags};
use crate::{Error, host};

/// The message to be answered, and the call it is answered in.
#[derive(Debug)]
pub struct Message {
    request: Request,
}

impl Message {
    pub(crate) fn new(request: Request) -> Self {
        Self { request }
    }

    /// Unique within the session; the client's own, or made by the host.
    pub fn id(&self) -> &str {
        &self.request.id
    }

    /// The message type, as the client named it; empty on raw endpoints.
    pub fn mtype(&self) -> &str {
        &self.request.mtype
    }

    /// What the client sent. Only raw endpoints carry bytes.
    pub fn payload(&self) -> &Payload {
        &self.request.payload
    }

    /// What the client sent, to be kept or changed without a copy.
    pub fn into_payload(self) -> Payload {
        self.request.payload
    }

    /// What the client sent, as text; empty when it sent bytes, which only a raw
    /// endpoint lets it do.
    pub fn text(&self) -> &str {
        match &self.request.payload {
            Payload::Text(text) => text,
            Payload::Binary(_) => "",
        }
    }

    /// What the client sent, as bytes, in whichever form it came.
    pub fn bytes(&self) -> &[u8] {
        match &self.request.payload {
            Payload::Text(text) => text.as_bytes(),
            Payload::Binary(bytes) => bytes,
        }
    }

    /// Whether the client asked to be answered from databases.
    pub fn rag_sql(&self) -> bool {
        self.has(RequestFlags::RAG_SQL)
    }

    /// Whether the client asked to be answered from documents.
    pub fn rag_doc(&self) -> bool {
        self.has(RequestFlags::RAG_DOC)
    }

    fn has(&self, flag: RequestFlags) -> bool {
        self.request.flags.bits() & flag.bits() != 0
    }

    /// The value that the client gave under `key` in `meta`: a string as it is,
    /// any other value as JSON.
    pub fn meta(&self, key: &str) -> Option<String> {
        host::call::meta(key)
    }

    /// What is known for certain about who is asking: a claim of a verified
    /// token. `None` when there is no such claim, and always while the host runs
    /// without authentication.
    pub fn claim(&self, name: &str) -> Option<String> {
        host::call::claim(name)
    }

    /// A value of `[settings]` in the plugin's own configuration: a string as it
    /// is, any other value as JSON.
    ///
    /// ```
    /// # use segue_sdk::prelude::*;
    /// # fn answer(message: Message, _: &mut Reply) -> Result<()> {
    /// let max_rows: usize = match message.setting("max_rows") {
    ///     Some(value) => value.parse()?,
    ///     None => 50,
    /// };
    /// # assert_eq!(max_rows, 20); Ok(()) }
    /// # segue_sdk::test::Call::text("").setting("max_rows", 20).run(answer);
    /// ```
    pub fn setting(&self, key: &str) -> Option<String> {
        host::call::setting(key)
    }

    /// The session's id; `None` on raw endpoints.
    pub fn session(&self) -> Option<String> {
        host::call::session()
    }

    /// The W3C trace context of this call, to be passed to whatever is called.
    pub fn traceparent(&self) -> String {
        host::call::traceparent()
    }

    /// What is left until the deadline. At zero the call ends, wherever it is.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(host::call::deadline_ms())
    }

    /// 1 for the first try, 2 for the first repetition, and so on.
    pub fn attempt(&self) -> u32 {
        host::call::attempt()
    }

    /// The results of the handlers that came before in a route of mode
    /// `sequence`, in order; empty otherwise.
    pub fn previous(&self) -> Vec<Part> {
        host::call::previous().into_iter().map(Part::from_host).collect()
    }
}

/// What an earlier handler of the same message made of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// The handler's name.
    pub handler: String,
    /// The text of its chunks, joined.
    pub content: String,
    /// What it sent with [`Reply::data`](crate::Reply::data), in order.
    pub data: Vec<Value>,
    /// How it failed, if it did.
    pub failure: Option<Error>,
}

impl Part {
    fn from_host(part: crate::bindings::segue::plugin::call::Part) -> Self {
        // The host lets nothing through `data` that is not JSON, so the fallback
        // is there for the type alone.
        let value = |json: String| serde_json::from_str(&json).unwrap_or(Value::String(json));
        Self {
            handler: part.handler,
            content: part.content,
            data: part.data.into_iter().map(value).collect(),
            failure: part.failure.map(Error::from_host),
        }
    }
}
