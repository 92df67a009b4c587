//! A loaded version of a plugin: immutable, shared by the calls that began on
//! it, gone with the last of them.
//!
//! Guarantee: when [`PluginEvent::Freed`](crate::PluginEvent) is sent, the
//! version's compiled code is no longer in memory. That is why the fields of
//! [`Generation`] stand in the order they do, and why a call's store, which
//! refers to the code too, never owns its generation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::bindings::HandlerPre;
use crate::grants::{self, Grants};
use crate::host::CallState;
use crate::settings::Limits;
use crate::sidecar::Sidecar;
use crate::stats::Tenure;

/// Who a generation is, and what it was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) version: String,
    pub(crate) settings: Map<String, Value>,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
}

impl Identity {
    pub(crate) fn new(name: String, wasm: &[u8], sidecar: Sidecar) -> Identity {
        Identity {
            name,
            version: version_of(wasm, &sidecar),
            settings: sidecar.settings,
            limits: sidecar.limits,
            grants: sidecar.grants,
        }
    }
}

/// The name of a version: a digest of everything that makes it behave as it
/// does. Each part is preceded by its length, so that no two sets of parts read
/// alike. The limits are those in force, the host's own where the `.toml` is silent.
pub fn version_of(wasm: &[u8], sidecar: &Sidecar) -> String {
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    add(wasm);
    for (capability, scopes) in &sidecar.grants {
        add(capability.as_bytes());
        add(&(scopes.len() as u64).to_le_bytes());
        scopes.iter().for_each(|scope| add(scope.as_bytes()));
    }
    let limits = sidecar.limits;
    add(&limits.deadline.as_nanos().to_le_bytes());
    add(&limits.memory_bytes.to_le_bytes());
    add(&limits.reply_bytes.to_le_bytes());
    add(&limits.chunks.to_le_bytes());
    add(canonical(&sidecar.settings).as_bytes());
    format!("sha256:{}", hex(&digest.finalize()))
}

/// The settings as JSON with sorted keys, whichever map serde_json was built
/// with.
fn canonical(settings: &Map<String, Value>) -> String {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(map) => {
                let sorted: BTreeMap<_, _> = map.iter().collect();
                out.push('{');
                for (key, value) in sorted {
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push(':');
                    write(value, out);
                    out.push(',');
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for item in items {
                    write(item, out);
                    out.push(',');
                }
                out.push(']');
            }
            scalar => out.push_str(&scalar.to_string()),
        }
    }
    let mut out = String::new();
    write(&Value::Object(settings.clone()), &mut out);
    out
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How many calls run on something right now.
#[derive(Debug, Default)]
pub(crate) struct InFlight(AtomicUsize);

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(self: &Arc<InFlight>) -> InFlightGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(Arc::clone(self))
    }
}

pub(crate) struct InFlightGuard(Arc<InFlight>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One loaded version of a plugin.
pub struct Generation {
    // The compiled code goes first, so that it is gone when `_freed` is dropped.
    pub(crate) code: HandlerPre<CallState>,
    pub(crate) identity: Arc<Identity>,
    /// The capabilities that its imports ask for.
    pub(crate) wants: Vec<String>,
    /// How many admission units a call takes.
    pub(crate) weight: u32,
    /// What all versions of the plugin have in common.
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) loaded_at: SystemTime,
    pub(crate) _freed: Freed,
}

impl Generation {
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// `sha256:` and the digest of the bytes, settings, grants and limits.
    pub fn version(&self) -> &str {
        &self.identity.version
    }

    pub fn limits(&self) -> Limits {
        self.identity.limits
    }

    /// `[settings]` of the plugin's `.toml`.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.identity.settings
    }

    pub fn loaded_at(&self) -> SystemTime {
        self.loaded_at
    }

    /// What it can really reach: what it asks for and was granted.
    pub(crate) fn reach(&self) -> Grants {
        grants::reach(&self.wants, &self.identity.grants)
    }

    /// How many calls run on this version.
    pub fn in_flight(&self) -> usize {
        self.in_flight.count()
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Generation")
            .field("name", &self.identity.name)
            .field("version", &self.identity.version)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Runs once, after the rest of its generation was dropped.
pub(crate) struct Freed(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Freed {
    pub(crate) fn new(then: impl FnOnce() + Send + Sync + 'static) -> Freed {
        Freed(Some(Box::new(then)))
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    impl Identity {
        pub(crate) fn for_tests() -> Identity {
            Identity::new(String::from("test"), b"", sidecar(json!({})))
        }
    }

    fn sidecar(settings: Value) -> Sidecar {
        Sidecar {
            grants: BTreeMap::new(),
            limits: Limits::default(),
            settings: settings.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn a_version_changes_with_everything_that_changes_behaviour() {
        let base = sidecar(json!({"a": 1, "b": {"c": true, "d": "x"}}));
        let version = version_of(b"wasm", &base);
        assert_eq!(version.len(), "sha256:".len() + 64);

        let same = sidecar(json!({"b": {"d": "x", "c": true}, "a": 1}));
        assert_eq!(version_of(b"wasm", &same), version);

        let settings = sidecar(json!({"a": 2, "b": {"c": true, "d": "x"}}));
        let mut limits = base.clone();
        limits.limits.chunks += 1;
        let mut grants = base.clone();
        grants.grants.insert("sql".into(), vec!["shop".into()]);
        let mut wider = grants.clone();
        wider
            .grants
            .insert("sql".into(), vec!["shop".into(), "hr".into()]);
        let versions = [
            version,
            version_of(b"wasn", &base),
            version_of(b"wasm", &settings),
            version_of(b"wasm", &limits),
            version_of(b"wasm", &grants),
            version_of(b"wasm", &wider),
        ];
        let distinct: std::collections::BTreeSet<_> = versions.iter().collect();
        assert_eq!(distinct.len(), versions.len());
    }
}
