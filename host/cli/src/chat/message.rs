//! One message: how it is asked, how far it is, what there is to tell of it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{Answer, Piece};
use super::event::{Event, Failure};
use super::evidence;
use super::frame::Frame;
use super::marks::Marks;

/// How a message is to be asked.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) mtype: String,
    pub(super) rag_sql: bool,
    pub(super) rag_doc: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// Never left this client.
    Queued,
    /// Sent; nobody has confirmed it.
    Sent,
    /// The host has accepted it.
    Running,
    /// Its last frame has come, or never will.
    Ended,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) content: String,
    pub(super) phase: Phase,
    /// The connection it was last sent on.
    pub(super) connection: u64,
    pub(super) since: Instant,
    pub(super) cancel: bool,
    pub(super) cancelled_on: u64,
    pub(super) answer: Answer,
    /// What there is to tell of it, once it is its turn.
    pub(super) held: Vec<Event>,
    /// What its answer may cite, by handler: told below it.
    cited: Vec<(String, Value)>,
    /// What each handler's answer refers to.
    marks: HashMap<String, Marks>,
}

/// Citations of one answer that are told; more no person reads.
const MAX_CITED: usize = 100;

impl Manner {
    pub(super) fn frame(&self, id: &str, content: &str) -> String {
        json!({
            "type": "message",
            "id": id,
            "mtype": self.mtype,
            "content": content,
            "rag_sql": self.rag_sql,
            "rag_doc": self.rag_doc,
        })
        .to_string()
    }
}

impl Message {
    pub(super) fn new(id: String, content: String, now: Instant) -> Message {
        Message {
            id,
            content,
            phase: Phase::Queued,
            connection: 0,
            since: now,
            cancel: false,
            cancelled_on: 0,
            answer: Answer::default(),
            held: Vec::new(),
            cited: Vec::new(),
            marks: HashMap::new(),
        }
    }

    /// Ends it here and now.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.phase = Phase::Ended;
        self.tell_cited();
        self.held.push(Event::Failed(failure));
    }

    /// What the answer refers to; all there is, where it refers to nothing. What was
    /// found and is not referred to, the answer does not rest on.
    fn tell_cited(&mut self) {
        let cited = std::mem::take(&mut self.cited);
        let refers = |(handler, data): &(String, Value)| {
            let number = data.get("n").and_then(Value::as_u64);
            let marks = self.marks.get(handler);
            number.is_some_and(|number| marks.is_some_and(|marks| marks.has(number)))
        };
        let referring: HashSet<String> = cited
            .iter()
            .filter(|citation| refers(citation))
            .map(|(handler, _)| handler.clone())
            .collect();
        for citation in cited {
            if refers(&citation) || !referring.contains(&citation.0) {
                let (handler, data) = citation;
                self.held.push(Event::Data { handler, data });
            }
        }
    }

    /// A citation comes before the answer, is read after it, and is told once,
    /// however often the host tells the answer again.
    fn cite(&mut self, handler: String, data: Value) {
        let cited = (handler, data);
        if self.cited.len() < MAX_CITED && !self.cited.contains(&cited) {
            self.cited.push(cited);
        }
    }

    /// Takes a frame that is about it.
    pub(super) fn on_frame(&mut self, frame: &Frame, seq: u64) {
        let handler = || frame.handler().to_owned();
        let event = match frame.kind.as_str() {
            "accepted" => {
                self.phase = Phase::Running;
                return;
            }
            "chunk" => {
                let marks = self.marks.entry(frame.handler().to_owned()).or_default();
                marks.hear(&frame.content);
                match self.answer.hear(frame.handler(), &frame.content, frame.replayed) {
                    Piece::Nothing => return,
                    Piece::Text(text) => Event::Text(text),
                    Piece::Again(text) => Event::Again(text),
                }
            }
            "status" => Event::Status {
                handler: handler(),
                text: frame.text.clone(),
            },
            "data" if evidence::is_citation(&frame.data) => {
                self.cite(handler(), frame.data.clone());
                return;
            }
            "data" => Event::Data {
                handler: handler(),
                data: frame.data.clone(),
            },
            "restart" => {
                self.cited.retain(|(handler, _)| handler != frame.handler());
                self.marks.remove(frame.handler());
                match self.answer.restart(frame.handler()) {
                    true => Event::Void,
                    false => return,
                }
            }
            "error" if frame.last == Some(false) => Event::PartFailed {
                handler: handler(),
                code: frame.code.clone(),
                message: frame.message.clone(),
            },
            "done" | "error" => return self.on_end(frame, seq),
            _ => return,
        };
        self.held.push(event);
    }

    fn on_end(&mut self, frame: &Frame, seq: u64) {
        for (handler, text) in self.answer.take_kept() {
            self.held.push(Event::Other { handler, text });
        }
        if frame.kind == "done" {
            self.phase = Phase::Ended;
            self.tell_cited();
            self.held.push(Event::Done {
                parts: frame.parts.clone(),
                seq,
                ms: frame.ms,
                gap: self.answer.has_gap(),
            });
            return;
        }
        let code = match &frame.handler_code {
            Some(own) => format!("{}: {own}", frame.code),
            None => frame.code.clone(),
        };
        self.fail(Failure {
            code,
            message: frame.message.clone(),
            retryable: frame.retryable,
            retry_after: frame.retry_after_ms.map(Duration::from_millis),
        });
    }
}
