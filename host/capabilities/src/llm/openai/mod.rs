//! `provider = "openai"`: any server that speaks OpenAI's chat completions.
//!
//! The way of a completion: [`Client::ask`] writes the [`request`] and starts a
//! task on the host's threads, which takes a connection ([`pool`], [`connect`]),
//! sends, and waits for the head of the response ([`exchange`]); a refusal becomes
//! a fault ([`refusal`]). The task first passes the model's guard, and what became
//! of the answer, to its end, is what the guard hears. From there on the response is a [`reading`] that has no
//! task: whoever polls the [`Answering`] takes bytes off the socket, through the
//! [`framing`] and the [`events`] into the [`answer`].
//!
//! Dropping an [`Answering`] closes its connection, whichever of these it had
//! come to.

mod answer;
mod answering;
mod connect;
mod events;
mod exchange;
mod framing;
mod health;
mod pool;
mod reading;
mod refusal;
mod request;

use std::sync::Arc;

use http::HeaderValue;
use segue_resilience::{Admission, Guard, Judged};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::fault::{Fault, Kind};
use super::models::Asker;
use super::prompt::Prompt;
use super::settings::OpenAi;
use crate::share::{Full, Place, Places};
pub use answer::Usage;
pub(super) use answering::Answering;
use connect::{Link, Target};
use exchange::{Head, NoResponse, exchange};
use health::Health;
use pool::Pool;
use reading::{Cut, Reading};

/// One model behind one server.
pub(super) struct Client {
    name: String,
    settings: OpenAi,
    /// An error says why the server cannot be spoken to at all.
    target: Result<Target, String>,
    bearer: Option<HeaderValue>,
    places: Arc<Places>,
    pool: Pool,
    guard: Arc<Guard>,
    handle: Handle,
    health: Health,
}

impl Client {
    pub(super) fn new(name: &str, settings: OpenAi, guard: Arc<Guard>, handle: Handle) -> Client {
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
            places: Arc::default(),
            target,
            pool: Pool::default(),
            settings,
            guard,
            handle,
            health: Health::default(),
        }
    }

    pub(super) fn settings(&self) -> &OpenAi {
        &self.settings
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

    /// Starts a completion.
    pub(super) fn ask(self: &Arc<Client>, prompt: &Prompt, asker: Asker<'_>) -> Result<Answering, Fault> {
        let unavailable = || Fault::new(Kind::Unavailable, "the model's server cannot be reached over TLS");
        let target = self.target.as_ref().map_err(|_| unavailable())?;
        let place = self.places.take(asker.plugin, self.settings.max_in_flight);
        let place = place.map_err(|full| {
            let why = match full {
                Full::All(most) => format!("{most} completions of this model are under way"),
                Full::Share(most) => format!("this plugin has its share of the model, {most} completions"),
            };
            Fault::new(Kind::Overloaded, why)
        })?;
        let body = request::body(&self.settings, prompt)
            .map_err(|fault| Fault::new(Kind::Invalid, format!("the prompt cannot be sent: {fault}")))?;
        let mut request = self.head(target, asker.traceparent, body.len());
        request.extend_from_slice(&body);
        drop(body);
        asker.meters.add("llm.requests", 1);
        let opening = self.handle.spawn(Arc::clone(self).open(request, place));
        let opening = AbortOnDropHandle::new(opening);
        Ok(Answering::new(opening, Arc::clone(self), asker.meters.clone()))
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
        if let Some(bearer) = &self.bearer {
            head.extend_from_slice(b"Authorization: ");
            head.extend_from_slice(bearer.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// Sends the request and waits for the head of a response that is no
    /// refusal.
    async fn open(self: Arc<Client>, request: Vec<u8>, place: Place) -> Result<(Reading, Admission), Fault> {
        let admission = self.guard.admit(None).await?;
        match self.opened(request, place).await {
            Ok(reading) => Ok((reading, admission)),
            Err(fault) => {
                admission.judge(fault.verdict());
                Err(fault)
            }
        }
    }

    async fn opened(&self, request: Vec<u8>, place: Place) -> Result<Reading, Fault> {
        let settings = &self.settings;
        let patience = settings.first_token_timeout;
        let patience = self
            .guard
            .policy()
            .timeout
            .map_or(patience, |most| most.min(patience));
        let until = Instant::now() + patience;
        let response = match timeout_at(until, self.respond(&request)).await {
            Ok(response) => response,
            Err(_) => return Err(self.failed(Cut::Silent)),
        };
        drop(request);
        let (link, head) = response.map_err(|reason| self.no_response(&reason))?;
        if !head.status.is_success() {
            return Err(self.refused(link, head, until).await);
        }
        let left = until.saturating_duration_since(Instant::now());
        let (max, idle) = (settings.max_answer, settings.idle_timeout);
        Ok(Reading::new(link, head, max, left, idle, place))
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
    fn failed(&self, cut: Cut) -> Fault {
        use answer::Broken;

        let key = self.settings.api_key.as_ref();
        let (kind, what) = match &cut {
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
