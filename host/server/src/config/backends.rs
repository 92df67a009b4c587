//! What plugins may be granted: `[sql.NAME]`, `[search.NAME]`, `[llm.NAME]`,
//! `[http]` and `[keyvalue]`. Every key, with its unit, default, bounds, and
//! what happens past it, as in `model.rs`.
//!
//! All of it is hot: a call that begins after a reload works with the new
//! values, one that runs ends with the old ones. What these sections name need
//! not be there: the host starts all the same, plugins are told
//! `store_unavailable`, and `segue check` counts it as a fault.

mod budgets;
mod caches;
mod models;
mod read;
mod remote;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use segue_capabilities::llm::settings::{ApiKey, Url};
use segue_capabilities::{cache, http, keyvalue, llm, search, sql};
use serde::{Serialize, Serializer};

use super::redact::{duration, optional_duration, texts};
use super::secret::Secret;
pub(super) use read::{Names, backends};

/// The sections together, by the names that grants use. At most 100 of a kind.
#[derive(Clone, Debug, Serialize)]
pub struct Backends {
    pub cache: BTreeMap<String, Cache>,
    pub sql: BTreeMap<String, Sql>,
    pub search: BTreeMap<String, Search>,
    pub llm: BTreeMap<String, Llm>,
    pub budget: BTreeMap<String, Budget>,
    pub http: Http,
    pub keyvalue: KeyValue,
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:shop.db`.
    Sqlite(PathBuf),
}

/// `[sql.NAME]`: a database that plugins may ask, and never change.
#[derive(Clone, Debug, Serialize)]
pub struct Sql {
    /// `sqlite:FILE`. No default. There is no other kind of database yet.
    pub url: DatabaseUrl,
    /// Rows of one answer. Default 1000, 1 to 1,000,000. The rest is left out,
    /// and the plugin is told so.
    pub max_rows: u32,
    /// Bytes of one answer, all rows together, and of one value. Default 4 MiB,
    /// 1 KiB to 1 GiB. The rest is left out likewise.
    pub max_bytes: u64,
    /// Time for one query, its wait for its turn included. Default 5 s, 1 ms to
    /// 1 h. Past it the query is interrupted: `query_timeout`.
    #[serde(serialize_with = "duration")]
    pub timeout: Duration,
    /// Queries that run at a time, of all plugins together. Default 4, 1 to
    /// 256. The rest wait in the queue.
    pub connections: usize,
    /// Queries that wait. Default 64, 1 to 10,000. Past it: `overloaded`.
    pub queue: usize,
    /// A query that takes so long, its waiting not counted, is counted and written
    /// to the log with its text. Default 100 ms, 1 ms to 1 h, or "off".
    #[serde(serialize_with = "optional_duration")]
    pub slow_query: Option<Duration>,
    /// The `[cache.NAME]` that queries are answered from. Default none. An answer may
    /// then be as old as the cache allows; one that was cut off is not kept.
    pub cache: Option<String>,
}

/// `[search.NAME]`: a folder of documents that plugins may search.
#[derive(Clone, Debug, Serialize)]
pub struct Search {
    /// The folder. No default. It is watched; what changes in it is found
    /// within seconds.
    pub path: PathBuf,
    /// Which files in it are documents: globs over the path within the folder,
    /// where `*` stays within one part and `**` does not. Default Markdown, text
    /// and HTML by their endings; 1 to 100 patterns.
    pub include: Vec<String>,
    /// Which of them are not, after all. Default none, at most 100.
    pub exclude: Vec<String>,
    /// Largest file that is read. Default 4 MiB, 1 KiB to 256 MiB. A larger one
    /// is left out, and the log says so.
    pub max_file: u64,
    /// Documents in the index. Default 50,000, 1 to 1,000,000. What is found
    /// past it is left out, and the log says so.
    pub max_files: usize,
    /// Whether people may read the documents at `/v1/documents/NAME/...`, which
    /// is what citations link to. Default false: anybody who reaches the public
    /// listener could.
    pub serve: bool,
    /// Searches that wait. Default 64, 1 to 10,000. Past it: `overloaded`.
    pub queue: usize,
    /// The `[cache.NAME]` that searches are answered from. Default none. A change of
    /// a document that the host has heard of is found at once all the same.
    pub cache: Option<String>,
}

/// `[cache.NAME]`: what need not be fetched again. Sections that are to be answered
/// from it name it by their key `cache` (search, sql, llm); and plugins that are
/// granted it keep there what they like. For each plugin and each grant apart.
#[derive(Clone, Debug, Serialize)]
pub struct Cache {
    /// How long an entry is fresh, up to a tenth less at random. Default 60 s, 1 ms
    /// to 30 days.
    #[serde(serialize_with = "duration")]
    pub ttl: Duration,
    /// How long after that it is still given out while it is fetched anew. Default
    /// 0 s, at most 30 days.
    #[serde(serialize_with = "duration")]
    pub stale_for: Duration,
    /// Entries. Default 10,000, 1 to 10,000,000. Past it the least used go.
    pub max_entries: u64,
    /// Bytes of all entries. Default 64 MiB, 64 KiB to 1 TiB. Past it likewise.
    pub max_bytes: u64,
    /// Largest entry. Default 1 MiB, 1 byte to 1 GiB. A larger one is not kept.
    pub max_value: usize,
    /// Whether all plugins share what is kept. Default false: each has its own.
    pub public: bool,
    /// Where entries are: `tier = "memory"`, which is the default, or `"redis"`.
    #[serde(flatten)]
    pub tier: CacheTier,
}

/// `[cache.NAME] tier`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "tier", rename_all = "lowercase")]
pub enum CacheTier {
    /// This host's memory. The keys of the other tier may stand there and are not
    /// looked at.
    Memory,
    /// A Redis that hosts share. While it does not answer, memory stands in for it:
    /// `max_entries` and `max_bytes` are about that alone.
    Redis {
        /// `redis://HOST:PORT/DATABASE`, or `rediss:` with TLS. No default; no
        /// password in it.
        url: String,
        /// Who the host is there. Default: nobody in particular.
        username: Option<String>,
        /// As `env:NAME` or `file:PATH`. Default none.
        password: Option<Secret>,
    },
}

/// `[llm.NAME]`: a language model that plugins may ask.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum Llm {
    /// `provider = "offline"`: no model. It composes answers from the passages
    /// and rows that it is given, and says so. It has no other key; those of
    /// the other provider may stand there and are not looked at, so that a
    /// variable can take a model offline.
    Offline,
    /// `provider = "openai"`: a server that speaks the OpenAI API.
    OpenAi(Box<OpenAi>),
}

/// `[llm.NAME]` with `provider = "openai"`.
#[derive(Clone, Debug, Serialize)]
pub struct OpenAi {
    /// Completions at a time, of all plugins together. Default 256, 1 to
    /// 100,000. Past it: `overloaded`.
    pub max_in_flight: usize,
    /// The `[cache.NAME]` that answers are kept in and given again from: those that
    /// were asked for with temperature 0. Default none.
    pub cache: Option<String>,
    /// Whether all answers are, also those that another time would be others. Default
    /// false.
    pub cache_varied: bool,
    /// The one server. `None` where there are targets: what stands in `[llm.NAME]`
    /// is then what holds for those that say nothing else.
    #[serde(flatten)]
    pub server: Option<ModelServer>,
    /// `[llm.NAME.targets.TARGET]`: several servers that stand for one model.
    /// Default none, at most 16.
    pub targets: BTreeMap<String, Target>,
}

/// `[llm.NAME.targets.TARGET]`. Its other keys are those of `[llm.NAME]`, which
/// hold where it has none; but `api_key` and `headers` go with `base_url`: a
/// target that has its own has its own of these.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Those of the lowest order that work are asked. Default 1, 1 to 100.
    pub order: u32,
    /// How often it is asked, in proportion to those of its order. Default 1, 1 to
    /// 1000.
    pub weight: u32,
    #[serde(flatten)]
    pub server: ModelServer,
}

/// A server that speaks the OpenAI API.
#[derive(Clone, Debug, Serialize)]
pub struct ModelServer {
    /// Where the API begins: `https://llm.example.com/v1`. No default. An
    /// `http:` address sends questions and the key in the clear.
    #[serde(serialize_with = "url")]
    pub base_url: Url,
    /// The key, as `env:NAME` or `file:PATH`, 1 to 4096 visible ASCII
    /// characters. Default none: the server wants none.
    pub api_key: Option<Secret>,
    /// Headers to send with every request, by name: text, `env:NAME` or
    /// `file:PATH`, one line of visible ASCII characters. Default none, at most 16.
    /// Those that the host writes itself are refused.
    pub headers: BTreeMap<String, Secret>,
    /// The model's name as the server knows it, at most 256 bytes. No default.
    pub model: String,
    /// Longest answer in the model's tokens; a plugin may ask for less. Default
    /// the server's, 1 to 10,000,000.
    pub max_tokens: Option<u32>,
    /// How far the model strays, where a plugin asks for nothing else. Default
    /// the server's, 0 to 2.
    pub temperature: Option<f32>,
    /// Time to resolve, connect and agree on TLS. Default 5 s, 10 ms to 5 min.
    /// Past it: `upstream_unavailable`.
    #[serde(serialize_with = "duration")]
    pub connect_timeout: Duration,
    /// Time from the request to the first piece of the answer. Default 30 s,
    /// 10 ms to 1 h. Past it: `upstream_timeout`.
    #[serde(serialize_with = "duration")]
    pub first_token_timeout: Duration,
    /// Longest pause between two pieces. Default 30 s, 10 ms to 1 h. Past it:
    /// `upstream_timeout`.
    #[serde(serialize_with = "duration")]
    pub idle_timeout: Duration,
    /// Bytes of one answer. Default 1 MiB, 1 KiB to 1 GiB. Past it:
    /// `upstream_failed`.
    pub max_answer: u64,
    /// What a million tokens of prompts cost, in a currency of your choice. Default
    /// 0, up to 1,000,000.
    pub input_cost: f64,
    /// The same of answers.
    pub output_cost: f64,
    /// How often `GET /models` looks whether the server is there; what is not is
    /// asked only if no other target is. Default never, 100 ms to 1 h.
    #[serde(serialize_with = "optional_duration")]
    pub health_interval: Option<Duration>,
}

/// `[budget.NAME]`: what may be spent on models. Default none, at most 100. Past it
/// `budget_exceeded`, with the time until there is something again; what has begun
/// is finished. One with the provider "offline" costs nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Budget {
    /// Who has a share of his own. Default nobody: there is one for all.
    pub per: Vec<BudgetPer>,
    /// Whose questions are counted, by the plugin's file. Default everybody's, at
    /// most 100.
    pub plugins: Vec<String>,
    /// To which models. Default any, at most 100.
    pub models: Vec<String>,
    /// Tokens within `period`, of prompts and answers together. 1 to 10^15. A
    /// budget has these, or a cost, or both.
    pub tokens: Option<u64>,
    /// By `input_cost` and `output_cost` of the models. 0.000001 to 10^9.
    pub cost: Option<f64>,
    /// It begins with the first question after the one before has ended. Default
    /// 1 day, 1 s to 366 days.
    #[serde(serialize_with = "duration")]
    pub period: Duration,
}

/// Who has a share of his own in a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPer {
    /// Each tenant. Without authentication there is one.
    Tenant,
    Plugin,
    Model,
}

/// `[http]`: requests that plugins send. Which hosts a plugin may reach is
/// decided by its grants.
#[derive(Clone, Debug, Serialize)]
pub struct Http {
    /// Networks (`10.1.0.0/16`, or one address) that may be reached although
    /// they are not public. Default none, at most 64: public addresses only,
    /// whatever a name resolves to.
    #[serde(serialize_with = "texts")]
    pub allow_networks: Vec<IpNet>,
    /// Time to resolve, connect and agree on TLS. Default 5 s, 10 ms to 5 min.
    #[serde(serialize_with = "duration")]
    pub connect_timeout: Duration,
    /// Time from the request's last byte to the head of the answer. Default
    /// 30 s, 10 ms to 1 h. A plugin may ask for less.
    #[serde(serialize_with = "duration")]
    pub timeout: Duration,
    /// Longest pause within a body. Default 30 s, 10 ms to 1 h.
    #[serde(serialize_with = "duration")]
    pub idle_timeout: Duration,
    /// Requests open at a time, of all plugins together. Default 256, 1 to
    /// 100,000. Past it they are refused at once.
    pub max_in_flight: usize,
    /// Largest body that is sent. Default 16 MiB, 1 KiB to 1 GiB. A larger one
    /// fails.
    pub max_request: u64,
    /// Largest body that is received. Default 64 MiB, 1 KiB to 16 GiB. A larger
    /// one breaks off with an error.
    pub max_response: u64,
}

/// `[keyvalue]`: what plugins keep beyond their calls, each for itself.
#[derive(Clone, Debug, Serialize)]
pub struct KeyValue {
    /// The file that holds it. Default `<state>/keyvalue.db`; made if missing,
    /// its folder is not.
    pub path: PathBuf,
    /// Keys of one plugin in one bucket. Default 100,000, 1 to 100,000,000. One
    /// more is refused.
    pub max_keys: u64,
    /// Bytes of one plugin's keys and values in one bucket. Default 64 MiB,
    /// 1 KiB to 1 TiB. More is refused.
    pub max_bytes: u64,
}

impl Backends {
    /// Whether there is a server that is called so: `main`, or `main/east` where the
    /// model has targets.
    pub fn has_model_server(&self, name: &str) -> bool {
        let (model, target) = match name.split_once('/') {
            Some((model, target)) => (model, Some(target)),
            None => (name, None),
        };
        match (self.llm.get(model), target) {
            (Some(Llm::OpenAi(it)), Some(target)) => it.targets.contains_key(target),
            (Some(Llm::OpenAi(it)), None) => it.server.is_some(),
            (Some(Llm::Offline), target) => target.is_none(),
            (None, _) => false,
        }
    }

    /// What the capabilities are started with.
    pub fn settings(&self) -> segue_capabilities::Settings {
        fn each<'b, B, S: From<&'b B>>(of: &'b BTreeMap<String, B>) -> BTreeMap<String, S> {
            of.iter().map(|(name, it)| (name.clone(), it.into())).collect()
        }
        segue_capabilities::Settings {
            cache: each(&self.cache),
            sql: each(&self.sql),
            search: each(&self.search),
            llm: each(&self.llm),
            remember: self.remember(),
            budget: each(&self.budget),
            http: (&self.http).into(),
            keyvalue: (&self.keyvalue).into(),
        }
    }
}

impl Backends {
    /// Whose answers are kept, and where.
    fn remember(&self) -> BTreeMap<String, llm::Remember> {
        let remember = |(name, model): (&String, &Llm)| match model {
            Llm::OpenAi(it) => {
                let cache = it.cache.clone()?;
                let varied = it.cache_varied;
                Some((name.clone(), llm::Remember { cache, varied }))
            }
            Llm::Offline => None,
        };
        self.llm.iter().filter_map(remember).collect()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn url<S: Serializer>(url: &Url, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(url)
}

impl From<&Sql> for sql::settings::Database {
    fn from(it: &Sql) -> Self {
        let DatabaseUrl::Sqlite(path) = &it.url;
        sql::settings::Database {
            path: path.clone(),
            max_rows: it.max_rows,
            max_bytes: it.max_bytes,
            timeout: it.timeout,
            connections: it.connections,
            queue: it.queue,
            slow_query: it.slow_query,
            cache: it.cache.clone(),
        }
    }
}

impl From<&Search> for search::settings::Index {
    fn from(it: &Search) -> Self {
        search::settings::Index {
            path: it.path.clone(),
            include: it.include.clone(),
            exclude: it.exclude.clone(),
            max_file: it.max_file,
            max_files: it.max_files,
            serve: it.serve,
            queue: it.queue,
            cache: it.cache.clone(),
        }
    }
}

impl From<&Cache> for cache::settings::Cache {
    fn from(it: &Cache) -> Self {
        cache::settings::Cache {
            ttl: it.ttl,
            stale_for: it.stale_for,
            max_entries: it.max_entries,
            max_bytes: it.max_bytes,
            max_value: it.max_value,
            public: it.public,
            redis: match &it.tier {
                CacheTier::Memory => None,
                CacheTier::Redis {
                    url,
                    username,
                    password,
                } => Some(cache::settings::Redis {
                    url: url.clone(),
                    username: username.clone(),
                    password: (password.as_ref())
                        .map(|password| cache::settings::Password::new(password.expose())),
                }),
            },
        }
    }
}

impl From<&Llm> for llm::settings::Model {
    fn from(it: &Llm) -> Self {
        use llm::settings::{Model, Targets};
        match it {
            Llm::Offline => Model::Offline,
            Llm::OpenAi(it) => match &it.server {
                Some(server) => Model::OpenAi(openai(server, it.max_in_flight)),
                None => Model::Targets(Targets {
                    max_in_flight: it.max_in_flight,
                    targets: (it.targets.iter())
                        .map(|(name, target)| (name.clone(), it.target(target)))
                        .collect(),
                }),
            },
        }
    }
}

impl OpenAi {
    fn target(&self, target: &Target) -> llm::settings::Target {
        llm::settings::Target {
            order: target.order,
            weight: target.weight,
            server: openai(&target.server, self.max_in_flight),
        }
    }
}

fn openai(it: &ModelServer, max_in_flight: usize) -> llm::settings::OpenAi {
    use llm::settings::OpenAi;
    // Both were looked at when they were read.
    let headers = it.headers.iter();
    let headers = headers.filter_map(|(name, value)| OpenAi::parse_header(name, value.expose()).ok());
    OpenAi {
        base_url: it.base_url.clone(),
        api_key: it.api_key.as_ref().and_then(|key| ApiKey::new(key.expose()).ok()),
        headers: headers.collect(),
        model: it.model.clone(),
        max_tokens: it.max_tokens,
        temperature: it.temperature,
        connect_timeout: it.connect_timeout,
        first_token_timeout: it.first_token_timeout,
        idle_timeout: it.idle_timeout,
        max_in_flight,
        max_answer: it.max_answer,
        price: llm::settings::Price {
            input: it.input_cost,
            output: it.output_cost,
        },
        health_interval: it.health_interval,
    }
}

impl From<&Budget> for llm::settings::Budget {
    fn from(it: &Budget) -> Self {
        use llm::settings::Per;
        let per = |per: &BudgetPer| match per {
            BudgetPer::Tenant => Per::Tenant,
            BudgetPer::Plugin => Per::Plugin,
            BudgetPer::Model => Per::Model,
        };
        llm::settings::Budget {
            per: it.per.iter().map(per).collect(),
            tokens: it.tokens,
            cost: it.cost,
            period: it.period,
            plugins: it.plugins.clone(),
            models: it.models.clone(),
        }
    }
}

impl From<&Http> for http::settings::Egress {
    fn from(it: &Http) -> Self {
        http::settings::Egress {
            allow_networks: it.allow_networks.clone(),
            connect_timeout: it.connect_timeout,
            timeout: it.timeout,
            idle_timeout: it.idle_timeout,
            max_in_flight: it.max_in_flight,
            max_request: it.max_request,
            max_response: it.max_response,
        }
    }
}

impl From<&KeyValue> for keyvalue::settings::KeyValue {
    fn from(it: &KeyValue) -> Self {
        keyvalue::settings::KeyValue {
            path: it.path.clone(),
            max_keys: it.max_keys,
            max_bytes: it.max_bytes,
        }
    }
}
