//! What is measured, as a process of its own: a bare axum echo, and a host as
//! `segue serve` runs it, with one handler in Rust beside its plugins.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use segue_runtime::{HandlerError, Payload, Reply, Request};
use segue_server::config;
use segue_server::telemetry::Logs;
use segue_server::{Host, HostOptions, NativeFuture, NativeHandler, NativeHandlers};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

/// The name of the handler in Rust.
pub(crate) const NATIVE: &str = "native";

/// What a host has that was told nothing, where the tests' own defaults are
/// others.
pub(crate) fn defaults() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("[runtime]\ninstances = 1000\nper_plugin = 500\nguest_threads = {cores}\n")
}

/// Where the servers listen; one line on standard output.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) axum: SocketAddr,
    pub(crate) host: SocketAddr,
}

/// The servers' process. Dropping it ends it.
pub(crate) struct Server {
    child: Child,
    pub(crate) at: Addresses,
}

impl Server {
    /// Starts the servers on this configuration.
    pub(crate) async fn start(config: &Path) -> Result<Server> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Lines are written, as in earnest, and go nowhere.
            .stderr(Stdio::null())
            .spawn()
            .context("starting the servers")?;
        let stdout = child.stdout.take().context("their output")?;
        let stdout = tokio::process::ChildStdout::from_std(stdout)?;
        let mut line = String::new();
        let reading = BufReader::new(stdout).read_line(&mut line).await;
        let at = reading.map_err(anyhow::Error::from).and_then(|_| {
            serde_json::from_str(&line).map_err(|error| anyhow!("the servers did not start: {error}"))
        });
        match at {
            Ok(at) => Ok(Server { child, at }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().next())
            .context("no VmRSS")?
            .parse()?;
        Ok(kib * 1024)
    }

    /// A figure of the host's `/metrics`, summed over its labels.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let url = format!("http://{}/metrics", self.at.host);
        let text = segue_tests::client().get(url).send().await?.text().await?;
        let lines = text.lines().filter(|line| line.starts_with(name));
        Ok(lines
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child's own part: serves until its standard input ends.
pub(crate) async fn run(path: &Path) -> Result<()> {
    let config = config::load(path)?;
    let logs = Logs::install(&config.log.level, config.log.format)?;
    let native: Arc<dyn NativeHandler> = Arc::new(NativeEcho);
    let options = HostOptions {
        config_path: Some(path.to_owned()),
        logs: Some(logs.handle()),
        natives: NativeHandlers::from([(NATIVE.to_owned(), native)]),
        ..HostOptions::default()
    };
    let host = Host::start(config, options).await?;
    host.runtime().scanned().await;

    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let at = Addresses {
        axum: tcp.local_addr()?,
        host: host.public_addr(),
    };
    let echo = Router::new().route(
        "/echo",
        any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(bare_echo)),
    );
    tokio::spawn(async move { axum::serve(tcp, echo).await });
    println!("{}", serde_json::to_string(&at)?);

    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    host.stop().await;
    Ok(())
}

/// The yardstick: nothing but the socket.
async fn bare_echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let sent = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            _ => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The second yardstick: the whole path, with Rust at its end.
struct NativeEcho;

impl NativeHandler for NativeEcho {
    fn handle(&self, request: Request, replies: mpsc::Sender<Reply>) -> NativeFuture {
        Box::pin(async move {
            let reply = match request.payload {
                Payload::Text(text) => Reply::Chunk(text),
                Payload::Binary(bytes) => Reply::Binary(bytes),
            };
            replies.send(reply).await.map_err(|_| HandlerError {
                code: "client_gone".to_owned(),
                ..HandlerError::default()
            })
        })
    }
}
