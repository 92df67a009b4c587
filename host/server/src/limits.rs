//! How often clients may ask: the `[[limit]]`s in force.
//!
//! A request over HTTP, or one that opens a WebSocket, is counted at the edge; a
//! message where it is taken. What is counted by which limit:
//!
//! | the limit matches | requests and connects | messages over WebSockets | messages over HTTP |
//! |---|---|---|---|
//! | nothing in particular | all but those of probes and scrapers | all | as requests, once |
//! | a `path` | to that path | | as requests |
//! | an `mtype` | | of that type | of that type |
//!
//! Of several that count it every one has to have a token left; if one has not,
//! the others get theirs back. A limit that is configured as before keeps its
//! buckets over a reload.

mod told;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::IntCounterVec;
use segue_protocol::{ErrorCode, LimitFacts, RequestError};
use segue_resilience::limit::{Decision, Limiter, Settings};

use crate::config::{Per, RateLimit};
pub use told::{Told, tell};

/// Who asks, as far as is known.
#[derive(Debug)]
pub struct Caller {
    pub address: IpAddr,
    pub via: Via,
    /// How the limits stand that counted the last message.
    pub told: Vec<Told>,
}

/// How a message comes to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Socket,
    Http,
}

impl Caller {
    pub fn new(address: IpAddr, via: Via) -> Caller {
        Caller {
            address,
            via,
            told: Vec::new(),
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
enum Counted<'a> {
    /// By the template of its path.
    Request(&'a str),
    Message {
        session: &'a str,
        mtype: &'a str,
        /// As metrics name it.
        label: &'a str,
        via: Via,
    },
    /// On a raw endpoint.
    Frame(&'a str),
}

/// Who has a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    All,
    Address(IpAddr),
    Session(Box<str>),
    Path(Box<str>),
    Mtype(Box<str>),
}

struct Rule {
    config: RateLimit,
    name: Arc<str>,
    limiter: Limiter<Key>,
}

pub struct Limits {
    rules: ArcSwap<Vec<Arc<Rule>>>,
    /// By handler, as its tier or its own table has it.
    handlers: Mutex<HashMap<Box<str>, Arc<Limiter<()>>>>,
    refused: IntCounterVec,
}

/// A limit is used up.
#[derive(Debug)]
pub struct UsedUp {
    pub error: RequestError,
    pub told: Vec<Told>,
}

impl Limits {
    /// `refused` counts refusals by the name of the limit.
    pub fn new(rules: &[RateLimit], refused: IntCounterVec) -> Limits {
        let limits = Limits {
            rules: ArcSwap::default(),
            handlers: Mutex::default(),
            refused,
        };
        limits.configure(rules);
        limits
    }

    /// Other limits from now on.
    pub fn configure(&self, rules: &[RateLimit]) {
        let before = self.rules.load();
        let unchanged = |config: &RateLimit| {
            let same = |rule: &&Arc<Rule>| {
                let line = config.line;
                RateLimit {
                    line,
                    ..rule.config.clone()
                } == *config
            };
            before.iter().find(same).cloned()
        };
        let rules = rules.iter().map(|config| {
            self.refused.with_label_values(&[config.name.as_str()]);
            unchanged(config).unwrap_or_else(|| {
                Arc::new(Rule {
                    name: config.name.as_str().into(),
                    limiter: Limiter::new(config.settings()),
                    config: config.clone(),
                })
            })
        });
        self.rules.store(Arc::new(rules.collect()));
    }

    /// Counts a request, or a connect, to the path of this template.
    pub fn request(&self, address: IpAddr, template: &str) -> Result<Vec<Told>, UsedUp> {
        self.count(address, Counted::Request(template))
    }

    /// Counts a message. How the limits stand is left in `caller`.
    pub fn message(
        &self,
        caller: &mut Caller,
        session: &str,
        mtype: &str,
        label: &str,
    ) -> Result<(), RequestError> {
        let via = caller.via;
        let counted = Counted::Message {
            session,
            mtype,
            label,
            via,
        };
        let (told, outcome) = match self.count(caller.address, counted) {
            Ok(told) => (told, Ok(())),
            Err(UsedUp { error, told }) => (told, Err(error)),
        };
        caller.told = told;
        outcome
    }

    /// Counts a message on the raw endpoint at `path`.
    pub fn frame(&self, address: IpAddr, path: &str) -> Result<(), RequestError> {
        let counted = self.count(address, Counted::Frame(path));
        counted.map(drop).map_err(|used_up| used_up.error)
    }

    /// Counts a call of a handler, whose own limit this is. With other settings
    /// than before it begins anew.
    pub fn handler(&self, handler: &str, settings: Settings) -> Result<(), RequestError> {
        let limiter = {
            let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
            let known = handlers.get(handler).filter(|known| known.settings() == settings);
            match known {
                Some(known) => Arc::clone(known),
                None => {
                    let limiter = Arc::new(Limiter::bounded(settings, 1));
                    handlers.insert(handler.into(), Arc::clone(&limiter));
                    limiter
                }
            }
        };
        let decision = limiter.check(&());
        if decision.passed() {
            return Ok(());
        }
        let name = format!("handler.{handler}");
        self.refused.with_label_values(&[name.as_str()]).inc();
        Err(used_up(&name, settings, &decision))
    }

    fn count(&self, address: IpAddr, counted: Counted<'_>) -> Result<Vec<Told>, UsedUp> {
        let rules = self.rules.load();
        let mut taken: Vec<(&Rule, Key)> = Vec::new();
        let mut told: Vec<Told> = Vec::new();
        for rule in rules.iter().filter(|rule| counts(&rule.config, &counted)) {
            let key = key(rule.config.per, address, &counted);
            let decision = rule.limiter.check(&key);
            let settings = rule.limiter.settings();
            if !decision.passed() {
                for ((passed, key), told) in taken.iter().zip(&mut told) {
                    passed.limiter.give_back(key);
                    told.decision.remaining = told.decision.remaining.saturating_add(1);
                }
                self.refused.with_label_values(&[&*rule.name]).inc();
                let error = used_up(&rule.name, settings, &decision);
                told.push(Told::new(&rule.name, settings, decision));
                return Err(UsedUp { error, told });
            }
            told.push(Told::new(&rule.name, settings, decision));
            taken.push((rule, key));
        }
        Ok(told)
    }
}

/// Whether a limit is about this.
fn counts(rule: &RateLimit, counted: &Counted<'_>) -> bool {
    match (&rule.path, &rule.mtype, counted) {
        (Some(path), _, Counted::Request(template)) => path == template,
        (None, None, Counted::Request(template)) => !is_quiet(template),
        (None, Some(wanted), Counted::Message { mtype, .. }) => wanted == mtype,
        (None, None, Counted::Message { via, .. }) => *via == Via::Socket,
        (None, None, Counted::Frame(_)) => true,
        _ => false,
    }
}

/// What probes and scrapers ask: it must not be refused because others ask much.
pub fn is_quiet(template: &str) -> bool {
    template == "/metrics" || template.starts_with("/health/") || template == "/api/health/detailed"
}

fn key(per: Per, address: IpAddr, counted: &Counted<'_>) -> Key {
    match (per, counted) {
        (Per::Tenant | Per::Host, _) => Key::All,
        (
            Per::Client,
            Counted::Message {
                session,
                via: Via::Socket,
                ..
            },
        ) => Key::Session((*session).into()),
        (Per::Client | Per::Address, _) => Key::Address(network(address)),
        (Per::Route, Counted::Request(path) | Counted::Frame(path)) => Key::Path((*path).into()),
        (Per::Route, Counted::Message { label, .. }) => Key::Mtype((*label).into()),
    }
}

/// An IPv6 client has a network of 64 bits to choose addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

fn used_up(name: &str, settings: Settings, decision: &Decision) -> RequestError {
    let period = humantime::format_duration(settings.period);
    let message = format!(
        "the limit {name}, {} within {period}, is used up for now",
        settings.rate
    );
    let wait = decision.retry_after.unwrap_or_default();
    RequestError::new(ErrorCode::RateLimited, message)
        .retry_after_ms(millis(wait))
        .limit(LimitFacts {
            name: name.to_owned(),
            limit: decision.limit,
            remaining: decision.remaining,
            reset_ms: millis(decision.reset),
        })
}

/// Never too early.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000))
        .unwrap_or(u64::MAX)
        .max(1)
}

#[cfg(test)]
mod tests;
