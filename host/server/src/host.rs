//! Starting and stopping a host.
//!
//! Start, in order: what the configuration may not do; the state folder and the
//! admin token; both addresses; the databases, indexes and models that plugins
//! may ask; the plugin folder and the plugin runtime; then it serves. Whatever fails says so in one sentence, and nothing is left
//! behind. Two hosts fit in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use segue_capabilities::Backends;
use segue_resilience::Guards;
use segue_runtime::Runtime;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::token::{self, Token, TokenError};
use crate::config::{self, Config, LoadFailure};
use crate::drain::Phase;
use crate::edge::listener::{self, BindError, Limits, Listener};
use crate::edge::router;
use crate::overload;
use crate::state::App;
use crate::target::NativeHandlers;
use crate::telemetry::spans::Spans;
use crate::telemetry::{LogHandle, Metrics};

/// How long HTTP answers and closing sockets may take once all is said.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How a host is run, beside its configuration.
#[derive(Default)]
pub struct HostOptions {
    /// Listen beyond loopback although nobody has to prove who they are.
    pub insecure: bool,
    /// Where the configuration is read from again on reload.
    pub config_path: Option<PathBuf>,
    /// To change the log level on reload and to count dropped lines.
    pub logs: Option<LogHandle>,
    /// Handlers compiled into the program that embeds the host.
    pub natives: NativeHandlers,
}

/// Why a host did not start. Each is one sentence with its mend.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Exposed(config::Fault),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Runtime(#[from] segue_runtime::StartError),
    #[error("two metrics have one name: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Why a configuration was not taken. The one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("this host was started without a configuration file; there is nothing to read again")]
    NoFile,
    #[error(transparent)]
    Load(#[from] LoadFailure),
    #[error("reading it failed inside the host: {0}")]
    Panicked(String),
    #[error("changed, but only read at start: {}; restart the host to put it in force", .0.join(", "))]
    NeedsRestart(Vec<String>),
}

/// How to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// As an orchestrator asks for it: ready fails for `drain_delay` first.
    Graceful,
    /// As a person asks for it: at once, but what runs may finish.
    Now,
}

pub struct Host {
    app: Arc<App>,
    public: SocketAddr,
    admin: SocketAddr,
    token: Token,
    tasks: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
    spans: Spans,
}

impl Host {
    /// Starts a host. It serves when this returns; whether it is ready is what
    /// `/health/ready` says.
    pub async fn start(config: Config, options: HostOptions) -> Result<Host, StartError> {
        config::exposure(&config, options.insecure).map_err(StartError::Exposed)?;
        let token = token::prepare(&config)?;
        let public_tcp = listener::bind(config.server.listen).await?;
        let admin_tcp = listener::bind(config.admin.listen).await?;
        let public = local_address(&public_tcp, config.server.listen);
        let admin = local_address(&admin_tcp, config.admin.listen);

        let metrics = Metrics::new()?;
        metrics.name_also(config.metrics.names());
        if let Some(logs) = options.logs.clone() {
            metrics.watch_logs(logs)?;
        }
        let spans = Spans::start(&config.telemetry, &metrics);
        config.tell_absences();
        let guards = Guards::new(Arc::new(config.resilience.clone()));
        let backends = Backends::start(config.backends.settings(), guards.clone(), Handle::current());
        let runtime = Runtime::start(config.runtime_settings())?;
        metrics.watch_guards(guards.clone())?;
        metrics.watch_runtime(runtime.clone())?;
        let limits = Limits {
            max_connections: config.server.max_connections,
            header_timeout: config.server.header_timeout,
        };
        let app = App::new(
            config,
            backends,
            guards,
            runtime,
            metrics,
            spans.tracer(),
            options,
        );
        app.metrics.watch_caches(Arc::downgrade(&app))?;
        app.metrics.watch_databases(Arc::downgrade(&app))?;
        app.metrics.watch_models(Arc::downgrade(&app))?;

        let host = Host {
            public,
            admin,
            token,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            spans,
            app,
        };
        host.serve(
            public_tcp,
            router::public(host.app.clone()),
            limits.clone(),
            "public",
        );
        let admin_routes = router::admin(host.app.clone(), host.token.clone());
        host.serve(admin_tcp, admin_routes, limits, "admin");
        host.look_after_sessions();
        host.watch_load();
        host.follow_config();
        Ok(host)
    }

    fn serve(&self, tcp: tokio::net::TcpListener, routes: axum::Router, limits: Limits, name: &'static str) {
        let listener = Listener {
            tcp,
            routes,
            spare: router::spare(self.app.clone()),
            limits,
            open: self.app.metrics.sockets(name),
            refused: self.app.metrics.connections_refused.clone(),
        };
        self.tasks
            .spawn(listener.run(self.stop.clone(), self.abort.clone()));
    }

    fn look_after_sessions(&self) {
        let app = self.app.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = app.sessions.sweep(|| app.snapshot().config.session.ttl) => {}
            }
        });
    }

    fn watch_load(&self) {
        let shed = self.app.shed.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = overload::watch(shed) => {}
            }
        });
    }

    fn follow_config(&self) {
        let Some(path) = self.app.config_path().map(PathBuf::from) else {
            return;
        };
        let app = self.app.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = config::follow(app, path) => {}
            }
        });
    }

    /// Where the public listener listens.
    pub fn public_addr(&self) -> SocketAddr {
        self.public
    }

    /// Where the admin listener listens.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// What the admin listener wants as bearer token.
    pub fn admin_token(&self) -> &str {
        self.token.expose()
    }

    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub fn runtime(&self) -> &Runtime {
        &self.app.runtime
    }

    /// Messages that are being answered, and sockets that are open.
    pub fn under_way(&self) -> usize {
        self.app.tasks.len()
    }

    /// Reads the configuration file again.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        self.app.reload().await
    }

    /// Leaves in good order, then stops. Returns when all is done; what still
    /// ran after `drain_timeout` was ended and told so.
    pub async fn drain(&self, how: Drain) {
        let server = self.app.snapshot().config.server.clone();
        self.app.drain.enter(Phase::Leaving);
        if how == Drain::Graceful {
            tracing::info!(
                delay_ms = server.drain_delay.as_millis(),
                "leaving: ready fails from now on"
            );
            tokio::time::sleep(server.drain_delay).await;
        }
        self.app.drain.enter(Phase::Draining);
        tracing::info!(
            sessions = self.app.sessions.len(),
            timeout_ms = server.drain_timeout.as_millis(),
            "draining: no new messages, what runs may finish"
        );
        self.app.tasks.close();
        if tokio::time::timeout(server.drain_timeout, self.app.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                left = self.app.tasks.len(),
                "drain timeout: what still runs is ended"
            );
        }
        self.stop().await;
    }

    /// Stops at once: what runs is ended and told so, sockets are closed.
    pub async fn stop(&self) {
        self.app.drain.enter(Phase::Draining);
        self.app.cut.cancel();
        self.app.sessions.cancel_all();
        self.app.tasks.close();
        let _ = tokio::time::timeout(LAST_WORDS, self.app.tasks.wait()).await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await.is_err() {
            self.abort.cancel();
            self.tasks.wait().await;
        }
        self.app.runtime.stop().await;
        // After everything that has spans.
        self.spans.stop().await;
        self.app.drain.enter(Phase::Stopped);
        tracing::info!("stopped");
    }

    /// Waits until the host has stopped.
    pub async fn stopped(&self) {
        self.app.drain.reached(Phase::Stopped).await;
    }
}

fn local_address(tcp: &tokio::net::TcpListener, asked: SocketAddr) -> SocketAddr {
    tcp.local_addr().unwrap_or(asked)
}
