//! Decides whether a call may start now.
//!
//! A call takes as many units as its component needs memories (at least one),
//! of its plugin's share and of the whole. It never waits: past either bound it
//! is refused, so that the instance pool can never run out underneath a call
//! that was let in.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::ResourcesRequired;

use crate::engine::TABLES_PER_UNIT;
use crate::spec::Scope;

/// The units of the whole host.
pub(crate) struct Admission {
    host: Arc<Semaphore>,
    instances: u32,
    per_plugin: u32,
}

/// The units a call holds; given back when dropped.
pub(crate) struct Admitted {
    _plugin: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(instances: u32, per_plugin: u32) -> Admission {
        let instances = instances.max(1);
        Admission {
            host: Arc::new(Semaphore::new(instances as usize)),
            instances,
            per_plugin: per_plugin.clamp(1, instances),
        }
    }

    /// A plugin's share, to be kept with the plugin over all its versions.
    pub(crate) fn new_share(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.per_plugin as usize))
    }

    pub(crate) fn per_plugin(&self) -> u32 {
        self.per_plugin
    }

    pub(crate) fn try_admit(&self, share: &Arc<Semaphore>, weight: u32) -> Result<Admitted, Scope> {
        let plugin = Arc::clone(share)
            .try_acquire_many_owned(weight)
            .map_err(|_| Scope::Plugin)?;
        let host = Arc::clone(&self.host)
            .try_acquire_many_owned(weight)
            .map_err(|_| Scope::Host)?;
        Ok(Admitted {
            _plugin: plugin,
            _host: host,
        })
    }

    /// Returns once no call is left.
    pub(crate) async fn idle(&self) {
        // The semaphore is never closed.
        let _ = self.host.acquire_many(self.instances).await;
    }

    pub(crate) fn instances(&self) -> u32 {
        self.instances
    }

    /// Units in use.
    pub(crate) fn in_use(&self) -> u32 {
        let free = u32::try_from(self.host.available_permits()).unwrap_or(u32::MAX);
        self.instances.saturating_sub(free)
    }
}

/// How many units an instance takes.
pub(crate) fn weight_of(required: &ResourcesRequired) -> u32 {
    let tables = required.num_tables.div_ceil(TABLES_PER_UNIT);
    required.num_memories.max(tables).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(num_memories: u32, num_tables: u32) -> ResourcesRequired {
        ResourcesRequired {
            num_memories,
            max_initial_memory_size: None,
            num_tables,
            max_initial_table_size: None,
        }
    }

    #[test]
    fn a_component_weighs_what_it_takes_from_the_pool() {
        assert_eq!(weight_of(&required(0, 0)), 1);
        assert_eq!(weight_of(&required(1, 2)), 1);
        assert_eq!(weight_of(&required(2, 2)), 2);
        assert_eq!(weight_of(&required(1, 17)), 3);
    }

    #[test]
    fn a_plugin_cannot_take_more_than_its_share_and_all_of_them_not_more_than_there_is() {
        let admission = Admission::new(5, 3);
        let one = admission.new_share();
        let two = admission.new_share();
        let first = admission.try_admit(&one, 2).ok().unwrap();
        assert_eq!(admission.try_admit(&one, 2).err(), Some(Scope::Plugin));
        let second = admission.try_admit(&two, 3).ok().unwrap();
        assert_eq!(admission.try_admit(&one, 1).err(), Some(Scope::Host));
        assert_eq!(admission.in_use(), 5);
        drop((first, second));
        assert_eq!(admission.in_use(), 0);
        assert!(admission.try_admit(&one, 3).is_ok());
    }
}
