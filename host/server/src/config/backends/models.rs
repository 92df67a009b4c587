//! Reads `[llm.NAME]` and `[llm.NAME.targets.TARGET]`.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_capabilities::llm::settings::{ApiKey, OpenAi as Usual, Url};

use super::read::{Parsed, ms, seconds, wanted};
use super::{Llm, ModelServer, OpenAi, Target};
use crate::config::reader::{Shape, Table};
use crate::config::secret::Secret;
use crate::config::sections::is_name;
use crate::config::value::{
    self, Complaint, GIB, KIB, Value, amount, choice, count32, decimal, duration, flag, fraction, size,
};

const MAX_MODEL_BYTES: usize = 256;
const MAX_KEY_BYTES: usize = 4096;
const MAX_TARGETS: usize = 16;
const MAX_HEADERS: usize = 16;

/// The keys of a server.
const SERVER_KEYS: [&str; 12] = [
    "base_url",
    "api_key",
    "model",
    "max_tokens",
    "temperature",
    "connect_timeout",
    "first_token_timeout",
    "idle_timeout",
    "max_answer",
    "health_interval",
    "input_cost",
    "output_cost",
];

#[derive(Clone, Copy)]
enum Provider {
    Offline,
    OpenAi,
}

pub(super) fn model(t: &Table<'_, '_>) -> Option<Llm> {
    hide(t);
    let providers = choice(&[("offline", Provider::Offline), ("openai", Provider::OpenAi)]);
    let mend = "write provider = \"openai\", or \"offline\" to do without a model";
    match wanted(t, "provider", mend, providers) {
        Some(Provider::OpenAi) => openai(t).map(|it| Llm::OpenAi(Box::new(it))),
        provider => {
            pass_over(t);
            provider.map(|_| Llm::Offline)
        }
    }
}

/// What must never be quoted.
fn hide(t: &Table<'_, '_>) {
    t.hide("api_key");
    t.hide("headers");
    t.hide_unless("base_url", |url| !url.contains('@'));
}

/// The keys that only `provider = "openai"` has.
fn pass_over(t: &Table<'_, '_>) {
    SERVER_KEYS.iter().for_each(|key| t.ignore(key, Shape::Scalar));
    ["max_in_flight", "cache", "cache_varied"]
        .iter()
        .for_each(|key| t.ignore(key, Shape::Scalar));
    t.ignore("headers", Shape::Table);
    let targets = t.table("targets");
    for (name, _) in targets.keys() {
        if targets.is_table(&name) {
            let target = targets.table(&name);
            hide(&target);
            let keys = SERVER_KEYS.iter().chain(&["order", "weight"]);
            keys.for_each(|key| target.ignore(key, Shape::Scalar));
            target.ignore("headers", Shape::Table);
        }
    }
}

fn openai(t: &Table<'_, '_>) -> Option<OpenAi> {
    let has_targets = t.is_table("targets");
    let own = Said::read(t, !has_targets);
    let max_in_flight = t.or("max_in_flight", Usual::MAX_IN_FLIGHT, amount(1..=100_000));
    let cache = t.read("cache", value::text);
    let cache_varied = t.or("cache_varied", false, flag);
    let targets = t.table("targets");
    if !has_targets {
        return Some(OpenAi {
            max_in_flight,
            cache,
            cache_varied,
            server: Some(own.server()?),
            targets: BTreeMap::new(),
        });
    }
    if own.base_url.is_none() && own.api_key.is_some() {
        let path = t.path_of("api_key");
        let place = t.reader.place_of(&path).unwrap_or_else(|| t.place.clone());
        let complaint = Complaint::new(
            "contradiction",
            "is for no server: there is no `base_url` beside it",
            "write it into the target whose key it is",
        );
        t.reader.fault(place, &path, complaint);
    }
    let read = read_targets(&targets, &own);
    if targets.keys().is_empty() {
        let mend = format!("add [{}.NAME], or remove it", targets.path);
        let complaint = Complaint::new("missing_key", "has no target", mend);
        t.reader.fault(targets.place.clone(), &targets.path, complaint);
    }
    Some(OpenAi {
        max_in_flight,
        cache,
        cache_varied,
        server: None,
        targets: read,
    })
}

fn read_targets(group: &Table<'_, '_>, usual: &Said) -> BTreeMap<String, Target> {
    let mut all = BTreeMap::new();
    for (at, (name, place)) in group.keys().into_iter().enumerate() {
        let path = group.path_of(&name);
        let complain = |complaint| group.reader.fault(place.clone(), &path, complaint);
        if !group.is_table(&name) {
            group.pass_over(&name);
            complain(Complaint::new(
                "wrong_type",
                "stands among the targets, which are tables",
                format!("give the target a name of your choice: [{}.NAME]", group.path),
            ));
            continue;
        }
        if !is_name(&name) {
            group.pass_over(&name);
            complain(Complaint::new(
                "bad_name",
                "is no name",
                "write lower-case letters, digits, - and _, at most 64, such as east",
            ));
            continue;
        }
        if at == MAX_TARGETS {
            let message = format!("is one too many: a model has at most {MAX_TARGETS} targets");
            complain(Complaint::new("out_of_range", message, "remove some"));
        }
        let t = group.table(&name);
        hide(&t);
        let order = t.or("order", 1, count32(1..=100));
        let weight = t.or("weight", 1, count32(1..=1000));
        let own = Said::read(&t, false).over(usual);
        let missing = |key: &str, mend: &str| {
            let complaint = Complaint::new("missing_key", format!("has no `{key}`"), mend);
            t.reader.fault(t.place.clone(), &t.path, complaint);
        };
        if own.base_url.is_none() && !t.has("base_url") {
            missing("base_url", BASE_URL);
        }
        if own.model.is_none() && !t.has("model") {
            missing("model", MODEL);
        }
        t.finish();
        if let Some(server) = own.server() {
            all.insert(
                name,
                Target {
                    order,
                    weight,
                    server,
                },
            );
        }
    }
    group.finish();
    all
}

const BASE_URL: &str = "write base_url = \"https://HOST/v1\"";
const MODEL: &str = "write model = \"NAME\", as the server calls it";

/// What one table says of a server.
struct Said {
    base_url: Option<Url>,
    api_key: Option<Secret>,
    headers: BTreeMap<String, Secret>,
    model: Option<String>,
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    connect_timeout: Option<Duration>,
    first_token_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_answer: Option<u64>,
    health_interval: Option<Duration>,
    input_cost: Option<f64>,
    output_cost: Option<f64>,
}

impl Said {
    /// `whole`: there is nobody else to say what has no default.
    fn read(t: &Table<'_, '_>, whole: bool) -> Said {
        let waits = ms(10)..=seconds(3600);
        let resolve = value::secret(t.reader.base, t.reader.overrides);
        Said {
            base_url: match whole {
                true => wanted(t, "base_url", BASE_URL, base_url),
                false => t.read("base_url", base_url),
            },
            model: match whole {
                true => wanted(t, "model", MODEL, model_name),
                false => t.read("model", model_name),
            },
            api_key: t.read("api_key", |value| api_key(resolve(value)?)),
            headers: headers(&t.table("headers")),
            max_tokens: t.read("max_tokens", count32(1..=10_000_000)),
            temperature: t.read("temperature", fraction(0.0..=2.0)),
            connect_timeout: t.read("connect_timeout", duration(ms(10)..=seconds(300))),
            first_token_timeout: t.read("first_token_timeout", duration(waits.clone())),
            idle_timeout: t.read("idle_timeout", duration(waits)),
            max_answer: t.read("max_answer", size(KIB..=GIB)),
            health_interval: t.read("health_interval", duration(ms(100)..=seconds(3600))),
            input_cost: t.read("input_cost", decimal(0.0..=1e6)),
            output_cost: t.read("output_cost", decimal(0.0..=1e6)),
        }
    }

    /// With what `usual` says where this says nothing. A key belongs to the server
    /// that it was issued by.
    fn over(self, usual: &Said) -> Said {
        let same_server = self.base_url.is_none();
        Said {
            api_key: self
                .api_key
                .or_else(|| usual.api_key.clone().filter(|_| same_server)),
            headers: match same_server {
                true => {
                    let mut all = usual.headers.clone();
                    all.extend(self.headers);
                    all
                }
                false => self.headers,
            },
            base_url: self.base_url.or_else(|| usual.base_url.clone()),
            model: self.model.or_else(|| usual.model.clone()),
            max_tokens: self.max_tokens.or(usual.max_tokens),
            temperature: self.temperature.or(usual.temperature),
            connect_timeout: self.connect_timeout.or(usual.connect_timeout),
            first_token_timeout: self.first_token_timeout.or(usual.first_token_timeout),
            idle_timeout: self.idle_timeout.or(usual.idle_timeout),
            max_answer: self.max_answer.or(usual.max_answer),
            health_interval: self.health_interval.or(usual.health_interval),
            input_cost: self.input_cost.or(usual.input_cost),
            output_cost: self.output_cost.or(usual.output_cost),
        }
    }

    fn server(self) -> Option<ModelServer> {
        Some(ModelServer {
            base_url: self.base_url?,
            api_key: self.api_key,
            headers: self.headers,
            model: self.model?,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            connect_timeout: self.connect_timeout.unwrap_or(Usual::CONNECT_TIMEOUT),
            first_token_timeout: self.first_token_timeout.unwrap_or(Usual::FIRST_TOKEN_TIMEOUT),
            idle_timeout: self.idle_timeout.unwrap_or(Usual::IDLE_TIMEOUT),
            max_answer: self.max_answer.unwrap_or(Usual::MAX_ANSWER),
            health_interval: self.health_interval,
            input_cost: self.input_cost.unwrap_or_default(),
            output_cost: self.output_cost.unwrap_or_default(),
        })
    }
}

fn model_name(value: &Value<'_>) -> Parsed<String> {
    let found = value::text(value)?;
    match found.len() <= MAX_MODEL_BYTES {
        true => Ok(found),
        false => Err(Complaint::new(
            "out_of_range",
            format!("is {} bytes long", found.len()),
            format!("give at most {MAX_MODEL_BYTES} bytes"),
        )),
    }
}

/// By name; a value may stand in the file, but is shown nowhere.
fn headers(t: &Table<'_, '_>) -> BTreeMap<String, Secret> {
    let resolve = value::secret(t.reader.base, t.reader.overrides);
    let mut all = BTreeMap::new();
    for (at, (name, place)) in t.keys().into_iter().enumerate() {
        t.hide(&name);
        if at == MAX_HEADERS {
            let message = format!("is one too many: at most {MAX_HEADERS} headers");
            let complaint = Complaint::new("out_of_range", message, "remove some");
            t.reader.fault(place, &t.path_of(&name), complaint);
        }
        let header = t.read(&name, |value| {
            let found = value::text(value)?;
            let secret = match found.starts_with("env:") || found.starts_with("file:") {
                true => resolve(value)?,
                false => Secret::new("in the file", found),
            };
            match Usual::parse_header(&name, secret.expose()) {
                Ok((name, _)) => Ok((name.as_str().to_owned(), secret)),
                Err(reason) => {
                    let (what, mend) = reason.split_once(": ").unwrap_or((reason, "leave it out"));
                    Err(Complaint::new(
                        "bad_header",
                        format!("cannot be sent: {what}"),
                        mend,
                    ))
                }
            }
        });
        all.extend(header);
    }
    t.finish();
    all
}

fn base_url(value: &Value<'_>) -> Parsed<Url> {
    let found = value::text(value)?;
    if found.contains('@') {
        return Err(Complaint::new(
            "plain_secret",
            "has a user or a password in it, which must not stand in the file",
            "leave them out, and give the key as api_key = \"env:NAME\"",
        ));
    }
    Usual::parse_base_url(&found).map_err(|reason| {
        let example = "write scheme, host and path, such as https://llm.example.com/v1";
        let (what, mend) = reason.rsplit_once(": ").unwrap_or((&reason, example));
        Complaint::new("bad_url", format!("cannot be used: {what}"), mend)
    })
}

fn api_key(key: Secret) -> Parsed<Secret> {
    match ApiKey::new(key.expose()) {
        Ok(_) if key.expose().len() <= MAX_KEY_BYTES => Ok(key),
        _ => Err(Complaint::new(
            "bad_key",
            format!("must be 1 to {MAX_KEY_BYTES} visible ASCII characters without spaces"),
            "give the key as the model's server issued it",
        )),
    }
}
