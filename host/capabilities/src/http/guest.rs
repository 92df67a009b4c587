//! `wasi:http` as guests see it: the types of WASI 0.2 and its outgoing handler.
//!
//! The bookkeeping of headers, bodies and streams is wasmtime's; what becomes of
//! a request is decided in [`Asking::send`]. Headers that belong to the
//! connection (`Host` among them) cannot be set by a guest and are hidden from
//! it. A request runs from the moment it is handled; dropping what it returned
//! ends it.

use std::future::{self, Future};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{self, HeaderName};
use http_body_util::BodyExt;
use segue_runtime::{CallState, Capability, Gate, HostFunction, Interface, Meters, Pass};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttp, WasiHttpCtx,
    WasiHttpCtxView, WasiHttpHooks,
};

use super::caller::Caller;
use super::egress::{Egress, Timeouts};
use super::failure::Failure;
use super::grant::Grant;
use super::origin::Origin;
use super::told;

/// The largest piece that a guest writes to a body at once, in bytes.
const PIECE_MAX_BYTES: usize = 64 * 1024;

static HANDLE: HostFunction = HostFunction::new("http", "http.handle");

static FUNCTIONS: [&HostFunction; 1] = [&HANDLE];

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

impl Capability for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[
            Interface {
                name: "wasi:http/types",
                version: "0.2.12",
                functions: &[],
            },
            Interface {
                name: "wasi:http/outgoing-handler",
                version: "0.2.12",
                functions: &["handle"],
            },
        ]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        outgoing_handler::add_to_linker::<_, WasiHttp>(linker, view)?;
        types::add_to_linker::<_, WasiHttp>(linker, &LinkOptions::default().into(), view)
    }
}

fn view(state: &mut CallState) -> WasiHttpCtxView<'_> {
    if state.local::<Local>().hooks.0.is_none() {
        let asking = Asking::new(state);
        state.local::<Local>().hooks = Hooks(Some(asking));
    }
    let (table, local) = state.table_and_local::<Local>();
    WasiHttpCtxView {
        hooks: &mut local.hooks,
        table,
        ctx: &mut local.context,
    }
}

/// What a call keeps.
#[derive(Default)]
struct Local {
    context: WasiHttpCtx,
    hooks: Hooks,
}

/// Empty until the guest first uses `wasi:http`.
#[derive(Default)]
struct Hooks(Option<Asking>);

/// The call that asks.
struct Asking {
    caller: Caller,
    gate: Gate,
    meters: Meters,
    egress: Option<Arc<Egress>>,
    /// Fires when this goes, which is before the guest's resources do: a body
    /// that ends with its call must not seem complete.
    _over: DropGuard,
    /// Whether the log was told of a forbidden address.
    told: Arc<AtomicBool>,
}

impl Asking {
    fn new(state: &CallState) -> Asking {
        let over = CancellationToken::new();
        Asking {
            caller: Caller::new(state.plugin_name(), over.clone()).until(state.deadline()),
            gate: state.gate().clone(),
            meters: state.meters().clone(),
            egress: state.service(),
            _over: over.drop_guard(),
            told: Arc::default(),
        }
    }

    /// Lets the request through, or not, and starts it.
    fn send(
        &self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<impl Future<Output = Result<http::Response<WasiBody>, Error>> + Send + use<>, Error> {
        let origin = Origin::of(request.uri());
        let (pass, line) = self.enter(origin.as_ref().ok()).ok_or(Error::HttpRequestDenied)?;
        let origin = match origin {
            Ok(origin) => origin,
            Err(failure) => return pass.leave(Err(Error::from(failure))),
        };
        let Some(egress) = &self.egress else {
            return pass.leave(Err(Error::ConfigurationError));
        };
        self.meters.add("http.requests", 1);
        let timeouts = options.map_or(Timeouts::default(), |options| Timeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            idle: options.between_bytes_timeout,
        });
        let mut request = request.map(|body| body.map_err(|_| Failure::Abandoned).boxed_unsync());
        let mut span = told::span(pass.trace(), request.method(), &origin);
        told::hand_on(pass.trace(), &span, request.headers_mut());
        let caller = self.caller.under(line);
        let answer = egress.send(&origin, request, timeouts, &caller);
        let (caller, told) = (self.caller.clone(), Arc::clone(&self.told));
        Ok(async move {
            let answer = pass.leave_told(answer.await, told::code);
            told::answered(&mut span, &answer);
            drop(span);
            answer
                .inspect_err(|failure| report(caller.plugin(), &origin, failure, &told))
                .map(|answer| answer.map(|body| body.map_err(Error::from).boxed_unsync()))
                .map_err(Error::from)
        })
    }

    /// The way through the gate, under the line of the grants that opens
    /// `origin`. What names no origin is about none of them.
    fn enter(&self, origin: Option<&Origin>) -> Option<(Pass, Option<Grant>)> {
        let mut opening = None;
        let scope = origin.map(|origin| {
            for line in self.gate.granted("http") {
                opening = Grant::parse(&line).ok().filter(|grant| grant.opens(origin));
                if opening.is_some() {
                    return line;
                }
            }
            origin.to_string()
        });
        let bytes = scope.as_ref().map_or(0, String::len);
        let pass = self.gate.enter(&HANDLE, scope.as_deref(), bytes).ok()?;
        Some((pass, opening))
    }
}

/// What the codes of `wasi:http` do not tell, for the operator. The mend of a
/// forbidden address is worth a warning, but one a call.
fn report(plugin: &str, origin: &Origin, failure: &Failure, told: &AtomicBool) {
    let forbidden = matches!(failure, Failure::Prohibited(_));
    if forbidden && !told.swap(true, Ordering::Relaxed) {
        tracing::warn!(plugin, %origin, "a request was not sent: {failure}");
    } else {
        tracing::debug!(plugin, %origin, "a request failed: {failure}");
    }
}

type Answering = Box<
    dyn Future<
            Output = Result<
                (
                    http::Response<WasiBody>,
                    Box<dyn Future<Output = Result<(), Error>> + Send>,
                ),
                Error,
            >,
        > + Send,
>;

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_of_the_connection)
    }

    /// The origin's own form of it is sent.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Answering {
        let asking = self.0.as_ref().ok_or(Error::ConfigurationError);
        match asking.and_then(|asking| asking.send(request, options)) {
            Err(error) => Box::new(future::ready(Err(error))),
            Ok(answer) => Box::new(async move {
                let done: Box<dyn Future<Output = Result<(), Error>> + Send> =
                    Box::new(future::ready(Ok(())));
                Ok((answer.await?, done))
            }),
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_MAX_BYTES
    }
}

fn is_of_the_connection(name: &HeaderName) -> bool {
    *name == header::TE || *name == header::TRAILER || DEFAULT_FORBIDDEN_HEADERS.contains(name)
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Uri(_) => Error::HttpRequestUriInvalid,
            Failure::Method(_) => Error::HttpRequestMethodInvalid,
            Failure::LeftAlone(_) => Error::DestinationUnavailable,
            Failure::Waiting | Failure::Busy(_) | Failure::PluginBusy(_) | Failure::CallBusy(_) => {
                Error::ConnectionLimitReached
            }
            Failure::Resolve { .. } => Error::DnsError {
                rcode: Some(String::from("address not available")),
                info_code: None,
            },
            Failure::ResolveTimeout(_) => Error::DnsTimeout,
            Failure::Prohibited(_) => Error::DestinationIpProhibited,
            Failure::ConnectTimeout => Error::ConnectionTimeout,
            Failure::Refused => Error::ConnectionRefused,
            Failure::Unroutable(_) => Error::DestinationIpUnroutable,
            Failure::Unavailable(_) => Error::DestinationUnavailable,
            Failure::NoTls(_) => Error::ConfigurationError,
            Failure::Certificate(_) => Error::TlsCertificateError,
            Failure::Alert { number, name } => Error::TlsAlertReceived {
                alert_id: Some(number),
                alert_message: Some(name),
            },
            Failure::Tls(_) => Error::TlsProtocolError,
            Failure::WriteTimeout => Error::ConnectionWriteTimeout,
            Failure::ReadTimeout => Error::ConnectionReadTimeout,
            Failure::RequestTooLarge(limit) => Error::HttpRequestBodySize(Some(limit)),
            Failure::ResponseTooLarge(limit) => Error::HttpResponseBodySize(Some(limit)),
            Failure::Terminated => Error::ConnectionTerminated,
            Failure::Incomplete => Error::HttpResponseIncomplete,
            Failure::HeadTooLarge => Error::HttpResponseHeaderSectionSize(None),
            Failure::Upgraded => Error::HttpUpgradeFailed,
            Failure::Abandoned | Failure::Protocol(_) => Error::HttpProtocolError,
            Failure::Stopped => Error::InternalError(Some(String::from("the host is going down"))),
        }
    }
}
