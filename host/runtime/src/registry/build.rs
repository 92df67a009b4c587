//! From bytes to a generation that could serve.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use super::{Shared, Slot};
use crate::admission::weight_of;
use crate::bindings::HandlerPre;
use crate::check::SPEAKS;
use crate::compile::{Compiled, reason_of};
use crate::error::LoadError;
use crate::generation::{Freed, Generation, Identity, InFlight};
use crate::manifest::Manifest;
use crate::status::PluginEvent;

/// A WebAssembly page.
const PAGE_BYTES: u64 = 64 * 1024;

/// A generation that has not begun to serve.
pub(super) struct Built {
    pub(super) generation: Arc<Generation>,
    pub(super) serial: u64,
    pub(super) manifest: Option<Manifest>,
    pub(super) bytes: u64,
    /// Of the component alone.
    pub(super) digest: String,
}

impl Shared {
    /// Turns the candidate's bytes into a generation that could serve, or says
    /// why they cannot. Nothing is changed yet.
    pub(super) async fn build(
        self: &Arc<Shared>,
        slot: &Arc<Slot>,
        identity: Identity,
        wasm: Arc<[u8]>,
    ) -> Result<Built, LoadError> {
        let bytes = wasm.len() as u64;
        let Compiled {
            component,
            inspection,
        } = self.pool.compile(wasm).await?;
        let required = component
            .resources_required()
            .ok_or_else(|| link_failed("it imports a core module, whose needs cannot be known beforehand"))?;
        let weight = weight_of(&required);
        let share = self.admission.per_plugin();
        if weight > share {
            return Err(LoadError::TooManyInstances { weight, share });
        }
        let pages = required.max_initial_memory_size.unwrap_or(0);
        let needs = pages.saturating_mul(PAGE_BYTES);
        let limit = identity.limits.memory_bytes;
        if needs > limit {
            return Err(LoadError::MemoryTooSmall { needs, limit });
        }
        let code = self
            .linker
            .instantiate_pre(&component)
            .and_then(HandlerPre::new)
            .map_err(|error| link_failed(&reason_of(&error)))?;
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::downgrade(self);
        let freed = {
            let (slot, version) = (Arc::downgrade(slot), identity.version.clone());
            Freed::new(move || freed(&shared, &slot, serial, version))
        };
        let generation = Generation {
            code,
            identity: Arc::new(identity),
            wants: inspection.wants,
            weight,
            tenure: Arc::clone(&slot.tenure),
            in_flight: Arc::new(InFlight::default()),
            loaded_at: SystemTime::now(),
            _freed: freed,
        };
        Ok(Built {
            generation: Arc::new(generation),
            serial,
            manifest: inspection.manifest,
            bytes,
            digest: inspection.digest,
        })
    }
}

/// Runs when a generation's code is out of memory.
fn freed(shared: &Weak<Shared>, slot: &Weak<Slot>, serial: u64, version: String) {
    let (Some(shared), Some(slot)) = (shared.upgrade(), slot.upgrade()) else {
        return;
    };
    slot.record().freed(serial);
    let name = slot.name.clone();
    tracing::debug!(
        plugin = name,
        version,
        "an old version of {name} is out of memory"
    );
    shared.tell(PluginEvent::Freed { name, version });
    shared.forget_if_drained(&slot);
}

fn link_failed(reason: &str) -> LoadError {
    LoadError::LinkFailed {
        reason: String::from(reason),
        speaks: SPEAKS,
    }
}
