//! How a capability becomes part of a runtime: its interfaces, its functions,
//! and what a call brings along for it.
//!
//! The runtime knows no database and no language model. Whoever starts it hands
//! it [`Capability`]s; each links its own functions, and each of these begins at
//! [`CallState::enter`](crate::CallState::enter), where the grant is checked.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::Linker;

use crate::host::CallState;

/// A family of interfaces that plugins may import.
pub trait Capability: Send + Sync + 'static {
    /// As `[grants]` names it: `sql`.
    fn name(&self) -> &'static str;

    /// Whether an operator has to grant it. Without that, importing it is no
    /// want and calling it is never denied.
    fn needs_grant(&self) -> bool {
        true
    }

    /// What a component may import.
    fn interfaces(&self) -> &'static [Interface];

    /// Every function that passes the gate, each once.
    fn functions(&self) -> &'static [&'static HostFunction];

    /// Gives `linker` the functions.
    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()>;
}

/// One interface of a capability.
#[derive(Debug)]
pub struct Interface {
    /// Package and name: `segue:sql/query`.
    pub name: &'static str,
    /// The version this host has. A plugin may ask for any patch version of the
    /// same minor one, since only functions are ever added; of a version with a
    /// `-pre` at its end only for that one.
    pub version: &'static str,
    /// The functions as the component model names them (`run`,
    /// `[method]rows.next`). Empty leaves it to the linker to miss one.
    pub functions: &'static [&'static str],
}

/// A function of a capability, as the gate, the metrics and the log know it.
#[derive(Debug)]
pub struct HostFunction {
    pub(crate) capability: &'static str,
    pub(crate) name: &'static str,
    pub(crate) traced: bool,
}

impl HostFunction {
    /// `capability` is its [`Capability::name`]; `name` is for people and
    /// metrics: `sql.run`.
    pub const fn new(capability: &'static str, name: &'static str) -> HostFunction {
        HostFunction {
            capability,
            name,
            traced: true,
        }
    }

    /// Called so often, or doing so little, that it is no step of its own in a
    /// trace.
    #[must_use]
    pub const fn untraced(self) -> HostFunction {
        HostFunction {
            traced: false,
            ..self
        }
    }
}

/// The capabilities of a runtime. A clone is the same list.
#[derive(Clone, Default)]
pub struct Capabilities(Arc<[Arc<dyn Capability>]>);

impl Capabilities {
    /// A runtime with exactly these.
    pub fn new(list: Vec<Arc<dyn Capability>>) -> Capabilities {
        Capabilities(list.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Capability>> {
        self.0.iter()
    }

    /// Whether there is one of this name that has to be granted.
    pub fn is_grantable(&self, name: &str) -> bool {
        self.iter()
            .any(|capability| capability.name() == name && capability.needs_grant())
    }

    /// Those that have to be granted, by name.
    pub fn grantable(&self) -> impl Iterator<Item = &'static str> {
        self.iter()
            .filter(|capability| capability.needs_grant())
            .map(|capability| capability.name())
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|capability| capability.name());
        formatter.debug_list().entries(names).finish()
    }
}

/// What a call brings along for the capabilities, found by type. Adding makes a
/// longer list and leaves the shorter one as it was, so that what all calls
/// share is shared and what one call adds is its own.
#[derive(Clone, Default)]
pub struct Services(Option<Arc<Service>>);

struct Service {
    of: TypeId,
    value: Arc<dyn Any + Send + Sync>,
    rest: Services,
}

impl Services {
    /// None.
    pub fn new() -> Services {
        Services::default()
    }

    /// These and one more, which hides an earlier one of the same type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(&self, value: Arc<T>) -> Services {
        Services(Some(Arc::new(Service {
            of: TypeId::of::<T>(),
            value,
            rest: self.clone(),
        })))
    }

    /// The one of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let mut next = &self.0;
        while let Some(service) = next {
            if service.of == TypeId::of::<T>() {
                return Arc::clone(&service.value).downcast().ok();
            }
            next = &service.rest.0;
        }
        None
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Services").finish_non_exhaustive()
    }
}

/// What a call used of its capabilities, counted under names such as
/// `llm.input_tokens`. A clone counts into the same.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Meters {
    /// Counts `by` more.
    pub fn add(&self, name: &'static str, by: u64) {
        if by == 0 {
            return;
        }
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(name).or_insert(0);
        *counter = counter.saturating_add(by);
    }

    /// What was counted so far.
    pub fn read(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_type_and_the_latest_counts() {
        let shared = Services::new().with(Arc::new(1u8)).with(Arc::new("a"));
        let own = shared.with(Arc::new(2u8));
        assert_eq!(own.get::<u8>().as_deref(), Some(&2));
        assert_eq!(own.get::<&str>().as_deref(), Some(&"a"));
        assert_eq!(shared.get::<u8>().as_deref(), Some(&1));
        assert_eq!(own.get::<u16>(), None);
    }

    #[test]
    fn meters_add_up_over_clones_and_leave_out_what_is_nothing() {
        let meters = Meters::default();
        let clone = meters.clone();
        meters.add("rows", 2);
        clone.add("rows", 3);
        clone.add("none", 0);
        assert_eq!(meters.read().into_iter().collect::<Vec<_>>(), [("rows", 5)]);
    }
}
