//! `provider = "openai"`: any server that speaks OpenAI's chat completions.
//!
//! The way of a completion: [`Group::ask`] starts a task on the host's threads,
//! which chooses one of the model's servers ([`targets`]), is let in by that one's
//! guard ([`attempt`]), writes the [`request`], takes a connection ([`pool`],
//! [`connect`]), sends, and waits for the head of the response ([`exchange`]) and
//! the first text; a refusal becomes a fault ([`refusal`]), after which another
//! server may be tried. From there on the response is a [`reading`] that has no
//! task: whoever polls the [`Answering`] takes bytes off the socket, through the
//! [`framing`] and the [`events`] into the [`answer`]. What became of it, to its
//! end, is what the guard hears.
//!
//! Dropping an [`Answering`] closes its connection, whichever of these it had
//! come to.

mod answer;
mod answering;
mod attempt;
mod connect;
mod events;
mod exchange;
mod framing;
mod health;
mod pool;
mod probe;
mod reading;
mod refusal;
mod request;
mod tally;
mod targets;

use std::sync::Arc;

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::fault::{Fault, Kind};
use super::prompt::Prompt;
use super::settings::OpenAi;
pub use answer::Usage;
pub(super) use answering::Answering;
use connect::{Link, Target};
use exchange::{Head, NoResponse, exchange};
use health::Health;
use pool::Pool;
use reading::{Cut, Reading};
pub use tally::{Outcome, TargetCounts};
pub(super) use targets::Group;

/// One server of a model.
pub(super) struct Client {
    name: String,
    settings: OpenAi,
    /// An error says why the server cannot be spoken to at all.
    target: Result<Target, String>,
    bearer: Option<HeaderValue>,
    pool: Pool,
    handle: Handle,
    health: Health,
}

impl Client {
    pub(super) fn new(name: &str, settings: OpenAi, handle: Handle) -> Client {
        let target = Target::new(&settings.base_url);
        if let Err(reason) = &target {
            tracing::error!(
                model = name,
                reason,
                "a language model cannot be asked: TLS does not work here"
            );
        }
        Client {
            name: String::from(name),
            bearer: settings.api_key.as_ref().and_then(|key| key.bearer()),
            target,
            pool: Pool::default(),
            settings,
            handle,
            health: Health::default(),
        }
    }

    pub(super) fn settings(&self) -> &OpenAi {
        &self.settings
    }

    /// Whether it was not there when last looked.
    fn is_down(&self) -> bool {
        self.health.is_down()
    }

    /// How it does, for the operator.
    pub(super) fn state(&self) -> (bool, String) {
        let Target { authority, .. } = match &self.target {
            Ok(target) => target,
            Err(reason) => return (false, format!("TLS does not work here: {reason}")),
        };
        let model = &self.settings.model;
        let (ready, last) = self.health.state();
        (ready, format!("{model} at {authority}; {last}"))
    }

    /// The same, and looks from time to time whether the server is there.
    fn start(name: &str, settings: OpenAi, handle: Handle) -> Arc<Client> {
        let client = Arc::new(Client::new(name, settings, handle));
        probe::watch(&client);
        client
    }

    fn head(&self, target: &Target, traceparent: &str, length: usize) -> Vec<u8> {
        let Target { authority, path, .. } = target;
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
             Accept: text/event-stream\r\nAccept-Encoding: identity\r\nUser-Agent: segue/{}\r\n\
             Content-Length: {length}\r\n",
            env!("CARGO_PKG_VERSION")
        )
        .into_bytes();
        if traceparent
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            && !traceparent.is_empty()
        {
            head.extend_from_slice(format!("Traceparent: {traceparent}\r\n").as_bytes());
        }
        self.credentials(&mut head);
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The key and the operator's own headers.
    fn credentials(&self, head: &mut Vec<u8>) {
        let bearer = self.bearer.as_ref().map(|bearer| ("Authorization", bearer));
        let own = self.settings.headers.iter();
        for (name, value) in bearer
            .into_iter()
            .chain(own.map(|(name, value)| (name.as_str(), value)))
        {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }

    /// Asks, and waits until `until` for the first event of an answer; then for
    /// its first text, or an end without any.
    async fn open(&self, prompt: &Prompt, traceparent: &str, until: Instant) -> Result<Reading, Fault> {
        let unreachable =
            |_: &String| Fault::new(Kind::Unavailable, "the model's server cannot be reached over TLS");
        let target = self.target.as_ref().map_err(unreachable)?;
        let body = request::body(&self.settings, prompt)
            .map_err(|fault| Fault::new(Kind::Invalid, format!("the prompt cannot be sent: {fault}")))?;
        let mut request = self.head(target, traceparent, body.len());
        request.extend_from_slice(&body);
        drop(body);
        let response = match timeout_at(until, self.respond(&request)).await {
            Ok(response) => response,
            Err(_) => return Err(self.failed(&Cut::Silent)),
        };
        drop(request);
        let (link, head) = response.map_err(|reason| self.no_response(&reason))?;
        if !head.status.is_success() {
            return Err(self.refused(link, head, until).await);
        }
        let left = until.saturating_duration_since(Instant::now());
        let (max, idle) = (self.settings.max_answer, self.settings.idle_timeout);
        let mut reading = Reading::new(link, head, max, left, idle);
        match reading.begun().await {
            Ok(()) => Ok(reading),
            Err(cut) => Err(self.failed(&cut)),
        }
    }

    /// The head of the response to `request`. A connection that has waited may
    /// have been closed before the request reached the server; it is then sent
    /// again on a fresh one.
    async fn respond(&self, request: &[u8]) -> Result<(Link, Head), NoResponse> {
        if let Some(mut link) = self.pool.take().await {
            match exchange(&mut link, request).await {
                Err(NoResponse::Closed(_)) => {}
                response => return response.map(|head| (link, head)),
            }
        }
        let target = self.target.as_ref();
        let target =
            target.map_err(|reason| NoResponse::NotConnected(std::io::Error::other(reason.clone())))?;
        let until = Instant::now() + self.settings.connect_timeout;
        let connected = timeout_at(until, target.connect(until)).await;
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let mut link = connected.map_err(NoResponse::NotConnected)?;
        let head = exchange(&mut link, request).await?;
        Ok((link, head))
    }

    fn no_response(&self, reason: &NoResponse) -> Fault {
        let (kind, what) = match reason {
            NoResponse::NotConnected(_) => (Kind::Unavailable, "cannot be reached"),
            NoResponse::Closed(_) | NoResponse::Cut => {
                (Kind::Unavailable, "closed the connection without an answer")
            }
            NoResponse::Senseless(_) => (Kind::Failed, "answers what is no HTTP"),
        };
        let fault = Fault::new(kind, format!("the model's server {what}"));
        self.record(&fault, &reason.to_string());
        fault
    }

    /// Reads what it can of a refusal by `until`.
    async fn refused(&self, mut link: Link, head: Head, until: Instant) -> Fault {
        let key = self.settings.api_key.as_ref();
        let mut body = Vec::new();
        let reading = refusal::read(&mut link, head.framing, head.rest, &mut body);
        let whole = timeout_at(until, reading).await.unwrap_or(false);
        if whole && head.kept {
            self.pool.put(link, &self.handle);
        }
        let fault = refusal::fault(head.status, &head.headers, &body, key);
        let (status, said) = (head.status, refusal::logged(&body, key));
        self.record(&fault, &format!("{status}: {said}"));
        fault
    }

    /// An answer that ended before its end.
    fn failed(&self, cut: &Cut) -> Fault {
        use answer::Broken;

        let key = self.settings.api_key.as_ref();
        let (kind, what) = match cut {
            Cut::Silent => (Kind::Timeout, String::from("is silent for too long")),
            Cut::Closed | Cut::Broken(Broken::Unfinished) => {
                (Kind::Failed, String::from("cut its answer off"))
            }
            Cut::Broken(Broken::TooLong(most)) => (
                Kind::Failed,
                format!("answers with more than the {most} bytes allowed"),
            ),
            Cut::Broken(Broken::Server(said)) => match refusal::quoted(said, key) {
                Some(said) => (Kind::Failed, format!("failed within its answer: {said}")),
                None => (Kind::Failed, String::from("failed within its answer")),
            },
            Cut::Framing(_) | Cut::Broken(Broken::Stream(_) | Broken::Event(_)) => {
                (Kind::Failed, String::from("answers what cannot be understood"))
            }
        };
        let fault = Fault::new(kind, format!("the model's server {what}"));
        self.record(&fault, &refusal::logged(cut.to_string().as_bytes(), key));
        fault
    }

    /// The answer came to its end.
    fn answered(&self) {
        self.health.answered(&self.name);
    }

    fn record(&self, fault: &Fault, detail: &str) {
        self.health.failed(&self.name, fault.kind, detail);
    }

    /// Keeps the connection of an answer that has been read to its end.
    fn reuse(&self, reading: Reading) {
        match reading.into_link() {
            Some((link, framing)) if framing.is_ended() => self.pool.put(link, &self.handle),
            Some((link, framing)) => {
                let (pool, handle) = (self.pool.clone(), self.handle.clone());
                self.handle.spawn(async move {
                    if let Some(link) = reading::drained(link, framing).await {
                        pool.put(link, &handle);
                    }
                });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
