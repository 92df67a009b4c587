//! `segue:session` as guests see it. All of it answers from memory.

use segue_runtime::{CallState, Capability, HandlerError, HostFunction, Interface};
use wasmtime::component::{HasSelf, Linker};

use super::{Conversation, Current, MAX_TURNS, SessionError};
use bindings::segue::plugin::types::Error;
use bindings::segue::session::{history, state};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package segue:session-host@0.1.0;

            world host {
                import segue:session/state@0.1.0;
                import segue:session/history@0.1.0;
            }
        ",
        world: "segue:session-host/host",
        path: ["../../wit/plugin", "../../wit/session"],
        imports: { default: trappable },
        with: { "segue:plugin/types": segue_runtime::wit::types },
    });
}

static GET: HostFunction = HostFunction::new("session", "session.get");
static SWAP: HostFunction = HostFunction::new("session", "session.swap");
static RECENT: HostFunction = HostFunction::new("session", "session.recent");
static FUNCTIONS: [&HostFunction; 3] = [&GET, &SWAP, &RECENT];

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Session;

impl Capability for Session {
    fn name(&self) -> &'static str {
        "session"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[
            Interface {
                name: "segue:session/state",
                version: "0.1.0",
                functions: &["get", "swap"],
            },
            Interface {
                name: "segue:session/history",
                version: "0.1.0",
                functions: &["recent"],
            },
        ]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        state::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
        history::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
    }
}

/// Does `work` with the call's conversation, past the gate.
fn with<T>(
    call: &CallState,
    function: &'static HostFunction,
    scope: &str,
    bytes: usize,
    work: impl FnOnce(&dyn Conversation) -> Result<T, SessionError>,
) -> wasmtime::Result<Result<T, Error>> {
    let pass = match call.enter(function, Some(scope), bytes) {
        Ok(pass) => pass,
        Err(denied) => return Ok(Err(HandlerError::from(denied).into())),
    };
    let result = match call.service::<Current>() {
        Some(current) => work(&*current.0),
        None => Err(SessionError::None),
    };
    Ok(pass.leave(result.map_err(|error| HandlerError::from(error).into())))
}

impl state::Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<state::Entry>, Error>> {
        with(self, &GET, "state", key.len(), |conversation| {
            let entry = conversation.get(self.plugin_name(), &key)?;
            Ok(entry.map(|entry| state::Entry {
                value: entry.value,
                version: entry.version,
            }))
        })
    }

    fn swap(
        &mut self,
        key: String,
        value: Option<Vec<u8>>,
        expected: Option<u64>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let bytes = key.len() + value.as_ref().map_or(0, Vec::len);
        with(self, &SWAP, "state", bytes, |conversation| {
            conversation.swap(self.plugin_name(), &key, value, expected)
        })
    }
}

impl history::Host for CallState {
    fn recent(&mut self, limit: u32) -> wasmtime::Result<Result<Vec<history::Turn>, Error>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(MAX_TURNS);
        with(self, &RECENT, "history", 0, |conversation| {
            let turns = conversation.recent(limit).into_iter().map(|turn| history::Turn {
                id: turn.id,
                user: turn.user,
                reply: turn.reply,
            });
            Ok(turns.collect())
        })
    }
}
