//! Sends the requests of plugins.
//!
//! Guarantees: a request goes to the origin that was asked for and to no other,
//! since redirects are the plugin's to follow; both bodies are streamed; every
//! wait has an end; whoever drops the future, or the answer's body, closes the
//! connection at once. Connections that were used to their end are kept for a
//! while and used again, for the same origin only.
//!
//! In this order a request fails: whether its origin is left alone for a while,
//! its method, the length it announces, room
//! among those that its call, its plugin and all have open, the name, the address, the connection, TLS, the
//! request's body, the answer's head, the length it announces, its body.
//!
//! Everything that touches a socket runs on the host's own threads.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use segue_resilience::Guards;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::body::{Outgoing, Progress, Received, RequestBody};
use super::caller::{Caller, Ticket};
use super::connect::{Connector, Resolver, Tls, system_resolver, system_tls};
use super::failure::Failure;
use super::origin::Origin;
use super::repeat::{Ended, again, judged};
use super::settings;
use crate::share::Places;

/// How long a connection that nobody uses is kept.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How many of them are kept, per origin.
const KEPT_MAX: usize = 8;

/// The longest head of an answer, in bytes.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// What a plugin asks for; only what is shorter than the operator's counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub idle: Option<Duration>,
}

/// Sends requests under one set of settings.
pub struct Egress {
    settings: settings::Egress,
    client: Client<Connector, Outgoing>,
    parts: Parts,
    open: Arc<Places>,
    guards: Arc<Guards>,
    handle: Handle,
}

/// What connections are made with.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) resolver: Resolver,
    pub(super) tls: Tls,
}

impl Egress {
    /// Sends from the runtime of `handle`, which needs timers and I/O. What the
    /// operating system trusts is read once, here.
    pub fn new(settings: settings::Egress, guards: Arc<Guards>, handle: Handle) -> Arc<Egress> {
        let parts = Parts {
            resolver: system_resolver(),
            tls: system_tls(),
        };
        Egress::with(settings, guards, handle, parts, Arc::default())
    }

    pub(super) fn with(
        settings: settings::Egress,
        guards: Arc<Guards>,
        handle: Handle,
        parts: Parts,
        open: Arc<Places>,
    ) -> Arc<Egress> {
        let Parts { resolver, tls } = parts.clone();
        let allowed = settings.allow_networks.clone();
        let connector = Connector::new(allowed, settings.connect_timeout, resolver, tls);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(KEPT_MAX)
            .http1_max_buf_size(HEAD_MAX_BYTES)
            .build(connector);
        Arc::new(Egress {
            settings,
            client,
            parts,
            open,
            guards,
            handle,
        })
    }

    /// The same under other settings. Requests that run keep theirs; kept
    /// connections are not taken over, since they may lead to where nothing leads
    /// any more.
    pub fn update(self: &Arc<Egress>, settings: settings::Egress) -> Arc<Egress> {
        if settings == self.settings {
            return Arc::clone(self);
        }
        let (handle, parts) = (self.handle.clone(), self.parts.clone());
        let (guards, open) = (Arc::clone(&self.guards), Arc::clone(&self.open));
        Egress::with(settings, guards, handle, parts, open)
    }

    /// How many requests are open.
    pub fn in_flight(&self) -> usize {
        self.open.taken()
    }

    /// Sends `request` to `origin`, whatever its URI says of scheme and authority,
    /// and waits for the answer's head. It starts at once. What has failed lately
    /// is not asked, each plugin's failures counting for itself alone; what can be
    /// sent again, a request without a body that changes nothing, may be.
    pub fn send(
        self: &Arc<Egress>,
        origin: &Origin,
        request: Request<RequestBody>,
        asked: Timeouts,
        caller: &Caller,
    ) -> impl Future<Output = Result<Response<Received>, Failure>> + Send + use<> {
        let again = again(&request);
        let first = self.prepare(origin, request, asked, caller);
        let running = first.map(|first| {
            let (egress, origin, caller) = (Arc::clone(self), origin.clone(), caller.clone());
            let guard = self.guards.get("http", &caller.guarded_as(&origin));
            let deadline = caller.deadline();
            AbortOnDropHandle::new(self.handle.spawn(async move {
                let safe = again.is_some();
                let mut first = Some(first);
                let attempt = |_| {
                    let exchange = match (first.take(), &again) {
                        (Some(first), _) => Ok(first),
                        (None, Some(again)) => egress.prepare(&origin, again.request(), asked, &caller),
                        (None, None) => Err(Failure::Stopped),
                    };
                    async move { judged(exchange?.run().await) }
                };
                match guard.run(deadline, safe, attempt).await {
                    Ok(answer) => Ok(answer),
                    Err(Ended::Answered(answer)) => Ok(*answer),
                    Err(Ended::Failed(failure)) => Err(failure),
                }
            }))
        });
        async move { running?.await.unwrap_or(Err(Failure::Stopped)) }
    }

    /// What needs no waiting.
    fn prepare(
        &self,
        origin: &Origin,
        request: Request<RequestBody>,
        asked: Timeouts,
        caller: &Caller,
    ) -> Result<Exchange, Failure> {
        let settings = &self.settings;
        if request.method() == Method::CONNECT {
            return Err(Failure::Method(request.method().to_string()));
        }
        if announced(request.headers()).is_some_and(|length| length > settings.max_request) {
            return Err(Failure::RequestTooLarge(settings.max_request));
        }
        let ticket = Ticket::take(&self.open, settings.max_in_flight, caller)?;
        let progress = Progress::new();
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let unreadable = || Failure::Uri(origin.to_string());
        let uri = format!("{origin}{path}").parse();
        head.uri = uri.map_err(|_| unreadable())?;
        let host = HeaderValue::try_from(origin.authority()).map_err(|_| unreadable())?;
        head.headers.insert(HOST, host);
        let body = Outgoing::new(body, settings.max_request, Arc::clone(&progress), caller.over());
        let shorter = |asked: Option<Duration>, set| asked.map_or(set, |asked: Duration| asked.min(set));
        Ok(Exchange {
            client: self.client.clone(),
            request: Request::from_parts(head, body),
            progress,
            ticket,
            connect: shorter(asked.connect, settings.connect_timeout),
            first_byte: shorter(asked.first_byte, settings.timeout),
            idle: shorter(asked.idle, settings.idle_timeout),
            max_response: settings.max_response,
        })
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Egress");
        fields.field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// One request and the head of its answer.
struct Exchange {
    client: Client<Connector, Outgoing>,
    request: Request<Outgoing>,
    progress: Arc<Progress>,
    ticket: Ticket,
    connect: Duration,
    first_byte: Duration,
    idle: Duration,
    max_response: u64,
}

impl Exchange {
    async fn run(mut self) -> Result<Response<Received>, Failure> {
        let mut connection = capture_connection(&mut self.request);
        let sending = self.client.request(self.request);
        tokio::pin!(sending);
        let early = tokio::select! {
            biased;
            answer = &mut sending => Some(answer),
            _ = connection.wait_for_connection_metadata() => None,
            () = sleep(self.connect) => return Err(Failure::ConnectTimeout),
        };
        let answer = match early {
            Some(answer) => answer,
            None => {
                self.progress.touch();
                tokio::select! {
                    biased;
                    answer = &mut sending => answer,
                    failure = self.progress.stalled(self.idle, self.first_byte) => return Err(failure),
                }
            }
        };
        let answer = answer.map_err(|fault| Failure::of_request(&fault))?;
        check(&answer, self.max_response)?;
        let (max, idle) = (self.max_response, self.idle);
        Ok(answer.map(|body| Received::new(body, self.ticket, max, idle)))
    }
}

/// What the answer's head already tells.
fn check(answer: &Response<Incoming>, max_response: u64) -> Result<(), Failure> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::Upgraded);
    }
    // An answer to HEAD announces what it does not bring.
    let size = http_body::Body::size_hint(answer.body()).lower();
    match size > max_response {
        true => Err(Failure::ResponseTooLarge(max_response)),
        false => Ok(()),
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
