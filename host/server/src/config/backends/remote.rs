//! Reads `[llm.NAME]` and `[http]`.

use segue_capabilities::llm::settings::Url;
use segue_capabilities::{http, llm};

use super::read::{Parsed, ms, seconds, wanted};
use super::{Http, Llm, OpenAi};
use crate::config::reader::{Shape, Table};
use crate::config::secret::Secret;
use crate::config::value::{
    self, Complaint, GIB, KIB, Value, amount, choice, count32, duration, fraction, size,
};

const MAX_NETWORKS: usize = 64;
const MAX_MODEL_BYTES: usize = 256;
const MAX_KEY_BYTES: usize = 4096;

/// The keys that only `provider = "openai"` has.
const OPENAI_KEYS: [&str; 10] = [
    "base_url",
    "api_key",
    "model",
    "max_tokens",
    "temperature",
    "connect_timeout",
    "first_token_timeout",
    "idle_timeout",
    "max_in_flight",
    "max_answer",
];

#[derive(Clone, Copy)]
enum Provider {
    Offline,
    OpenAi,
}

pub(super) fn model(t: &Table<'_, '_>) -> Option<Llm> {
    t.hide("api_key");
    t.hide_unless("base_url", |url| !url.contains('@'));
    let providers = choice(&[("offline", Provider::Offline), ("openai", Provider::OpenAi)]);
    let mend = "write provider = \"openai\", or \"offline\" to do without a model";
    match wanted(t, "provider", mend, providers) {
        Some(Provider::OpenAi) => openai(t).map(|it| Llm::OpenAi(Box::new(it))),
        provider => {
            OPENAI_KEYS.iter().for_each(|key| t.ignore(key, Shape::Scalar));
            provider.map(|_| Llm::Offline)
        }
    }
}

fn openai(t: &Table<'_, '_>) -> Option<OpenAi> {
    use llm::settings::OpenAi as Usual;
    let waits = ms(10)..=seconds(3600);
    let resolve = value::secret(t.reader.base, t.reader.overrides);
    let base_url = wanted(t, "base_url", "write base_url = \"https://HOST/v1\"", base_url);
    let name = wanted(
        t,
        "model",
        "write model = \"NAME\", as the server calls it",
        |value| {
            let found = value::text(value)?;
            match found.len() <= MAX_MODEL_BYTES {
                true => Ok(found),
                false => Err(Complaint::new(
                    "out_of_range",
                    format!("is {} bytes long", found.len()),
                    format!("give at most {MAX_MODEL_BYTES} bytes"),
                )),
            }
        },
    );
    let api_key = t.read("api_key", |value| api_key(resolve(value)?));
    let max_tokens = t.read("max_tokens", count32(1..=10_000_000));
    let temperature = t.read("temperature", fraction(0.0..=2.0));
    let connect_timeout = duration(ms(10)..=seconds(300));
    let connect_timeout = t.or("connect_timeout", Usual::CONNECT_TIMEOUT, connect_timeout);
    let first_token_timeout = t.or(
        "first_token_timeout",
        Usual::FIRST_TOKEN_TIMEOUT,
        duration(waits.clone()),
    );
    let idle_timeout = t.or("idle_timeout", Usual::IDLE_TIMEOUT, duration(waits));
    let max_in_flight = t.or("max_in_flight", Usual::MAX_IN_FLIGHT, amount(1..=100_000));
    let max_answer = t.or("max_answer", Usual::MAX_ANSWER, size(KIB..=GIB));
    Some(OpenAi {
        base_url: base_url?,
        api_key,
        model: name?,
        max_tokens,
        temperature,
        connect_timeout,
        first_token_timeout,
        idle_timeout,
        max_in_flight,
        max_answer,
    })
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
    llm::settings::OpenAi::parse_base_url(&found).map_err(|reason| {
        let example = "write scheme, host and path, such as https://llm.example.com/v1";
        let (what, mend) = reason.rsplit_once(": ").unwrap_or((&reason, example));
        Complaint::new("bad_url", format!("cannot be used: {what}"), mend)
    })
}

fn api_key(key: Secret) -> Parsed<Secret> {
    match llm::settings::ApiKey::new(key.expose()) {
        Ok(_) if key.expose().len() <= MAX_KEY_BYTES => Ok(key),
        _ => Err(Complaint::new(
            "bad_key",
            format!("must be 1 to {MAX_KEY_BYTES} visible ASCII characters without spaces"),
            "give the key as the model's server issued it",
        )),
    }
}

pub(super) fn egress(root: &Table<'_, '_>) -> Http {
    let t = root.table("http");
    let usual = http::settings::Egress::default();
    let waits = ms(10)..=seconds(3600);
    let networks = t.list("allow_networks", MAX_NETWORKS, value::network);
    let egress = Http {
        allow_networks: networks.into_iter().map(|(network, _)| network).collect(),
        connect_timeout: t.or(
            "connect_timeout",
            usual.connect_timeout,
            duration(ms(10)..=seconds(300)),
        ),
        timeout: t.or("timeout", usual.timeout, duration(waits.clone())),
        idle_timeout: t.or("idle_timeout", usual.idle_timeout, duration(waits)),
        max_in_flight: t.or("max_in_flight", usual.max_in_flight, amount(1..=100_000)),
        max_request: t.or("max_request", usual.max_request, size(KIB..=GIB)),
        max_response: t.or("max_response", usual.max_response, size(KIB..=16 * GIB)),
    };
    t.finish();
    egress
}
