//! What every connection shares: the host's services, and the configuration as
//! it is now.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use segue_capabilities::Backends;
use segue_resilience::shed::Shedder;
use segue_resilience::{Guards, Key, limit};
use segue_runtime::Services;
use segue_runtime::trace::Tracer;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Config, Knob};
use crate::drain::Drain;
use crate::fallback::Answers;
use crate::guarded;
use crate::host::{HostOptions, ReloadError};
use crate::http::documents::AT_A_TIME;
use crate::limits::Limits;
use crate::route::Routes;
use crate::session::{Bounds, Rules, Sessions};
use crate::target::Target;
use crate::telemetry::Metrics;

/// The configuration, with what is derived from it. Immutable; a message works
/// with the one that it began with.
#[derive(Debug)]
pub struct Snapshot {
    pub config: Config,
    /// The databases, indexes and models that it configures.
    pub backends: Backends,
    /// The same, as calls bring them along.
    pub services: Services,
    pub routes: Routes,
    /// How often each handler may be called, where that is limited.
    pub handler_limits: HashMap<String, limit::Settings>,
    pub rules: Rules,
    pub bounds: Bounds,
}

/// What `rate_limit` says, for each handler that is named.
fn handler_limits(config: &Config) -> HashMap<String, limit::Settings> {
    let limited = |name: &str| {
        let settings = config.resilience.in_force(guarded::KIND, name);
        let of = |knob| settings.get(&knob).map(|found| found.value);
        let (rate, period) = (of(Knob::RateLimit)?.count()?, of(Knob::RatePeriod)?.time()?);
        Some((
            name.to_owned(),
            limit::Settings {
                rate,
                period,
                burst: rate,
            },
        ))
    };
    config.handlers().into_keys().filter_map(limited).collect()
}

impl Snapshot {
    pub fn new(config: Config, backends: Backends) -> Snapshot {
        Snapshot {
            services: backends.services(),
            backends,
            routes: Routes::new(&config.routes),
            handler_limits: handler_limits(&config),
            rules: Rules {
                max_in_flight: config.session.max_in_flight,
                queue: config.session.queue,
                id_window: config.session.id_window,
                id_max: config.session.id_max,
                history_bytes: config.session.history_bytes,
            },
            bounds: Bounds {
                frames: config.outbox.size,
                bytes: config.outbox.bytes,
                wait: config.outbox.wait,
                on_full: config.outbox.on_full,
            },
            config,
        }
    }

    /// Whether the configuration has what this is the guard of. Origins are a
    /// matter of plugins' grants.
    fn guards(&self, key: &Key) -> bool {
        let backends = &self.config.backends;
        let name = &*key.name;
        match key.kind {
            guarded::KIND => self.wanted_plugins().any(|plugin| plugin == name),
            "cache" => backends.cache.contains_key(name),
            "llm" => backends.has_model_server(name),
            "search" => backends.search.contains_key(name),
            "sql" => backends.sql.contains_key(name),
            _ => true,
        }
    }

    /// Every plugin that a route or an endpoint names.
    pub fn wanted_plugins(&self) -> impl Iterator<Item = &str> {
        self.routes
            .handlers()
            .chain(self.config.endpoints.iter().map(|e| e.handler.as_str()))
    }
}

pub struct App {
    snapshot: ArcSwap<Snapshot>,
    pub runtime: segue_runtime::Runtime,
    /// What stands around each dependency and handler.
    pub guards: Arc<Guards>,
    /// How often clients may ask.
    pub limits: Limits,
    /// What the host has no time for.
    pub shed: Arc<Shedder>,
    pub sessions: Sessions,
    pub metrics: Metrics,
    /// Begins the traces of messages and requests.
    pub tracer: Tracer,
    pub drain: Drain,
    /// Sockets and replies under way; a drain waits for them.
    pub tasks: TaskTracker,
    /// Ends the calls of raw endpoints when the host can wait no longer.
    pub cut: CancellationToken,
    /// What handlers last said, for routes that fall back on it.
    pub(crate) answers: Answers,
    /// Documents being shown; the rest wait.
    pub(crate) documents: Semaphore,
    pub started: Instant,
    options: HostOptions,
    /// Held while the configuration is read again, so that of two readings the
    /// later one wins.
    reloading: tokio::sync::Mutex<()>,
}

impl App {
    pub(crate) fn new(
        config: Config,
        backends: Backends,
        guards: Arc<Guards>,
        runtime: segue_runtime::Runtime,
        metrics: Metrics,
        tracer: Tracer,
        options: HostOptions,
    ) -> Arc<App> {
        Arc::new(App {
            limits: Limits::new(&config.rate_limits, metrics.rate_limited.clone()),
            shed: Shedder::new(config.overload.settings()),
            snapshot: ArcSwap::from_pointee(Snapshot::new(config, backends)),
            runtime,
            guards,
            sessions: Sessions::default(),
            metrics,
            tracer,
            drain: Drain::default(),
            tasks: TaskTracker::new(),
            cut: CancellationToken::new(),
            answers: Answers::default(),
            documents: Semaphore::new(AT_A_TIME),
            started: Instant::now(),
            options,
            reloading: tokio::sync::Mutex::default(),
        })
    }

    /// The configuration as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn config_path(&self) -> Option<&Path> {
        self.options.config_path.as_deref()
    }

    /// Reads the configuration file again and puts it in force, whole or not at
    /// all. What has begun ends with the old one, but a grant that is withdrawn
    /// is gone at once. Returns when the plugins have been read again, too, if
    /// the ceiling of their grants has changed.
    pub async fn reload(self: &Arc<Self>) -> Result<(), ReloadError> {
        let _turn = self.reloading.lock().await;
        let app = self.clone();
        // Reads files, and may open some.
        tokio::task::spawn_blocking(move || app.replace_config())
            .await
            .unwrap_or_else(|error| Err(ReloadError::Panicked(error.to_string())))?;
        let snapshot = self.snapshot();
        let plugins = &snapshot.config.plugins;
        self.runtime
            .reconfigure_grants(plugins.max_grants.clone(), plugins.auto_widen)
            .await;
        for handler in snapshot.wanted_plugins() {
            if self.target(handler).is_none() {
                let file = plugins.dir.join(format!("{handler}.wasm"));
                tracing::warn!("nothing answers for {handler} until there is {}", file.display());
            }
        }
        Ok(())
    }

    fn replace_config(&self) -> Result<(), ReloadError> {
        let path = self.options.config_path.as_ref().ok_or(ReloadError::NoFile)?;
        let config = config::load(path)?;
        let before = self.snapshot();
        let restart = before.config.needs_restart(&config);
        if !restart.is_empty() {
            return Err(ReloadError::NeedsRestart(restart));
        }
        if let Some(logs) = &self.options.logs
            && let Err(error) = logs.set_level(&config.log.level)
        {
            tracing::error!(%error, "the log level stays as it was");
        }
        config.tell_absences();
        let backends = before.backends.update(config.backends.settings());
        self.guards.configure(Arc::new(config.resilience.clone()));
        self.limits.configure(&config.rate_limits);
        self.shed.configure(config.overload.settings());
        self.metrics.name_also(config.metrics.names());
        let snapshot = Snapshot::new(config, backends);
        self.guards.retain(|key| snapshot.guards(key));
        self.snapshot.store(Arc::new(snapshot));
        tracing::info!(path = %path.display(), "configuration reloaded");
        Ok(())
    }

    /// Who answers for `handler` now.
    pub fn target(&self, handler: &str) -> Option<Target> {
        match self.options.natives.get(handler) {
            Some(native) => Some(Target::Native(native.clone())),
            None => self.runtime.generation(handler).map(Target::Plugin),
        }
    }
}
