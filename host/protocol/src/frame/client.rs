//! What a client may send.

use serde_json::{Map, Value};

use crate::error::{ErrorCode, RequestError};

/// At most this many bytes in a message's id.
pub const MAX_ID_BYTES: usize = 128;
/// At most this many bytes in a message type.
pub const MAX_MTYPE_BYTES: usize = 64;
/// At most this many entries in `meta`.
pub const MAX_META_ENTRIES: usize = 64;

/// A message to be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// The client's own id; the host makes one where there is none.
    pub id: Option<String>,
    pub mtype: String,
    pub content: String,
    pub rag_sql: bool,
    pub rag_doc: bool,
    pub meta: Map<String, Value>,
    pub traceparent: Option<String>,
}

/// One frame from a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    Message(Incoming),
    Cancel {
        id: String,
    },
    /// Everything up to and with `seq` has arrived.
    Ack {
        seq: u64,
    },
    /// A renewed token.
    Auth {
        token: String,
    },
    Resume {
        session: String,
        epoch: Option<String>,
        after: u64,
    },
}

/// A frame that could not be read, with the id it was about, if that much
/// could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameError {
    pub id: Option<String>,
    pub error: RequestError,
}

impl ClientFrame {
    /// Reads one frame. Unknown fields are ignored, so that newer clients can
    /// talk to older hosts; a field of the wrong type is an error.
    pub fn parse(text: &str) -> Result<ClientFrame, FrameError> {
        let value: Value = serde_json::from_str(text).map_err(|e| FrameError {
            id: None,
            error: invalid_frame(format!("not JSON: {e}")),
        })?;
        let Value::Object(mut fields) = value else {
            return Err(FrameError {
                id: None,
                error: invalid_frame(
                    "a frame is a JSON object, such as {\"mtype\":\"chat\",\"content\":\"hi\"}",
                ),
            });
        };
        let id = fields.get("id").and_then(Value::as_str).map(str::to_owned);
        read(&mut fields).map_err(|error| FrameError { id, error })
    }
}

impl Incoming {
    /// Reads a message from the fields of a JSON object.
    pub fn from_fields(fields: &mut Map<String, Value>) -> Result<Incoming, RequestError> {
        let id = optional_string(fields, "id")?;
        if let Some(id) = &id {
            check_id(id)?;
        }
        let mtype = required_string(fields, "mtype")?;
        if mtype.is_empty() || mtype.len() > MAX_MTYPE_BYTES {
            return Err(invalid_message(format!(
                "`mtype` has {} bytes; it takes 1 to {MAX_MTYPE_BYTES}",
                mtype.len()
            )));
        }
        let content = required_string(fields, "content")?;
        let meta = match fields.remove("meta") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(meta)) if meta.len() <= MAX_META_ENTRIES => meta,
            Some(Value::Object(meta)) => {
                return Err(invalid_message(format!(
                    "`meta` has {} entries; it takes at most {MAX_META_ENTRIES}",
                    meta.len()
                )));
            }
            Some(other) => return Err(wrong_type("meta", "an object", &other)),
        };
        Ok(Incoming {
            id,
            mtype,
            content,
            rag_sql: optional_bool(fields, "rag_sql")?,
            rag_doc: optional_bool(fields, "rag_doc")?,
            meta,
            traceparent: optional_string(fields, "traceparent")?,
        })
    }
}

/// Whether `id` can name a message: 1 to 128 bytes, no control characters.
pub fn check_id(id: &str) -> Result<(), RequestError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(invalid_message(format!(
            "`id` takes 1 to {MAX_ID_BYTES} bytes without control characters"
        )));
    }
    Ok(())
}

fn read(fields: &mut Map<String, Value>) -> Result<ClientFrame, RequestError> {
    let kind = match fields.get("type") {
        None => "message",
        Some(Value::String(kind)) => kind.as_str(),
        Some(other) => return Err(wrong_type("type", "a string", other)),
    };
    match kind {
        "message" => Incoming::from_fields(fields).map(ClientFrame::Message),
        "cancel" => Ok(ClientFrame::Cancel {
            id: required_string(fields, "id")?,
        }),
        "ack" => Ok(ClientFrame::Ack {
            seq: required_u64(fields, "seq")?,
        }),
        "auth" => Ok(ClientFrame::Auth {
            token: required_string(fields, "token")?,
        }),
        "resume" => Ok(ClientFrame::Resume {
            session: required_string(fields, "session")?,
            epoch: optional_string(fields, "epoch")?,
            after: match fields.get("after") {
                None | Some(Value::Null) => 0,
                Some(_) => required_u64(fields, "after")?,
            },
        }),
        other => Err(invalid_frame(format!(
            "unknown frame type {other:?}; known are message, cancel, ack, auth, resume"
        ))),
    }
}

fn invalid_frame(message: impl Into<String>) -> RequestError {
    RequestError::new(ErrorCode::InvalidFrame, message)
}

fn invalid_message(message: impl Into<String>) -> RequestError {
    RequestError::new(ErrorCode::InvalidMessage, message)
}

fn wrong_type(field: &str, wanted: &str, got: &Value) -> RequestError {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    invalid_message(format!("`{field}` is {got}; it takes {wanted}"))
}

fn required_string(fields: &mut Map<String, Value>, key: &str) -> Result<String, RequestError> {
    optional_string(fields, key)?
        .ok_or_else(|| invalid_message(format!("`{key}` is missing; it takes a string")))
}

fn optional_string(fields: &mut Map<String, Value>, key: &str) -> Result<Option<String>, RequestError> {
    match fields.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(key, "a string", &other)),
    }
}

fn optional_bool(fields: &mut Map<String, Value>, key: &str) -> Result<bool, RequestError> {
    match fields.remove(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(other) => Err(wrong_type(key, "true or false", &other)),
    }
}

fn required_u64(fields: &Map<String, Value>, key: &str) -> Result<u64, RequestError> {
    match fields.get(key) {
        None | Some(Value::Null) => Err(invalid_message(format!(
            "`{key}` is missing; it takes a whole number"
        ))),
        Some(value) => value
            .as_u64()
            .ok_or_else(|| wrong_type(key, "a whole number from 0", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> (Option<String>, ErrorCode) {
        let e = ClientFrame::parse(text).unwrap_err();
        (e.id, e.error.code)
    }

    #[test]
    fn a_frame_without_type_is_a_message() {
        let frame =
            ClientFrame::parse(r#"{"mtype":"chat","content":"hi","rag_sql":true,"rag_doc":false}"#).unwrap();
        let ClientFrame::Message(m) = frame else {
            panic!("{frame:?}")
        };
        assert_eq!(
            (m.mtype.as_str(), m.content.as_str(), m.rag_sql, m.rag_doc),
            ("chat", "hi", true, false)
        );
        assert_eq!(m.id, None);
    }

    #[test]
    fn the_other_frames_are_read() {
        assert_eq!(
            ClientFrame::parse(r#"{"type":"resume","session":"S","epoch":"E","after":41}"#).unwrap(),
            ClientFrame::Resume {
                session: "S".into(),
                epoch: Some("E".into()),
                after: 41
            }
        );
        assert_eq!(
            ClientFrame::parse(r#"{"type":"ack","seq":7}"#).unwrap(),
            ClientFrame::Ack { seq: 7 }
        );
        assert_eq!(
            ClientFrame::parse(r#"{"type":"cancel","id":"m1","more":1}"#).unwrap(),
            ClientFrame::Cancel { id: "m1".into() }
        );
    }

    #[test]
    fn what_cannot_be_read_keeps_its_id_and_says_what_is_wrong() {
        assert_eq!(code("{"), (None, ErrorCode::InvalidFrame));
        assert_eq!(code("[]"), (None, ErrorCode::InvalidFrame));
        assert_eq!(
            code(r#"{"type":"dance","id":"a"}"#),
            (Some("a".into()), ErrorCode::InvalidFrame)
        );
        assert_eq!(
            code(r#"{"id":"a","content":"x"}"#),
            (Some("a".into()), ErrorCode::InvalidMessage)
        );
        assert_eq!(
            code(r#"{"id":"a","mtype":"m","content":1}"#).1,
            ErrorCode::InvalidMessage
        );
        assert_eq!(
            code(r#"{"id":"","mtype":"m","content":""}"#).1,
            ErrorCode::InvalidMessage
        );
        assert_eq!(code(r#"{"type":"ack","seq":-1}"#).1, ErrorCode::InvalidMessage);
    }
}
