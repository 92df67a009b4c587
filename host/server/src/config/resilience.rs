//! `[resilience]`: what stands around every dependency and every handler.
//!
//! ```toml
//! [resilience]                  # for all of them
//! profile = "high-availability"
//!
//! [resilience.llm]              # for every model
//! tier = "resource-intensive"
//!
//! [resilience.llm.main]         # for one
//! failure_threshold = 3
//! ```
//!
//! What holds for one is put together from the weakest to the strongest: what is
//! built in for its kind; the profile; then, from the outer table to the inner
//! one, the table's tier and the table's own keys. So a tier that stands nearer
//! wins over a key that stands further out. [`Resilience::in_force`] says what
//! came of it and where each value comes from.
//!
//! All of it is hot: counts and states stay, the next call goes by the new
//! values.

mod knob;
mod read;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use segue_resilience::{Key, Policies, Policy, breaker, bulkhead, retry};
use serde::{Serialize, Serializer};

pub use knob::{Knob, Setting};
pub(super) use read::resilience;
pub use tables::{KINDS, Profile, Tier};

/// Where a value comes from, for people: `built in`, `tier standard`,
/// `segue.toml:12`.
pub type Origin = Arc<str>;

/// A value in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InForce {
    pub value: Setting,
    pub from: Origin,
}

/// Each key's value for one dependency.
pub type Settings = BTreeMap<Knob, InForce>;

/// One table of the file.
#[derive(Clone, Debug, Default, PartialEq)]
struct Layer {
    tier: Option<(Tier, Origin)>,
    own: Settings,
}

/// The tables of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
struct KindLayers {
    all: Layer,
    names: BTreeMap<String, Layer>,
}

/// The section, read and checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resilience {
    profile: Option<(Profile, Origin)>,
    all: Layer,
    kinds: BTreeMap<&'static str, KindLayers>,
}

impl Resilience {
    /// What holds for one dependency or handler, and where each value is from.
    pub fn in_force(&self, kind: &str, name: &str) -> Settings {
        let mut settings = tables::built_in(kind);
        if let Some((profile, _)) = &self.profile {
            settings.extend(profile.settings(kind));
        }
        let layers = self.kinds.get(kind);
        let name = configured(kind, name);
        let named = layers.and_then(|layers| layers.names.get(name));
        let within = [Some(&self.all), layers.map(|layers| &layers.all), named];
        for layer in within.into_iter().flatten() {
            if let Some((tier, origin)) = &layer.tier {
                settings.extend(tier.settings(origin));
            }
            settings.extend(layer.own.iter().map(|(knob, value)| (*knob, value.clone())));
        }
        settings
    }

    /// The names that have a table of their own, by kind.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.kinds
            .iter()
            .flat_map(|(kind, layers)| layers.names.keys().map(|name| (*kind, name.as_str())))
    }
}

impl Policies for Resilience {
    fn of(&self, key: &Key) -> Policy {
        policy(&self.in_force(key.kind, &key.name))
    }
}

/// What one goes by: a target of a model (`main/east`) by its model, the requests
/// of one plugin to an origin (`https://api.example.com#greet`) by the origin.
fn configured<'n>(kind: &str, name: &'n str) -> &'n str {
    let end = match kind {
        "llm" => '/',
        "http" => '#',
        _ => return name,
    };
    name.split_once(end).map_or(name, |(configured, _)| configured)
}

fn policy(settings: &Settings) -> Policy {
    let get = |knob: Knob| settings.get(&knob).map_or(Setting::Off, |found| found.value);
    let built_in = breaker::Settings::default();
    let never = 2.0;
    Policy {
        timeout: get(Knob::Timeout).time(),
        breaker: (get(Knob::Breaker) != Setting::Off).then(|| breaker::Settings {
            failure_threshold: get(Knob::FailureThreshold).count().unwrap_or(0),
            failure_rate: get(Knob::FailureRate).share().unwrap_or(never),
            minimum_calls: get(Knob::MinimumCalls).count().unwrap_or(built_in.minimum_calls),
            window: get(Knob::Window).time().unwrap_or(built_in.window),
            slow_call: get(Knob::SlowCall).time(),
            slow_call_rate: get(Knob::SlowCallRate).share().unwrap_or(never),
            reset_timeout: get(Knob::ResetTimeout).time().unwrap_or(built_in.reset_timeout),
            reset_timeout_max: get(Knob::ResetTimeoutMax)
                .time()
                .unwrap_or(built_in.reset_timeout_max),
            probes: get(Knob::Probes).count().unwrap_or(1),
        }),
        bulkhead: get(Knob::Concurrency)
            .count()
            .map(|concurrency| bulkhead::Settings {
                concurrency,
                queue: get(Knob::Queue).count().unwrap_or(0),
                queue_wait: get(Knob::QueueWait).time().unwrap_or_default(),
            }),
        retry: retry::Settings {
            retries: get(Knob::Retries).count().unwrap_or(0),
            backoff: get(Knob::RetryBackoff).time().unwrap_or_default(),
            backoff_max: get(Knob::RetryBackoffMax).time().unwrap_or_default(),
            budget: get(Knob::RetryBudget).share().unwrap_or(0.0),
        },
    }
}

/// Every kind with what holds for it, and every name that has a table of its
/// own, as `kind` and `kind.name`.
impl Serialize for Resilience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: BTreeMap<String, Settings> = KINDS
            .iter()
            .map(|kind| ((*kind).to_owned(), self.in_force(kind, "")))
            .collect();
        all.extend(
            self.named()
                .map(|(kind, name)| (format!("{kind}.{name}"), self.in_force(kind, name))),
        );
        all.serialize(serializer)
    }
}
