//! The resolved configuration as people may see it, and what of it can change
//! while the host runs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serializer;
use serde_json::{Map, Value, json};

use super::Config;
use super::value::time;

/// Keys that take effect at once when the config is read again; a section
/// stands for all its keys. Every other key needs a restart, so a new key is
/// safe until somebody shows that it is hot.
const HOT: [&str; 33] = [
    "budget",
    "cache",
    "endpoint",
    "health",
    "http",
    "keyvalue",
    "limit",
    "llm",
    "log.level",
    "metrics",
    "outbox",
    "overload",
    "plugins.auto_widen",
    "plugins.max_grants",
    "resilience",
    "route",
    "search",
    "server.blocked",
    "server.body_timeout",
    "server.drain_delay",
    "server.drain_timeout",
    "server.expose",
    "server.forwarded",
    "server.hosts",
    "server.max_frame",
    "server.max_raw_frame",
    "server.origins",
    "server.ping_interval",
    "server.ping_timeout",
    "server.provisioning",
    "server.trusted_proxies",
    "session",
    "sql",
];

impl Config {
    /// Every key with the value that holds, defaults included, in the shape
    /// of the file; `sources` says where each one that is not at its default
    /// was set. Sizes are bytes. A secret appears as its reference only.
    pub fn redacted_json(&self) -> Value {
        let mut out = self.keys();
        let sources: BTreeMap<&str, String> = self
            .places
            .iter()
            .map(|(path, place)| (path.as_str(), place.to_string()))
            .collect();
        out.insert("sources".to_owned(), json!(sources));
        Value::Object(out)
    }

    fn keys(&self) -> Map<String, Value> {
        let sections = [
            ("server", json!(self.server)),
            ("admin", json!(self.admin)),
            ("plugins", json!(self.plugins)),
            ("runtime", json!(self.runtime)),
            ("limits", json!(self.limits)),
            ("max_limits", json!(self.max_limits)),
            ("session", json!(self.session)),
            ("outbox", json!(self.outbox)),
            ("log", json!(self.log)),
            ("metrics", json!(self.metrics)),
            ("telemetry", json!(self.telemetry)),
            ("cache", json!(self.backends.cache)),
            ("sql", json!(self.backends.sql)),
            ("search", json!(self.backends.search)),
            ("llm", json!(self.backends.llm)),
            ("budget", json!(self.backends.budget)),
            ("http", json!(self.backends.http)),
            ("keyvalue", json!(self.backends.keyvalue)),
            ("resilience", json!(self.resilience)),
            ("limit", json!(self.rate_limits)),
            ("overload", json!(self.overload)),
            ("health", json!(self.health)),
            ("route", json!(self.routes)),
            ("endpoint", json!(self.endpoints)),
        ];
        (sections.into_iter())
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// The keys, dotted and in order, in which `newer` differs and whose
    /// change takes effect only at the next start. Empty: `newer` can take
    /// over at once.
    pub fn needs_restart(&self, newer: &Config) -> Vec<String> {
        let mut differing = Vec::new();
        for ((section, old), (_, new)) in self.keys().iter().zip(newer.keys().iter()) {
            match (old, new) {
                (Value::Object(old), Value::Object(new)) => {
                    let keys = old.iter().filter(|(key, value)| new.get(*key) != Some(value));
                    differing.extend(keys.map(|(key, _)| format!("{section}.{key}")));
                }
                _ if old != new => differing.push(section.clone()),
                _ => {}
            }
        }
        // The reference may be the same although the secret is another.
        if self.admin.token != newer.admin.token {
            differing.push("admin.token".to_owned());
        }
        if self.telemetry.otlp_headers != newer.telemetry.otlp_headers {
            differing.push("telemetry.otlp_headers".to_owned());
        }
        differing.retain(|path| !is_hot(path));
        differing.sort();
        differing.dedup();
        differing
    }
}

fn is_hot(path: &str) -> bool {
    let section = path.split('.').next().unwrap_or_default();
    HOT.iter().any(|hot| *hot == path || *hot == section)
}

pub(super) fn duration<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time(*value))
}

pub(super) fn optional_duration<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => duration(value, to),
        None => to.serialize_none(),
    }
}

pub(super) fn texts<T: fmt::Display, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(list.iter().map(ToString::to_string))
}
