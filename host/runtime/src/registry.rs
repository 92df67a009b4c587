//! Which version of which plugin serves.
//!
//! Guarantees: a lookup is one load of a pointer, never waits for a swap and
//! never sees half of one; a candidate that fails any check leaves what serves
//! untouched; a call holds the version it began on, so that a swap or a removal
//! only ever changes what later calls get; a version that reaches further than
//! the one that serves waits for the operator's word, unless told otherwise.
//!
//! Offers for one plugin come one after the other (the folder awaits each);
//! those for different plugins may run side by side.

mod build;
mod record;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::broadcast;
use wasmtime::component::Linker;

use crate::admission::Admission;
use crate::compile::CompilePool;
use crate::error::LoadError;
use crate::gate::Rulebook;
use crate::generation::{Generation, Identity};
use crate::grants::{self, Grants};
use crate::host::CallState;
use crate::settings::Settings;
use crate::sidecar::Sidecar;
use crate::stats::Tenure;
use crate::status::{PluginEvent, PluginStats, PluginStatus};
use build::Built;
pub use record::PromoteError;
use record::Record;

/// Events that a slow listener may lag behind before it loses the oldest.
const EVENTS: usize = 256;

/// A file of the folder with what stands beside it, read once.
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) wasm: Arc<[u8]>,
    pub(crate) sidecar: Sidecar,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It serves from now on.
    Loaded,
    /// It served already.
    Unchanged,
    /// It could serve, but reaches further than what serves: it waits for
    /// [`Registry::promote`].
    Waiting,
    /// It failed a check; what served before still does.
    Refused,
}

/// All plugins. A clone is the same registry.
#[derive(Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    slots: ArcSwap<Slots>,
    /// Held while `slots` is replaced, and while it is decided whether there is
    /// room for one more plugin.
    writer: Mutex<()>,
    events: broadcast::Sender<PluginEvent>,
    linker: Linker<CallState>,
    pool: Arc<CompilePool>,
    admission: Arc<Admission>,
    max_plugins: usize,
    rules: Arc<Rulebook>,
    /// What each name reached when it served last.
    consented: Mutex<BTreeMap<String, Grants>>,
    serial: AtomicU64,
}

type Slots = BTreeMap<String, Arc<Slot>>;

/// One plugin over all its versions.
struct Slot {
    name: String,
    current: ArcSwapOption<Generation>,
    tenure: Arc<Tenure>,
    record: Mutex<Record>,
}

impl Slot {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it counts as one of the plugins there may be. Asked of the
    /// record, since whoever looks at `current` may come to own a generation
    /// for a moment, and must not drop one while it holds a lock.
    fn is_loaded_or_loading(&self) -> bool {
        self.record().is_loaded_or_loading()
    }
}

impl Registry {
    pub(crate) fn new(
        linker: Linker<CallState>,
        pool: Arc<CompilePool>,
        admission: Arc<Admission>,
        rules: Arc<Rulebook>,
        max_plugins: usize,
    ) -> Registry {
        let shared = Shared {
            slots: ArcSwap::default(),
            writer: Mutex::new(()),
            events: broadcast::Sender::new(EVENTS),
            linker,
            pool,
            admission,
            max_plugins,
            rules,
            consented: Mutex::default(),
            serial: AtomicU64::new(0),
        };
        Registry {
            shared: Arc::new(shared),
        }
    }

    /// What serves `plugin` now.
    pub(crate) fn generation(&self, plugin: &str) -> Option<Arc<Generation>> {
        let slots = self.shared.slots.load();
        slots.get(plugin)?.current.load_full()
    }

    pub(crate) fn plugin(&self, name: &str) -> Option<PluginStatus> {
        let slots = self.shared.slots.load();
        let slot = slots.get(name)?;
        Some(self.shared.status(name, slot))
    }

    /// All plugins by name.
    pub(crate) fn plugins(&self) -> Vec<PluginStatus> {
        let slots = self.shared.slots.load();
        slots
            .iter()
            .map(|(name, slot)| self.shared.status(name, slot))
            .collect()
    }

    pub(crate) fn stats(&self) -> Vec<PluginStats> {
        let slots = self.shared.slots.load();
        let rows = slots.iter().map(|(name, slot)| slot.tenure.read(name));
        rows.collect()
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<PluginEvent> {
        self.shared.events.subscribe()
    }

    /// Checks, compiles and links the candidate, then lets it serve. The same
    /// version as the one that serves is left alone.
    pub(crate) async fn offer(&self, candidate: Candidate) -> Offered {
        let started = Instant::now();
        let Candidate { name, wasm, sidecar } = candidate;
        let Ok((identity, wasm)) = tokio::task::spawn_blocking({
            let name = name.clone();
            move || (Identity::new(name, &wasm, sidecar), wasm)
        })
        .await
        else {
            // Only while the caller's runtime shuts down.
            return Offered::Refused;
        };
        let version = identity.version.clone();
        let serving = self.generation(&name);
        if serving.is_some_and(|generation| generation.version() == version) {
            self.shared.settled(&name);
            return Offered::Unchanged;
        }
        let slot = match self.shared.begin(&name) {
            Ok(slot) => slot,
            Err(full) => {
                self.refuse(&name, full, Some(version));
                return Offered::Refused;
            }
        };
        match self.shared.build(&slot, identity, wasm).await {
            Ok(built) => match self.shared.widens(&slot, &built) {
                Some(widens) => {
                    self.shared.wait(&slot, built, widens);
                    Offered::Waiting
                }
                None => {
                    self.shared.swap(&slot, built, started);
                    Offered::Loaded
                }
            },
            Err(error) => {
                self.refuse(&name, error, Some(version));
                Offered::Refused
            }
        }
    }

    /// The settings with the ceiling of grants that holds now.
    pub(crate) fn with_ceiling(&self, settings: &Settings) -> Settings {
        Settings {
            max_grants: self.shared.rules.policy.rules().ceiling.clone(),
            ..settings.clone()
        }
    }

    /// Lets the version of `name` serve that waits for the operator's word.
    pub(crate) fn promote(&self, name: &str, version: Option<&str>) -> Result<String, PromoteError> {
        let started = Instant::now();
        let slot = self.shared.slots.load().get(name).cloned();
        let slot = slot.ok_or_else(|| PromoteError::Unknown(String::from(name)))?;
        // Taken and put in place in one step: a removal, or a newer offer, comes
        // before both or after both.
        self.shared
            .install(&slot, started, |record| record.take_pending(version))
    }

    /// Notes that the newest file of `name` is not fit to serve. What serves
    /// goes on serving. Said again in the same words, it changes nothing.
    pub(crate) fn refuse(&self, name: &str, error: LoadError, version: Option<String>) {
        let slot = self.shared.slot_to_refuse(name);
        if let Some(slot) = &slot {
            let (news, no_longer_wanted) = slot.record().refused(&error, version.as_deref());
            slot.tenure.access.narrow(None);
            // Dropped without the record's lock, which `freed` takes.
            drop(no_longer_wanted);
            if !news {
                return;
            }
            slot.tenure.refused.fetch_add(1, Ordering::Relaxed);
        }
        let (code, message) = (error.code(), error.to_string());
        let serves = slot.and_then(|slot| slot.current.load_full());
        match serves {
            Some(serves) => tracing::warn!(
                plugin = name,
                code,
                serves = serves.version(),
                "plugin {name} was refused, the version before it still serves: {message}"
            ),
            None => tracing::warn!(plugin = name, code, "plugin {name} was refused: {message}"),
        }
        self.shared.tell(PluginEvent::Refused {
            name: String::from(name),
            code,
            message,
        });
    }

    /// The file of `name` is gone: no further call begins on it.
    pub(crate) fn remove(&self, name: &str) {
        let Some(slot) = self.shared.slots.load().get(name).cloned() else {
            return;
        };
        let last = {
            let mut record = slot.record();
            let pending = record.removed();
            (slot.current.swap(None), pending)
        };
        slot.tenure.access.narrow(None);
        tracing::info!(plugin = name, "plugin {name} was removed");
        self.shared.tell(PluginEvent::Removed {
            name: String::from(name),
        });
        // Dropped without the record's lock, which `freed` takes.
        drop(last);
        self.shared.forget_if_drained(&slot);
    }
}

impl Shared {
    fn writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands above the ceiling by now is granted no longer.
    fn status(&self, name: &str, slot: &Slot) -> PluginStatus {
        let mut status = slot.record().status(name, &slot.tenure);
        let rules = self.rules.policy.rules();
        for row in &mut status.access {
            let capability = &row.capability;
            row.granted.retain(|scope| rules.allows(capability, scope));
        }
        status
    }

    fn tell(&self, event: PluginEvent) {
        // Nobody listening is no fault.
        let _ = self.events.send(event);
    }

    /// The slot of `name`, marked as loading, if there is room for it.
    fn begin(&self, name: &str) -> Result<Arc<Slot>, LoadError> {
        let _writer = self.writer();
        let slots = self.slots.load_full();
        let slot = slots.get(name).cloned();
        if !slot.as_ref().is_some_and(|slot| slot.is_loaded_or_loading()) {
            let taken = slots.values().filter(|slot| slot.is_loaded_or_loading());
            if taken.count() >= self.max_plugins {
                let limit = self.max_plugins;
                return Err(LoadError::TooManyPlugins { limit });
            }
        }
        let slot = slot.unwrap_or_else(|| self.insert(&slots, name));
        slot.record().loading();
        Ok(slot)
    }

    /// The slot of `name`, to note a refusal in. Past a second `max_plugins` of
    /// names that only ever were refused there is none, and the refusal stands
    /// in the log alone.
    fn slot_to_refuse(&self, name: &str) -> Option<Arc<Slot>> {
        let _writer = self.writer();
        let slots = self.slots.load_full();
        if let Some(slot) = slots.get(name) {
            return Some(Arc::clone(slot));
        }
        if slots.len() >= self.max_plugins.saturating_mul(2) {
            return None;
        }
        Some(self.insert(&slots, name))
    }

    /// Adds a slot. The caller holds the writer's lock.
    fn insert(&self, slots: &Slots, name: &str) -> Arc<Slot> {
        let slot = Arc::new(Slot {
            name: String::from(name),
            current: ArcSwapOption::empty(),
            tenure: Arc::new(Tenure::new(self.admission.new_share())),
            record: Mutex::new(Record::default()),
        });
        let mut slots = slots.clone();
        slots.insert(String::from(name), Arc::clone(&slot));
        self.slots.store(Arc::new(slots));
        slot
    }

    /// The file of `name` is what serves: an error before is past.
    fn settled(&self, name: &str) {
        if let Some(slot) = self.slots.load().get(name) {
            // Dropped without the record's lock, which `freed` takes.
            let _no_longer_wanted = slot.record().settled();
            slot.tenure.access.narrow(None);
        }
    }

    /// What the candidate reaches beyond the version that serves, if that needs
    /// the operator's word.
    fn widens(&self, slot: &Slot, built: &Built) -> Option<Vec<String>> {
        if self.rules.policy.rules().auto_widen {
            return None;
        }
        // What served last counts also once it was removed: to take a file away
        // and put another one there is a swap like any other.
        let consented = self.consented().get(&slot.name).cloned()?;
        let widens = grants::widened(&consented, &built.generation.reach());
        (!widens.is_empty()).then_some(widens)
    }

    fn consented(&self) -> MutexGuard<'_, BTreeMap<String, Grants>> {
        self.consented.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what `name` reaches with its operator's consent. Past four times
    /// as many names as there may be plugins the first are forgotten.
    fn consent(&self, name: &str, reach: Grants) {
        let mut consented = self.consented();
        consented.insert(String::from(name), reach);
        while consented.len() > self.max_plugins.saturating_mul(4) {
            consented.pop_first();
        }
    }

    /// Keeps the candidate until it is promoted or replaced.
    fn wait(&self, slot: &Slot, built: Built, widens: Vec<String>) {
        let name = slot.name.clone();
        let version = String::from(built.generation.version());
        let asks = widens.join("; ");
        tracing::warn!(
            plugin = name,
            version,
            "version {} of plugin {name} reaches further than the one that serves ({asks}) and waits: \
             let it serve with `segue plugins promote {name}`, or set `[plugins] auto_widen = true`",
            short(&version)
        );
        // What the operator took out meanwhile is gone at once.
        slot.tenure
            .access
            .narrow(Some(built.generation.identity.grants.clone()));
        let replaced = slot.record().pending(built, widens.clone());
        self.tell(PluginEvent::Pending {
            name,
            version,
            widens,
        });
        // Dropped without the record's lock, which `freed` takes.
        drop(replaced);
    }

    /// From here on calls begin on the new version.
    fn swap(&self, slot: &Slot, built: Built, started: Instant) {
        let infallible = self.install(slot, started, |_| Ok::<_, std::convert::Infallible>(built));
        let Ok(_version) = infallible;
    }

    /// The same with a version that `take` finds in the record.
    fn install<E>(
        &self,
        slot: &Slot,
        started: Instant,
        take: impl FnOnce(&mut Record) -> Result<Built, E>,
    ) -> Result<String, E> {
        let name = slot.name.clone();
        let (version, previous, pending) = {
            let mut record = slot.record();
            let built = take(&mut record)?;
            let version = String::from(built.generation.version());
            self.consent(&name, built.generation.reach());
            let pending = record.loaded(&built);
            slot.tenure.access.narrow(None);
            (version, slot.current.swap(Some(built.generation)), pending)
        };
        slot.tenure.loaded.fetch_add(1, Ordering::Relaxed);
        let ms = crate::units::millis(started.elapsed());
        let before = previous.as_ref().map(|generation| generation.version());
        tracing::info!(
            plugin = name,
            version,
            previous = before,
            ms,
            "plugin {name} serves in version {}",
            short(&version)
        );
        self.tell(PluginEvent::Loaded {
            name,
            version: version.clone(),
            previous: before.map(String::from),
            ms,
        });
        // Dropped last, without the record's lock, which `freed` takes; so
        // `Freed` comes after `Loaded`.
        drop(previous);
        drop(pending);
        Ok(version)
    }

    /// Removes the slot of a plugin that is gone and has no call left.
    fn forget_if_drained(&self, slot: &Arc<Slot>) {
        let _writer = self.writer();
        if !slot.record().is_over() {
            return;
        }
        let slots = self.slots.load_full();
        let known = slots.get(&slot.name);
        if known.is_some_and(|known| Arc::ptr_eq(known, slot)) {
            let mut slots = Slots::clone(&slots);
            slots.remove(&slot.name);
            self.slots.store(Arc::new(slots));
        }
    }
}
/// Enough of a version for a person to tell it from another: the fields of a
/// log line have it whole.
fn short(version: &str) -> &str {
    const DIGITS: usize = "sha256:".len() + 12;
    version.get(..DIGITS).unwrap_or(version)
}
