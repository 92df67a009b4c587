//! What every plugin is offered, one file an interface, and the state of the
//! one call that a store serves. Capabilities, which have to be granted, are
//! made outside and work with [`CallState`]'s public functions.
//!
//! Guarantees: nothing here outlives its call; every function a guest can call
//! goes through [`Gate`]; no function panics on anything a guest passes.

mod call;
mod locals;
mod logging;
mod reply;
mod wasi;

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::Handler;
use crate::bindings::segue::plugin::types;
use crate::call::Source;
use crate::capability::{Capabilities, HostFunction, Meters, Services};
use crate::gate::{Denied, Gate, Pass};
use crate::generation::Identity;
use crate::limits::Meter;
use crate::spec::{Context, HandlerError, Payload, Request};

use locals::Locals;
pub(crate) use logging::PluginLog;
pub(crate) use reply::{ReplyFault, ReplySide};

/// How many host resources (streams, pollables) a call may hold. The base WASI
/// creates one per wait, and none that is large.
const RESOURCES_MAX: usize = 1024;

/// The state of one call: what a store holds. Capabilities work with its public
/// functions.
pub struct CallState {
    pub(crate) gate: Gate,
    pub(crate) meter: Meter,
    pub(crate) reply: ReplySide,
    plugin: Arc<Identity>,
    context: Context,
    deadline: Instant,
    cancel: CancellationToken,
    services: Services,
    meters: Meters,
    log: Arc<PluginLog>,
    wasi: WasiCtx,
    // Before the table: a capability may have to know that the call is over
    // before the guest's resources are dropped.
    locals: Locals,
    table: ResourceTable,
}

/// What a call is made of, beside its plugin.
pub(crate) struct Setting {
    pub(crate) context: Context,
    pub(crate) deadline: Instant,
    pub(crate) cancel: CancellationToken,
    pub(crate) services: Services,
    pub(crate) meters: Meters,
}

impl CallState {
    pub(crate) fn new(plugin: Arc<Identity>, setting: Setting, gate: Gate, reply: ReplySide) -> CallState {
        let Setting {
            context,
            deadline,
            cancel,
            services,
            meters,
        } = setting;
        let log = Arc::new(PluginLog::new(Arc::clone(&plugin), context.traceparent.clone()));
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        CallState {
            gate,
            meter: Meter::new(plugin.limits.memory_bytes),
            reply,
            wasi: wasi::empty_context(&log),
            plugin,
            context,
            deadline,
            cancel,
            services,
            meters,
            log,
            table,
            locals: Locals::default(),
        }
    }
}

impl CallState {
    /// What the guest last wrote to standard error.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.log.last_words()
    }
}

/// What capabilities work with.
impl CallState {
    /// The choke point: every function of a capability begins here. `scope` is
    /// the name it is about (a database, an index, a host), `None` for one that
    /// is about none; `bytes` is what the guest handed over.
    pub fn enter(
        &self,
        function: &'static HostFunction,
        scope: Option<&str>,
        bytes: usize,
    ) -> Result<Pass, Denied> {
        self.gate.enter(function, scope, bytes)
    }

    /// The choke point, to be taken along by what cannot hold the call's state.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The names within a capability that the plugin may use now.
    pub fn granted(&self, capability: &str) -> Vec<String> {
        self.gate.granted(capability)
    }

    /// Where the guest's resources are kept. Their `Drop` has to stop what they
    /// do: the call may end at any moment.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// What the call brought along of this type.
    pub fn service<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.services.get()
    }

    /// A capability's own state of this call, made when first asked for.
    pub fn local<T: Default + Send + 'static>(&mut self) -> &mut T {
        self.locals.get()
    }

    /// Both at once.
    pub fn table_and_local<T: Default + Send + 'static>(&mut self) -> (&mut ResourceTable, &mut T) {
        (&mut self.table, self.locals.get())
    }

    /// The plugin's name.
    pub fn plugin_name(&self) -> &str {
        &self.plugin.name
    }

    /// `[settings]` of the plugin's `.toml`.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.plugin.settings
    }

    /// What is known of the call.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// When the call ends, wherever it stands.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Fires when the message is cancelled; not when the guest returns, which
    /// drops its resources.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Where to count what is used.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Hands a running source of text to the host, which sends what comes of it
    /// as part of the reply, in its place among what else is sent, also after
    /// the guest has returned. Waits for room, and fails as sending does; a
    /// source that was not taken is dropped.
    pub async fn forward(&mut self, source: Source) -> wasmtime::Result<Result<(), HandlerError>> {
        self.reply.forward(source).await
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Gives `linker` everything a handler may import.
pub(crate) fn link(linker: &mut Linker<CallState>, capabilities: &Capabilities) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    Handler::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    capabilities
        .iter()
        .try_for_each(|capability| capability.link(linker))
}

impl types::Host for CallState {}

impl From<HandlerError> for types::Error {
    fn from(error: HandlerError) -> types::Error {
        types::Error {
            code: error.code,
            message: error.message,
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
        }
    }
}

impl From<types::Error> for HandlerError {
    fn from(error: types::Error) -> HandlerError {
        HandlerError {
            code: error.code,
            message: error.message,
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
        }
    }
}

impl From<Request> for types::Request {
    fn from(request: Request) -> types::Request {
        let mut flags = types::RequestFlags::empty();
        if request.rag_sql {
            flags |= types::RequestFlags::RAG_SQL;
        }
        if request.rag_doc {
            flags |= types::RequestFlags::RAG_DOC;
        }
        types::Request {
            id: request.id,
            mtype: request.mtype,
            payload: match request.payload {
                Payload::Text(text) => types::Payload::Text(text),
                Payload::Binary(bytes) => types::Payload::Binary(bytes),
            },
            flags,
        }
    }
}
