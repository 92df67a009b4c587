//! `segue:cache` as guests see it.
//!
//! Every function passes the gate under the cache's name: what is kept in one that
//! is no longer granted is neither given out nor changed.

use std::sync::Arc;
use std::time::Duration;

use segue_runtime::{CallState, Capability, HandlerError, HostFunction, Interface};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{HasSelf, Linker, Resource};

use super::kept::{Obtained, Turn};
use super::{Caches, Kept, KeptError};
use bindings::segue::cache::cache;
use bindings::segue::plugin::types::Error;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package segue:cache-host@0.1.0;

            world host {
                import segue:cache/cache@0.1.0;
            }
        ",
        world: "segue:cache-host/host",
        path: ["../../wit/plugin", "../../wit/cache"],
        imports: {
            "segue:cache/cache.caches": trappable,
            "segue:cache/cache.[static]turn.fail": trappable,
            "segue:cache/cache.[drop]turn": trappable,
            default: async | trappable,
        },
        with: {
            "segue:plugin/types": segue_runtime::wit::types,
            "segue:cache/cache.turn": super::Open,
        },
    });
}

static CACHES: HostFunction = HostFunction::new("cache", "cache.caches");
static GET: HostFunction = HostFunction::new("cache", "cache.get");
static OBTAIN: HostFunction = HostFunction::new("cache", "cache.obtain");
static SET: HostFunction = HostFunction::new("cache", "cache.set");
static DELETE: HostFunction = HostFunction::new("cache", "cache.delete");
static INVALIDATE: HostFunction = HostFunction::new("cache", "cache.invalidate");
static FILL: HostFunction = HostFunction::new("cache", "cache.fill");
static FAIL: HostFunction = HostFunction::new("cache", "cache.fail");
static FUNCTIONS: [&HostFunction; 8] = [&CACHES, &GET, &OBTAIN, &SET, &DELETE, &INVALIDATE, &FILL, &FAIL];

/// Turns that one call may have. Others wait for each.
const HELD_MAX: usize = 16;

/// A turn that a guest holds.
#[derive(Debug)]
pub struct Open {
    turn: Box<Turn>,
    _held: OwnedSemaphorePermit,
}

/// What a call holds.
struct Local {
    held: Arc<Semaphore>,
}

impl Default for Local {
    fn default() -> Local {
        let held = Arc::new(Semaphore::new(HELD_MAX));
        Local { held }
    }
}

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caching;

impl Capability for Caching {
    fn name(&self) -> &'static str {
        "cache"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[Interface {
            name: "segue:cache/cache",
            version: "0.1.0",
            functions: &[
                "caches",
                "get",
                "obtain",
                "set",
                "delete",
                "invalidate",
                "[static]turn.fill",
                "[static]turn.fail",
                "[resource-drop]turn",
            ],
        }]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        cache::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
    }
}

/// Enters, or answers with the denial.
macro_rules! enter {
    ($state:expr, $function:expr, $cache:expr, $bytes:expr) => {
        match $state.enter($function, Some($cache), $bytes) {
            Ok(pass) => pass,
            Err(denied) => return Ok(Err(HandlerError::from(denied).into())),
        }
    };
}

/// What the plugin keeps there.
fn kept(state: &CallState, cache: &str) -> Result<Kept, KeptError> {
    let caches = state.service::<Caches>();
    let kept = caches.and_then(|caches| caches.of(state.plugin_name(), cache));
    kept.ok_or_else(|| KeptError::NoCache(cache.to_owned()))
}

fn told(error: KeptError) -> Error {
    HandlerError::from(error).into()
}

fn all_bytes(value: &[u8], tags: &[String]) -> usize {
    value.len() + tags.iter().map(String::len).sum::<usize>()
}

impl cache::Host for CallState {
    fn caches(&mut self) -> wasmtime::Result<Vec<String>> {
        // About no cache, so never denied.
        let Ok(pass) = self.enter(&CACHES, None, 0) else {
            return Ok(Vec::new());
        };
        Ok(pass.leave_with(self.granted("cache")))
    }

    async fn get(&mut self, cache: String, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let pass = enter!(self, &GET, &cache, key.len());
        let found = match kept(self, &cache) {
            Ok(kept) => kept.get(&key).await,
            Err(error) => Err(error),
        };
        let found = pass.leave(found);
        Ok(found.map(|found| found.map(Vec::from)).map_err(told))
    }

    async fn obtain(&mut self, cache: String, key: String) -> wasmtime::Result<Result<cache::Found, Error>> {
        let pass = enter!(self, &OBTAIN, &cache, key.len());
        let held = Arc::clone(&self.local::<Local>().held).try_acquire_owned();
        let found = match (kept(self, &cache), held) {
            (Ok(kept), Ok(held)) => kept.obtain(&key).await.map(|found| (found, held)),
            (Err(error), _) => Err(error),
            (_, Err(_)) => Err(KeptError::Held(HELD_MAX)),
        };
        Ok(match pass.leave(found) {
            Ok((Obtained::Value(value), _)) => Ok(cache::Found::Value(value.into())),
            Ok((Obtained::Turn(turn), held)) => {
                let open = Open { turn, _held: held };
                Ok(cache::Found::Yours(self.table().push(open)?))
            }
            Err(error) => Err(told(error)),
        })
    }

    async fn set(
        &mut self,
        cache: String,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
        tags: Vec<String>,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let pass = enter!(self, &SET, &cache, key.len() + all_bytes(&value, &tags));
        let ttl = ttl_ms.map(Duration::from_millis);
        let set = match kept(self, &cache) {
            Ok(kept) => kept.set(&key, value.into(), ttl, &tags).await,
            Err(error) => Err(error),
        };
        Ok(pass.leave(set).map_err(told))
    }

    async fn delete(&mut self, cache: String, key: String) -> wasmtime::Result<Result<(), Error>> {
        let pass = enter!(self, &DELETE, &cache, key.len());
        let deleted = match kept(self, &cache) {
            Ok(kept) => kept.delete(&key).await,
            Err(error) => Err(error),
        };
        Ok(pass.leave(deleted).map_err(told))
    }

    async fn invalidate(&mut self, cache: String, tag: String) -> wasmtime::Result<Result<(), Error>> {
        let pass = enter!(self, &INVALIDATE, &cache, tag.len());
        let invalidated = match kept(self, &cache) {
            Ok(kept) => kept.invalidate(&tag).await,
            Err(error) => Err(error),
        };
        Ok(pass.leave(invalidated).map_err(told))
    }
}

impl cache::HostTurn for CallState {
    async fn fill(
        &mut self,
        turn: Resource<Open>,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
        tags: Vec<String>,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let open = self.table().delete(turn)?;
        let pass = enter!(self, &FILL, open.turn.cache(), all_bytes(&value, &tags));
        let ttl = ttl_ms.map(Duration::from_millis);
        let filled = open.turn.fill(value.into(), ttl, &tags).await;
        Ok(pass.leave(filled).map_err(told))
    }

    fn fail(&mut self, turn: Resource<Open>, why: Error) -> wasmtime::Result<Result<(), Error>> {
        let open = self.table().delete(turn)?;
        let bytes = why.code.len() + why.message.len();
        let pass = enter!(self, &FAIL, open.turn.cache(), bytes);
        open.turn.fail(why.into());
        Ok(pass.leave(Ok(())))
    }

    fn drop(&mut self, turn: Resource<Open>) -> wasmtime::Result<()> {
        self.table().delete(turn)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_takes_it_once() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::<CallState>::new(&engine);
        Caching.link(&mut linker).unwrap();
        // The interface is there now, under the name and version that are told.
        let [interface] = Caching.interfaces() else {
            panic!("one interface")
        };
        let name = format!("{}@{}", interface.name, interface.version);
        let mut instance = linker.instance(&name).unwrap();
        for function in interface
            .functions
            .iter()
            .filter(|name| !name.starts_with("[resource"))
        {
            let again = instance.func_new(function, |_, _, _, _| Ok(()));
            assert!(again.is_err(), "{function} is not linked");
        }
    }
}
