//! Who answers: a plugin, or a handler in Rust that an embedder gave the host.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_runtime::{Call, CallError, CallSpec, Generation, HandlerError, Outcome, Reply, Request, Usage};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Replies that a native handler may be ahead of its client.
const REPLIES_AHEAD: usize = 4;
const NATIVE_DEADLINE: Duration = Duration::from_secs(30);

pub type NativeFuture = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A handler compiled into the host: trusted, without limits but its deadline.
/// For those who embed Segue, and the yardstick that plugins are measured by.
pub trait NativeHandler: Send + Sync + 'static {
    /// Answers one message through `replies`; sending waits while the client is
    /// slow and fails once it has left.
    fn handle(&self, request: Request, replies: mpsc::Sender<Reply>) -> NativeFuture;
}

pub type NativeHandlers = HashMap<String, Arc<dyn NativeHandler>>;

/// Whoever answers, pinned for one call.
#[derive(Clone)]
pub enum Target {
    Plugin(Arc<Generation>),
    Native(Arc<dyn NativeHandler>),
}

impl Target {
    pub fn version(&self) -> Option<Arc<str>> {
        match self {
            Target::Plugin(generation) => Some(generation.version().into()),
            Target::Native(_) => None,
        }
    }

    pub fn deadline(&self) -> Duration {
        match self {
            Target::Plugin(generation) => generation.limits().deadline,
            Target::Native(_) => NATIVE_DEADLINE,
        }
    }

    pub fn call(&self, runtime: &segue_runtime::Runtime, spec: CallSpec) -> Running {
        match self {
            Target::Plugin(generation) => Running::Plugin(Box::new(runtime.call(generation, spec))),
            Target::Native(handler) => Running::native(handler.as_ref(), spec),
        }
    }
}

/// A call under way.
pub enum Running {
    Plugin(Box<Call>),
    Native {
        replies: mpsc::Receiver<Reply>,
        task: JoinHandle<Result<(), CallError>>,
        usage: Usage,
        started: Instant,
    },
}

impl Running {
    fn native(handler: &dyn NativeHandler, spec: CallSpec) -> Running {
        let (sender, replies) = mpsc::channel(REPLIES_AHEAD);
        let deadline = spec.deadline.unwrap_or(NATIVE_DEADLINE).min(NATIVE_DEADLINE);
        let answer = handler.handle(spec.request, sender);
        let cancel = spec.cancel;
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(CallError::Cancelled),
                answer = tokio::time::timeout(deadline, answer) => match answer {
                    Ok(answer) => answer.map_err(CallError::Handler),
                    Err(_) => Err(CallError::DeadlineExceeded { deadline }),
                },
            }
        });
        Running::Native {
            replies,
            task,
            usage: Usage::default(),
            started: Instant::now(),
        }
    }

    /// The next thing the handler sent; `None` when it has ended.
    pub async fn next(&mut self) -> Option<Reply> {
        match self {
            Running::Plugin(call) => call.next().await,
            Running::Native { replies, usage, .. } => {
                let reply = replies.recv().await?;
                usage.chunks += 1;
                usage.reply_bytes += match &reply {
                    Reply::Chunk(text) | Reply::Status(text) | Reply::Data(text) => text.len() as u64,
                    Reply::Binary(bytes) => bytes.len() as u64,
                };
                Some(reply)
            }
        }
    }

    /// Nobody listens any more; what the handler sends from now on fails.
    pub fn close_replies(&mut self) {
        match self {
            Running::Plugin(call) => call.close_replies(),
            Running::Native { replies, .. } => replies.close(),
        }
    }

    pub async fn finish(self) -> Outcome {
        match self {
            Running::Plugin(call) => call.finish().await,
            Running::Native {
                task,
                mut usage,
                started,
                ..
            } => {
                let result = task.await.unwrap_or_else(|panic| {
                    Err(CallError::Internal {
                        message: panic.to_string(),
                    })
                });
                usage.ms = segue_runtime::units::millis(started.elapsed());
                Outcome { result, usage }
            }
        }
    }
}
