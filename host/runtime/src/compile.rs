//! Turns bytes into code on a few threads of their own, at lower priority, so
//! that loading a plugin is not felt by the calls that run meanwhile.
//!
//! Bounds: as many compilations at once as there are threads; the rest wait in
//! order, at most one a plugin, since the folder offers one version at a time.
//! A compiler that panics is a component that does not compile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::capability::Capabilities;
use crate::check::{self, Inspection};
use crate::error::{LoadError, clip};
use crate::settings::{Settings, StartError};

/// Jobs that wait in the queue; further ones wait in front of it.
const QUEUE: usize = 64;

/// How much nicer than the rest of the process a compiling thread is.
const NICENESS: i32 = 10;

/// The compiler recurses over deep expressions.
const STACK_BYTES: usize = 16 << 20;

/// The longest reason taken over from the compiler, in bytes.
const REASON_MAX_BYTES: usize = 1024;

/// A component that was checked and compiled.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) inspection: Inspection,
}

struct Job {
    wasm: Arc<[u8]>,
    answer: oneshot::Sender<Result<Compiled, LoadError>>,
}

/// How often compilation was spared.
#[derive(Default)]
pub(crate) struct CompileCounts {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

/// The threads; they end when this is dropped.
pub(crate) struct CompilePool {
    jobs: mpsc::Sender<Job>,
    counts: Arc<CompileCounts>,
}

struct Worker {
    engine: Engine,
    cache: Option<Cache>,
    counts: Arc<CompileCounts>,
    capabilities: Capabilities,
    jobs: Mutex<mpsc::Receiver<Job>>,
}

impl CompilePool {
    pub(crate) fn start(settings: &Settings, engine: &Engine) -> Result<CompilePool, StartError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let counts = Arc::new(CompileCounts::default());
        let worker = Arc::new(Worker {
            engine: engine.clone(),
            cache: open_cache(settings, engine),
            counts: Arc::clone(&counts),
            capabilities: settings.capabilities.clone(),
            jobs: Mutex::new(queue),
        });
        for _ in 0..settings.compile_threads.max(1) {
            let worker = Arc::clone(&worker);
            thread::Builder::new()
                .name(String::from("segue-compile"))
                .stack_size(STACK_BYTES)
                .spawn(move || worker.run())?;
        }
        Ok(CompilePool { jobs, counts })
    }

    /// Checks and compiles `wasm`, or takes it from the cache.
    pub(crate) async fn compile(&self, wasm: Arc<[u8]>) -> Result<Compiled, LoadError> {
        let (answer, compiled) = oneshot::channel();
        let stopped = || failed("the host is stopping");
        self.jobs
            .send(Job { wasm, answer })
            .await
            .map_err(|_| stopped())?;
        compiled.await.map_err(|_| stopped())?
    }

    pub(crate) fn counts(&self) -> &CompileCounts {
        &self.counts
    }
}

/// A cache that cannot be used costs time, not service.
fn open_cache(settings: &Settings, engine: &Engine) -> Option<Cache> {
    let dir = settings.cache.as_deref()?;
    match Cache::open(dir, settings.cache_max_bytes, engine) {
        Ok(cache) => Some(cache),
        Err(reason) => {
            let dir = dir.display();
            tracing::warn!(
                "the compile cache {dir} is not used, plugins are compiled at each start: {reason}"
            );
            None
        }
    }
}

impl Worker {
    fn run(&self) {
        // On Linux this concerns the calling thread alone. Where it is refused
        // the thread compiles at normal priority, which is no reason to stop.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        loop {
            let next = {
                let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.blocking_recv()
            };
            let Some(job) = next else { return };
            if job.answer.is_closed() {
                continue;
            }
            let made = catch_unwind(AssertUnwindSafe(|| self.make(&job.wasm)));
            let made = made.unwrap_or_else(|_| Err(failed("the compiler panicked")));
            // Nobody waits any more: the offer was given up.
            let _ = job.answer.send(made);
        }
    }

    fn make(&self, wasm: &[u8]) -> Result<Compiled, LoadError> {
        let inspection = check::inspect(wasm, &self.capabilities)?;
        let digest = Sha256::digest(wasm);
        let cached = self.cache.as_ref().and_then(|c| c.get(&digest, &self.engine));
        let component = match cached {
            Some(component) => {
                self.counts.hits.fetch_add(1, Ordering::Relaxed);
                component
            }
            None => {
                self.counts.misses.fetch_add(1, Ordering::Relaxed);
                let component =
                    Component::from_binary(&self.engine, wasm).map_err(|error| failed(&reason_of(&error)))?;
                if let Some(cache) = &self.cache {
                    cache.put(&digest, &component);
                }
                component
            }
        };
        Ok(Compiled {
            component,
            inspection,
        })
    }
}

/// An error of wasmtime with its causes, in one line of bounded length.
pub(crate) fn reason_of(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    clip(&causes.join(": "), REASON_MAX_BYTES)
}

fn failed(reason: &str) -> LoadError {
    LoadError::CompileFailed {
        reason: String::from(reason),
    }
}
