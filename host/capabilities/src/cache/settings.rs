//! What an operator decides about a cache.

use std::fmt;
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
    /// Where entries are, if not in this host's memory alone.
    pub redis: Option<Redis>,
}

/// A Redis that hosts share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// `redis://HOST:PORT/DATABASE`, or `rediss:` with TLS. Without a password.
    pub url: String,
    pub username: Option<String>,
    pub password: Option<Password>,
}

impl Redis {
    /// Whether it can be used, or what is wrong with the address.
    pub fn check(url: &str) -> Result<(), String> {
        redis::IntoConnectionInfo::into_connection_info(url)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// Printed by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub fn new(password: impl Into<String>) -> Password {
        Password(password.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
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
            redis: None,
        }
    }
}
