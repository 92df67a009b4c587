//! `[[limit]]` and `[overload]`: what is refused although nothing is wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_resilience::{limit, shed};
use serde::Serialize;

use super::model::Endpoint;
use super::reader::Table;
use super::redact::{duration, optional_duration};
use super::routes::{line_of, mtype};
use super::sections::is_name;
use super::value::{self, Complaint, Value, amount, choice, count32, nearest, time};

const MAX_LIMITS: usize = 100;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Who has a bucket of his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each client address; of IPv6 each network of 64 bits.
    Address,
    /// Each session that speaks over a WebSocket; elsewhere each address.
    Client,
    /// Each tenant. Without authentication there is one.
    Tenant,
    /// Each path, and each message type that a route names.
    Route,
    /// All of them together.
    Host,
}

/// `[[limit]]`: how often clients may ask. Default none; at most 100. Each of
/// those that match has to have a token left. Past it: `rate_limited`, over HTTP
/// 429 with `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// As answers and metrics name it: lower-case letters, digits, - and _, at
    /// most 64, each once. No default.
    pub name: String,
    /// Default `address`.
    pub per: Per,
    /// `match.path`: only HTTP requests and WebSocket connects to this path, as
    /// `/openapi.json` or an endpoint writes it (`/v1/sessions/{id}/messages`).
    pub path: Option<String>,
    /// `match.mtype`: only messages of this type. A limit that has neither counts
    /// every HTTP request but those of probes and scrapers, every connect and every
    /// message over a WebSocket.
    pub mtype: Option<String>,
    /// So many within `period`, 1 to 1,000,000,000. No default.
    pub rate: u32,
    /// Default 60 s, 100 ms to 1 day.
    #[serde(serialize_with = "duration")]
    pub period: Duration,
    /// So many at once. Default `rate`, 1 to 1,000,000,000; an empty bucket is full
    /// again within 30 days.
    pub burst: u32,
    /// Where it stands in the file, from 1.
    pub line: usize,
}

impl RateLimit {
    pub fn settings(&self) -> limit::Settings {
        limit::Settings {
            rate: self.rate,
            period: self.period,
            burst: self.burst,
        }
    }
}

/// `[overload]`: when the host has enough and refuses early, with `overloaded`.
/// Probes, the admin API and what ends work are never refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overload {
    /// Messages that run or wait, of all sessions together. Default 10,000, 1 to
    /// 10,000,000, or "off".
    pub in_flight: Option<usize>,
    /// How late the host may be with what it does. Default 250 ms, 1 ms to 1 min,
    /// or "off". One that was never within it for an `interval` refuses a fifth of
    /// what comes, then more, until it is in time again.
    #[serde(serialize_with = "optional_duration")]
    pub delay: Option<Duration>,
    /// Default 1 s, 100 ms to 1 min.
    #[serde(serialize_with = "duration")]
    pub interval: Duration,
}

impl Overload {
    pub fn settings(&self) -> shed::Settings {
        shed::Settings {
            in_flight: self.in_flight,
            delay: self.delay,
            interval: self.interval,
        }
    }
}

pub(super) fn overload(root: &Table<'_, '_>) -> Overload {
    let t = root.table("overload");
    let second = Duration::from_secs(1);
    let overload = Overload {
        in_flight: t.or("in_flight", Some(10_000), or_off(amount(1..=10_000_000))),
        delay: t.or(
            "delay",
            Some(Duration::from_millis(250)),
            or_off(value::duration(Duration::from_millis(1)..=60 * second)),
        ),
        interval: t.or(
            "interval",
            second,
            value::duration(Duration::from_millis(100)..=60 * second),
        ),
    };
    t.finish();
    overload
}

/// A value, or "off" for none.
pub(super) fn or_off<T>(
    parse: impl Fn(&Value<'_>) -> Result<T, Complaint>,
) -> impl Fn(&Value<'_>) -> Result<Option<T>, Complaint> {
    move |value| {
        if value::text(value).is_ok_and(|text| text == "off") {
            return Ok(None);
        }
        parse(value).map(Some).map_err(|complaint| Complaint {
            mend: format!("{}, or write \"off\"", complaint.mend),
            ..complaint
        })
    }
}

pub(super) fn rate_limits(root: &Table<'_, '_>, endpoints: &[Endpoint]) -> Vec<RateLimit> {
    let mut limits: Vec<RateLimit> = Vec::new();
    let mut names = BTreeMap::new();
    for t in root.tables("limit", MAX_LIMITS) {
        let line = line_of(&t.place);
        let limit = rate_limit(&t, line, &mut names, endpoints);
        t.finish();
        limits.extend(limit);
    }
    limits
}

fn rate_limit(
    t: &Table<'_, '_>,
    line: usize,
    names: &mut BTreeMap<String, usize>,
    endpoints: &[Endpoint],
) -> Option<RateLimit> {
    let name = t.read("name", |value| {
        let name = name(value)?;
        match names.insert(name.clone(), line) {
            None => Ok(name),
            Some(first) => Err(Complaint::new(
                "duplicate_name",
                format!("is `{name}`, as is the limit at line {first}"),
                "give each limit a name of its own",
            )),
        }
    });
    let per = choice(&[
        ("address", Per::Address),
        ("client", Per::Client),
        ("tenant", Per::Tenant),
        ("route", Per::Route),
        ("host", Per::Host),
    ]);
    let per = t.or("per", Per::Address, per);
    let conditions = t.table("match");
    let path = conditions.read("path", |value| path(value, endpoints));
    let mtype = conditions.read("mtype", mtype);
    if conditions.has("path") && conditions.has("mtype") {
        let complaint = Complaint::new(
            "contradiction",
            "has both `path` and `mtype`: one is about requests, the other about messages",
            "make two limits of it",
        );
        t.reader
            .fault(conditions.place.clone(), &conditions.path, complaint);
    }
    conditions.finish();
    let counts = 1..=1_000_000_000;
    let rate = t.read("rate", count32(counts.clone()));
    let period = t.or(
        "period",
        Duration::from_secs(60),
        value::duration(Duration::from_millis(100)..=DAY),
    );
    let burst = t.read("burst", count32(counts));
    for key in ["name", "rate"].into_iter().filter(|key| !t.has(key)) {
        let mend = "write name = \"per-address\" and rate = 100";
        let complaint = Complaint::new("missing_key", format!("has no `{key}`"), mend);
        t.reader.fault(t.place.clone(), &t.path, complaint);
    }
    let rate = rate?;
    let limit = RateLimit {
        name: name?,
        per,
        path,
        mtype,
        rate,
        period,
        burst: burst.unwrap_or(rate),
        line,
    };
    let whole = limit.settings().whole();
    if whole > 30 * DAY {
        let message = format!(
            "takes {} to fill again, which nobody would see",
            time(Duration::from_secs(whole.as_secs()))
        );
        let complaint = Complaint::new("out_of_range", message, "lower `burst`, or raise `rate`");
        t.reader.fault(t.place.clone(), &t.path, complaint);
    }
    Some(limit)
}

fn name(value: &Value<'_>) -> Result<String, Complaint> {
    let found = value::text(value)?;
    match is_name(&found) {
        true => Ok(found),
        false => Err(Complaint::new(
            "bad_name",
            format!("is no name: `{found}`"),
            "write lower-case letters, digits, - and _, at most 64, such as per-address",
        )),
    }
}

fn path(value: &Value<'_>, endpoints: &[Endpoint]) -> Result<String, Complaint> {
    let found = value::text(value)?;
    let own = crate::http::paths();
    let known: Vec<&str> = own
        .iter()
        .copied()
        .chain(endpoints.iter().map(|endpoint| endpoint.path.as_str()))
        .collect();
    if known.contains(&found.as_str()) {
        return Ok(found);
    }
    let mend = match nearest(&found, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write a path as /openapi.json has it, such as /v1/messages, or an endpoint's".to_owned(),
    };
    let message = format!("is no path of this host: `{found}`");
    Err(Complaint::new("unknown_path", message, mend))
}
