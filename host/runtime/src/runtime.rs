//! The runtime as its user sees it: started once, asked for generations, told
//! to call them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime::component::Linker;

use crate::admission::Admission;
use crate::call::{Call, Caller};
use crate::capability::Capabilities;
use crate::check::{self, Inspection};
use crate::compile::CompilePool;
use crate::engine::{self, Ticker};
use crate::error::LoadError;
use crate::folder::{self, FolderHandle};
use crate::gate::Rulebook;
use crate::generation::Generation;
use crate::grants::{Grants, Policy, Rules};
use crate::host;
use crate::registry::{PromoteError, Registry};
use crate::settings::{Settings, StartError};
use crate::spec::CallSpec;
use crate::status::{PluginEvent, PluginStatus, Stats};

/// How many tasks a guest thread polls before it looks at timers. Guests that
/// spin hold a thread for a whole tick each, so this is small.
const EVENT_INTERVAL: u32 = 5;

/// How long [`Runtime::stop`] waits for calls that were told to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Loads, checks, calls and swaps plugins. A clone is the same runtime; the last
/// one dropped stops it.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Arc<Registry>,
    caller: Arc<Caller>,
    pool: Arc<CompilePool>,
    folder: FolderHandle,
    guests: Guests,
    /// Ends the folder's task, and every call.
    _stop: DropGuard,
}

impl Runtime {
    /// Starts the engine, its threads and the folder's task. Loading goes on in
    /// the background; see [`Runtime::scanned`].
    ///
    /// Must be called inside a tokio runtime. Fails when the plugin folder is
    /// not there, or the engine cannot reserve what `settings` ask for.
    pub fn start(settings: Settings) -> Result<Runtime, StartError> {
        tokio::runtime::Handle::try_current().map_err(|_| StartError::NoTokio)?;
        check_folder(&settings)?;
        let engine = engine::new_engine(&settings)?;
        let mut linker = Linker::new(&engine);
        let capabilities = settings.capabilities.clone();
        host::link(&mut linker, &capabilities).map_err(|error| StartError::Link(error.to_string()))?;
        let stop = CancellationToken::new();
        let admission = Arc::new(Admission::new(settings.instances, settings.per_plugin));
        let pool = Arc::new(CompilePool::start(&settings, &engine)?);
        let policy = Policy::new(Rules {
            ceiling: settings.max_grants.clone(),
            auto_widen: settings.auto_widen,
        });
        let rules = Arc::new(Rulebook::new(capabilities, policy));
        let caller = Arc::new(Caller {
            ticker: Ticker::start(&engine)?,
            engine,
            admission: Arc::clone(&admission),
            rules: Arc::clone(&rules),
            stop: stop.clone(),
        });
        let guests = Guests::start(settings.guest_threads)?;
        let max_plugins = settings.max_plugins;
        let registry = Registry::new(linker, Arc::clone(&pool), admission, rules, max_plugins);
        let registry = Arc::new(registry);
        let folder = folder::start(Arc::new(settings), Arc::clone(&registry), stop.clone());
        let shared = Shared {
            registry,
            caller,
            pool,
            folder,
            guests,
            _stop: stop.drop_guard(),
        };
        Ok(Runtime {
            shared: Arc::new(shared),
        })
    }

    /// What serves `plugin` now. Calls made on it run on this version whatever
    /// is loaded meanwhile; not holding it any longer frees it once replaced.
    pub fn generation(&self, plugin: &str) -> Option<Arc<Generation>> {
        self.shared.registry.generation(plugin)
    }

    /// All plugins, those that were refused included, by name.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.shared.registry.plugins()
    }

    pub fn plugin(&self, name: &str) -> Option<PluginStatus> {
        self.shared.registry.plugin(name)
    }

    /// What happens from now on. A listener that lags behind by more than 256
    /// events loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<PluginEvent> {
        self.shared.registry.events()
    }

    /// Returns once the first scan of the folder is complete: each file loaded
    /// or refused, unless it is still being written.
    pub async fn scanned(&self) {
        self.shared.folder.scanned().await;
    }

    /// Reads the folder now and returns once what it found is loaded or refused.
    pub async fn rescan(&self) {
        self.shared.folder.rescan().await;
    }

    /// Starts a call. It begins at once, or has already ended as `overloaded`.
    pub fn call(&self, generation: &Arc<Generation>, spec: CallSpec) -> Call {
        let guests = self.shared.guests.handle();
        self.shared.caller.call(guests, generation, spec)
    }

    pub fn stats(&self) -> Stats {
        let Shared {
            registry,
            caller,
            pool,
            ..
        } = &*self.shared;
        Stats {
            instances_in_use: caller.admission.in_use(),
            instances: caller.admission.instances(),
            plugins: registry.stats(),
            host_calls: caller.rules.counters.read(),
            compile_hits: pool.counts().hits.load(Ordering::Relaxed),
            compile_misses: pool.counts().misses.load(Ordering::Relaxed),
        }
    }

    /// Reads a component without compiling or running it: its world, version,
    /// imports, wants and exports. Also one that this host would refuse for any
    /// of these, which [`Inspection::verdict`] then says.
    pub fn inspect(bytes: &[u8], capabilities: &Capabilities) -> Result<Inspection, LoadError> {
        check::describe(bytes, capabilities)
    }

    /// Lets the version of a plugin serve that waits because it reaches further
    /// than the one that does. With `version`, only if it is that one. Returns
    /// the version.
    pub fn promote(&self, plugin: &str, version: Option<&str>) -> Result<String, PromoteError> {
        self.shared.registry.promote(plugin, version)
    }

    /// Puts another ceiling of grants in force. What it withdraws is denied from
    /// now on, also to calls that run; then every plugin is read again, so that
    /// one that was refused for its grants may now be taken. Returns when that
    /// is done.
    pub async fn reconfigure_grants(&self, max_grants: Grants, auto_widen: bool) {
        let rules = Rules {
            ceiling: max_grants,
            auto_widen,
        };
        if self.shared.caller.rules.policy.change(rules) {
            self.shared.folder.reread().await;
        }
    }

    /// Ends the folder's task and all calls, which end as `cancelled`, and waits
    /// until they are gone. Whoever wants calls to end well waits for them
    /// before.
    pub async fn stop(&self) {
        self.shared.caller.stop.cancel();
        let idle = self.shared.caller.admission.idle();
        if tokio::time::timeout(STOP_TIMEOUT, idle).await.is_err() {
            tracing::warn!("calls were still running {STOP_TIMEOUT:?} after they were told to end");
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Runtime").finish_non_exhaustive()
    }
}

fn check_folder(settings: &Settings) -> Result<(), StartError> {
    let problem = match std::fs::read_dir(&settings.dir) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::from("does not exist"),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => String::from("is not a folder"),
        Err(error) => format!("cannot be read ({error})"),
    };
    Err(StartError::Folder {
        dir: settings.dir.clone(),
        problem,
    })
}

/// The threads that run guests, apart from those that hold the sockets, so that
/// guests that spin delay each other and nothing else.
struct Guests {
    /// `None` only while it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
    handle: tokio::runtime::Handle,
}

impl Guests {
    fn start(threads: usize) -> Result<Guests, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(4)
            .event_interval(EVENT_INTERVAL)
            .thread_name("segue-guest")
            .enable_time()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Guests {
            runtime: Some(runtime),
            handle,
        })
    }

    fn handle(&self) -> &tokio::runtime::Handle {
        &self.handle
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not wait for its tasks inside another one.
            runtime.shutdown_background();
        }
    }
}
