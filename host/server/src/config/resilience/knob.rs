//! The keys of `[resilience]` and its tables: what each means, its unit, its
//! bounds, and what happens past it.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::value::{self, Complaint, Value, count32, duration, fraction, time};

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

macro_rules! knobs {
    ($($(#[doc = $doc:literal])+ $knob:ident = $key:literal, $kind:expr;)+) => {
        /// A key of `[resilience]`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Knob {
            $($(#[doc = $doc])+ $knob,)+
        }

        impl Knob {
            pub const ALL: &'static [Knob] = &[$(Knob::$knob,)+];

            /// As it stands in the file.
            pub fn key(self) -> &'static str {
                match self { $(Knob::$knob => $key,)+ }
            }

            fn kind(self) -> Kind {
                match self { $(Knob::$knob => $kind,)+ }
            }

            /// What it means, for documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Knob::$knob => concat!($($doc, "\n"),+).trim_ascii(),)+ }
            }
        }
    };
}

knobs! {
    /// How long one attempt may take; of a stream, until its first piece. Past it: a
    /// failure, `upstream_timeout` or `deadline_exceeded`.
    Timeout = "timeout", Kind::TimeOrOff(Duration::from_millis(1), DAY);
    /// Calls at a time. Past it calls wait in the queue.
    Concurrency = "concurrency", Kind::CountOrOff(1, 100_000);
    /// Calls that wait for one of those places. Past it: `overloaded`.
    Queue = "queue", Kind::Count(0, 100_000);
    /// How long a call waits at most. Past it: `overloaded`.
    QueueWait = "queue_wait", Kind::Time(Duration::ZERO, HOUR);
    /// Whether there is a breaker.
    Breaker = "breaker", Kind::Switch;
    /// Failures in a row that open it; 0 does not look at rows.
    FailureThreshold = "failure_threshold", Kind::Count(0, 100_000);
    /// Share of failures within the window that opens it.
    FailureRate = "failure_rate", Kind::ShareOrOff(0.01, 1.0);
    /// Calls within the window from which on shares count.
    MinimumCalls = "minimum_calls", Kind::Count(1, 1_000_000);
    /// How far back shares look.
    Window = "window", Kind::Time(Duration::from_millis(100), HOUR);
    /// From when on a call is slow.
    SlowCall = "slow_call", Kind::TimeOrOff(Duration::from_millis(1), HOUR);
    /// Share of slow calls within the window that opens it.
    SlowCallRate = "slow_call_rate", Kind::ShareOrOff(0.01, 1.0);
    /// How long it stays open the first time. Meanwhile: `circuit_open`.
    ResetTimeout = "reset_timeout", Kind::Time(Duration::from_millis(1), DAY);
    /// How long at most; each opening in a row doubles the time.
    ResetTimeoutMax = "reset_timeout_max", Kind::Time(Duration::from_millis(1), DAY);
    /// Probes at a time when half-open, and successes that close it.
    Probes = "probes", Kind::Count(1, 1_000);
    /// Further attempts after the first, of what is safe to repeat.
    Retries = "retries", Kind::Count(0, 100);
    /// Wait before the first of them; it doubles, and half of it is random.
    RetryBackoff = "retry_backoff", Kind::Time(Duration::ZERO, HOUR);
    /// Longest wait; a dependency that asks for more is not waited for.
    RetryBackoffMax = "retry_backoff_max", Kind::Time(Duration::ZERO, HOUR);
    /// Retries for each call, over ten seconds. Past it nothing is tried again.
    RetryBudget = "retry_budget", Kind::Share(0.0, 10.0);
    /// Messages that a handler takes within `rate_period`. Past it: `rate_limited`.
    RateLimit = "rate_limit", Kind::CountOrOff(1, 1_000_000_000);
    /// The period of `rate_limit`.
    RatePeriod = "rate_period", Kind::Time(Duration::from_millis(100), DAY);
}

/// What a key takes.
#[derive(Clone, Copy)]
enum Kind {
    Time(Duration, Duration),
    TimeOrOff(Duration, Duration),
    Count(u32, u32),
    CountOrOff(u32, u32),
    Share(f32, f32),
    ShareOrOff(f32, f32),
    Switch,
}

/// The value of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    Off,
    On,
    Time(Duration),
    Count(u32),
    Share(f64),
}

impl Setting {
    pub fn time(self) -> Option<Duration> {
        match self {
            Setting::Time(time) => Some(time),
            _ => None,
        }
    }

    pub fn count(self) -> Option<u32> {
        match self {
            Setting::Count(count) => Some(count),
            _ => None,
        }
    }

    pub fn share(self) -> Option<f64> {
        match self {
            Setting::Share(share) => Some(share),
            _ => None,
        }
    }
}

impl Serialize for Knob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

/// As it would stand in the file.
impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Setting::Off => serializer.serialize_str("off"),
            Setting::On => serializer.serialize_bool(true),
            Setting::Time(value) => serializer.serialize_str(&time(*value)),
            Setting::Count(count) => serializer.serialize_u32(*count),
            Setting::Share(share) => serializer.serialize_f64(*share),
        }
    }
}

impl Knob {
    /// Reads what the file or a variable says of it.
    pub(super) fn parse(self, value: &Value<'_>) -> Result<Setting, Complaint> {
        let or_off = matches!(
            self.kind(),
            Kind::TimeOrOff(..) | Kind::CountOrOff(..) | Kind::ShareOrOff(..)
        );
        if or_off && value::text(value).is_ok_and(|text| text == "off") {
            return Ok(Setting::Off);
        }
        let parsed = match self.kind() {
            Kind::Time(low, high) | Kind::TimeOrOff(low, high) => {
                duration(low..=high)(value).map(Setting::Time)
            }
            Kind::Count(low, high) | Kind::CountOrOff(low, high) => {
                count32(low..=high)(value).map(Setting::Count)
            }
            Kind::Share(low, high) | Kind::ShareOrOff(low, high) => {
                fraction(low..=high)(value).map(|share| Setting::Share(exact(share)))
            }
            Kind::Switch => value::flag(value).map(|on| if on { Setting::On } else { Setting::Off }),
        };
        parsed.map_err(|complaint| match or_off {
            true => Complaint {
                mend: format!("{}, or write \"off\"", complaint.mend),
                ..complaint
            },
            false => complaint,
        })
    }
}

/// What was written as 0.2 reads as 0.2.
fn exact(share: f32) -> f64 {
    (f64::from(share) * 1e6).round() / 1e6
}
