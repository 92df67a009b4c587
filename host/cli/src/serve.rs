//! `segue serve`: runs a host until a signal ends it.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use segue_server::config::{self, Config, LogFormat};
use segue_server::telemetry::Logs;
use segue_server::{Drain, Host, HostOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigArg, term};

/// What shells report for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Serve a config until a signal ends it
///
/// SIGTERM makes /health/ready fail, waits for drain_delay, then drains: what
/// runs may finish within drain_timeout, and clients are told to come back.
/// Ctrl-C drains without the delay; a second one ends at once. SIGHUP reads the
/// config again.
///
/// Exits 0 after a drain, 1 when it cannot start, 2 when the config cannot be
/// read, 130 after a second Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue serve
  segue serve --config deploy/segue.toml
  SEGUE_LOG__FORMAT=pretty segue serve")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Listen beyond loopback although nobody has to prove who they are
    #[arg(long)]
    insecure: bool,
    /// Not taken, but what other servers call it: see `NO_PORT`.
    #[arg(long, alias = "listen", alias = "host", hide = true, num_args = 0..=1)]
    port: Option<Option<String>>,
}

const NO_PORT: &str = "\
the address stands in the config, not on the command line: set [server] listen = \"127.0.0.1:9000\" in
  segue.toml, or for this start only: SEGUE_SERVER__LISTEN=127.0.0.1:9000 segue serve";

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    if args.port.is_some() {
        term::complain(NO_PORT);
        return Ok(ExitCode::from(super::UNREADABLE));
    }
    let config = match config::load(&args.config.config) {
        Ok(config) => config,
        Err(failure) => return Ok(term::no_config(&failure)),
    };
    if let Err(fault) = config::exposure(&config, args.insecure) {
        term::tell(&fault.to_string());
        return Ok(ExitCode::FAILURE);
    }
    // Dropped last, so that the lines still queued are written.
    let logs = Logs::install(&config.log.level, config.log.format)?;
    allow_open_files(&config);
    let options = HostOptions {
        insecure: args.insecure,
        config_path: Some(args.config.config.clone()),
        logs: Some(logs.handle()),
        ..HostOptions::default()
    };
    term::block_on(serve(config, options)).map(|()| ExitCode::SUCCESS)
}

async fn serve(config: Config, options: HostOptions) -> anyhow::Result<()> {
    // Before the host starts: a signal that comes meanwhile must not be lost.
    let mut signals = Signals::listen()?;
    log_config(&config);
    let host = Host::start(config.clone(), options).await?;
    say_started(&config, &host);
    warn_of_missing(&config);
    signals.follow(&host).await;
    Ok(())
}

/// Open files that a host needs beside its connections: listeners, logs, plugin
/// files, watches.
const FILES_OF_HOST: usize = 256;

/// Each connection is an open file. The soft limit is often 1024, for the sake
/// of programs that use `select`; the hard one is what the operator meant.
fn allow_open_files(config: &Config) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
    let connections = config.server.max_connections;
    let needed = connections.saturating_add(FILES_OF_HOST) as u64;
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed.filter(|&allowed| allowed < needed) {
        tracing::warn!(
            "[server] max_connections = {connections} may need {needed} open files, and the limit is \
             {allowed}: lower it, or raise the limit (`ulimit -n {needed}`)"
        );
    }
}

/// Machines get the whole resolved config in one line; people can ask for it
/// with `log.level = "debug"`, or of the admin API.
fn log_config(config: &Config) {
    match config.log.format {
        LogFormat::Json => tracing::info!(config = %config.redacted_json(), "config resolved"),
        LogFormat::Pretty => tracing::debug!(config = %config.redacted_json(), "config resolved"),
    }
}

fn say_started(config: &Config, host: &Host) {
    let (public, admin) = (host.public_addr(), host.admin_addr());
    match config.log.format {
        LogFormat::Json => tracing::info!(%public, %admin, version = env!("CARGO_PKG_VERSION"), "serving"),
        LogFormat::Pretty => term::tell(&format!(
            "segue {} serves http://{public}/ from {}, admin on http://{admin}/; Ctrl-C stops it",
            env!("CARGO_PKG_VERSION"),
            config.plugins.dir.display(),
        )),
    }
}

/// No fault, since files come and go, but what a person forgets first.
fn warn_of_missing(config: &Config) {
    for handler in config.handlers().into_keys() {
        let file = config.plugins.dir.join(format!("{handler}.wasm"));
        if !file.exists() {
            tracing::warn!("nothing answers for {handler} until there is {}", file.display());
        }
    }
}

/// The signals that a host follows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Returns when the host has stopped.
    async fn follow(&mut self, host: &Host) {
        let mut leaving: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(std::future::pending());
        let mut terminated = false;
        let mut interrupted = false;
        loop {
            tokio::select! {
                () = host.stopped() => return,
                () = &mut leaving => return,
                Some(()) = self.terminate.recv() => {
                    // A second one changes nothing: orchestrators repeat it.
                    if !terminated && !interrupted {
                        terminated = true;
                        leaving = Box::pin(host.drain(Drain::Graceful));
                    }
                }
                Some(()) = self.interrupt.recv() => {
                    if interrupted {
                        std::process::exit(INTERRUPTED);
                    }
                    interrupted = true;
                    term::tell(&finishing(host));
                    // In place of a graceful drain, whose delay it cuts short.
                    leaving = Box::pin(host.drain(Drain::Now));
                }
                Some(()) = self.hang_up.recv() => reload(host),
            }
        }
    }
}

fn finishing(host: &Host) -> String {
    let calls: usize = host
        .runtime()
        .plugins()
        .iter()
        .map(|plugin| plugin.in_flight)
        .sum();
    let calls = match calls {
        1 => "1 call".to_owned(),
        n => format!("{n} calls"),
    };
    format!("finishing {calls}, press Ctrl-C again to stop at once")
}

/// In the background: it may take as long as reading every plugin again.
fn reload(host: &Host) {
    let app = host.app().clone();
    tokio::spawn(async move {
        if let Err(error) = app.reload().await {
            tracing::error!(%error, "the config was read again and not taken; the one in force stays");
        }
    });
}
