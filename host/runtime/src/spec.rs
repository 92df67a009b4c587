//! What goes into a call and what comes out of it: plain values, no wasm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::capability::Services;

/// One message for a handler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The message's id; at most 128 bytes.
    pub id: String,
    /// The message type; at most 64 bytes, empty on raw endpoints.
    pub mtype: String,
    pub payload: Payload,
    pub rag_sql: bool,
    pub rag_doc: bool,
}

/// What the client sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

impl Default for Payload {
    fn default() -> Payload {
        Payload::Text(String::new())
    }
}

/// Which kind of client waits for the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointKind {
    /// A conversation: JSON frames, and a handler has to answer something.
    #[default]
    Message,
    /// A socket whose frames are the reply; silence is an answer.
    Raw,
}

/// What a handler may ask about its call.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub kind: EndpointKind,
    pub meta: Arc<Map<String, Value>>,
    /// Claims of a verified token; empty without authentication.
    pub claims: Arc<Map<String, Value>>,
    pub session: Option<String>,
    pub traceparent: String,
    /// The same, for the steps of the call.
    pub trace: crate::trace::Scope,
    /// 1 for the first try.
    pub attempt: u32,
    /// What earlier handlers of the same message made of it, in order.
    pub previous: Vec<Part>,
}

/// What an earlier handler sent, and how it failed if it did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub handler: String,
    pub content: String,
    /// Each a JSON value.
    pub data: Vec<String>,
    pub failure: Option<HandlerError>,
}

/// An error in a handler's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HandlerError {
    pub code: String,
    pub message: String,
    pub retryable: bool,
    pub retry_after_ms: Option<u64>,
}

/// All that one call needs.
#[derive(Clone, Debug, Default)]
pub struct CallSpec {
    pub request: Request,
    pub context: Context,
    /// Shortens the plugin's own deadline; never lengthens it.
    pub deadline: Option<Duration>,
    /// Ends the call at once, wherever it stands.
    pub cancel: CancellationToken,
    /// What the capabilities work with.
    pub services: Services,
}

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Chunk(String),
    /// Only on raw endpoints.
    Binary(Vec<u8>),
    Status(String),
    /// One JSON value, in one line.
    Data(String),
}

/// How a call ended and what it used.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub result: Result<(), CallError>,
    pub usage: Usage,
}

/// What a call used.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    pub chunks: u32,
    pub reply_bytes: u64,
    pub memory_peak_bytes: u64,
    pub ms: f64,
    /// What its capabilities counted, by names such as `llm.input_tokens`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meters: BTreeMap<&'static str, u64>,
}

/// Whose bound of calls at once was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Plugin,
    Host,
}

/// Why a call did not end well. The texts are fit for clients: no backtraces,
/// nothing of the host's insides; those go to the log.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    #[error("{}", .0.message)]
    Handler(HandlerError),
    #[error("the handler trapped: {message}")]
    Trapped { message: String },
    #[error("the handler ran out of stack")]
    StackExhausted,
    #[error("the handler needed more memory than its limit of {limit_bytes} bytes")]
    MemoryExceeded { limit_bytes: u64 },
    #[error("the handler did not end within {}", crate::units::format_duration(*deadline))]
    DeadlineExceeded { deadline: Duration },
    #[error("the reply is larger than its limit of {limit_bytes} bytes")]
    ReplyTooLarge { limit_bytes: u64 },
    #[error("the reply has more chunks than its limit of {limit}")]
    TooManyChunks { limit: u32 },
    #[error("the handler returned without an answer")]
    EmptyReply,
    #[error("the client has left")]
    ClientGone,
    #[error("the message was cancelled")]
    Cancelled,
    #[error("too many calls at once, of {}", match scope {
        Scope::Plugin => "this plugin",
        Scope::Host => "all plugins together",
    })]
    Overloaded { scope: Scope },
    #[error("the host failed: {message}")]
    Internal { message: String },
}

impl CallError {
    /// Every code, as metrics list them.
    pub(crate) const CODES: [&'static str; 12] = [
        "handler_failed",
        "handler_trapped",
        "stack_exhausted",
        "memory_exceeded",
        "deadline_exceeded",
        "reply_too_large",
        "too_many_chunks",
        "empty_reply",
        "client_gone",
        "cancelled",
        "overloaded",
        "internal",
    ];

    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            CallError::Handler(_) => "handler_failed",
            CallError::Trapped { .. } => "handler_trapped",
            CallError::StackExhausted => "stack_exhausted",
            CallError::MemoryExceeded { .. } => "memory_exceeded",
            CallError::DeadlineExceeded { .. } => "deadline_exceeded",
            CallError::ReplyTooLarge { .. } => "reply_too_large",
            CallError::TooManyChunks { .. } => "too_many_chunks",
            CallError::EmptyReply => "empty_reply",
            CallError::ClientGone => "client_gone",
            CallError::Cancelled => "cancelled",
            CallError::Overloaded { .. } => "overloaded",
            CallError::Internal { .. } => "internal",
        }
    }
}
