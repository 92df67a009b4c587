//! Cases that are data: a folder under `tests/cases` is one end-to-end test.
//!
//! A folder holds
//! - `case.toml`: `property`, the sentence the case guards; `plugins`, a table
//!   of plugin names to the components behind them (`answer = "echo"`); and
//!   under `[config]` what `segue.toml` shall say;
//! - any number of `NAME.toml` beside it: sidecars, copied into the plugin
//!   folder;
//! - `steps.jsonl`: one step a line, carried out in order. Empty lines and lines
//!   that begin with `//` are passed over.
//!
//! | step | what it does |
//! |---|---|
//! | `{"connect": "a"}` | opens a WebSocket on `/chat` and calls it `a`; `"query"` adds a query, `"path"` takes another path |
//! | `{"send": {..}}` | sends a frame; a string is sent as it is |
//! | `{"expect": {..}}` | the next frame matches this pattern |
//! | `{"expect_all": [{..}, ..]}` | the next frames match these patterns, in any order |
//! | `{"expect_until": {..}}` | frames are passed over until one matches |
//! | `{"expect_nothing": true}` | nothing more is on its way |
//! | `{"closed": 4000}` | the socket closes with this code |
//! | `{"disconnect": "a"}` | the client vanishes |
//! | `{"get": "/path", "status": 200, "expect": {..}}` | an HTTP request and its answer; `"admin": true` asks the admin listener |
//! | `{"post": "/path", "body": {..}, "status": 200, "expect": {..}}` | the same with a body |
//! | `{"drop": "x.toml", "text": ".."}` | writes a file into the plugin folder; `"component": "echo"` writes a component; waits until it is loaded, or with `"refused": CODE` until it is refused |
//! | `{"remove": "x.wasm"}` | removes a file and waits until the plugin is gone |
//!
//! Steps on sockets speak to the one opened last, or to `"on": "a"`. What
//! patterns can say stands in [`crate::matcher`]; `$NAME` and `${NAME}` in what
//! is sent, asked or written stand for what was bound before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bed::Bed;
use crate::chat::{Chat, Connect};
use crate::frames::text;
use crate::matcher::{Bindings, matches};
use crate::site::{Site, SiteBuilder};

struct Run {
    bed: Bed,
    sockets: BTreeMap<String, Chat>,
    current: String,
    bindings: Bindings,
}

/// Runs the case in this folder.
///
/// # Panics
/// Where the host does otherwise than the case says, with file and line.
pub async fn run_case(folder: &Path) {
    let steps = folder.join("steps.jsonl");
    let text = fs::read_to_string(&steps).expect("steps.jsonl");
    let mut run = Run {
        bed: site(folder).start().await,
        sockets: BTreeMap::new(),
        current: String::new(),
        bindings: Bindings::default(),
    };
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let place = format!("{}:{}", steps.display(), index + 1);
        let step: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{place}: {e}"));
        run.step(&place, &step).await;
    }
}

fn site(folder: &Path) -> SiteBuilder {
    let text = fs::read_to_string(folder.join("case.toml")).expect("case.toml");
    let case: toml::Table = text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(case.contains_key("property"), "{}: no property", folder.display());
    let config = case.get("config").expect("a config");
    let mut builder = Site::builder().config(&toml::to_string(config).expect("a config"));
    let plugins = case
        .get("plugins")
        .and_then(toml::Value::as_table)
        .expect("plugins");
    for (name, component) in plugins {
        let component = component.as_str().expect("a component's name");
        builder = builder.plugin_as(name, &crate::component(component));
    }
    for entry in fs::read_dir(folder).expect("the case's folder") {
        let path = entry.expect("an entry").path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if path.extension().is_some_and(|ext| ext == "toml") && stem != "case" {
            builder = builder.sidecar(stem, &fs::read_to_string(&path).expect("a sidecar"));
        }
    }
    builder
}

impl Run {
    async fn step(&mut self, place: &str, step: &Value) {
        if let Some(name) = step.get("on").and_then(Value::as_str) {
            name.clone_into(&mut self.current);
        }
        let Some(verb) = VERBS.iter().find(|verb| step.get(**verb).is_some()) else {
            panic!("{place}: none of {VERBS:?} in {step}");
        };
        match *verb {
            "connect" | "disconnect" | "send" | "closed" => self.socket(place, verb, step).await,
            "get" | "post" => self.http(place, step).await,
            "drop" | "remove" => self.folder(place, step).await,
            _ => self.frames(place, verb, step).await,
        }
    }

    fn chat(&mut self, place: &str) -> &mut Chat {
        self.sockets
            .get_mut(&self.current)
            .unwrap_or_else(|| panic!("{place}: no socket is called `{}`", self.current))
    }

    async fn socket(&mut self, place: &str, verb: &str, step: &Value) {
        match verb {
            "connect" => {
                let mut connect = Connect::default();
                if let Some(query) = step.get("query") {
                    connect = connect.query(self.bindings.fill(query).as_str().expect("a query"));
                }
                text(step, "connect").clone_into(&mut self.current);
                let path = step.get("path").and_then(Value::as_str).unwrap_or("/chat");
                let chat = Chat::silent(connect, self.bed.addr(), path).await;
                self.sockets.insert(self.current.clone(), chat);
            }
            "disconnect" => {
                let name = text(step, "disconnect");
                let chat = self.sockets.remove(name);
                chat.unwrap_or_else(|| panic!("{place}: no socket is called `{name}`"))
                    .vanish();
            }
            "send" => match self.bindings.fill(&step["send"]) {
                Value::String(text) => self.chat(place).send_text(&text).await,
                frame => self.chat(place).send(frame).await,
            },
            _ => {
                let code = self.chat(place).closed().await;
                assert_eq!(code.map(u64::from), step["closed"].as_u64(), "{place}");
            }
        }
    }

    async fn frames(&mut self, place: &str, verb: &str, step: &Value) {
        let pattern = &step[verb];
        match verb {
            "expect" => {
                let frame = self.chat(place).frame().await;
                matches(pattern, &frame, &mut self.bindings)
                    .unwrap_or_else(|differs| panic!("{place}: {differs}, in {frame}"));
            }
            "expect_until" => loop {
                let frame = self.chat(place).frame().await;
                if matches(pattern, &frame, &mut self.bindings).is_ok() {
                    return;
                }
            },
            "expect_all" => {
                let mut due = pattern.as_array().expect("a list of patterns").clone();
                while !due.is_empty() {
                    let frame = self.chat(place).frame().await;
                    let fits = |pattern: &Value| matches(pattern, &frame, &mut self.bindings).is_ok();
                    let Some(index) = due.iter().position(fits) else {
                        panic!("{place}: {frame} is none of {due:?}");
                    };
                    due.remove(index);
                }
            }
            _ => self.chat(place).expect_nothing().await,
        }
    }

    async fn http(&mut self, place: &str, step: &Value) {
        let http = if step.get("admin").is_some() {
            self.bed.admin()
        } else {
            self.bed.http()
        };
        let path = step.get("get").or_else(|| step.get("post")).expect("a path");
        let path = self.bindings.fill(path);
        let path = path.as_str().expect("a path");
        let (status, body) = match step.get("body") {
            Some(body) => http.post(path, &self.bindings.fill(body)).await,
            None => http.get(path).await,
        };
        let wanted = step.get("status").and_then(Value::as_u64).unwrap_or(200);
        assert_eq!(u64::from(status), wanted, "{place}: {body}");
        if let Some(pattern) = step.get("expect") {
            matches(pattern, &body, &mut self.bindings)
                .unwrap_or_else(|differs| panic!("{place}: {differs}, in {body}"));
        }
    }

    async fn folder(&mut self, place: &str, step: &Value) {
        if let Some(file) = step.get("remove").and_then(Value::as_str) {
            fs::remove_file(self.bed.plugin_path(file)).expect("a file to remove");
            return self.bed.removed(stem(file)).await;
        }
        let file = text(step, "drop");
        let bytes = match step.get("component").and_then(Value::as_str) {
            Some(component) => crate::component(component),
            None => text(step, "text").into(),
        };
        self.bed.drop_by_rename(file, &bytes);
        match step.get("refused").and_then(Value::as_str) {
            None => {
                self.bed.loaded(stem(file)).await;
            }
            Some(wanted) => {
                let (code, message) = self.bed.refused(stem(file)).await;
                assert_eq!(code, wanted, "{place}: {message}");
            }
        }
    }
}

const VERBS: [&str; 12] = [
    "connect",
    "disconnect",
    "send",
    "closed",
    "get",
    "post",
    "drop",
    "remove",
    "expect_all",
    "expect_until",
    "expect_nothing",
    "expect",
];

fn stem(file: &str) -> &str {
    file.split_once('.').map_or(file, |(stem, _)| stem)
}
