//! What an operator decides about a cache.

use std::time::Duration;

/// `[cache.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// How long an entry is fresh.
    pub ttl: Duration,
    /// How long after that it is still given out while it is fetched anew.
    pub stale_for: Duration,
    pub max_entries: u64,
    pub max_bytes: u64,
    /// The largest entry; a larger one is not kept.
    pub max_value: usize,
    /// Shared by all tenants, plugins and grants.
    pub public: bool,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            ttl: Duration::from_secs(60),
            stale_for: Duration::ZERO,
            max_entries: 10_000,
            max_bytes: 64 << 20,
            max_value: 1 << 20,
            public: false,
        }
    }
}
