//! Sessions: one client's conversation, which outlives its sockets.
//!
//! - [`registry`]: all sessions of the host, found by id.
//! - [`session`]: one session: its outbox, its conversation, its socket.
//! - [`outbox`]: the bounded, numbered queue of frames to the client.
//! - [`conversation`]: order, ids, what waits and what runs.
//! - [`exchange`]: one message and what became of it.
//! - [`memory`]: what plugins keep in a session, and read of its conversation.
//!
//! Knows no WebSocket and no HTTP: whoever reads an outbox is a [`Reader`].

mod conversation;
mod exchange;
mod memory;
#[cfg(test)]
mod model_tests;
mod outbox;
mod registry;
#[allow(clippy::module_inception)]
mod session;
#[cfg(test)]
mod tests;

pub use conversation::{Known, Rules};
pub use exchange::{End, Exchange, Fingerprint, PartRecord, Record};
pub(crate) use exchange::{counting, reply_text};
pub use outbox::{Bounds, Numbered, Outbox, Patience, Reader};
pub use registry::{SessionLimit, SessionStatus, Sessions};
pub use session::{Attachment, ReplyReader, Session, Signal, Taken};
