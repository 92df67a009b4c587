//! `wasi:config`: a plugin's own `[settings]`, as its `.toml` has them. All of it
//! is in memory, so nothing here waits or fails, and nothing needs a grant.

use segue_runtime::{CallState, Capability, HostFunction, Interface};
use serde_json::{Map, Value};
use wasmtime::component::{HasSelf, Linker};

use bindings::wasi::config::store::{self, Error};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/config",
        world: "wasi:config/imports",
        imports: { default: trappable },
    });
}

static GET: HostFunction = HostFunction::new("config", "config.get").untraced();
static GET_ALL: HostFunction = HostFunction::new("config", "config.get-all").untraced();

static FUNCTIONS: [&HostFunction; 2] = [&GET, &GET_ALL];

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config;

impl Capability for Config {
    fn name(&self) -> &'static str {
        "config"
    }

    fn needs_grant(&self) -> bool {
        false
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[Interface {
            name: "wasi:config/store",
            version: "0.2.0-rc.1",
            functions: &["get", "get-all"],
        }]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        store::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
    }
}

impl store::Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        let pass = self.enter(&GET, None, key.len())?;
        Ok(Ok(pass.leave_with(self.settings().get(&key).map(text))))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        let pass = self.enter(&GET_ALL, None, 0)?;
        Ok(Ok(pass.leave_with(all(self.settings()))))
    }
}

/// A string as it is, any other value as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// All of them, sorted by key.
fn all(settings: &Map<String, Value>) -> Vec<(String, String)> {
    let pairs = settings.iter().map(|(key, value)| (key.clone(), text(value)));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_string_is_itself_and_all_else_is_json() {
        let Value::Object(settings) = json!({
            "b": "plain \"text\"", "a": 50, "d": [1, "x"], "c": {"k": null}, "e": true
        }) else {
            unreachable!()
        };
        let expected = [
            ("a", "50"),
            ("b", "plain \"text\""),
            ("c", "{\"k\":null}"),
            ("d", "[1,\"x\"]"),
            ("e", "true"),
        ];
        let expected = expected.map(|(key, value)| (String::from(key), String::from(value)));
        assert_eq!(all(&settings), expected);
    }
}
