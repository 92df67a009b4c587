//! Reads `[cache.NAME]`.

use segue_capabilities::cache::settings;

use super::read::{Parsed, ms, seconds, wanted};
use super::{Cache, CacheTier};
use crate::config::reader::{Shape, Table};
use crate::config::value::{self, Complaint, GIB, KIB, Value, choice, count, duration, flag, size};

/// The keys that only `tier = "redis"` has.
const REDIS_KEYS: [&str; 3] = ["url", "username", "password"];

const MAX_USERNAME_BYTES: usize = 256;

#[derive(Clone, Copy)]
enum Tier {
    Memory,
    Redis,
}

pub(super) fn cache(t: &Table<'_, '_>) -> Option<Cache> {
    t.hide("password");
    t.hide_unless("url", |url| !url.contains('@'));
    let built_in = settings::Cache::default();
    let month = seconds(30 * 24 * 3600);
    let tiers = choice(&[("memory", Tier::Memory), ("redis", Tier::Redis)]);
    Some(Cache {
        ttl: t.or("ttl", built_in.ttl, duration(ms(1)..=month)),
        stale_for: t.or("stale_for", built_in.stale_for, duration(ms(0)..=month)),
        max_entries: t.or("max_entries", built_in.max_entries, count(1..=10_000_000)),
        max_bytes: t.or("max_bytes", built_in.max_bytes, size(64 * KIB..=1024 * GIB)),
        max_value: t.or("max_value", built_in.max_value, value::room(1..=GIB)),
        public: t.or("public", built_in.public, flag),
        tier: match t.or("tier", Tier::Memory, tiers) {
            Tier::Redis => redis(t)?,
            Tier::Memory => {
                REDIS_KEYS.iter().for_each(|key| t.ignore(key, Shape::Scalar));
                CacheTier::Memory
            }
        },
    })
}

fn redis(t: &Table<'_, '_>) -> Option<CacheTier> {
    let resolve = value::secret(t.reader.base, t.reader.overrides);
    let url = wanted(t, "url", "write url = \"redis://HOST:6379/0\"", url);
    let username = t.read("username", |value| {
        let found = value::text(value)?;
        match found.len() {
            1..=MAX_USERNAME_BYTES => Ok(found),
            other => Err(Complaint::new(
                "out_of_range",
                format!("is {other} bytes long"),
                format!("give 1 to {MAX_USERNAME_BYTES} bytes"),
            )),
        }
    });
    let password = t.read("password", resolve);
    Some(CacheTier::Redis {
        url: url?,
        username,
        password,
    })
}

fn url(value: &Value<'_>) -> Parsed<String> {
    let found = value::text(value)?;
    if found.contains('@') {
        return Err(Complaint::new(
            "plain_secret",
            "has a user or a password in it, which must not stand in the file",
            "leave them out, and write username = \"NAME\" and password = \"env:NAME\"",
        ));
    }
    let known = ["redis://", "rediss://"]
        .iter()
        .any(|scheme| found.starts_with(scheme));
    match settings::Redis::check(&found) {
        Ok(()) if known => Ok(found),
        _ => Err(Complaint::new(
            "bad_url",
            "is no address of a Redis",
            "write scheme, host, port and database, such as redis://localhost:6379/0",
        )),
    }
}
