//! What a test's call is granted, by name.

use crate::Error;
use crate::bindings::segue::plugin::types;

/// The names of one capability and what stands behind each, in the order they
/// were granted.
#[derive(Debug)]
pub(crate) struct Granted<T> {
    names: Vec<(String, T)>,
}

impl<T> Default for Granted<T> {
    fn default() -> Self {
        Self { names: Vec::new() }
    }
}

impl<T: Clone> Granted<T> {
    pub(super) fn grant(&mut self, name: &str, what: T) {
        self.names.retain(|(known, _)| known != name);
        self.names.push((name.into(), what));
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What stands behind the first name that fits.
    pub(super) fn find(&self, fits: impl Fn(&str) -> bool) -> Option<T> {
        let found = self.names.iter().find(|(known, _)| fits(known));
        found.map(|(_, what)| what.clone())
    }

    /// What stands behind the name, or the refusal of `function`. `with` is how a
    /// test grants it.
    pub(super) fn get(&self, function: &str, name: &str, with: &str) -> Result<T, types::Error> {
        let found = self.find(|known| known == name);
        found.ok_or_else(|| denied(function, name, with))
    }
}

/// A refusal as the real host words it, with the line for a test besides.
pub(super) fn denied(function: &str, name: &str, with: &str) -> types::Error {
    let capability = function.split('.').next().unwrap_or(function);
    refusal(
        Error::CAPABILITY_DENIED,
        &format!(
            "{function} is not granted to this plugin for `{name}`: add {capability} = [\"{name}\"] to [grants] \
             in its .toml, or {with} to a test's call"
        ),
    )
}

/// An error as the host gives it.
pub(super) fn refusal(code: &str, message: &str) -> types::Error {
    Error::new(code, message).into_host()
}
