//! The fake host behind a native call. It stands where the bindings stand in a
//! component and has their signatures, so nothing above it knows the difference.
//! What belongs to one capability is in that capability's file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::cache::FakeCache;
use super::grants::{Granted, refusal};
use super::http::FakeServer;
use super::keyvalue::FakeBucket;
use super::llm::FakeModel;
use super::search::FakeIndex;
use super::session::FakeState;
use super::sql::FakeDatabase;
use super::{Record, Run, Sent};
use crate::bindings::segue::plugin::types;
use crate::session::Turn;
use crate::{Error, Part, Result};

/// The longest status text, as in the WIT.
const MAX_STATUS_BYTES: usize = 1024;

/// One call's host. The defaults are the real host's.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(super) raw: bool,
    pub(super) meta: HashMap<String, Value>,
    pub(super) claims: HashMap<String, Value>,
    pub(super) settings: HashMap<String, Value>,
    pub(super) session: Option<String>,
    pub(super) traceparent: String,
    pub(super) deadline: Duration,
    pub(super) attempt: u32,
    pub(super) previous: Vec<Part>,
    pub(super) max_bytes: usize,
    pub(super) max_chunks: usize,
    pub(super) leaves_after: Option<usize>,
    pub(super) databases: Granted<FakeDatabase>,
    pub(super) indexes: Granted<FakeIndex>,
    pub(super) models: Granted<FakeModel>,
    pub(super) state: Option<FakeState>,
    pub(super) history: Option<Vec<Turn>>,
    pub(super) buckets: Granted<FakeBucket>,
    pub(super) caches: Granted<FakeCache>,
    pub(super) servers: Granted<FakeServer>,
    bytes: usize,
    sent: Vec<Sent>,
    logs: Vec<Record>,
    /// The first limit that was reached, or the failure of what was forwarded; it
    /// decides how the message ends.
    breach: Option<types::Error>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            raw: false,
            meta: HashMap::new(),
            claims: HashMap::new(),
            settings: HashMap::new(),
            session: Some("session".into()),
            traceparent: "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".into(),
            deadline: Duration::from_secs(30),
            attempt: 1,
            previous: Vec::new(),
            max_bytes: 16 << 20,
            max_chunks: 100_000,
            leaves_after: None,
            databases: Granted::default(),
            indexes: Granted::default(),
            models: Granted::default(),
            state: None,
            history: None,
            buckets: Granted::default(),
            caches: Granted::default(),
            servers: Granted::default(),
            bytes: 0,
            sent: Vec::new(),
            logs: Vec::new(),
            breach: None,
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Fake>> = const { RefCell::new(None) };
}

impl Fake {
    /// Runs `handler` with this as its host. A handler that calls another
    /// handler's test run gets its own host back afterwards.
    pub(super) fn run(self, handler: impl FnOnce() -> Result<()>) -> Run {
        let outer = CURRENT.replace(Some(self));
        let returned = handler();
        let fake = CURRENT.replace(outer).unwrap_or_default();
        let silent = !fake.raw && fake.sent.is_empty();
        let result = match (fake.breach, returned) {
            (Some(breach), _) => Err(Error::from_host(breach)),
            (None, Ok(())) if silent => Err(Error::new("empty_reply", "nothing was sent")),
            (None, returned) => returned,
        };
        Run {
            sent: fake.sent,
            result,
            logs: fake.logs,
        }
    }

    fn send(&mut self, what: Sent, bytes: usize) -> Result<(), types::Error> {
        if let Some(breach) = &self.breach {
            return Err(breach.clone());
        }
        let breach = if self.leaves_after.is_some_and(|most| self.sent.len() >= most) {
            refusal("client_gone", "the client has left")
        } else if self.sent.len() >= self.max_chunks {
            refusal("too_many_chunks", "the reply has too many chunks")
        } else if self.bytes.saturating_add(bytes) > self.max_bytes {
            refusal("reply_too_large", "the reply is too large")
        } else {
            self.bytes += bytes;
            self.sent.push(what);
            return Ok(());
        };
        self.breach = Some(breach.clone());
        Err(breach)
    }

    pub(super) fn send_text(&mut self, chunk: &str) -> Result<(), types::Error> {
        self.send(Sent::Chunk(chunk.into()), chunk.len())
    }

    /// Ends the message in this error, whatever the handler does from now on.
    pub(super) fn fail(&mut self, error: types::Error) {
        self.breach.get_or_insert(error);
    }
}

pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Gives the running call's host to `with`.
#[expect(clippy::panic, reason = "a test has to be told what it lacks")]
pub(super) fn current<T>(with: impl FnOnce(&mut Fake) -> T) -> T {
    CURRENT.with_borrow_mut(|fake| match fake {
        Some(fake) => with(fake),
        None => panic!("no call is running: run the handler with `segue_sdk::test::call`"),
    })
}

pub(crate) mod reply {
    use super::{MAX_STATUS_BYTES, Sent, current, refusal, types};

    pub(crate) fn send(chunk: &str) -> Result<(), types::Error> {
        current(|host| host.send_text(chunk))
    }

    pub(crate) fn send_binary(chunk: &[u8]) -> Result<(), types::Error> {
        current(|host| {
            if !host.raw {
                return Err(refusal("invalid_argument", "bytes need a raw endpoint"));
            }
            host.send(Sent::Binary(chunk.into()), chunk.len())
        })
    }

    pub(crate) fn status(text: &str) -> Result<(), types::Error> {
        current(|host| {
            if text.len() > MAX_STATUS_BYTES {
                return Err(refusal("invalid_argument", "a status is at most 1 KiB"));
            }
            if host.raw {
                return Ok(());
            }
            host.send(Sent::Status(text.into()), 0)
        })
    }

    pub(crate) fn data(json: &str) -> Result<(), types::Error> {
        current(|host| {
            if host.raw {
                return Err(refusal("invalid_argument", "a raw endpoint has no data"));
            }
            let Ok(value) = serde_json::from_str(json) else {
                return Err(refusal("invalid_argument", "this is not JSON"));
            };
            host.send(Sent::Data(value), json.len())
        })
    }
}

pub(crate) mod call {
    use super::{current, text_of};
    use crate::bindings::segue::plugin::call::Part;

    pub(crate) fn meta(key: &str) -> Option<String> {
        current(|host| host.meta.get(key).map(text_of))
    }

    pub(crate) fn claim(name: &str) -> Option<String> {
        current(|host| host.claims.get(name).map(text_of))
    }

    pub(crate) fn setting(key: &str) -> Option<String> {
        current(|host| host.settings.get(key).map(text_of))
    }

    pub(crate) fn session() -> Option<String> {
        current(|host| host.session.clone())
    }

    pub(crate) fn traceparent() -> String {
        current(|host| host.traceparent.clone())
    }

    pub(crate) fn deadline_ms() -> u64 {
        current(|host| u64::try_from(host.deadline.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn attempt() -> u32 {
        current(|host| host.attempt)
    }

    pub(crate) fn previous() -> Vec<Part> {
        let part = |part: &crate::Part| Part {
            handler: part.handler.clone(),
            content: part.content.clone(),
            data: part.data.iter().map(|value| value.to_string()).collect(),
            failure: part.failure.clone().map(crate::Error::into_host),
        };
        current(|host| host.previous.iter().map(part).collect())
    }
}

pub(crate) mod logging {
    use super::{Record, current};
    use crate::log;

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Level {
        Trace,
        Debug,
        Info,
        Warn,
        Error,
    }

    pub(crate) fn log(level: Level, context: &str, message: &str) {
        let level = match level {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        let record = Record {
            level,
            context: context.into(),
            message: message.into(),
        };
        current(|host| host.logs.push(record));
    }
}
