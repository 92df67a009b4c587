//! A language model's server that says what a test wants it to say.
//!
//! It speaks OpenAI's chat completions over real sockets, and fails in every way
//! such a server can. What it answers is a list of [`Act`]s for each request:
//! scripted in order, or made from what is asked.
//!
//! ```ignore
//! let upstream = Upstream::start().await;
//! upstream.script([Act::tokens(["SELECT ", "1"]), Act::usage(12, 2)]);
//! upstream.answer(|body| match body.to_string().contains("rows") {
//!     true => vec![Act::say("There is one row.")],
//!     false => vec![Act::rate_limited(2)],
//! });
//! // base_url = upstream.base_url() in segue.toml; then, after a message:
//! let asked = upstream.request(0).await;
//! assert_eq!(asked.header("authorization"), Some("Bearer key"));
//! ```
//!
//! It keeps a log of its own: what was asked, and when each client closed the
//! connection, which proves that a cancelled completion was really stopped:
//!
//! ```ignore
//! upstream.script([Act::say("One"), Act::Hang]);
//! // ... the message is under way ...
//! let since = Instant::now();
//! chat.cancel("m1").await;
//! let closed = upstream.closed(0).await;
//! assert!(closed.within_answer && closed.after(since) < Duration::from_millis(100));
//! ```
//!
//! Whoever only looks whether it is there (`GET /models`) gets an empty list, or
//! what [`Upstream::health`] says; looks stand in a log apart.

mod act;
mod link;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::within;
pub use act::Act;

type Answer = Arc<dyn Fn(&Value) -> Vec<Act> + Send + Sync>;

/// The server. Dropping it closes its port, and the connections it has.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST /v1/chat/completions`.
    pub line: String,
    pub headers: Vec<(String, String)>,
    /// `null` when it was no JSON.
    pub body: Value,
    pub at: Instant,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

/// A connection that its client has closed.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub at: Instant,
    /// Whether an answer was under way.
    pub within_answer: bool,
}

/// What the server and its connections share.
struct Shared {
    script: Mutex<Script>,
    log: watch::Sender<Log>,
    releases: Semaphore,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Vec<Act>>,
    answer: Option<Answer>,
    health: Option<Vec<Act>>,
}

#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    looks: Vec<Asked>,
    connections: Vec<Option<Closed>>,
}

impl Asked {
    /// Whether it only looks if the server is there.
    #[must_use]
    pub fn is_look(&self) -> bool {
        self.line.starts_with("GET ") && self.line.ends_with("/models")
    }

    /// The value of a header, whatever case its name is in.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The text of its messages of this role, joined by line breaks.
    #[must_use]
    pub fn said(&self, role: &str) -> String {
        let messages = self.body["messages"].as_array().into_iter().flatten();
        let texts = messages.filter(|message| message["role"] == role);
        let texts: Vec<&str> = texts.filter_map(|message| message["content"].as_str()).collect();
        texts.join("\n")
    }
}

impl Closed {
    /// How long after `since`; nothing if it was before.
    #[must_use]
    pub fn after(&self, since: Instant) -> Duration {
        self.at.saturating_duration_since(since)
    }
}

impl Upstream {
    /// Starts it on a free port. Without a script every request is a `500` that
    /// says so.
    pub async fn start() -> Upstream {
        Upstream::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts it where an earlier one was, as if that had come back.
    pub async fn start_at(address: SocketAddr) -> Upstream {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("the port's address");
        let shared = Arc::new(Shared {
            script: Mutex::default(),
            log: watch::Sender::default(),
            releases: Semaphore::new(0),
        });
        let accepting = tokio::spawn(link::accept(listener, Arc::clone(&shared)));
        Upstream {
            address,
            shared,
            accepting,
        }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands in the configuration: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What is played to the next request that has no script yet.
    pub fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.script().next.push_back(acts.into_iter().collect());
    }

    /// What is played to requests that no script is left for, from the body of
    /// each. Another one takes its place.
    pub fn answer(&self, answer: impl Fn(&Value) -> Vec<Act> + Send + Sync + 'static) {
        self.shared.script().answer = Some(Arc::new(answer));
    }

    /// What is played to whoever looks whether it is there.
    pub fn health(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.script().health = Some(acts.into_iter().collect());
    }

    /// Lets one [`Act::Pause`] go on, of those that wait or the next to come.
    pub fn release(&self) {
        self.shared.releases.add_permits(1);
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Asked> {
        self.shared.log.borrow().asked.clone()
    }

    /// How many requests it got so far since this moment.
    #[must_use]
    pub fn requests_since(&self, since: Instant) -> usize {
        let log = self.shared.log.borrow();
        log.asked.iter().filter(|asked| asked.at >= since).count()
    }

    /// Every look whether it is there, in order.
    #[must_use]
    pub fn looks(&self) -> Vec<Asked> {
        self.shared.log.borrow().looks.clone()
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.log.borrow().connections.len()
    }

    /// Waits for the request of this number, counted from 0.
    pub async fn request(&self, number: usize) -> Asked {
        let what = format!("request {number} to the model's server");
        self.logged(&what, |log| log.asked.get(number).cloned()).await
    }

    /// Waits until the client has closed the connection on which the request of
    /// this number came.
    pub async fn closed(&self, number: usize) -> Closed {
        let what = format!("the connection of request {number} to be closed by the client");
        let closed = |log: &Log| {
            let asked = log.asked.get(number)?;
            log.connections.get(asked.connection).copied().flatten()
        };
        self.logged(&what, closed).await
    }

    async fn logged<T>(&self, what: &str, find: impl Fn(&Log) -> Option<T>) -> T {
        let mut log = self.shared.log.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = find(&log.borrow_and_update()) {
                    return found;
                }
                log.changed().await.expect("the server, which holds the log");
            }
        };
        within(what, waiting).await
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to play to a request.
    fn acts(&self, asked: &Asked) -> Vec<Act> {
        let body = &asked.body;
        let mut script = self.script();
        if asked.is_look() {
            let none = String::from(r#"{"object":"list","data":[]}"#);
            let there = || vec![Act::Status(200, Vec::new(), none)];
            return script.health.clone().unwrap_or_else(there);
        }
        if let Some(acts) = script.next.pop_front() {
            return acts;
        }
        let answer = script.answer.clone();
        drop(script);
        match answer {
            Some(answer) => answer(body),
            None => vec![Act::status(500, "the test has no script for this request")],
        }
    }
}

#[cfg(test)]
mod tests;
