//! What plugins may call, once an operator grants it: one folder a capability,
//! one line of [`all`].
//!
//! ```text
//! sql/       [sql.NAME]     databases that are asked and never changed
//! search/    [search.NAME]  folders of documents
//! llm/       [llm.NAME]     language models
//! http/      [http]         requests to what was granted, and nowhere else
//! keyvalue/  [keyvalue]     what a plugin keeps beyond its calls
//! session/                  a conversation: what was said, what a plugin keeps
//! cache/     [cache.NAME]   what need not be made again, of plugins and of these
//! config/                   a plugin's own settings, which need no grant
//! ```
//!
//! A folder has its engine in plain Rust, which knows no wasm and can be tested
//! without it; `settings.rs`, what an operator decides, as the server's
//! configuration has validated it; and `guest.rs`, the functions that guests
//! call. Each of these begins at the runtime's gate, where the grant is checked.
//! [`Backends`] holds the engines of a host and gives them to its calls.
//!
//! Knows no listeners, no routes and no configuration file.

mod backends;
pub mod cache;
pub mod config;
pub mod http;
pub mod keyvalue;
pub mod llm;
pub mod search;
pub mod session;
mod share;
pub mod sql;

use std::collections::BTreeMap;
use std::sync::Arc;

use segue_runtime::Capability;

pub use backends::{BackendState, Backends};

/// Everything that plugins may import beyond the world `handler`, one line each.
pub fn all() -> Vec<Arc<dyn Capability>> {
    vec![
        Arc::new(sql::Sql),
        Arc::new(search::Search),
        Arc::new(llm::Llm),
        Arc::new(http::Http),
        Arc::new(keyvalue::Keyvalue),
        Arc::new(session::Session),
        Arc::new(cache::Caching),
        Arc::new(config::Config),
    ]
}

/// What the backends are started with: validated, by the names that grants use.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub cache: BTreeMap<String, cache::settings::Cache>,
    pub sql: BTreeMap<String, sql::settings::Database>,
    pub search: BTreeMap<String, search::settings::Index>,
    pub llm: BTreeMap<String, llm::settings::Model>,
    /// Whose answers are kept.
    pub remember: BTreeMap<String, llm::Remember>,
    pub budget: BTreeMap<String, llm::settings::Budget>,
    pub http: http::settings::Egress,
    pub keyvalue: keyvalue::settings::KeyValue,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_capability_has_a_name_and_interfaces_of_its_own() {
        let (mut names, mut interfaces) = (BTreeSet::new(), BTreeSet::new());
        for capability in all() {
            assert!(names.insert(capability.name()), "{}", capability.name());
            for interface in capability.interfaces() {
                assert!(interfaces.insert(interface.name), "{}", interface.name);
            }
        }
    }
}
