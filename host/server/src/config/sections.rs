//! Reads each section into its plain struct. Defaults and bounds stand here,
//! and nowhere else in code; `model.rs` tells them to people.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::backends::Names;
use super::grants;
use super::model::{
    Admin, Forwarded, Limits, Log, LogFormat, OnFull, Outbox, Plugins, Runtime, Server, Session,
};
use super::reader::Table;
use super::value::{
    self, Complaint, GIB, KIB, MIB, Value, address, amount, choice, count32, duration, flag, room, size,
};
use super::watched;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Every request is compared with each of them.
const MAX_NETWORKS: usize = 1000;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

pub(super) fn server(root: &Table<'_, '_>) -> Server {
    let t = root.table("server");
    let pings = ms(100)..=seconds(HOUR);
    let arrivals = ms(100)..=seconds(5 * MINUTE);
    let forwarded = choice(&[
        ("x-forwarded-for", Forwarded::XForwardedFor),
        ("forwarded", Forwarded::Forwarded),
    ]);
    let server = Server {
        listen: t.or("listen", loopback(8000), address),
        hosts: strings(&t, "hosts", host_name),
        origins: strings(&t, "origins", origin),
        expose: strings(&t, "expose", exposed),
        trusted_proxies: networks(&t, "trusted_proxies"),
        forwarded: t.or("forwarded", Forwarded::XForwardedFor, forwarded),
        blocked: networks(&t, "blocked"),
        provisioning: t.read("provisioning", watched::parse),
        max_connections: t.or("max_connections", 1000, amount(1..=1_000_000)),
        max_frame: t.or("max_frame", 1 << 20, room(KIB..=64 * MIB)),
        max_raw_frame: t.or("max_raw_frame", 16 << 20, room(KIB..=256 * MIB)),
        ping_interval: t.or("ping_interval", seconds(20), duration(pings.clone())),
        ping_timeout: t.or("ping_timeout", seconds(20), duration(pings)),
        header_timeout: t.or("header_timeout", seconds(10), duration(arrivals.clone())),
        body_timeout: t.or("body_timeout", seconds(10), duration(arrivals)),
        drain_delay: t.or("drain_delay", seconds(5), duration(ms(0)..=seconds(10 * MINUTE))),
        drain_timeout: t.or("drain_timeout", seconds(30), duration(ms(0)..=seconds(HOUR))),
        state: t.or("state", t.reader.base.join(".segue"), value::path(t.reader.base)),
    };
    t.finish();
    server
}

pub(super) fn admin(root: &Table<'_, '_>, server: &Server) -> Admin {
    let t = root.table("admin");
    let listen = t.or("listen", loopback(8001), address);
    if listen == server.listen && listen.port() != 0 {
        let place = (t.reader.place_of("admin.listen"))
            .or_else(|| t.reader.place_of("server.listen"))
            .unwrap_or_else(|| t.place.clone());
        let complaint = Complaint::new(
            "same_address",
            format!("is {listen}, the same as `server.listen`"),
            "give the two listeners different ports",
        );
        t.reader.fault(place, "admin.listen", complaint);
    }
    t.hide("token");
    let resolve = value::secret(t.reader.base, t.reader.overrides);
    let token = t.read("token", |value| {
        let token = resolve(value)?;
        let fits = (8..=512).contains(&token.expose().len());
        match fits && token.expose().bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(token),
            false => Err(Complaint::new(
                "bad_token",
                "must be 8 to 512 visible ASCII characters without spaces",
                "make one with: openssl rand -hex 32",
            )),
        }
    });
    t.finish();
    Admin { listen, token }
}

pub(super) fn plugins(root: &Table<'_, '_>, state: &Path, names: &Names) -> Plugins {
    let t = root.table("plugins");
    let base = t.reader.base;
    let plugins = Plugins {
        dir: t.or("dir", base.join("plugins"), value::path(base)),
        cache: t.or("cache", state.join("cache"), value::path(base)),
        cache_max: t.or("cache_max", GIB, size(MIB..=1024 * GIB)),
        max_file: t.or("max_file", 64 * MIB, size(KIB..=GIB)),
        max_count: t.or("max_count", 256, amount(1..=10_000)),
        compile_threads: t.or("compile_threads", 1, amount(1..=64)),
        auto_widen: t.or("auto_widen", false, flag),
        max_grants: grants::max_grants(&t, names),
    };
    t.finish();
    plugins
}

pub(super) fn runtime(root: &Table<'_, '_>) -> Runtime {
    let t = root.table("runtime");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let instances = t.or("instances", 1000, count32(1..=10_000));
    let runtime = Runtime {
        instances,
        per_plugin: t.or("per_plugin", instances.min(500), count32(1..=instances)),
        guest_threads: t.or("guest_threads", cores.min(256), amount(1..=256)),
    };
    t.finish();
    runtime
}

/// `[max_limits]`, then `[limits]` within them. Of the defaults of `[limits]`
/// each yields to a lower ceiling; what is written past it is a fault.
pub(super) fn limits(root: &Table<'_, '_>) -> (Limits, Limits) {
    let least = Limits {
        deadline: ms(1),
        memory: 64 * KIB,
        reply: KIB,
        chunks: 1,
    };
    let most = Limits {
        deadline: seconds(DAY),
        memory: 4 * GIB,
        reply: GIB,
        chunks: 100_000_000,
    };
    let ceiling = Limits {
        deadline: seconds(10 * MINUTE),
        memory: 256 * MIB,
        reply: 64 * MIB,
        chunks: 1_000_000,
    };
    let usual = Limits {
        deadline: seconds(30),
        memory: 64 * MIB,
        reply: 16 * MIB,
        chunks: 100_000,
    };
    let max_limits = limits_of(root, "max_limits", ceiling, least, most);
    let usual = Limits {
        deadline: usual.deadline.min(max_limits.deadline),
        memory: usual.memory.min(max_limits.memory),
        reply: usual.reply.min(max_limits.reply),
        chunks: usual.chunks.min(max_limits.chunks),
    };
    let limits = limits_of(root, "limits", usual, least, max_limits);
    (limits, max_limits)
}

fn limits_of(root: &Table<'_, '_>, section: &str, default: Limits, least: Limits, most: Limits) -> Limits {
    let t = root.table(section);
    let limits = Limits {
        deadline: t.or(
            "deadline",
            default.deadline,
            duration(least.deadline..=most.deadline),
        ),
        memory: t.or("memory", default.memory, size(least.memory..=most.memory)),
        reply: t.or("reply", default.reply, size(least.reply..=most.reply)),
        chunks: t.or("chunks", default.chunks, count32(least.chunks..=most.chunks)),
    };
    t.finish();
    limits
}

pub(super) fn session(root: &Table<'_, '_>) -> Session {
    let t = root.table("session");
    let kept = seconds(1)..=seconds(30 * DAY);
    let session = Session {
        max_in_flight: t.or("max_in_flight", 1, amount(1..=64)),
        queue: t.or("queue", 64, amount(0..=10_000)),
        ttl: t.or("ttl", seconds(30 * MINUTE), duration(kept.clone())),
        max_sessions: t.or("max_sessions", 100_000, amount(1..=10_000_000)),
        id_window: t.or("id_window", seconds(DAY), duration(kept)),
        id_max: t.or("id_max", 1000, amount(1..=100_000)),
        history_bytes: t.or("history_bytes", 4 << 20, room(0..=GIB)),
        resume_wait: t.or("resume_wait", ms(100), duration(ms(0)..=seconds(10))),
    };
    t.finish();
    session
}

pub(super) fn outbox(root: &Table<'_, '_>) -> Outbox {
    let t = root.table("outbox");
    let on_full = choice(&[
        ("close", OnFull::Close),
        ("drop_newest", OnFull::DropNewest),
        ("drop_oldest", OnFull::DropOldest),
    ]);
    let outbox = Outbox {
        size: t.or("size", 1000, amount(16..=1_000_000)),
        bytes: t.or("bytes", 8 << 20, room(64 * KIB..=GIB)),
        on_full: t.or("on_full", OnFull::Close, on_full),
        wait: t.or("wait", ms(100), duration(ms(0)..=seconds(MINUTE))),
    };
    t.finish();
    outbox
}

pub(super) fn log(root: &Table<'_, '_>) -> Log {
    let t = root.table("log");
    let format = choice(&[("json", LogFormat::Json), ("pretty", LogFormat::Pretty)]);
    let log = Log {
        level: t.or("level", "info".to_owned(), level),
        format: t.or("format", LogFormat::Json, format),
    };
    t.finish();
    log
}

/// One level, or `target=level` directives apart by commas.
fn level(value: &Value<'_>) -> Result<String, Complaint> {
    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
    let found = value::text(value)?;
    for part in found.split(',').map(str::trim) {
        let (target, level) = part.split_once('=').unwrap_or(("all", part));
        let target_fits =
            !target.is_empty() && (target.chars()).all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c));
        let off = level == "off" && found.contains(['=', ',']);
        if target_fits && (off || LEVELS.contains(&level)) {
            continue;
        }
        let mend = match value::nearest(level, LEVELS.into_iter()) {
            Some(near) if near != level => format!("did you mean `{near}`?"),
            _ => format!("write one of {}, or info,TARGET=debug", LEVELS.join(", ")),
        };
        let message = format!("knows no level `{part}`");
        return Err(Complaint::new("unknown_choice", message, mend));
    }
    Ok(found)
}

/// Names of plugins and capabilities: also what their files are called.
pub(super) fn is_name(name: &str) -> bool {
    let first_fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 64
        && name.starts_with(first_fits)
        && name.chars().all(|c| first_fits(c) || c == '-' || c == '_')
}

fn strings(t: &Table<'_, '_>, key: &str, check: fn(&str) -> Result<(), Complaint>) -> Vec<String> {
    let parse = |value: &Value<'_>| {
        let found = value::text(value)?;
        check(&found).map(|()| found)
    };
    let items = t.list(key, 64, parse);
    items.into_iter().map(|(item, _)| item).collect()
}

fn networks(t: &Table<'_, '_>, key: &str) -> Vec<IpNet> {
    let items = t.list(key, MAX_NETWORKS, value::network);
    items.into_iter().map(|(network, _)| network).collect()
}

/// A `Host` header's value. Wildcards are refused: a name that anybody may
/// choose protects against nothing.
fn host_name(found: &str) -> Result<(), Complaint> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    match found.chars().all(plain) && found.parse::<http::uri::Authority>().is_ok() {
        true => Ok(()),
        false => Err(Complaint::new(
            "bad_host",
            format!("is no host name: `{found}`"),
            "write a name without scheme, path or *, such as chat.example.com",
        )),
    }
}

fn origin(found: &str) -> Result<(), Complaint> {
    let rest = (found.strip_prefix("https://")).or_else(|| found.strip_prefix("http://"));
    match rest.is_some_and(|rest| host_name(rest).is_ok()) {
        true => Ok(()),
        false => Err(Complaint::new(
            "bad_origin",
            format!("is no origin: `{found}`"),
            "write scheme and host without a path or *, such as https://app.example.com",
        )),
    }
}

fn exposed(found: &str) -> Result<(), Complaint> {
    match found.starts_with('/') {
        true => Ok(()),
        false => Err(Complaint::new(
            "bad_path",
            format!("is no path: `{found}`"),
            "write a path from its slash, such as \"/metrics\"",
        )),
    }
}
