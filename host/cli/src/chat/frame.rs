//! The host's frames, as this client reads them.
//!
//! Fields it does not know are ignored and those it misses have defaults, so
//! that it can talk to newer and older hosts.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Frame {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) seq: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) handler: Option<String>,
    /// Frames that were dropped just before this one.
    pub(super) dropped: u64,
    /// Part of a finished reply that is sent again.
    pub(super) replayed: bool,
    /// `accepted`: the id was known already.
    pub(super) duplicate: bool,

    // hello
    pub(super) session: String,
    pub(super) epoch: String,
    pub(super) recovered: bool,
    pub(super) max_frame: Option<usize>,
    pub(super) id_window_ms: Option<u64>,
    pub(super) ping_interval_ms: Option<u64>,

    // drain
    pub(super) reconnect_in_ms: Option<u64>,

    // status, chunk, data
    pub(super) text: String,
    pub(super) content: String,
    pub(super) data: Value,

    // done
    pub(super) parts: Vec<Part>,
    pub(super) ms: f64,

    // error
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retryable: bool,
    pub(super) retry_after_ms: Option<u64>,
    pub(super) handler_code: Option<String>,
    #[serde(rename = "final")]
    pub(super) last: Option<bool>,
}

/// Who answered, in `done`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    pub(super) handler: String,
    pub(super) version: Option<String>,
    pub(super) ok: bool,
    pub(super) error: Option<String>,
}

impl Frame {
    pub(super) fn parse(text: &str) -> Result<Frame, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Numbered frames count; in `hello`, `seq` tells of others.
    pub(super) fn number(&self) -> Option<u64> {
        self.seq.filter(|_| self.kind != "hello")
    }

    pub(super) fn handler(&self) -> &str {
        self.handler.as_deref().unwrap_or_default()
    }
}
