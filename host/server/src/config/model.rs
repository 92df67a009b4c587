//! The configuration as plain values: every key of `segue.toml`, what it
//! means, its unit, its default, its bounds, and what happens past it.
//!
//! Field names are the keys. Sizes are bytes; in the file they are written
//! "64 KiB" or "16 MiB", and a plain number is bytes. Durations are written
//! "250ms", "30s", "10m" or "24h". Paths that are relative begin at the config
//! file's folder. A value outside its bounds is a fault, never clamped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::redact::{duration, optional_duration, texts};
use super::secret::Secret;
use super::watched::Dependency;

/// Where proxies write which address a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarded {
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// `[telemetry]`: where the traces of messages go. Read at start. What it does not
/// say OpenTelemetry's variables may: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_ENDPOINT`, `..._HEADERS`, `..._TIMEOUT` likewise,
/// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`; `OTEL_SDK_DISABLED=true` keeps
/// no traces whatever else is said.
#[derive(Clone, Debug, Serialize)]
pub struct Telemetry {
    /// A collector that speaks OTLP over HTTP with protobuf, such as
    /// `http://127.0.0.1:4318`; without a path `/v1/traces` is asked. Default
    /// none: no traces are kept.
    pub otlp_endpoint: Option<String>,
    /// `[telemetry.otlp_headers]`: sent with every batch, each a secret, for
    /// collectors that want a key. Default none, at most 16.
    pub otlp_headers: BTreeMap<String, Secret>,
    /// How long a batch may take. Default 10 s, 100 ms to 1 min. Then it is sent
    /// again, at most five times; after that its spans are dropped and counted.
    #[serde(serialize_with = "duration")]
    pub otlp_timeout: Duration,
    /// Spans that wait to be sent. Default 4096, 16 to 1,000,000. One more is
    /// dropped and counted.
    pub queue: usize,
    /// Share of the traces that begin here, 0 to 1, default 1. A trace that a
    /// client began is kept if the client keeps it.
    pub sample: f32,
    /// Whether spans say the text of queries, up to 4 KiB each: it holds what
    /// plugins and models wrote, and with it what clients asked. Default false.
    pub query_text: bool,
    /// `service.name` of the spans. Default `segue`.
    pub service_name: String,
    /// `[telemetry.resource]`: what else is said of this host in every batch,
    /// such as `"deployment.environment.name" = "production"`. At most 32.
    pub resource: BTreeMap<String, String>,
}

/// `[server]`: the public listener.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// Address and port of the public listener. Default `127.0.0.1:8000`;
    /// port 0 takes a free one. Beyond loopback only with `--insecure`.
    pub listen: SocketAddr,
    /// Names, each with an optional port, that a request's `Host` may carry
    /// beside those of loopback and of the listener. Default none, at most
    /// 64. Any other is refused with 403.
    pub hosts: Vec<String>,
    /// Origins (`https://app.example.com`) that browsers may come from,
    /// beside the host's own. Default none, at most 64. Any other is refused
    /// with 403, WebSockets included.
    pub origins: Vec<String>,
    /// Public paths that need no role although the listener is beyond
    /// loopback. Default none (only `/health/live` and `/health/ready`), at
    /// most 64. There are no roles yet, and `--insecure` opens every path.
    pub expose: Vec<String>,
    /// Networks of proxies that are believed about where a request comes from.
    /// Default none, at most 1000: then a client's address is the peer's. With them
    /// it is the last one in `forwarded` that is not of a trusted proxy; what
    /// stands further left anybody could have written.
    #[serde(serialize_with = "texts")]
    pub trusted_proxies: Vec<IpNet>,
    /// The header that they write: `x-forwarded-for` (default) or `forwarded`
    /// (RFC 7239). The other one is not looked at: a proxy lets through what it
    /// does not write.
    pub forwarded: Forwarded,
    /// Networks that are refused with 403 `forbidden_address`, WebSockets and
    /// messages of open ones included. Default none, at most 1000.
    #[serde(serialize_with = "texts")]
    pub blocked: Vec<IpNet>,
    /// The bulkhead that `X-RateLimit-Provisioning-Limit` and `-Remaining` show,
    /// such as `handler.provision`. Default none: no such headers.
    pub provisioning: Option<Dependency>,
    /// Open connections at a time, all kinds together. Default 1000, 1 to
    /// 1,000,000. One more is refused with 503, a socket with close code
    /// `overloaded`.
    pub max_connections: usize,
    /// Largest chat frame and HTTP body. Default 1 MiB, 1 KiB to 64 MiB. A
    /// larger frame closes its socket with 1009, a larger body gets 413.
    pub max_frame: usize,
    /// Largest message on a raw endpoint, over all its fragments. Default
    /// 16 MiB, 1 KiB to 256 MiB. A larger one closes its socket with 1009.
    pub max_raw_frame: usize,
    /// How often an idle socket is pinged. Default 20 s, 100 ms to 1 h.
    #[serde(serialize_with = "duration")]
    pub ping_interval: Duration,
    /// How long a ping may stay unanswered. Default 20 s, 100 ms to 1 h. Then
    /// the socket is closed with `ping_timeout`; its session stays.
    #[serde(serialize_with = "duration")]
    pub ping_timeout: Duration,
    /// How long a request's headers may take to arrive. Default 10 s, 100 ms
    /// to 5 min. Then the connection is closed.
    #[serde(serialize_with = "duration")]
    pub header_timeout: Duration,
    /// How long a request's body may take to arrive. Default 10 s, 100 ms to
    /// 5 min. Then 408.
    #[serde(serialize_with = "duration")]
    pub body_timeout: Duration,
    /// After SIGTERM, how long ready fails before the drain begins, so that a
    /// balancer has seen it. Default 5 s, 0 s to 10 min.
    #[serde(serialize_with = "duration")]
    pub drain_delay: Duration,
    /// How long a drain waits for what runs. Default 30 s, 0 s to 1 h. What
    /// runs longer is cancelled and told so.
    #[serde(serialize_with = "duration")]
    pub drain_timeout: Duration,
    /// Folder for what the host keeps: the admin token, the compile cache.
    /// Default `.segue`; made if missing.
    pub state: PathBuf,
}

/// `[admin]`: the listener for operators.
#[derive(Clone, Debug, Serialize)]
pub struct Admin {
    /// Address and port of the admin listener. Default `127.0.0.1:8001`; port
    /// 0 takes a free one. It wants a token wherever it listens.
    pub listen: SocketAddr,
    /// The token, as `env:NAME` or `file:PATH`, 8 to 512 visible ASCII
    /// characters. Default: generated at start into `<state>/admin.token`.
    pub token: Option<Secret>,
}

/// `[plugins]`: the plugin folder.
#[derive(Clone, Debug, Serialize)]
pub struct Plugins {
    /// The folder that is watched. Default `plugins`; it must exist.
    pub dir: PathBuf,
    /// Folder of the compile cache. Default `<state>/cache`. One that cannot
    /// be used costs a warning and compile time, nothing else.
    pub cache: PathBuf,
    /// Size of the compile cache. Default 1 GiB, 1 MiB to 1 TiB. Past it the
    /// oldest entries go.
    pub cache_max: u64,
    /// Largest `.wasm` file. Default 64 MiB, 1 KiB to 1 GiB. A larger one is
    /// refused unread.
    pub max_file: u64,
    /// Plugins loaded at a time. Default 256, 1 to 10,000. One more is
    /// refused.
    pub max_count: usize,
    /// Compilations at a time, at lower priority. Default 1, 1 to 64.
    pub compile_threads: usize,
    /// Whether a new version that asks for more than the one before may take
    /// over without `promote`. Default false.
    pub auto_widen: bool,
    /// The ceiling of every plugin's grants: capability to names, at most 1000
    /// of each. `NAME.toml` may only narrow it. Default nothing, so nothing can
    /// be granted. The names are those of `[sql.NAME]`, `[search.NAME]`,
    /// `[llm.NAME]` and `[cache.NAME]`; of `session` `state` and `history`; of `http` hosts or
    /// origins; of `keyvalue` buckets.
    pub max_grants: BTreeMap<String, Vec<String>>,
}

/// `[runtime]`: what all plugins share.
#[derive(Clone, Debug, Serialize)]
pub struct Runtime {
    /// Core instances of plugins at a time; a plugin call takes as many as
    /// its component needs, at least one. Default 1000, 1 to 10,000 (beyond
    /// that the kernel runs out of memory maps). Past it: `overloaded`.
    pub instances: u32,
    /// The share of them that one plugin may hold. Default 500, or `instances`
    /// if that is less; 1 to `instances`. Past it: `overloaded`.
    pub per_plugin: u32,
    /// Threads that run plugins, apart from those that serve sockets. Default
    /// the number of cores, 1 to 256.
    pub guest_threads: usize,
}

/// `[limits]` and `[max_limits]`: what one plugin call may use. The first
/// holds where `NAME.toml` is silent, the second is what `NAME.toml` and a
/// route may not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Time from the start of the call. Default 30 s, ceiling 10 min; 1 ms to
    /// 24 h. Past it: `deadline_exceeded`.
    #[serde(serialize_with = "duration")]
    pub deadline: Duration,
    /// Total over all memories of the instance. Default 64 MiB, ceiling
    /// 256 MiB; 64 KiB to 4 GiB. Past it growth is denied: `memory_exceeded`.
    pub memory: u64,
    /// Bytes of the reply, all chunks together. Default 16 MiB, ceiling
    /// 64 MiB; 1 KiB to 1 GiB. Past it: `reply_too_large`.
    pub reply: u64,
    /// Chunks of the reply. Default 100,000, ceiling 1,000,000; 1 to
    /// 100,000,000. Past it: `too_many_chunks`.
    pub chunks: u32,
}

/// `[session]`: conversations.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    /// Messages of one session that run at a time. Default 1, 1 to 64. The
    /// rest wait in the queue.
    pub max_in_flight: usize,
    /// Messages of one session that wait. Default 64, 0 to 10,000. Past it:
    /// `session_busy`.
    pub queue: usize,
    /// How long a session stays after its last socket left. Default 30 min,
    /// 1 s to 30 days. After it: `session_unknown`.
    #[serde(serialize_with = "duration")]
    pub ttl: Duration,
    /// Sessions at a time. Default 100,000, 1 to 10,000,000. Past it those
    /// that nobody is connected to make room, empty ones first, then the
    /// longest deserted; where all are in use a new one is refused with
    /// `overloaded`.
    pub max_sessions: usize,
    /// How long a message's id is remembered. Default 24 h, 1 s to 30 days.
    /// After it the same id is a new message.
    #[serde(serialize_with = "duration")]
    pub id_window: Duration,
    /// Ids remembered in one session. Default 1000, 1 to 100,000. Past it the
    /// oldest is forgotten.
    pub id_max: usize,
    /// Bytes of history kept in one session. Default 4 MiB, 0 to 1 GiB. Past
    /// it the oldest turns go.
    pub history_bytes: usize,
    /// How long a new socket that named no session is given to send `resume`
    /// before it gets a fresh one. Default 100 ms, 0 s to 10 s.
    #[serde(serialize_with = "duration")]
    pub resume_wait: Duration,
}

/// What happens to a frame that finds its outbox full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// The socket is closed with `slow_consumer`, after `wait`.
    Close,
    /// The new frame is dropped and marked.
    DropNewest,
    /// The oldest frame is dropped and marked.
    DropOldest,
}

/// `[outbox]`: numbered frames on their way to one session's client.
#[derive(Clone, Debug, Serialize)]
pub struct Outbox {
    /// Frames kept. Default 1000, 16 to 1,000,000.
    pub size: usize,
    /// Bytes kept. Default 8 MiB, 64 KiB to 1 GiB.
    pub bytes: usize,
    /// What happens past either. Default `close`.
    pub on_full: OnFull,
    /// How long a full outbox parks the handler before `on_full` holds.
    /// Default 100 ms, 0 s to 60 s.
    #[serde(serialize_with = "duration")]
    pub wait: Duration,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Pretty,
}

/// `[log]`.
#[derive(Clone, Debug, Serialize)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`: of Segue and its plugins,
    /// while the libraries underneath say no more than warnings. Or directives
    /// for single targets, apart by commas and taken as they are:
    /// `info,plugin=off`. Default `info`.
    pub level: String,
    /// Default `json`.
    pub format: LogFormat,
}

/// How several handlers share one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All at once; their parts arrive as they come.
    #[default]
    Parallel,
    /// One after the other; the next one can read what the ones before said.
    Sequence,
    /// One after the other until one succeeds.
    First,
}

/// `[[route]]`: which handlers get which messages. Of the routes that match a
/// message the one with the most conditions wins, and of equals the first. At
/// most 1000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// `match.mtype`: only messages of this type. At most 128 bytes.
    pub mtype: Option<String>,
    /// `match.rag_sql`: only messages whose flag is this.
    pub rag_sql: Option<bool>,
    /// `match.rag_doc`: only messages whose flag is this.
    pub rag_doc: Option<bool>,
    /// `handler`, or `handlers` (at most 16, each once): names of plugins.
    pub handlers: Vec<String>,
    /// How several handlers share the message. Default `parallel`.
    pub mode: Mode,
    /// Time for the whole message, within each plugin's own. Default none;
    /// 1 ms to `max_limits.deadline`. Past it: `deadline_exceeded`.
    #[serde(serialize_with = "optional_duration")]
    pub deadline: Option<Duration>,
    /// What to do when nobody could answer, in order, at most 8. Default
    /// nothing: the client gets the error.
    pub fallback: Vec<Fallback>,
    /// Where it stands in the file, from 1.
    pub line: usize,
}

/// One entry of a route's `fallback`. It is tried when what came before it could
/// not answer for a reason that is not the client's, and nothing was said yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// `{ handler = "NAME" }`: another plugin.
    Handler(String),
    /// `{ model = { main = "small" } }`: the same handlers, and whenever one asks
    /// the first model, the second answers; at most 8 pairs.
    Model(BTreeMap<String, String>),
    /// `{ cached = "10m" }`: what the handlers last said to the same message,
    /// unless it is older; 1 s to 30 days. To the same session only, unless
    /// `shared = true`: then to whoever asks, so only where an answer does not
    /// depend on who asks. Answers of at most 256 KiB are kept, 32 MiB of them.
    Cached {
        #[serde(serialize_with = "duration")]
        max_age: Duration,
        shared: bool,
    },
    /// `{ text = "..." }`: these words, at most 4096 bytes.
    Text(String),
}

/// `[[endpoint]]` of kind `raw` (the default and only kind): a WebSocket path
/// whose frames go to one handler as they are. At most 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Such as `/echo`: at most 256 characters, none of the host's own paths,
    /// each path once.
    pub path: String,
    /// The plugin's name.
    pub handler: String,
    /// Where it stands in the file, from 1.
    pub line: usize,
}
