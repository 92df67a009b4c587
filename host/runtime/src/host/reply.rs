//! `segue:plugin/reply`: what a handler sends, on its way to the caller.
//!
//! Order of the checks in each function: an earlier fault (every later send
//! fails alike), the argument, the chunk limit, the byte limit, the client. A
//! limit once reached decides how the call ends, whatever the guest returns.

use tokio::sync::mpsc;

use super::CallState;
use crate::bindings::segue::plugin::{reply, types};
use crate::call::{Item, Source};
use crate::gate::Base;
use crate::json;
use crate::settings::Limits;
use crate::spec::{EndpointKind, HandlerError, Reply};

/// The longest `status`, in bytes.
const STATUS_MAX_BYTES: usize = 1024;

/// How many sends may fail for the same reason before the call is ended: a
/// guest that does not look at results would otherwise spin to its deadline.
const REFUSALS_MAX: u32 = 1000;

/// Why sends fail from some point on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyFault {
    TooLarge,
    TooManyChunks,
    ClientGone,
}

impl ReplyFault {
    fn code(self) -> &'static str {
        match self {
            ReplyFault::TooLarge => "reply_too_large",
            ReplyFault::TooManyChunks => "too_many_chunks",
            ReplyFault::ClientGone => "client_gone",
        }
    }

    fn message(self, limits: &Limits) -> String {
        match self {
            ReplyFault::TooLarge => {
                let bytes = limits.reply_bytes;
                format!("the reply has reached its limit of {bytes} bytes")
            }
            ReplyFault::TooManyChunks => {
                let chunks = limits.chunks;
                format!("the reply has reached its limit of {chunks} chunks")
            }
            ReplyFault::ClientGone => String::from("the client has left"),
        }
    }
}

/// The sending end of a call's reply, with what was sent so far.
pub(crate) struct ReplySide {
    kind: EndpointKind,
    limits: Limits,
    sender: mpsc::Sender<Item>,
    chunks: u32,
    bytes: u64,
    /// Whether anything but status was sent.
    answered: bool,
    handed_over: bool,
    fault: Option<ReplyFault>,
    refusals: u32,
}

impl ReplySide {
    pub(crate) fn new(kind: EndpointKind, limits: Limits, sender: mpsc::Sender<Item>) -> ReplySide {
        ReplySide {
            kind,
            limits,
            sender,
            chunks: 0,
            bytes: 0,
            answered: false,
            handed_over: false,
            fault: None,
            refusals: 0,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn chunks(&self) -> u32 {
        self.chunks
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn answered(&self) -> bool {
        self.answered
    }

    /// Whether it has forwarded a source.
    pub(crate) fn handed_over(&self) -> bool {
        self.handed_over
    }

    pub(crate) fn fault(&self) -> Option<ReplyFault> {
        self.fault
    }

    /// Sends `reply`, waiting while the caller is slow.
    async fn send(&mut self, reply: Reply) -> Result<(), SendError> {
        if let Some(fault) = self.fault {
            return Err(self.refuse(fault));
        }
        if self.chunks >= self.limits.chunks {
            return Err(self.refuse(ReplyFault::TooManyChunks));
        }
        let (bytes, answers) = match &reply {
            Reply::Chunk(text) | Reply::Data(text) => (text.len() as u64, true),
            Reply::Binary(bytes) => (bytes.len() as u64, true),
            Reply::Status(_) => (0, false),
        };
        let total = self.bytes.saturating_add(bytes);
        if total > self.limits.reply_bytes {
            return Err(self.refuse(ReplyFault::TooLarge));
        }
        if self.sender.send(Item::Reply(reply)).await.is_err() {
            return Err(self.refuse(ReplyFault::ClientGone));
        }
        self.chunks += 1;
        self.bytes = total;
        self.answered |= answers;
        Ok(())
    }

    /// Hands over a source; what comes of it counts where it is read.
    pub(super) async fn forward(&mut self, source: Source) -> wasmtime::Result<Result<(), HandlerError>> {
        let sent = match self.fault {
            Some(fault) => Err(self.refuse(fault)),
            None => match self.sender.send(Item::Source(source)).await {
                Ok(()) => Ok(()),
                Err(_) => Err(self.refuse(ReplyFault::ClientGone)),
            },
        };
        match sent {
            Ok(()) => {
                self.answered = true;
                self.handed_over = true;
                Ok(Ok(()))
            }
            Err(SendError::Answer(error)) => Ok(Err(error)),
            Err(stop @ SendError::Stop) => Err(wasmtime::Error::new(stop)),
        }
    }

    async fn status(&mut self, text: String) -> Result<(), SendError> {
        if text.len() > STATUS_MAX_BYTES {
            return Err(invalid("a status is at most 1 KiB"));
        }
        if self.kind == EndpointKind::Raw {
            return Ok(());
        }
        self.send(Reply::Status(text)).await
    }

    async fn data(&mut self, json: String) -> Result<(), SendError> {
        if self.kind == EndpointKind::Raw {
            return Err(invalid("data cannot be sent on a raw endpoint"));
        }
        match json::one_line(json) {
            Some(json) => self.send(Reply::Data(json)).await,
            None => Err(invalid("data must be one JSON value")),
        }
    }

    async fn binary(&mut self, bytes: Vec<u8>) -> Result<(), SendError> {
        if self.kind == EndpointKind::Message {
            return Err(invalid("this client reads JSON; send text or data"));
        }
        self.send(Reply::Binary(bytes)).await
    }

    fn refuse(&mut self, fault: ReplyFault) -> SendError {
        self.fault = Some(fault);
        self.refusals += 1;
        if self.refusals > REFUSALS_MAX {
            return SendError::Stop;
        }
        SendError::Answer(HandlerError {
            code: String::from(fault.code()),
            message: fault.message(&self.limits),
            retryable: false,
            retry_after_ms: None,
        })
    }
}

fn invalid(message: &str) -> SendError {
    SendError::Answer(HandlerError {
        code: String::from("invalid_argument"),
        message: String::from(message),
        retryable: false,
        retry_after_ms: None,
    })
}

/// How a send fails.
#[derive(Debug, thiserror::Error)]
enum SendError {
    /// The guest is told.
    #[error("{}", .0.code)]
    Answer(HandlerError),
    /// The guest was told often enough.
    #[error("the handler went on sending after its reply was refused")]
    Stop,
}

type Answer = wasmtime::Result<Result<(), types::Error>>;

fn answer(result: Result<(), SendError>) -> Answer {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(SendError::Answer(error)) => Ok(Err(error.into())),
        Err(stop @ SendError::Stop) => Err(wasmtime::Error::new(stop)),
    }
}

impl reply::Host for CallState {
    async fn send(&mut self, chunk: String) -> Answer {
        let pass = self.gate.base(Base::ReplySend, chunk.len());
        answer(pass.leave(self.reply.send(Reply::Chunk(chunk)).await))
    }

    async fn send_binary(&mut self, chunk: Vec<u8>) -> Answer {
        let pass = self.gate.base(Base::ReplySendBinary, chunk.len());
        answer(pass.leave(self.reply.binary(chunk).await))
    }

    async fn status(&mut self, text: String) -> Answer {
        let pass = self.gate.base(Base::ReplyStatus, text.len());
        answer(pass.leave(self.reply.status(text).await))
    }

    async fn data(&mut self, json: String) -> Answer {
        let pass = self.gate.base(Base::ReplyData, json.len());
        answer(pass.leave(self.reply.data(json).await))
    }
}
