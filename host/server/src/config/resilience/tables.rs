//! What holds without a word in the file, and what tiers and profiles bundle.

use std::time::Duration;

use super::knob::Knob::{self, *};
use super::knob::Setting::{self, Count, Off, On, Share, Time};
use super::{InForce, Origin, Settings};

/// What can stand behind `[resilience.KIND]`.
pub const KINDS: [&str; 7] = ["cache", "handler", "http", "keyvalue", "llm", "search", "sql"];

type Row = (Knob, Setting);

const fn ms(n: u64) -> Setting {
    Time(Duration::from_millis(n))
}

const fn seconds(n: u64) -> Setting {
    Time(Duration::from_secs(n))
}

/// For every kind. Five failures in a row, and thirty seconds.
const BUILT_IN: [Row; 20] = [
    (Timeout, Off),
    (Concurrency, Off),
    (Queue, Count(64)),
    (QueueWait, seconds(1)),
    (Breaker, On),
    (FailureThreshold, Count(5)),
    (FailureRate, Share(0.5)),
    (MinimumCalls, Count(20)),
    (Window, seconds(10)),
    (SlowCall, Off),
    (SlowCallRate, Share(0.8)),
    (ResetTimeout, seconds(30)),
    (ResetTimeoutMax, seconds(300)),
    (Probes, Count(1)),
    (Retries, Count(0)),
    (RetryBackoff, ms(100)),
    (RetryBackoffMax, seconds(2)),
    (RetryBudget, Share(0.2)),
    (RateLimit, Off),
    (RatePeriod, seconds(60)),
];

/// Servers that plugins send requests to: one that changes nothing may be sent
/// again. How long they may take is said by `[http]`.
const UPSTREAM: [Row; 3] = [
    (Retries, Count(3)),
    (RetryBackoff, seconds(2)),
    (RetryBackoffMax, seconds(10)),
];

/// A cache that is asked over the network has to be faster than what it saves, and
/// what it cannot do is done without it.
const CACHE: [Row; 3] = [
    (Timeout, ms(500)),
    (ResetTimeout, seconds(2)),
    (ResetTimeoutMax, seconds(30)),
];

/// A handler's calls share nothing: see `guarded.rs` of the server.
const HANDLER: [Row; 1] = [(Breaker, Off)];

fn is_upstream(kind: &str) -> bool {
    kind == "http"
}

pub(super) fn built_in(kind: &str) -> Settings {
    let own: &[Row] = match kind {
        "cache" => &CACHE,
        "handler" => &HANDLER,
        kind if is_upstream(kind) => &UPSTREAM,
        _ => &[],
    };
    settings(BUILT_IN.iter().chain(own), &Origin::from("built in")).collect()
}

fn settings<'r>(rows: impl Iterator<Item = &'r Row>, from: &Origin) -> impl Iterator<Item = (Knob, InForce)> {
    rows.map(move |(knob, value)| {
        let from = Origin::clone(from);
        (*knob, InForce { value: *value, from })
    })
}

/// How much one takes and how long it may take: timeout, concurrency, limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Asked often, answers at once.
    HighPerformance,
    /// As most do.
    Standard,
    /// Asked seldom, takes its time.
    ResourceIntensive,
}

const HIGH_PERFORMANCE: [Row; 6] = [
    (Timeout, seconds(5)),
    (Concurrency, Count(256)),
    (Queue, Count(512)),
    (QueueWait, ms(100)),
    (RateLimit, Count(1_000)),
    (RatePeriod, seconds(60)),
];

const STANDARD: [Row; 6] = [
    (Timeout, seconds(30)),
    (Concurrency, Count(64)),
    (Queue, Count(128)),
    (QueueWait, seconds(1)),
    (RateLimit, Count(100)),
    (RatePeriod, seconds(60)),
];

const RESOURCE_INTENSIVE: [Row; 6] = [
    (Timeout, seconds(60)),
    (Concurrency, Count(8)),
    (Queue, Count(32)),
    (QueueWait, seconds(10)),
    (RateLimit, Count(10)),
    (RatePeriod, seconds(60)),
];

impl Tier {
    pub const ALL: [(&'static str, Tier); 3] = [
        ("high-performance", Tier::HighPerformance),
        ("standard", Tier::Standard),
        ("resource-intensive", Tier::ResourceIntensive),
    ];

    fn name(self) -> &'static str {
        Tier::ALL
            .iter()
            .find(|(_, tier)| *tier == self)
            .map_or("", |(name, _)| name)
    }

    /// `place` is where the file names the tier.
    pub(super) fn settings(self, place: &Origin) -> impl Iterator<Item = (Knob, InForce)> {
        let rows: &'static [Row] = match self {
            Tier::HighPerformance => &HIGH_PERFORMANCE,
            Tier::Standard => &STANDARD,
            Tier::ResourceIntensive => &RESOURCE_INTENSIVE,
        };
        let from = Origin::from(format!("tier {}, {place}", self.name()));
        let settings: Vec<_> = settings(rows.iter(), &from).collect();
        settings.into_iter()
    }
}

/// How a whole host is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Many requests: patient with each.
    HighLoad,
    /// A small machine: slow, and careful with what has failed.
    Constrained,
    /// Nothing is given up early.
    HighAvailability,
}

/// Of each: for the requests of plugins, and for every kind.
const HIGH_LOAD: [&[Row]; 2] = [
    &[
        (Timeout, seconds(60)),
        (Retries, Count(5)),
        (RetryBackoff, seconds(3)),
    ],
    &[],
];

const CONSTRAINED: [&[Row]; 2] = [
    &[(Timeout, seconds(90))],
    &[
        (FailureThreshold, Count(3)),
        (ResetTimeout, seconds(600)),
        (ResetTimeoutMax, seconds(600)),
    ],
];

const HIGH_AVAILABILITY: [&[Row]; 2] = [&[(Retries, Count(10)), (RetryBackoff, seconds(2))], &[]];

impl Profile {
    pub const ALL: [(&'static str, Profile); 3] = [
        ("high-load", Profile::HighLoad),
        ("constrained", Profile::Constrained),
        ("high-availability", Profile::HighAvailability),
    ];

    fn name(self) -> &'static str {
        Profile::ALL
            .iter()
            .find(|(_, profile)| *profile == self)
            .map_or("", |(name, _)| name)
    }

    pub(super) fn settings(self, kind: &str) -> Settings {
        let [upstream, every] = match self {
            Profile::HighLoad => HIGH_LOAD,
            Profile::Constrained => CONSTRAINED,
            Profile::HighAvailability => HIGH_AVAILABILITY,
        };
        let from = Origin::from(format!("profile {}", self.name()));
        let own = if is_upstream(kind) { upstream } else { &[] };
        settings(every.iter().chain(own), &from).collect()
    }
}
