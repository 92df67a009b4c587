//! `segue:search` as guests see it.
//!
//! Every function passes the gate under the index's name: hits of an index that
//! is no longer granted are not given out.

use std::sync::Arc;

use segue_runtime::{CallState, Capability, HandlerError, HostFunction, Interface};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{HasSelf, Linker, Resource};

use super::{Hit, Hits, Indexes};
use bindings::segue::plugin::types::Error;
use bindings::segue::search::search;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package segue:search-host@0.1.0;

            world host {
                import segue:search/search@0.1.0;
            }
        ",
        world: "segue:search-host/host",
        path: ["../../wit/plugin", "../../wit/search"],
        imports: {
            "segue:search/search.[method]hits.read": async | trappable,
            default: trappable,
        },
        with: {
            "segue:plugin/types": segue_runtime::wit::types,
            "segue:search/search.hits": super::Open,
        },
    });
}

static INDEXES: HostFunction = HostFunction::new("search", "search.indexes").untraced();
static QUERY: HostFunction = HostFunction::new("search", "search.query");
static READ: HostFunction = HostFunction::new("search", "search.read");
static LINK: HostFunction = HostFunction::new("search", "search.link").untraced();
static FUNCTIONS: [&HostFunction; 4] = [&INDEXES, &QUERY, &READ, &LINK];

/// What a call counts.
const QUERIES: &str = "search.queries";

/// Searches that one call may hold. Each keeps what it found in the host's
/// memory, read or not, until it is dropped.
pub(super) const HELD_MAX: usize = 16;

/// A search that a guest holds.
#[derive(Debug)]
pub struct Open {
    pub(super) hits: Hits,
    _held: OwnedSemaphorePermit,
}

/// What a call holds.
pub(super) struct Local {
    held: Arc<Semaphore>,
}

impl Default for Local {
    fn default() -> Local {
        let held = Arc::new(Semaphore::new(HELD_MAX));
        Local { held }
    }
}

impl Local {
    /// Holds what `search` starts, if the call may hold one more.
    pub(super) fn hold(
        &self,
        search: impl FnOnce() -> Result<Hits, super::Error>,
    ) -> Result<Open, super::Error> {
        let held = Arc::clone(&self.held).try_acquire_owned();
        let held = held.map_err(|_| super::Error::Held(HELD_MAX))?;
        search().map(|hits| Open { hits, _held: held })
    }
}

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search;

impl Capability for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[Interface {
            name: "segue:search/search",
            version: "0.1.0",
            functions: &[
                "indexes",
                "query",
                "link",
                "[method]hits.read",
                "[resource-drop]hits",
            ],
        }]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        search::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
    }
}

/// Enters, or answers with the denial.
macro_rules! enter {
    ($state:expr, $function:expr, $index:expr, $bytes:expr) => {
        match $state.enter($function, Some($index), $bytes) {
            Ok(pass) => pass,
            Err(denied) => return Ok(Err(HandlerError::from(denied).into())),
        }
    };
}

impl search::Host for CallState {
    fn indexes(&mut self) -> wasmtime::Result<Vec<String>> {
        // About no index, so never denied.
        let Ok(pass) = self.enter(&INDEXES, None, 0) else {
            return Ok(Vec::new());
        };
        Ok(pass.leave_with(self.granted("search")))
    }

    fn query(
        &mut self,
        index: String,
        text: String,
        limit: u32,
    ) -> wasmtime::Result<Result<Resource<Open>, Error>> {
        let pass = enter!(self, &QUERY, &index, index.len() + text.len());
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (indexes, plugin) = (self.service::<Indexes>(), self.plugin_name().to_owned());
        let search = self.local::<Local>().hold(|| match indexes {
            Some(indexes) => indexes.query(&plugin, &index, &text, limit),
            None => Err(super::Error::UnknownIndex(index)),
        });
        match pass.leave_told(search, super::Error::code) {
            Ok(search) => {
                self.meters().add(QUERIES, 1);
                Ok(Ok(self.table().push(search)?))
            }
            Err(error) => Ok(Err(HandlerError::from(error).into())),
        }
    }

    fn link(
        &mut self,
        index: String,
        document: String,
        offset: u64,
        words: String,
    ) -> wasmtime::Result<Result<Option<String>, Error>> {
        let bytes = index.len() + document.len() + words.len();
        let pass = enter!(self, &LINK, &index, bytes);
        let indexes = self.service::<Indexes>();
        let link = indexes.and_then(|indexes| indexes.link(&index, &document, offset, &words));
        Ok(Ok(pass.leave_with(link)))
    }
}

impl search::HostHits for CallState {
    async fn read(&mut self, hits: Resource<Open>) -> wasmtime::Result<Result<Vec<search::Hit>, Error>> {
        let index = self.table().get(&hits)?.hits.index().to_owned();
        let mut pass = enter!(self, &READ, &index, 0);
        let found = self.table().get_mut(&hits)?.hits.read().await;
        if let Ok(found) = &found {
            pass.span().set("segue.search.hits", found.len() as u64);
        }
        Ok(match pass.leave_told(found, super::Error::code) {
            Ok(found) => Ok(found.into_iter().map(search::Hit::from).collect()),
            Err(error) => Err(HandlerError::from(error).into()),
        })
    }

    fn drop(&mut self, hits: Resource<Open>) -> wasmtime::Result<()> {
        self.table().delete(hits)?;
        Ok(())
    }
}

impl From<Hit> for search::Hit {
    fn from(hit: Hit) -> search::Hit {
        search::Hit {
            document: hit.document,
            title: hit.title,
            headings: hit.headings,
            text: hit.text,
            offset: hit.offset,
            score: hit.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_takes_it_once() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::<CallState>::new(&engine);
        Search.link(&mut linker).unwrap();
        // The interface is there now, under the name and version that are told.
        let [interface] = Search.interfaces() else {
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
