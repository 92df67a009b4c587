//! What a model's server can do while it answers.

use std::time::Duration;

use serde_json::{Value, json};

/// One step of an answer. The steps of a list are played in order. The head of a
/// streamed answer goes out before the first one that says something; after the
/// last one the answer is finished as it should be (a reason, what it cost,
/// `[DONE]`), unless that step was an end of its own.
#[derive(Clone, Debug)]
pub enum Act {
    /// Pieces of the answer, each an event of its own, flushed.
    Tokens(Vec<String>),
    /// The same, each after a pause.
    Drip(Vec<String>, Duration),
    /// Is told at the end of the answer. Without it the answer tells no cost.
    Usage { input: u64, output: u64 },
    /// One event, whatever it says.
    Event(Value),
    /// Bytes in the body of the answer, as they are.
    Raw(Vec<u8>),
    /// The head of the answer alone.
    Begin,
    /// Waits for [`Upstream::release`](super::Upstream::release).
    Pause,

    // Each of these ends the answer.
    /// Says nothing more. As the first step, not even the head.
    Hang,
    /// A line without an end, until the client has had enough.
    Endless,
    /// An error within the stream, then its end.
    Fails(String),
    /// The stream ends properly, but the answer was not finished.
    Unfinished,
    /// Closes the connection. As the first step, without an answer.
    Cut,
    /// The same, with a TCP reset.
    Reset,
    /// These bytes where an answer's head should be, then its end.
    Senseless(Vec<u8>),
    /// Another status, with these headers and this body.
    Status(u16, Vec<(String, String)>, String),
    /// The whole answer in one JSON document, as if no stream had been asked for.
    Document(String),
}

impl Act {
    /// Pieces of the answer.
    pub fn tokens<T: Into<String>>(tokens: impl IntoIterator<Item = T>) -> Act {
        Act::Tokens(tokens.into_iter().map(Into::into).collect())
    }

    /// An answer in pieces of a word each.
    #[must_use]
    pub fn say(text: &str) -> Act {
        Act::tokens(text.split_inclusive(' '))
    }

    /// What the answer cost, in tokens.
    #[must_use]
    pub fn usage(input: u64, output: u64) -> Act {
        Act::Usage { input, output }
    }

    /// An error in OpenAI's form.
    #[must_use]
    pub fn status(status: u16, message: &str) -> Act {
        let body = json!({"error": {"message": message, "type": "error", "code": null}});
        let headers = vec![(String::from("Content-Type"), String::from("application/json"))];
        Act::Status(status, headers, body.to_string())
    }

    /// `429`, with when to come back.
    #[must_use]
    pub fn rate_limited(seconds: u64) -> Act {
        let wait = (String::from("Retry-After"), seconds.to_string());
        Act::Status(
            429,
            vec![wait],
            String::from(r#"{"error":{"message":"too many requests"}}"#),
        )
    }

    /// Bytes that mean nothing, in the place of an event.
    #[must_use]
    pub fn garbage() -> Act {
        Act::Raw(b"\x00\xff\xfe garbage \x80\n\n".to_vec())
    }
}

/// An event of the stream.
pub(super) fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// A piece of the answer.
pub(super) fn delta(text: &str) -> Value {
    chunk(&json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]))
}

/// What a finished answer ends with.
pub(super) fn ending(usage: Option<(u64, u64)>) -> Vec<u8> {
    let stop = chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]));
    let mut ending = event(&stop);
    if let Some(usage) = usage {
        let mut last = chunk(&json!([]));
        last["usage"] = cost(usage);
        ending.extend(event(&last));
    }
    ending.extend(b"data: [DONE]\n\n");
    ending
}

/// The whole answer at once.
pub(super) fn document(text: &str, usage: Option<(u64, u64)>) -> Value {
    let message = json!({"role": "assistant", "content": text});
    let mut document = chunk(&json!([{"index": 0, "message": message, "finish_reason": "stop"}]));
    document["object"] = json!("chat.completion");
    document["usage"] = usage.map_or(Value::Null, cost);
    document
}

fn chunk(choices: &Value) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "choices": choices,
        "usage": null,
    })
}

fn cost((input, output): (u64, u64)) -> Value {
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}
