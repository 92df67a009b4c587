//! What the host offers to a guest, one file an interface, and the state of the
//! one call that a store serves.
//!
//! Guarantees: nothing here outlives its call; every function a guest can call
//! goes through [`Gate`]; no function panics on anything a guest passes.

mod call;
mod logging;
mod reply;
mod wasi;

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::Handler;
use crate::bindings::segue::plugin::types;
use crate::gate::Gate;
use crate::generation::Identity;
use crate::limits::Meter;
use crate::spec::{Context, HandlerError, Payload, Request};

pub(crate) use logging::PluginLog;
pub(crate) use reply::{ReplyFault, ReplySide};

/// How many host resources (streams, pollables) a call may hold. The base WASI
/// creates one per wait, and none that is large.
const RESOURCES_MAX: usize = 1024;

/// The state of one call: what a store holds.
pub(crate) struct CallState {
    pub(crate) gate: Gate,
    pub(crate) meter: Meter,
    pub(crate) reply: ReplySide,
    plugin: Arc<Identity>,
    context: Context,
    deadline: Instant,
    log: Arc<PluginLog>,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl CallState {
    pub(crate) fn new(
        plugin: Arc<Identity>,
        context: Context,
        deadline: Instant,
        gate: Gate,
        reply: ReplySide,
    ) -> CallState {
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
            log,
            table,
        }
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
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    Handler::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
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
