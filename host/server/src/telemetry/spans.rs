//! The traces of messages, sent to a collector by OTLP.
//!
//! Guarantees: whoever does the work never waits for a collector: a span that has
//! ended goes into a bounded queue, and past its bound it is dropped. A batch that a
//! collector cannot take now is sent again, up to [`ATTEMPTS`] times, while the
//! queue fills; one that it does not want is dropped at once. What is dropped is
//! counted in `segue_spans_dropped_total`. The log is told when the collector begins
//! to refuse, refuses otherwise, or takes spans again, not for each batch. At stop
//! what waits is sent, for so long as [`LAST_WORDS`].

mod message;

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;
use segue_runtime::trace::{EndedSpan, SpanSink, Tracer};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::otlp::{Collector, Refusal, Taken};
use crate::config::Telemetry;
use message::Messages;

/// Spans sent at a time.
const BATCH: usize = 512;

/// How long a span waits for others.
const GATHERED_FOR: Duration = Duration::from_secs(1);

/// How often a batch is sent at most.
const ATTEMPTS: u32 = 5;

/// The pause before a batch is sent again: the first, each twice the one before.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest, whatever the collector asks for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long sending what waits may take at stop.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The sending side of a host's traces.
#[derive(Default)]
pub struct Spans {
    tracer: Tracer,
    sending: Option<Sending>,
}

struct Sending {
    task: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
    give_up: CancellationToken,
}

impl Spans {
    /// Sends from the current runtime; nothing without an endpoint.
    pub fn start(settings: &Telemetry, metrics: &Metrics) -> Spans {
        let Some(collector) = Collector::new(settings) else {
            return Spans::default();
        };
        let (sender, waiting) = mpsc::channel(settings.queue);
        let queue = Queue {
            sender,
            dropped: metrics.spans_dropped.clone(),
            texts: settings.query_text,
        };
        let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
        let task = Task {
            collector,
            messages: Messages::of(settings),
            waiting,
            exported: metrics.spans_exported.clone(),
            dropped: metrics.spans_dropped.clone(),
            stop: stop.clone(),
            give_up: give_up.clone(),
            refused: None,
            rejects: false,
        };
        Spans {
            tracer: Tracer::new(Arc::new(queue), f64::from(settings.sample)),
            sending: Some(Sending {
                task: Mutex::new(Some(tokio::spawn(task.run()))),
                stop,
                give_up,
            }),
        }
    }

    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Sends what waits, and no more after that.
    pub async fn stop(&self) {
        let Some(sending) = &self.sending else { return };
        sending.stop.cancel();
        let Some(mut task) = sending.task.lock().await.take() else {
            return;
        };
        if timeout(LAST_WORDS, &mut task).await.is_err() {
            sending.give_up.cancel();
            let _ = task.await;
        }
    }
}

struct Queue {
    sender: mpsc::Sender<EndedSpan>,
    dropped: IntCounter,
    texts: bool,
}

impl SpanSink for Queue {
    fn ended(&self, span: EndedSpan) {
        if self.sender.try_send(span).is_err() {
            self.dropped.inc();
        }
    }

    fn takes_texts(&self) -> bool {
        self.texts
    }
}

struct Task {
    collector: Collector,
    messages: Messages,
    waiting: mpsc::Receiver<EndedSpan>,
    exported: IntCounter,
    dropped: IntCounter,
    stop: CancellationToken,
    give_up: CancellationToken,
    /// Why it took no batch the last time.
    refused: Option<Refusal>,
    /// Whether it said of the last batch that it did not take all.
    rejects: bool,
}

impl Task {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.gather(&mut batch).await {
            self.deliver(&mut batch).await;
        }
        self.waiting.close();
        self.deliver(&mut batch).await;
        while self.waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.deliver(&mut batch).await;
        }
    }

    /// Waits until a batch is full or its first span has waited long enough;
    /// `false` when the host stops.
    async fn gather(&mut self, batch: &mut Vec<EndedSpan>) -> bool {
        let mut until: Option<Instant> = None;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return true,
                came = self.waiting.recv_many(batch, room) => {
                    if came == 0 {
                        return false;
                    }
                    until = until.or_else(|| Some(Instant::now() + GATHERED_FOR));
                }
            }
        }
        true
    }

    /// Sends a batch until it is taken or there is no use in it.
    async fn deliver(&mut self, batch: &mut Vec<EndedSpan>) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let message = self.messages.of_spans(batch.drain(..));
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let sent = tokio::select! {
                biased;
                () = self.give_up.cancelled() => break,
                sent = self.collector.send(&message) => sent,
            };
            let refusal = match sent {
                Ok(taken) => return self.taken(count, &taken),
                Err(refusal) => refusal,
            };
            let again = refusal.passes() && attempt < ATTEMPTS && !self.stop.is_cancelled();
            let wait = match &refusal {
                Refusal::Status {
                    after: Some(after), ..
                } => pause.max(*after),
                _ => pause,
            };
            self.refused(refusal);
            if !again {
                break;
            }
            pause = (pause * 2).min(PAUSE_MAX);
            // A host that stops asks once more, at once.
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(wait.min(PAUSE_MAX)) => {}
            }
        }
        self.dropped.inc_by(count);
    }

    fn taken(&mut self, count: u64, taken: &Taken) {
        let rejected = taken.rejected.min(count);
        self.exported.inc_by(count - rejected);
        self.dropped.inc_by(rejected);
        if self.refused.take().is_some() {
            tracing::info!("the collector of `telemetry.otlp_endpoint` takes spans again");
        }
        let rejects = rejected > 0;
        if rejects && !self.rejects {
            let reason = taken.reason.as_str();
            tracing::warn!(
                rejected,
                reason,
                "the collector rejects spans; they are dropped and counted"
            );
        }
        self.rejects = rejects;
    }

    fn refused(&mut self, refusal: Refusal) {
        if !self
            .refused
            .as_ref()
            .is_some_and(|before| before.is_like(&refusal))
        {
            tracing::warn!(
                mend = refusal.mend(),
                "the collector of `telemetry.otlp_endpoint` takes no spans: {refusal}"
            );
        }
        self.refused = Some(refusal);
    }
}
