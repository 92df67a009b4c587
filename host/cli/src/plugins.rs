//! `segue plugins`: asks a running host, over its admin listener.

mod show;

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
use serde_json::{Value, json};

use super::{ConfigArg, term};

/// An admin listener answers at once or not at all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A token is one line.
const MAX_TOKEN_BYTES: u64 = 4096;
/// Holds a token, for whom a file is not at hand. With two underscores it would be
/// a key of the config.
const TOKEN_VARIABLE: &str = "SEGUE_ADMIN_TOKEN";

/// Look at the plugins of a running host, and let one serve that waits
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue plugins ls
  segue plugins ls --config deploy/segue.toml --json
  segue plugins show sql-rag
  segue plugins promote sql-rag
  segue plugins ls --admin 127.0.0.1:8001 --token-file .segue/admin.token
  SEGUE_ADMIN_TOKEN=... segue plugins ls --admin host:8001      no config needed")]
pub(crate) struct PluginsArgs {
    #[command(subcommand)]
    command: PluginsCommand,
}

#[derive(Debug, Subcommand)]
enum PluginsCommand {
    Ls(LsArgs),
    Show(ShowArgs),
    Promote(PromoteArgs),
}

/// List the plugins: state, version, calls in flight, last error
///
/// A version that waits because it reaches further than the one that serves is
/// listed beside it; `segue plugins show NAME` says what it asks for.
///
/// A version is the digest of the file together with its settings, grants and
/// limits. `segue inspect FILE.wasm --config FILE` tells the same beforehand, and
/// `segue plugins show NAME` the digest of the file alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue plugins ls
  segue plugins ls --config deploy/segue.toml --json
  segue plugins ls --admin 127.0.0.1:8001 --token-file .segue/admin.token")]
struct LsArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Print the answer of the host as it is
    #[arg(long)]
    json: bool,
}

/// Show one plugin: who it says it is, what it wants, may do and has done
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue plugins show sql-rag
  segue plugins show sql-rag --config deploy/segue.toml --json")]
struct ShowArgs {
    /// The plugin's file name without .wasm
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    host: HostArgs,
    /// Print the answer of the host as it is
    #[arg(long)]
    json: bool,
}

/// Let a version serve that reaches further than the one before it
///
/// A new version that asks for more, and is granted it, waits until somebody has
/// looked at it. With --version only that one is promoted: should the file have
/// changed meanwhile, nothing happens.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue plugins promote sql-rag
  segue plugins promote sql-rag --version sha256:0123...")]
struct PromoteArgs {
    /// The plugin's file name without .wasm
    #[arg(value_name = "NAME")]
    name: String,
    /// Promote this version or none
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    host: HostArgs,
}

/// Which host is asked.
///
/// The admin listener that the config names, with the token that the config
/// names or that the host keeps in its state folder. Only the user that runs the
/// host may read that one. With --admin and a token no config is read.
#[derive(Debug, Args)]
struct HostArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Ask this admin listener instead of the config's; `host:port` will do
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Take the token from this file instead of the config's
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The token itself. Others on this machine can see it while the command runs;
    /// the variable SEGUE_ADMIN_TOKEN keeps it from them
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
}

pub(crate) fn run(args: &PluginsArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        PluginsCommand::Ls(args) => with(&args.host, async |host| {
            let answer = host.get("/plugins").await?;
            told(args.json, &answer, || show::list(&answer))
        }),
        PluginsCommand::Show(args) => with(&args.host, async |host| {
            let answer = host.get(&path_of(&args.name)?).await?;
            told(args.json, &answer, || show::one(&answer))
        }),
        PluginsCommand::Promote(args) => with(&args.host, async |host| {
            let path = format!("{}/promote", path_of(&args.name)?);
            let body = args.version.as_ref().map(|version| json!({ "version": version }));
            let answer = host.post(&path, body).await?;
            let version = answer.get("version").and_then(Value::as_str).unwrap_or_default();
            term::say(&format!("{} is served by {version} from now on", args.name));
            Ok(())
        }),
    }
}

fn told(json: bool, answer: &Value, text: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
    match json {
        true => term::say(&serde_json::to_string_pretty(answer)?),
        false => term::say(&text()?),
    }
    Ok(())
}

/// A name goes into a path as it is, so it must be one.
fn path_of(plugin: &str) -> anyhow::Result<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    match !plugin.is_empty() && plugin.chars().all(fits) {
        true => Ok(format!("/plugins/{plugin}")),
        false => bail!("`{plugin}` is no name of a plugin: give the file's name without .wasm"),
    }
}

/// Does `work` with the host that is meant.
fn with(
    args: &HostArgs,
    work: impl AsyncFnOnce(&RunningHost) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let host = match (args.admin.as_deref().map(url_of), args.given_token()?) {
        // There may be no config on this machine.
        (Some(url), Some(token)) => RunningHost { url, token },
        (url, token) => {
            let config = match config::load(&args.config.config) {
                Ok(config) => config,
                Err(failure) => {
                    let code = term::no_config(&failure);
                    if url.is_some() {
                        term::tell(&format!(
                            "the token would be looked up there; give it with --token-file or in \
                             {TOKEN_VARIABLE}, and no config is needed"
                        ));
                    }
                    return Ok(code);
                }
            };
            let own = || format!("http://{}", reachable(config.admin.listen));
            RunningHost {
                url: url.unwrap_or_else(own),
                token: token.map_or_else(|| token_of(&config), Ok)?,
            }
        }
    };
    term::block_on(work(&host))?;
    Ok(ExitCode::SUCCESS)
}

impl HostArgs {
    /// The token that the person gives, wherever they do.
    fn given_token(&self) -> anyhow::Result<Option<String>> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(file)) => token_in(file).map(Some),
            (None, None) => Ok(std::env::var(TOKEN_VARIABLE)
                .ok()
                .filter(|token| !token.is_empty())),
        }
    }
}

/// What a person would type: a URL, or only `host:port`.
fn url_of(admin: &str) -> String {
    let url = admin.trim_end_matches('/');
    match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    }
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
        _ => anyhow::anyhow!("no admin token: {}", term::unreadable(file, &error)),
    })?;
    if about.len() > MAX_TOKEN_BYTES {
        bail!("{shown} holds no admin token: it is too large");
    }
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("cannot read the admin token at {shown}; run as the user that runs the host")
        }
        _ => anyhow::anyhow!("no admin token: {}", term::unreadable(file, &error)),
    })?;
    Ok(text.trim().to_owned())
}

/// The admin listener of a host.
struct RunningHost {
    url: String,
    token: String,
}

impl RunningHost {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(reqwest::Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        self.ask(reqwest::Method::POST, path, body).await
    }

    async fn ask(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.url);
        // The token must not leave by a proxy of the environment, nor follow a redirect.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .context("no HTTP client")?;
        let mut request = client.request(method, &url).bearer_auth(&self.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| match error.is_connect() {
            true => {
                anyhow::anyhow!("no host answers at {url}; is it running, and is this its admin address?")
            }
            false => anyhow::Error::new(error.without_url()).context(format!("no answer from {url}")),
        })?;
        let status = answer.status();
        let body = answer.bytes().await.context("the answer broke off")?;
        if status == reqwest::StatusCode::UNAUTHORIZED {
            bail!(
                "{url} refused the token; give the one of the host that runs, with --config, --token-file \
                 or in {TOKEN_VARIABLE}"
            );
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_never_becomes_a_path() {
        assert_eq!(path_of("sql-rag").unwrap(), "/plugins/sql-rag");
        for name in ["", "../config", "a/b", "a?b", "A"] {
            assert!(path_of(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_address_may_be_typed_in_short() {
        for typed in [
            "127.0.0.1:8001",
            "http://127.0.0.1:8001",
            "http://127.0.0.1:8001/",
        ] {
            assert_eq!(url_of(typed), "http://127.0.0.1:8001");
        }
        assert_eq!(url_of("https://admin.example"), "https://admin.example");
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
