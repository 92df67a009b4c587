//! An exchange: one message of the user's and what became of it.
//!
//! The host keeps exchanges for three reasons: an id that comes again attaches
//! to its exchange or replays it; the conversation's history is made of them;
//! and a later handler of the same message reads what an earlier one said.

use std::sync::Arc;
use std::time::SystemTime;

use segue_protocol::{Incoming, PartSummary, RequestError, ServerFrame};
use segue_resilience::shed::Work;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What tells two messages of one id apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub fn of(message: &Incoming) -> Fingerprint {
        let mut hash = Sha256::new();
        for field in [&message.mtype, &message.content] {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field.as_bytes());
        }
        hash.update([u8::from(message.rag_sql), u8::from(message.rag_doc)]);
        hash.update(serde_json::to_vec(&message.meta).unwrap_or_default());
        let mut short = [0; 16];
        short.copy_from_slice(hash.finalize().split_at(16).0);
        Fingerprint(short)
    }
}

/// What one handler has said so far.
#[derive(Debug, Clone)]
pub struct PartRecord {
    pub handler: Arc<str>,
    pub version: Option<Arc<str>>,
    pub content: String,
    pub data: Vec<Box<RawValue>>,
    pub error: Option<RequestError>,
}

/// The parts that make up the answer: what a handler said that failed counts
/// only where nobody else answered.
pub(crate) fn counting(parts: &[PartRecord]) -> impl Iterator<Item = &PartRecord> {
    let anybody = parts.iter().any(|part| part.error.is_none());
    parts.iter().filter(move |part| !anybody || part.error.is_none())
}

/// Their texts, a blank line between two of them.
pub(crate) fn reply_text(parts: &[PartRecord]) -> String {
    let texts = counting(parts).map(|part| part.content.as_str());
    texts
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// How a message ended.
#[derive(Debug, Clone)]
pub enum End {
    Done { parts: Arc<[PartSummary]>, ms: f64 },
    Failed(RequestError),
}

/// One exchange. Its owner, the session, guards the fields that change.
#[derive(Debug)]
pub struct Exchange {
    pub id: Arc<str>,
    pub fingerprint: Fingerprint,
    pub message: Incoming,
    /// The message's own `meta`, shared with every call.
    pub meta: Arc<Map<String, Value>>,
    pub taken_at: SystemTime,
    /// The number of its `accepted` frame.
    pub accepted_seq: u64,
    pub cancel: CancellationToken,
    pub record: std::sync::Mutex<Record>,
    /// Turns true with the last frame.
    pub finished: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub struct Record {
    pub parts: Vec<PartRecord>,
    pub end: Option<End>,
    pub ended_at: Option<SystemTime>,
    /// Counts as under way until it has ended.
    pub work: Option<Work>,
}

impl Exchange {
    pub fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts it as under way until it ends.
    pub fn hold(&self, work: Work) {
        let mut record = self.record();
        // It may have been cancelled already.
        record.work = record.end.is_none().then_some(work);
    }

    /// Waits until the last frame is out.
    pub async fn finished(&self) {
        let mut finished = self.finished.subscribe();
        // The sender lives in `self`, so this ends only by becoming true.
        let _ = finished.wait_for(|&done| done).await;
    }

    pub fn is_finished(&self) -> bool {
        *self.finished.borrow()
    }

    /// Whether it failed in a way that may pass, so that nothing was finished.
    pub fn may_be_asked_again(&self) -> bool {
        matches!(&self.record().end, Some(End::Failed(error)) if error.retryable)
    }

    /// About how many bytes it holds.
    pub fn weight(&self) -> usize {
        let record = self.record();
        let parts: usize = record
            .parts
            .iter()
            .map(|p| p.content.len() + p.data.iter().map(|d| d.get().len()).sum::<usize>() + 128)
            .sum();
        self.message.content.len() + parts + 256
    }

    /// The reply again, as frames.
    pub fn replay(&self) -> Vec<ServerFrame> {
        let record = self.record();
        let mut frames = Vec::new();
        for part in &record.parts {
            if !part.content.is_empty() {
                frames.push(ServerFrame::Chunk {
                    id: self.id.clone(),
                    handler: part.handler.clone(),
                    content: part.content.clone(),
                    replayed: true,
                });
            }
            for data in &part.data {
                frames.push(ServerFrame::Data {
                    id: self.id.clone(),
                    handler: part.handler.clone(),
                    data: data.clone(),
                    replayed: true,
                });
            }
            if let (Some(error), Some(End::Done { .. })) = (&part.error, &record.end) {
                frames.push(ServerFrame::Error {
                    id: self.id.clone(),
                    handler: Some(part.handler.clone()),
                    error: error.clone(),
                    last: false,
                    replayed: true,
                });
            }
        }
        frames.extend(record.end.as_ref().map(|end| self.last_frame(end, true)));
        frames
    }

    /// The frame that ends the message.
    pub fn last_frame(&self, end: &End, replayed: bool) -> ServerFrame {
        match end {
            End::Done { parts, ms } => ServerFrame::Done {
                id: self.id.clone(),
                parts: parts.clone(),
                ms: *ms,
                replayed,
            },
            End::Failed(error) => ServerFrame::Error {
                id: self.id.clone(),
                handler: None,
                error: error.clone(),
                last: true,
                replayed,
            },
        }
    }
}
