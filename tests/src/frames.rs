//! Small readers of JSON frames, so that tests stay readable.

use serde_json::Value;

/// The frame's `type`, `""` when it has none.
pub(crate) fn kind(frame: &Value) -> &str {
    text(frame, "type")
}

/// A string field, `""` when it is missing.
pub(crate) fn text<'a>(frame: &'a Value, key: &str) -> &'a str {
    frame.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A whole-number field.
pub(crate) fn number(frame: &Value, key: &str) -> Option<u64> {
    frame.get(key).and_then(Value::as_u64)
}

/// Whether this frame is the last one of its message.
pub(crate) fn is_final(frame: &Value) -> bool {
    match kind(frame) {
        "done" => true,
        "error" => frame.get("final").and_then(Value::as_bool).unwrap_or(true),
        _ => false,
    }
}
