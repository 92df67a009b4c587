//! `segue plugins`: asks a running host, over its admin listener.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use segue_server::admin::token;
use segue_server::config::{self, Config};
use serde::Deserialize;
use serde_json::Value;

use super::{ConfigArg, term};

/// An admin listener answers at once or not at all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A token is one line.
const MAX_TOKEN_BYTES: u64 = 4096;

/// Look at the plugins of a running host
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue plugins ls
  segue plugins ls --config deploy/segue.toml --json
  segue plugins ls --admin http://127.0.0.1:8001 --token-file .segue/admin.token")]
pub(crate) struct PluginsArgs {
    #[command(subcommand)]
    command: PluginsCommand,
}

#[derive(Debug, Subcommand)]
enum PluginsCommand {
    Ls(LsArgs),
}

/// List the plugins: state, version, calls in flight, last error
///
/// Asks the admin listener that the config names, with the token that the
/// config names or that the host keeps in its state folder. Run it as the user
/// that runs the host, since nobody else may read that token.
///
/// A version is the digest of the file together with its settings, grants and
/// limits, so it is not the digest that `segue inspect` shows of the file alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue plugins ls
  segue plugins ls --config deploy/segue.toml --json
  segue plugins ls --admin http://127.0.0.1:8001 --token-file .segue/admin.token")]
struct LsArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Ask this admin listener instead of the config's
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Take the token from this file instead of the config's
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the answer of the host as it is
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &PluginsArgs) -> anyhow::Result<ExitCode> {
    let PluginsCommand::Ls(args) = &args.command;
    let (url, token) = match (&args.admin, &args.token_file) {
        // There may be no config on this machine.
        (Some(url), Some(file)) => (url.clone(), token_in(file)?),
        (url, file) => {
            let config = match config::load(&args.config.config) {
                Ok(config) => config,
                Err(failure) => return Ok(term::no_config(&failure)),
            };
            let own = || format!("http://{}", reachable(config.admin.listen));
            let token = match file {
                Some(file) => token_in(file)?,
                None => token_of(&config)?,
            };
            (url.clone().unwrap_or_else(own), token)
        }
    };
    let url = format!("{}/plugins", url.trim_end_matches('/'));
    let answer = term::block_on(ask(&url, &token))?;
    match args.json {
        true => term::say(&serde_json::to_string_pretty(&answer)?),
        false => term::say(&listing(answer)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// One cannot connect to "every address"; loopback is one of them.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(a) if a.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(a) if a.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

fn token_of(config: &Config) -> anyhow::Result<String> {
    match &config.admin.token {
        Some(token) => Ok(token.expose().to_owned()),
        None => token_in(&token::path(config)),
    }
}

fn token_in(file: &Path) -> anyhow::Result<String> {
    let shown = file.display();
    let about = fs::metadata(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow::anyhow!(
                "there is no admin token at {shown}; a host writes it when it starts, is it running?"
            )
        }
        _ => anyhow::anyhow!("cannot read the admin token at {shown}: {error}"),
    })?;
    if about.len() > MAX_TOKEN_BYTES {
        bail!("{shown} holds no admin token: it is too large");
    }
    let text = fs::read_to_string(file).with_context(|| {
        format!("cannot read the admin token at {shown}; run as the user that runs the host")
    })?;
    Ok(text.trim().to_owned())
}

async fn ask(url: &str, token: &str) -> anyhow::Result<Value> {
    // The token must not leave by a proxy of the environment, nor follow a redirect.
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .context("no HTTP client")?;
    let answer =
        client
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .map_err(|error| match error.is_connect() {
                true => {
                    anyhow::anyhow!("no host answers at {url}; is it running, and is this its admin address?")
                }
                false => anyhow::Error::new(error.without_url()).context(format!("no answer from {url}")),
            })?;
    let status = answer.status();
    let body = answer.bytes().await.context("the answer broke off")?;
    if status == reqwest::StatusCode::UNAUTHORIZED {
        bail!("{url} refused the token; give the one of the host that runs, with --config or --token-file");
    }
    let body: Value =
        serde_json::from_slice(&body).with_context(|| format!("{url} answered {status}, not in JSON"))?;
    if !status.is_success() {
        let message = body.pointer("/error/message").and_then(Value::as_str);
        bail!(
            "{url} answered {status}: {}",
            message.unwrap_or("no reason given")
        );
    }
    Ok(body)
}

/// What the table shows of a plugin; a newer host may say more.
#[derive(Debug, Deserialize)]
struct Plugin {
    name: String,
    state: String,
    version: Option<String>,
    #[serde(default)]
    in_flight: u64,
    loaded_at: Option<String>,
    last_error: Option<LastError>,
}

#[derive(Debug, Deserialize)]
struct LastError {
    code: String,
    message: String,
}

fn listing(answer: Value) -> anyhow::Result<String> {
    let list = match answer {
        Value::Object(mut fields) => fields.remove("plugins").unwrap_or_default(),
        other => other,
    };
    let plugins: Vec<Plugin> =
        serde_json::from_value(list).context("the host's list of plugins is none this version can read")?;
    if plugins.is_empty() {
        return Ok("no plugins: put a .wasm into the plugin folder".to_owned());
    }
    let head = ["NAME", "STATE", "VERSION", "IN FLIGHT", "LOADED AT", "LAST ERROR"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(plugins.into_iter().map(Plugin::row));
    Ok(term::table(&rows))
}

impl Plugin {
    fn row(self) -> Vec<String> {
        let none = || "-".to_owned();
        vec![
            self.name,
            self.state,
            self.version.as_deref().map_or_else(none, short),
            self.in_flight.to_string(),
            self.loaded_at.as_deref().map_or_else(none, seconds),
            self.last_error
                .map_or_else(none, |e| format!("{}: {}", e.code, e.message)),
        ]
    }
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
        let shown = listing(json!({"plugins": [
            {"name": "echo", "state": "active", "version": format!("sha256:{}", "ab".repeat(32)),
             "in_flight": 3, "loaded_at": "2026-01-02T03:04:05.678Z", "last_error": null, "more": 1},
            {"name": "bad", "state": "refused", "version": null, "in_flight": 0, "loaded_at": null,
             "last_error": {"at": "2026-01-02T03:04:05Z", "code": "empty", "message": "the file is empty"}},
        ]}))
        .unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(lines[1].contains("abababababab  3"), "{shown}");
        assert!(lines[1].contains("2026-01-02T03:04:05Z  -"), "{shown}");
        assert!(lines[2].ends_with("empty: the file is empty"), "{shown}");
        assert!(listing(json!([])).unwrap().contains("no plugins"));
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        let to = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(to("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(to("[::]:1"), "[::1]:1");
        assert_eq!(to("10.0.0.1:1"), "10.0.0.1:1");
    }

    #[test]
    fn a_missing_token_asks_whether_the_host_runs() {
        let said = token_in(Path::new("/no/such/admin.token"))
            .unwrap_err()
            .to_string();
        assert!(said.contains("is it running?"), "{said}");
    }
}
