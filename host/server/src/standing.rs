//! How what the host depends on stands: breakers and backends, by the names of the
//! configuration.

use std::sync::Arc;
use std::time::Duration;

use segue_resilience::Guard;
use segue_resilience::breaker::State;

use crate::config::Dependency;
use crate::state::App;

/// The state of a dependency's breaker, and when it lets something through again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    pub state: State,
    pub retry_after: Option<Duration>,
}

impl Circuit {
    const CLOSED: Circuit = Circuit {
        state: State::Closed,
        retry_after: None,
    };

    fn of(guard: &Guard) -> Circuit {
        let retry_after = guard.is_out();
        // One whose time is over is half-open for whoever comes next.
        let state = match (guard.breaker().state(), retry_after) {
            (State::Open, None) => State::HalfOpen,
            (state, _) => state,
        };
        Circuit { state, retry_after }
    }

    /// How bad it is.
    fn rank(&self) -> (u8, Option<Duration>) {
        let state = match self.state {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open => 2,
        };
        (state, self.retry_after)
    }
}

/// Of several the worst; closed if there is none.
pub fn worst(circuits: impl Iterator<Item = Circuit>) -> Circuit {
    circuits.max_by_key(Circuit::rank).unwrap_or(Circuit::CLOSED)
}

/// One that was never asked is closed. A model is as well as the best of its
/// targets, an origin as bad as it is for any plugin.
pub fn circuit(app: &App, dependency: &Dependency) -> Circuit {
    let Dependency { kind, name } = dependency;
    let own = app.guards.known(kind, name);
    let own = own.iter().map(|guard| Circuit::of(guard));
    match *kind {
        "llm" => {
            let targets = parts(app, kind, name, '/');
            let targets = targets.iter().map(|guard| Circuit::of(guard));
            let best = targets.min_by_key(Circuit::rank);
            worst(own.chain(best))
        }
        "http" => {
            let plugins = parts(app, kind, name, '#');
            worst(own.chain(plugins.iter().map(|guard| Circuit::of(guard))))
        }
        _ => worst(own),
    }
}

fn parts(app: &App, kind: &str, name: &str, between: char) -> Vec<Arc<Guard>> {
    let is_part = |guard: &Arc<Guard>| {
        let key = guard.key();
        let rest = key.name.strip_prefix(name);
        key.kind == kind && rest.is_some_and(|rest| rest.starts_with(between))
    };
    let mut all = app.guards.all();
    all.retain(is_part);
    all
}
