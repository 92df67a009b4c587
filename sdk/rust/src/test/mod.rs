//! A handler's unit tests: it runs natively, against a fake host that keeps what
//! was sent and holds the limits as the real one does.
//!
//! ```
//! use segue_sdk::{prelude::*, test};
//!
//! fn shout(message: Message, reply: &mut Reply) -> Result<()> {
//!     reply.status("shouting")?;
//!     reply.send(message.text().to_uppercase())
//! }
//!
//! let run = test::call(shout, "good day");
//! assert_eq!(run.text(), "GOOD DAY");
//! assert_eq!(run.statuses(), ["shouting"]);
//!
//! let run = test::Call::text("good day").limit_bytes(3).run(shout);
//! assert_eq!(run.result.unwrap_err().code(), "reply_too_large");
//! ```
//!
//! Nothing is granted but what the test grants, each capability with a fake that
//! it scripts: see [`FakeDatabase`] and its like. What is not granted fails with
//! `capability_denied`, as it would in a host.

pub(crate) mod cache;
mod call;
pub(crate) mod config;
pub(crate) mod fake;
mod grants;
pub(crate) mod http;
pub(crate) mod keyvalue;
pub(crate) mod llm;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod sql;

pub use cache::FakeCache;
pub use call::Call;
pub use http::{FakeRequest, FakeResponse, FakeServer};
pub use keyvalue::FakeBucket;
pub use llm::{Asked, FakeModel, Piece};
pub use search::FakeIndex;
pub use session::FakeState;
pub use sql::{FakeDatabase, Query};

use serde_json::Value;

use crate::log::Level;
use crate::{Message, Reply, Result};

/// Runs `handler` on one text message with nothing else given.
pub fn call(handler: impl FnOnce(Message, &mut Reply) -> Result<()>, text: &str) -> Run {
    Call::text(text).run(handler)
}

/// What came of a call.
#[derive(Debug)]
pub struct Run {
    /// What was sent, in order.
    pub sent: Vec<Sent>,
    /// How the message ends. As with the real host, a limit that was reached
    /// decides whatever the handler returned, and a reply without a word is
    /// `empty_reply`, except on raw endpoints.
    pub result: Result<()>,
    /// What was logged, in order.
    pub logs: Vec<Record>,
}

/// One thing that a handler sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    Chunk(String),
    Binary(Vec<u8>),
    Status(String),
    Data(Value),
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub level: Level,
    pub context: String,
    pub message: String,
}

impl Run {
    /// The text of the reply, its chunks joined.
    pub fn text(&self) -> String {
        self.chunks().concat()
    }

    /// The text chunks, in order.
    pub fn chunks(&self) -> Vec<&str> {
        self.pick(|sent| match sent {
            Sent::Chunk(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The binary chunks, in order.
    pub fn binaries(&self) -> Vec<&[u8]> {
        self.pick(|sent| match sent {
            Sent::Binary(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// The status texts, in order.
    pub fn statuses(&self) -> Vec<&str> {
        self.pick(|sent| match sent {
            Sent::Status(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The data, in order.
    pub fn data(&self) -> Vec<&Value> {
        self.pick(|sent| match sent {
            Sent::Data(value) => Some(value),
            _ => None,
        })
    }

    fn pick<'a, T>(&'a self, of: impl FnMut(&'a Sent) -> Option<T>) -> Vec<T> {
        self.sent.iter().filter_map(of).collect()
    }
}
