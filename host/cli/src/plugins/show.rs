//! What the host says of its plugins, as people read it. A newer host may say
//! more than is shown.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use crate::term;

#[derive(Debug, Deserialize)]
struct Plugin {
    name: String,
    state: String,
    version: Option<String>,
    digest: Option<String>,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    in_flight: u64,
    loaded_at: Option<String>,
    last_error: Option<LastError>,
    pending: Option<Pending>,
    manifest: Option<Manifest>,
    #[serde(default)]
    access: Vec<Access>,
}

#[derive(Debug, Deserialize)]
struct LastError {
    code: String,
    message: String,
}

/// A version that waits to be promoted.
#[derive(Debug, Deserialize)]
struct Pending {
    version: String,
    #[serde(default)]
    widens: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    name: String,
    version: String,
    #[serde(default)]
    description: String,
}

/// What it has to do with one capability.
#[derive(Debug, Deserialize)]
struct Access {
    capability: String,
    #[serde(default)]
    wanted: bool,
    #[serde(default)]
    granted: Vec<String>,
    #[serde(default)]
    used: u64,
    #[serde(default)]
    denied: u64,
    last_denial: Option<String>,
    last_denied_at: Option<String>,
}

const UNREADABLE: &str = "the host's answer is none this version can read";

/// All of them, a line each.
pub(super) fn list(answer: &Value) -> anyhow::Result<String> {
    let list = answer.get("plugins").unwrap_or(answer);
    let plugins = Vec::<Plugin>::deserialize(list).context(UNREADABLE)?;
    if plugins.is_empty() {
        return Ok("no plugins: put a .wasm into the plugin folder".to_owned());
    }
    let head = [
        "NAME",
        "STATE",
        "VERSION",
        "WAITING",
        "IN FLIGHT",
        "LOADED AT",
        "LAST ERROR",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(plugins.into_iter().map(Plugin::row));
    Ok(term::table(&rows))
}

/// One of them, in full.
pub(super) fn one(answer: &Value) -> anyhow::Result<String> {
    let plugin = Plugin::deserialize(answer).context(UNREADABLE)?;
    Ok(plugin.text())
}

impl Plugin {
    fn row(self) -> Vec<String> {
        let none = || "-".to_owned();
        vec![
            self.name,
            self.state,
            self.version.as_deref().map_or_else(none, short),
            self.pending.map_or_else(none, |pending| short(&pending.version)),
            self.in_flight.to_string(),
            self.loaded_at.as_deref().map_or_else(none, seconds),
            self.last_error
                .map_or_else(none, |e| format!("{}: {}", e.code, plain(&e.message))),
        ]
    }

    fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a string does not fail.
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(out, "{key:<11} {value}");
        };
        line("plugin", &self.name);
        line("state", &self.state);
        line("version", self.version.as_deref().unwrap_or("none serves"));
        if let Some(digest) = &self.digest {
            // As `segue inspect` has it.
            line("file", &format!("{} bytes, {digest}", self.bytes));
        }
        if let Some(at) = &self.loaded_at {
            line("loaded at", &seconds(at));
        }
        line("in flight", &self.in_flight.to_string());
        if let Some(Manifest {
            name,
            version,
            description,
        }) = &self.manifest
        {
            line("manifest", &plain(&format!("{name} {version}")));
            if !description.is_empty() {
                line("", &plain(description));
            }
        }
        if let Some(error) = &self.last_error {
            line(
                "last error",
                &format!("{}: {}", error.code, plain(&error.message)),
            );
        }
        if let Some(pending) = &self.pending {
            line("waiting", &pending.version);
            line("", &format!("would also reach {}", pending.widens.join("; ")));
            line("", &format!("segue plugins promote {} lets it serve", self.name));
        }
        out.push_str(&self.access());
        out
    }

    fn access(&self) -> String {
        if self.access.is_empty() {
            return "\nwants no capability and is granted none\n".to_owned();
        }
        let head = ["CAPABILITY", "WANTED", "GRANTED", "USED", "DENIED"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.access.iter().map(|access| {
            let granted = match access.granted.is_empty() {
                true => "-".to_owned(),
                false => access.granted.join(", "),
            };
            vec![
                access.capability.clone(),
                if access.wanted { "yes" } else { "no" }.to_owned(),
                granted,
                access.used.to_string(),
                access.denied.to_string(),
            ]
        }));
        let mut out = format!("\n{}", term::table(&rows));
        for access in &self.access {
            let Some(denial) = &access.last_denial else {
                continue;
            };
            // An older host does not say when.
            let at = access.last_denied_at.as_deref().map(seconds);
            let at = at.map(|at| format!(", {at}")).unwrap_or_default();
            let _ = write!(out, "\nlast denial{at}: {}\n", plain(denial));
        }
        out
    }
}

/// A text that is in part a plugin's own, on one line.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// `sha256:` and as many digits as tell versions apart.
fn short(version: &str) -> String {
    let digits = version.strip_prefix("sha256:").unwrap_or(version);
    digits.chars().take(12).collect()
}

/// A time without its fractions of a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_tells_each_plugin_in_one_line() {
        let shown = list(&json!({"plugins": [
            {"name": "echo", "state": "active", "version": format!("sha256:{}", "ab".repeat(32)),
             "in_flight": 3, "loaded_at": "2026-01-02T03:04:05.678Z", "last_error": null, "more": 1,
             "pending": {"version": format!("sha256:{}", "cd".repeat(32)), "widens": ["sql: shop"]}},
            {"name": "bad", "state": "refused", "version": null, "in_flight": 0, "loaded_at": null,
             "last_error": {"at": "2026-01-02T03:04:05Z", "code": "empty", "message": "the file is empty"}},
        ]}))
        .unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(lines[1].contains("abababababab  cdcdcdcdcdcd  3"), "{shown}");
        assert!(lines[1].contains("2026-01-02T03:04:05Z  -"), "{shown}");
        assert!(lines[2].ends_with("empty: the file is empty"), "{shown}");
        assert!(list(&json!([])).unwrap().contains("no plugins"));
    }

    #[test]
    fn one_is_told_with_what_it_may_and_did() {
        let shown = one(&json!({
            "name": "sql-rag", "state": "active", "version": "sha256:ab", "in_flight": 0,
            "digest": "sha256:ef", "bytes": 1234,
            "loaded_at": null, "last_error": null,
            "manifest": {"name": "sql-rag", "version": "0.1.0", "description": "Asks\u{1b}databases"},
            "pending": {"version": "sha256:cd", "widens": ["llm: main", "sql: hr"]},
            "access": [
                {"capability": "llm", "wanted": true, "granted": [], "used": 0, "denied": 2,
                 "last_denial": "llm.complete is not granted: add llm = [\"main\"]",
                 "last_denied_at": "2026-01-02T03:04:05.678Z"},
                {"capability": "search", "wanted": false, "granted": [], "used": 0, "denied": 1,
                 "last_denial": "search.query is not granted"},
                {"capability": "sql", "wanted": true, "granted": ["shop", "hr"], "used": 12, "denied": 0,
                 "last_denial": null},
            ],
        }))
        .unwrap();
        for line in [
            "version     sha256:ab\nfile        1234 bytes, sha256:ef\n",
            "manifest    sql-rag 0.1.0\n            Asks databases\n",
            "waiting     sha256:cd\n            would also reach llm: main; sql: hr\n",
            "            segue plugins promote sql-rag lets it serve\n",
            "CAPABILITY  WANTED  GRANTED   USED  DENIED\n",
            "llm         yes     -         0     2\n",
            "sql         yes     shop, hr  12    0\n",
            "last denial, 2026-01-02T03:04:05Z: llm.complete is not granted: add llm = [\"main\"]\n",
            "last denial: search.query is not granted\n",
        ] {
            assert!(shown.contains(line), "{line:?} in\n{shown}");
        }
        let bare = one(&json!({"name": "echo", "state": "active", "version": null})).unwrap();
        assert!(bare.contains("wants no capability"), "{bare}");
    }
}
