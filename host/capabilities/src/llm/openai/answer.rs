//! What a model's server says, made into text: the events of a stream, or the
//! one JSON document of a server that does not stream.
//!
//! Guarantees: text comes out in the order in which it came in; an answer that
//! the server did not finish ends in an error, one that it did finish does not,
//! whatever comes after; nothing is held but what is not whole yet.

use std::mem;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::events::{BadStream, Events};
use super::refusal;

/// What a completion cost, as the model's server counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl Usage {
    pub(in super::super) fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Of each the more.
    pub(super) fn or_more(self, other: Usage) -> Usage {
        Usage {
            input_tokens: self.input_tokens.max(other.input_tokens),
            output_tokens: self.output_tokens.max(other.output_tokens),
        }
    }

    /// What has come to it since it was `before`.
    pub(super) fn since(self, before: Usage) -> Usage {
        Usage {
            input_tokens: self.input_tokens.saturating_sub(before.input_tokens),
            output_tokens: self.output_tokens.saturating_sub(before.output_tokens),
        }
    }
}

/// Why an answer ends before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Stream(#[from] BadStream),
    #[error("an event that cannot be understood ({0})")]
    Event(String),
    #[error("more than the {0} bytes that an answer may have")]
    TooLong(u64),
    #[error("an end before the answer was finished")]
    Unfinished,
    /// The server's own words.
    #[error("an error of the server's: {0}")]
    Server(String),
}

/// An answer as far as it has come.
pub(super) struct Answer {
    form: Form,
    max_bytes: u64,
    bytes: u64,
    text: String,
    usage: Option<Usage>,
    /// Events so far that were more than a greeting.
    events: u64,
    finished: bool,
    done: bool,
}

/// How the server answers; its first byte tells.
enum Form {
    Unknown,
    Events(Events),
    Document(Vec<u8>),
}

impl Answer {
    pub(super) fn new(max_bytes: u64) -> Answer {
        Answer {
            form: Form::Unknown,
            max_bytes,
            bytes: 0,
            text: String::new(),
            usage: None,
            events: 0,
            finished: false,
            done: false,
        }
    }

    /// Takes what has arrived.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let bytes = match self.form {
            Form::Unknown => {
                let bytes = bytes.trim_ascii_start();
                match bytes.first() {
                    None => return Ok(()),
                    Some(b'{') => self.form = Form::Document(Vec::new()),
                    Some(_) => self.form = Form::Events(Events::default()),
                }
                bytes
            }
            _ => bytes,
        };
        let most = self.document_max_bytes();
        match &mut self.form {
            Form::Document(document) => {
                if document.len().saturating_add(bytes.len()) > most {
                    return Err(Broken::TooLong(self.max_bytes));
                }
                document.extend_from_slice(bytes);
                Ok(())
            }
            Form::Events(events) => {
                let mut events = mem::take(events);
                let fed = events.feed(bytes, &mut |data| self.event(data));
                self.form = Form::Events(events);
                fed
            }
            Form::Unknown => Ok(()),
        }
    }

    /// The body has ended.
    pub(super) fn finish(&mut self) -> Result<(), Broken> {
        match mem::replace(&mut self.form, Form::Unknown) {
            Form::Unknown => {}
            Form::Document(document) => {
                self.take_event(&document)?;
                self.finished = true;
            }
            Form::Events(mut events) => {
                let ended = events.finish(&mut |data| self.event(data));
                if !self.is_whole() {
                    ended?;
                }
            }
        }
        match self.is_whole() {
            true => Ok(()),
            false => Err(Broken::Unfinished),
        }
    }

    /// JSON may need twice the bytes of the text in it, and some around it.
    fn document_max_bytes(&self) -> usize {
        let most = self.max_bytes.saturating_mul(2).saturating_add(64 * 1024);
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Broken> {
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        self.take_event(data)
    }

    fn take_event(&mut self, data: &[u8]) -> Result<(), Broken> {
        let event: Event = serde_json::from_slice(data).map_err(|fault| Broken::Event(fault.to_string()))?;
        if let Some(fault) = event.fault() {
            return Err(Broken::Server(fault));
        }
        let mut means_something = false;
        if let Some(usage) = event.usage.as_ref().and_then(usage) {
            self.usage = Some(usage);
            means_something = true;
        }
        for choice in event.choices.unwrap_or_default() {
            if choice.index.is_some_and(|index| index != 0) {
                continue;
            }
            let delta = choice.delta.or(choice.message).unwrap_or_default();
            means_something |=
                delta.reasoning_content.is_some() || delta.reasoning.is_some() || delta.tool_calls.is_some();
            for content in delta.content.into_iter().chain(delta.refusal) {
                means_something |= self.take(content)?;
            }
            match choice.finish_reason.as_deref() {
                None | Some("") => {}
                Some("error") => return Err(Broken::Server(String::new())),
                Some(_) => {
                    self.finished = true;
                    means_something = true;
                }
            }
        }
        if means_something {
            self.events += 1;
        }
        Ok(())
    }

    /// Adds to the text; `true` if there was some.
    fn take(&mut self, content: Content) -> Result<bool, Broken> {
        let length_before = self.text.len();
        match content {
            Content::Text(text) if self.text.is_empty() => self.text = text,
            Content::Text(text) => self.text.push_str(&text),
            Content::Parts(parts) => {
                for part in parts {
                    self.text.push_str(part.text.as_deref().unwrap_or_default());
                }
            }
            Content::Other(_) => {}
        }
        let grown = (self.text.len() - length_before) as u64;
        if self.bytes.saturating_add(grown) > self.max_bytes {
            self.text.truncate(length_before);
            return Err(Broken::TooLong(self.max_bytes));
        }
        self.bytes += grown;
        Ok(grown > 0)
    }

    /// The text that has come and was not taken yet.
    pub(super) fn take_text(&mut self) -> Option<String> {
        (!self.text.is_empty()).then(|| mem::take(&mut self.text))
    }

    pub(super) fn has_text(&self) -> bool {
        !self.text.is_empty()
    }

    /// What it cost, as far as the server has told.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How many events have come that were more than a greeting.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Whether the server has said all, so that nothing more is read.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the server has finished the answer; what it cost may follow.
    pub(super) fn is_whole(&self) -> bool {
        self.finished || self.done
    }
}

/// One event of a stream, or a whole document. What is not named here, and what
/// a server leaves out or sends as `null`, does no harm.
#[derive(Deserialize)]
struct Event {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
    object: Option<Value>,
    message: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u64>,
    delta: Option<Delta>,
    /// Where a delta would be, in an answer that is not streamed.
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<Content>,
    reasoning_content: Option<IgnoredAny>,
    reasoning: Option<IgnoredAny>,
    tool_calls: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct ContentPart {
    text: Option<String>,
}

impl Event {
    /// What went wrong at the server, if the event says so.
    fn fault(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(refusal::words(error).unwrap_or_default());
        }
        let is_error = self.object.as_ref().is_some_and(|object| object == "error");
        is_error.then(|| self.message.as_ref().and_then(refusal::words).unwrap_or_default())
    }
}

fn usage(value: &Value) -> Option<Usage> {
    let count = |key: &str| value.get(key).and_then(Value::as_u64);
    let (input, output) = (count("prompt_tokens"), count("completion_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(Usage {
        input_tokens: input.unwrap_or_default(),
        output_tokens: output.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
