//! What the host sends.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::RequestError;

/// What an answer cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Usage {
    pub chunks: u32,
    pub reply_bytes: u64,
    /// The most memory that the handler's instance held.
    pub memory_peak_bytes: u64,
    pub ms: f64,
    /// What its capabilities counted, such as `llm.input_tokens`; nothing that
    /// is 0.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meters: BTreeMap<&'static str, u64>,
}

/// One handler's part in a finished message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartSummary {
    pub handler: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    pub usage: Usage,
}

/// One frame from the host. Those that the session numbers are marked so.
#[derive(Debug, Clone)]
pub enum ServerFrame {
    /// Unnumbered: the state of the session, first frame on every socket.
    Hello {
        session: Arc<str>,
        epoch: Arc<str>,
        /// Nothing after the client's `after` is missing.
        recovered: bool,
        /// The last number given so far.
        last_seq: u64,
        max_frame: u64,
        id_window_ms: u64,
        id_max: u64,
        ping_interval_ms: u64,
    },
    /// Unnumbered: the socket will be closed; come back after the wait.
    Drain { reconnect_in_ms: u64 },
    /// Unnumbered: an error that belongs to no message.
    ConnectionError { error: RequestError },

    /// Numbered: the message was taken.
    Accepted { id: Arc<str>, duplicate: bool },
    /// Numbered: what a handler is doing.
    Status {
        id: Arc<str>,
        handler: Arc<str>,
        text: String,
    },
    /// Numbered: a piece of the reply.
    Chunk {
        id: Arc<str>,
        handler: Arc<str>,
        content: String,
        replayed: bool,
    },
    /// Numbered: structured data of the reply.
    Data {
        id: Arc<str>,
        handler: Arc<str>,
        data: Box<RawValue>,
        replayed: bool,
    },
    /// Numbered: what `handler` has said so far is void, another answer follows.
    Restart { id: Arc<str>, handler: Arc<str> },
    /// Numbered: the reply is complete.
    Done {
        id: Arc<str>,
        parts: Arc<[PartSummary]>,
        ms: f64,
        replayed: bool,
    },
    /// Numbered: the message failed (`last`), or one part of several did.
    Error {
        id: Arc<str>,
        handler: Option<Arc<str>>,
        error: RequestError,
        last: bool,
        replayed: bool,
    },
}

impl ServerFrame {
    /// The message that the frame is about.
    pub fn id(&self) -> Option<&Arc<str>> {
        match self {
            ServerFrame::Hello { .. } | ServerFrame::Drain { .. } | ServerFrame::ConnectionError { .. } => {
                None
            }
            ServerFrame::Accepted { id, .. }
            | ServerFrame::Status { id, .. }
            | ServerFrame::Chunk { id, .. }
            | ServerFrame::Data { id, .. }
            | ServerFrame::Restart { id, .. }
            | ServerFrame::Done { id, .. }
            | ServerFrame::Error { id, .. } => Some(id),
        }
    }

    /// Whether nothing about its message follows.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            ServerFrame::Done { .. } | ServerFrame::Error { last: true, .. }
        )
    }

    /// The value of `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            ServerFrame::Hello { .. } => "hello",
            ServerFrame::Drain { .. } => "drain",
            ServerFrame::ConnectionError { .. } | ServerFrame::Error { .. } => "error",
            ServerFrame::Accepted { .. } => "accepted",
            ServerFrame::Status { .. } => "status",
            ServerFrame::Chunk { .. } => "chunk",
            ServerFrame::Data { .. } => "data",
            ServerFrame::Restart { .. } => "restart",
            ServerFrame::Done { .. } => "done",
        }
    }

    /// About how many bytes the frame holds, for the outbox's bound.
    pub fn weight(&self) -> usize {
        const BASE: usize = 160;
        BASE + match self {
            ServerFrame::Chunk { content, .. } => content.len(),
            ServerFrame::Status { text, .. } => text.len(),
            ServerFrame::Data { data, .. } => data.get().len(),
            ServerFrame::Error { error, .. } => error.message.len(),
            ServerFrame::Done { parts, .. } => parts.iter().map(|p| 128 + 48 * p.usage.meters.len()).sum(),
            _ => 0,
        }
    }

    /// The frame as JSON text. `seq` for numbered frames; `dropped` counts the
    /// frames that were dropped just before this one.
    pub fn encode(&self, seq: Option<u64>, dropped: u64) -> String {
        let envelope = Envelope {
            kind: self.kind(),
            seq,
            dropped: (dropped > 0).then_some(dropped),
            body: Body::of(self),
        };
        // Serialising these types into a string cannot fail: no maps with
        // foreign keys, no foreign Serialize.
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(flatten)]
    body: Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Hello {
        session: &'a str,
        epoch: &'a str,
        recovered: bool,
        #[serde(rename = "seq")]
        last_seq: u64,
        max_frame: u64,
        id_window_ms: u64,
        id_max: u64,
        ping_interval_ms: u64,
    },
    Drain {
        reconnect_in_ms: u64,
    },
    Accepted {
        id: &'a str,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Status {
        id: &'a str,
        handler: &'a str,
        text: &'a str,
    },
    Chunk {
        id: &'a str,
        handler: &'a str,
        content: &'a str,
        #[serde(skip_serializing_if = "is_false")]
        replayed: bool,
    },
    Data {
        id: &'a str,
        handler: &'a str,
        data: &'a RawValue,
        #[serde(skip_serializing_if = "is_false")]
        replayed: bool,
    },
    Restart {
        id: &'a str,
        handler: &'a str,
    },
    Done {
        id: &'a str,
        parts: &'a [PartSummary],
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        ms: f64,
        #[serde(skip_serializing_if = "is_false")]
        replayed: bool,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        handler: Option<&'a str>,
        #[serde(flatten)]
        error: crate::error::ErrorBody<'a>,
        #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
        last: Option<bool>,
        #[serde(skip_serializing_if = "is_false")]
        replayed: bool,
    },
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl<'a> Body<'a> {
    fn of(frame: &'a ServerFrame) -> Body<'a> {
        match frame {
            ServerFrame::Hello {
                session,
                epoch,
                recovered,
                last_seq,
                max_frame,
                id_window_ms,
                id_max,
                ping_interval_ms,
            } => Body::Hello {
                session,
                epoch,
                recovered: *recovered,
                last_seq: *last_seq,
                max_frame: *max_frame,
                id_window_ms: *id_window_ms,
                id_max: *id_max,
                ping_interval_ms: *ping_interval_ms,
            },
            ServerFrame::Drain { reconnect_in_ms } => Body::Drain {
                reconnect_in_ms: *reconnect_in_ms,
            },
            ServerFrame::ConnectionError { error } => Body::Error {
                id: None,
                handler: None,
                error: error.body(),
                last: None,
                replayed: false,
            },
            ServerFrame::Accepted { id, duplicate } => Body::Accepted {
                id,
                duplicate: *duplicate,
            },
            ServerFrame::Status { id, handler, text } => Body::Status { id, handler, text },
            ServerFrame::Chunk {
                id,
                handler,
                content,
                replayed,
            } => Body::Chunk {
                id,
                handler,
                content,
                replayed: *replayed,
            },
            ServerFrame::Data {
                id,
                handler,
                data,
                replayed,
            } => Body::Data {
                id,
                handler,
                data,
                replayed: *replayed,
            },
            ServerFrame::Restart { id, handler } => Body::Restart { id, handler },
            ServerFrame::Done {
                id,
                parts,
                ms,
                replayed,
            } => Body::Done {
                id,
                parts,
                version: match &**parts {
                    [one] => one.version.as_deref(),
                    _ => None,
                },
                ms: *ms,
                replayed: *replayed,
            },
            ServerFrame::Error {
                id,
                handler,
                error,
                last,
                replayed,
            } => Body::Error {
                id: Some(id),
                handler: handler.as_deref(),
                error: error.body(),
                last: Some(*last),
                replayed: *replayed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::ErrorCode;

    fn json(frame: &ServerFrame, seq: Option<u64>) -> Value {
        serde_json::from_str(&frame.encode(seq, 0)).unwrap()
    }

    #[test]
    fn done_names_the_version_at_the_top_when_one_handler_answered() {
        let part = PartSummary {
            handler: "echo".into(),
            version: Some("sha256:ab".into()),
            ok: true,
            error: None,
            usage: Usage::default(),
        };
        let one = ServerFrame::Done {
            id: "m1".into(),
            parts: vec![part.clone()].into(),
            ms: 1.5,
            replayed: false,
        };
        let v = json(&one, Some(3));
        assert_eq!(
            (v["type"].as_str(), v["seq"].as_u64(), v["version"].as_str()),
            (Some("done"), Some(3), Some("sha256:ab"))
        );
        assert_eq!(v["parts"][0]["handler"], "echo");
        let two = ServerFrame::Done {
            id: "m1".into(),
            parts: vec![part.clone(), part].into(),
            ms: 1.5,
            replayed: false,
        };
        assert!(json(&two, Some(3)).get("version").is_none());
    }

    #[test]
    fn meters_stand_in_the_usage_where_there_are_any() {
        let done = |meters| ServerFrame::Done {
            id: "m1".into(),
            parts: [PartSummary {
                handler: "sql-rag".into(),
                version: None,
                ok: true,
                error: None,
                usage: Usage {
                    meters,
                    ..Usage::default()
                },
            }]
            .into(),
            ms: 1.5,
            replayed: false,
        };
        let counted = json(&done([("sql.rows", 5), ("sql.queries", 1)].into()), Some(3));
        assert_eq!(
            counted["parts"][0]["usage"]["meters"],
            serde_json::json!({ "sql.queries": 1, "sql.rows": 5 })
        );
        let none = json(&done(BTreeMap::new()), Some(3));
        assert!(none["parts"][0]["usage"].get("meters").is_none(), "{none}");
    }

    #[test]
    fn errors_carry_code_retry_and_finality_only_with_an_id() {
        let error = RequestError::new(ErrorCode::SessionBusy, "full").retry_after_ms(50);
        let with = ServerFrame::Error {
            id: "m".into(),
            handler: None,
            error: error.clone(),
            last: true,
            replayed: false,
        };
        let v = json(&with, Some(1));
        assert_eq!(v["code"], "session_busy");
        assert_eq!(
            (
                v["retryable"].as_bool(),
                v["retry_after_ms"].as_u64(),
                v["final"].as_bool()
            ),
            (Some(true), Some(50), Some(true))
        );
        let without = json(&ServerFrame::ConnectionError { error }, None);
        assert!(
            without.get("id").is_none() && without.get("final").is_none() && without.get("seq").is_none()
        );
    }

    #[test]
    fn data_goes_out_as_json_and_hello_carries_its_last_seq() {
        let data = RawValue::from_string(r#"{"rows":[1,2]}"#.into()).unwrap();
        let v = json(
            &ServerFrame::Data {
                id: "m".into(),
                handler: "h".into(),
                data,
                replayed: false,
            },
            Some(9),
        );
        assert_eq!(v["data"]["rows"][1], 2);
        let hello = ServerFrame::Hello {
            session: "S".into(),
            epoch: "E".into(),
            recovered: true,
            last_seq: 41,
            max_frame: 1,
            id_window_ms: 1,
            id_max: 1,
            ping_interval_ms: 1,
        };
        assert_eq!(json(&hello, None)["seq"], 41);
    }
}
