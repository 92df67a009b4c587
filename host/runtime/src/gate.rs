//! The choke point of every host call.
//!
//! A host function begins with [`Gate::enter`] (or [`Gate::base`], for what
//! belongs to every plugin) and ends with [`Pass::leave`]; nothing a guest can
//! call does its work outside the two. What is decided and recorded about host
//! calls (grants, counts, durations) is decided and recorded here, once for all
//! of them.
//!
//! A capability's function passes when the operator granted the plugin the
//! capability and the name within it that the call is about, and the ceiling
//! over all plugins still allows it. A function about no name passes: what it
//! answers is made of [`Gate::granted`].

mod access;
mod tally;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use access::Access;
pub use tally::HostCallStats;
pub(crate) use tally::{Base, HostCalls};

use crate::capability::{Capabilities, HostFunction};
use crate::error::clip;
use crate::generation::Identity;
use crate::grants::{self, Policy};
use crate::spec::HandlerError;
use crate::trace::{Scope, Span, SpanKind};
use tally::{Row, Verdict};

/// How much of a name that a guest gave is repeated in a denial.
const SCOPE_MAX_BYTES: usize = 100;

/// An error of which no code is known, as OpenTelemetry writes it.
const UNNAMED: &str = "_OTHER";

/// What all gates of a runtime share.
pub(crate) struct Rulebook {
    pub(crate) counters: HostCalls,
    pub(crate) policy: Policy,
    capabilities: Capabilities,
}

impl Rulebook {
    pub(crate) fn new(capabilities: Capabilities, policy: Policy) -> Rulebook {
        Rulebook {
            counters: HostCalls::new(&capabilities),
            policy,
            capabilities,
        }
    }
}

/// One plugin's way through the choke point, during one call.
#[derive(Clone)]
pub struct Gate {
    plugin: Arc<Identity>,
    access: Arc<Access>,
    rules: Arc<Rulebook>,
    /// The call.
    trace: Scope,
}

impl Gate {
    pub(crate) fn new(
        plugin: Arc<Identity>,
        access: Arc<Access>,
        rules: Arc<Rulebook>,
        trace: Scope,
    ) -> Gate {
        Gate {
            plugin,
            access,
            rules,
            trace,
        }
    }

    /// Begins a host call of the world `handler` itself, which needs no grant
    /// and was handed `bytes` bytes.
    pub(crate) fn base(&self, function: Base, bytes: usize) -> Pass {
        self.pass(function.into(), bytes, Span::default())
    }

    /// Begins a call of a capability's function that was handed `bytes` bytes.
    /// `scope` is the name it is about: a database, an index, a host. An error
    /// refuses it.
    pub fn enter(
        &self,
        function: &'static HostFunction,
        scope: Option<&str>,
        bytes: usize,
    ) -> Result<Pass, Denied> {
        let capability = function.capability;
        let mut pass = self.pass(self.rules.counters.row(function), bytes, self.span(function));
        let granted = scope.filter(|scope| self.permits(capability, scope));
        let open = scope.is_none() || granted.is_some() || !self.rules.capabilities.is_grantable(capability);
        if open {
            self.access.used(capability);
            // One that was not granted may be any text.
            if let Some(granted) = granted {
                pass.span.set_text("segue.scope", granted);
            }
            return Ok(pass);
        }
        pass.settle(Verdict::Denied);
        let denied = self.denied(function, scope.unwrap_or_default());
        let plugin = &*self.plugin.name;
        match self.access.denied(capability, &denied.0) {
            true => tracing::warn!(plugin, version = self.plugin.version, capability, "{denied}"),
            false => tracing::debug!(plugin, version = self.plugin.version, capability, "{denied}"),
        }
        Err(denied)
    }

    /// The names within a capability that the plugin may use now, in the
    /// operator's order.
    pub fn granted(&self, capability: &str) -> Vec<String> {
        let policy = self.rules.policy.rules();
        let scopes = self.plugin.grants.get(capability).into_iter().flatten();
        scopes
            .filter(|scope| policy.allows(capability, scope) && self.access.permits(capability, scope))
            .cloned()
            .collect()
    }

    fn permits(&self, capability: &str, scope: &str) -> bool {
        grants::has(&self.plugin.grants, capability, scope)
            && self.access.permits(capability, scope)
            && self.rules.policy.rules().allows(capability, scope)
    }

    /// Whether what was let in once is still permitted: for what goes on after
    /// its host call has ended. Counts nothing.
    pub fn still(&self, function: &'static HostFunction, scope: &str) -> Result<(), Denied> {
        match self.permits(function.capability, scope) {
            true => Ok(()),
            false => Err(self.denied(function, scope)),
        }
    }

    fn denied(&self, function: &HostFunction, scope: &str) -> Denied {
        let (plugin, capability) = (&self.plugin.name, function.capability);
        let granted = grants::has(&self.plugin.grants, capability, scope);
        let allowed = self.rules.policy.rules().allows(capability, scope);
        let scope = clip(scope, SCOPE_MAX_BYTES);
        let own = format!("to [grants] in {plugin}.toml");
        let ceiling = "to [plugins.max_grants] in the host's configuration";
        let places = match (granted, allowed) {
            (true, _) => String::from(ceiling),
            (false, true) => own,
            (false, false) => format!("{own} and {ceiling}"),
        };
        Denied(format!(
            "{} is not granted to {plugin} for `{scope}`: add {capability} = [\"{scope}\"] {places}",
            function.name
        ))
    }

    /// The step of the trace that a call of `function` is.
    fn span(&self, function: &HostFunction) -> Span {
        if !function.traced || !self.trace.is_taken() {
            return Span::default();
        }
        let mut span = self.trace.child(SpanKind::Internal, || function.name.into());
        span.set("segue.capability", function.capability);
        span.set_text("segue.plugin.name", &self.plugin.name);
        span
    }

    fn pass(&self, row: Row, bytes: usize, span: Span) -> Pass {
        Pass {
            rules: Arc::clone(&self.rules),
            row,
            bytes: bytes as u64,
            since: Instant::now(),
            verdict: Verdict::Error,
            span,
            call: self.trace.clone(),
        }
    }
}

/// The plugin was not granted what it called; its text is the line that would
/// grant it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(String);

impl From<Denied> for HandlerError {
    fn from(denied: Denied) -> HandlerError {
        HandlerError {
            code: String::from("capability_denied"),
            message: denied.0,
            retryable: false,
            retry_after_ms: None,
        }
    }
}

/// A host call that was let through and has not ended yet. Dropped without
/// [`leave`](Pass::leave), which happens when the call it belongs to is aborted,
/// it counts as an error.
#[must_use]
pub struct Pass {
    rules: Arc<Rulebook>,
    row: Row,
    bytes: u64,
    since: Instant,
    verdict: Verdict,
    span: Span,
    call: Scope,
}

impl Pass {
    /// What the host call does is done under this.
    pub fn trace(&self) -> &Scope {
        match self.span.is_taken() {
            true => self.span.scope(),
            false => &self.call,
        }
    }

    /// What the trace tells of the host call.
    pub fn span(&mut self) -> &mut Span {
        &mut self.span
    }

    /// Ends the host call and hands its result on.
    pub fn leave<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        let verdict = if result.is_ok() {
            Verdict::Ok
        } else {
            Verdict::Error
        };
        self.settle(verdict);
        result
    }

    /// [`leave`](Pass::leave) with the code that a trace tells of an error.
    pub fn leave_told<T, E>(
        mut self,
        result: Result<T, E>,
        code: impl FnOnce(&E) -> &'static str,
    ) -> Result<T, E> {
        if let Err(error) = &result {
            self.span.fail(code(error));
        }
        self.leave(result)
    }

    /// Ends a host call that cannot fail.
    pub fn leave_with<T>(self, value: T) -> T {
        self.settle(Verdict::Ok);
        value
    }

    fn settle(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let counters = &self.rules.counters;
        counters.record(self.row, self.verdict, self.bytes, nanos);
        match self.verdict {
            Verdict::Ok => {}
            Verdict::Denied => self.span.fail("capability_denied"),
            Verdict::Error => self.span.fail(UNNAMED),
        }
    }
}

#[cfg(test)]
mod tests;
