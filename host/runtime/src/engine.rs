//! The wasmtime engine, its epoch ticker, and the operating system's bound on
//! memory mappings.
//!
//! The settings are measured ones: a fresh instance a call from a pool of
//! copy-on-write slots that keep what a typical guest touches resident.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::settings::{Settings, StartError};

/// How often a running guest is interrupted, so that a deadline or a
/// cancellation is seen and other calls get their turn.
const TICK: Duration = Duration::from_millis(1);

/// Core instances are only a counter, and a Python component has 38.
const CORE_INSTANCES_PER_CALL: u32 = 64;

/// How many tables a unit of admission stands for. Even a small component has
/// two; a slot costs address space only.
pub(crate) const TABLES_PER_UNIT: u32 = 8;

/// The largest table, in elements; bounds address space, the memory limit
/// bounds what is used of it.
const TABLE_ELEMENTS: usize = 100_000;

/// Slots that keep their pages between calls. Each holds up to
/// [`RESIDENT_BYTES`]: this bounds what an idle host has left of busy times.
const WARM_SLOTS: u32 = 32;

/// What a warm slot keeps of its memory: as much as a typical guest touches.
const RESIDENT_BYTES: usize = 2 << 20;

/// Memories and tables that one core module may have.
const PER_MODULE: u32 = 16;

/// The stack of a call's guest code, within the call's fiber.
const WASM_STACK_BYTES: usize = 512 * 1024;

/// Linux maps that an idle slot and a running call take, as measured, and what
/// the rest of the process may need.
const MAPS_PER_SLOT: u64 = 2;
const MAPS_PER_CALL: u64 = 4;
const MAPS_OF_HOST: u64 = 2_000;

pub(crate) fn new_engine(settings: &Settings) -> Result<Engine, StartError> {
    let instances = settings.instances.max(1);
    warn_of_map_count(instances);
    let memory_bytes = settings
        .max_limits
        .memory_bytes
        .max(settings.default_limits.memory_bytes)
        .clamp(64 * 1024, 1 << 32);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_CALL))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_PER_UNIT))
        .total_stacks(instances)
        .max_memories_per_module(PER_MODULE)
        .max_tables_per_module(PER_MODULE)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(usize::try_from(memory_bytes).unwrap_or(usize::MAX))
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .table_keep_resident(4096)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        // No guest toolchain in use needs the garbage collector, and its heaps
        // would take memory slots that admission cannot count beforehand.
        .gc_support(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(32));
    Engine::new(&config).map_err(|error| StartError::Engine {
        instances,
        reason: error.root_cause().to_string(),
    })
}

/// Past `vm.max_map_count` the host's own allocations fail, so an operator is
/// told before it can happen.
fn warn_of_map_count(instances: u32) {
    let Ok(text) = std::fs::read_to_string("/proc/sys/vm/max_map_count") else {
        return;
    };
    let Ok(limit) = text.trim().parse::<u64>() else {
        return;
    };
    let needed = maps_needed(instances);
    if needed > limit {
        let fit = limit.saturating_sub(MAPS_OF_HOST) / (MAPS_PER_SLOT + MAPS_PER_CALL);
        tracing::warn!(
            "[runtime] instances = {instances} may need {needed} memory mappings, and \
             vm.max_map_count allows {limit}: lower it to {fit}, or raise the limit with \
             `sysctl -w vm.max_map_count={needed}`"
        );
    }
}

fn maps_needed(instances: u32) -> u64 {
    u64::from(instances) * (MAPS_PER_SLOT + MAPS_PER_CALL) + MAPS_OF_HOST
}

/// A thread that advances the engine's epoch while calls run and sleeps while
/// none does.
pub(crate) struct Ticker {
    shared: Arc<TickerState>,
    thread: thread::Thread,
}

#[derive(Default)]
struct TickerState {
    running: AtomicUsize,
    stopped: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Ticker, StartError> {
        let shared = Arc::new(TickerState::default());
        let state = Arc::clone(&shared);
        let engine = engine.weak();
        let handle = thread::Builder::new()
            .name(String::from("segue-epoch"))
            .spawn(move || {
                while !state.stopped.load(Ordering::Acquire) {
                    if state.running.load(Ordering::Acquire) == 0 {
                        // Left by `hold` and `drop`; a wake-up that comes
                        // before is kept.
                        thread::park();
                        continue;
                    }
                    thread::sleep(TICK);
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                }
            })?;
        Ok(Ticker {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// Keeps the epoch advancing until the guard is dropped.
    pub(crate) fn hold(&self) -> TickerGuard {
        if self.shared.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        TickerGuard(Arc::clone(&self.shared))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

pub(crate) struct TickerGuard(Arc<TickerState>);

impl Drop for TickerGuard {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_number_of_instances_fits_the_usual_kernel_limit() {
        assert!(maps_needed(Settings::default().instances) < 65_530);
    }
}
