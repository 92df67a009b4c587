//! What an operator decides about one language model: `[llm.NAME]`.
//!
//! Guarantees: an [`ApiKey`] is printed by nothing, and an address that parses
//! here is one that a request can be sent to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
pub use url::Url;

use super::openai::Usage;

/// `[llm.NAME]`, by its `provider`.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are a handful in a host")]
pub enum Model {
    /// No model: answers are put together from the material alone.
    Offline,
    /// Any server that speaks OpenAI's chat completions.
    OpenAi(OpenAi),
    /// Several of them that stand for one model, by name.
    Targets(Targets),
}

/// The servers of one model. Those of the lowest `order` that work are asked, each
/// as often as its `weight` says; the next ones where none of these works.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// As [`OpenAi::max_in_flight`], over all of them together.
    pub max_in_flight: usize,
    /// At least one.
    pub targets: BTreeMap<String, Target>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub order: u32,
    /// At least 1.
    pub weight: u32,
    pub server: OpenAi,
}

/// What a million tokens cost, in the operator's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    pub input: f64,
    pub output: f64,
}

impl Price {
    pub(super) fn of(self, usage: Usage) -> f64 {
        let million = 1e6;
        (usage.input_tokens as f64 * self.input + usage.output_tokens as f64 * self.output) / million
    }
}

/// Who has an account of his own in a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Without authentication there is one.
    Tenant,
    Plugin,
    Model,
}

/// `[budget.NAME]`: what may be spent on models.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Empty: one account for all.
    pub per: Vec<Per>,
    pub tokens: Option<u64>,
    /// As [`Price`] has it.
    pub cost: Option<f64>,
    pub period: Duration,
    /// Whose questions are counted. Empty: everybody's.
    pub plugins: Vec<String>,
    /// Questions to which are counted. Empty: to any.
    pub models: Vec<String>,
}

/// `provider = "openai"`. Already validated: no bound is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenAi {
    /// What `/chat/completions` is added to, as [`OpenAi::parse_base_url`] makes
    /// it: `https://llm.example.com/v1`.
    pub base_url: Url,
    /// Sent as a bearer token. Servers of one's own often want none.
    pub api_key: Option<ApiKey>,
    /// Sent with every request; nothing prints their values. Without those that
    /// belong to HTTP itself, which [`OpenAi::parse_header`] does not take.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The model's name as the server knows it.
    pub model: String,
    /// The longest answer, in the model's tokens. A plugin may ask for less, not
    /// for more. Without it, what the plugin or the server says.
    pub max_tokens: Option<u32>,
    /// Where the plugin gives none. Without it, the server's own.
    pub temperature: Option<f32>,
    /// For the whole of resolving, connecting and the TLS handshake.
    pub connect_timeout: Duration,
    /// From the start of the request to the first event of the answer.
    pub first_token_timeout: Duration,
    /// The longest silence after that, while somebody waits.
    pub idle_timeout: Duration,
    /// Completions that may be under way at once, over all plugins, and half as
    /// many of one plugin (at least one); those that were handed over count. One
    /// more is `overloaded`.
    pub max_in_flight: usize,
    /// The longest answer, in bytes; a longer one fails.
    pub max_answer: u64,
    /// What its tokens cost.
    pub price: Price,
    /// How often it is looked whether the server is there. Without it, only by
    /// asking for answers.
    pub health_interval: Option<Duration>,
}

impl OpenAi {
    /// The default of `connect_timeout`.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// The default of `first_token_timeout`.
    pub const FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
    /// The default of `idle_timeout`.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
    /// The default of `max_in_flight`.
    pub const MAX_IN_FLIGHT: usize = 256;
    /// The default of `max_answer`.
    pub const MAX_ANSWER: u64 = 1 << 20;

    /// The defaults, for the model that the server at `base_url` calls `model`.
    pub fn at(base_url: Url, model: impl Into<String>) -> OpenAi {
        OpenAi {
            base_url,
            api_key: None,
            headers: Vec::new(),
            model: model.into(),
            max_tokens: None,
            temperature: None,
            connect_timeout: OpenAi::CONNECT_TIMEOUT,
            first_token_timeout: OpenAi::FIRST_TOKEN_TIMEOUT,
            idle_timeout: OpenAi::IDLE_TIMEOUT,
            max_in_flight: OpenAi::MAX_IN_FLIGHT,
            max_answer: OpenAi::MAX_ANSWER,
            price: Price::default(),
            health_interval: None,
        }
    }

    /// Reads a `base_url`: `http` or `https` with a host, without credentials,
    /// query or fragment. The error says what is wrong and what mends it.
    pub fn parse_base_url(text: &str) -> Result<Url, String> {
        let example = "such as https://llm.example.com/v1";
        let url = Url::parse(text).map_err(|error| format!("it is no URL ({error}): write one {example}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(format!(
                "`{scheme}:` is not spoken here: write an http or https URL {example}"
            ));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!("it names no host: write a URL {example}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(String::from(
                "it carries a name or a password: give the key as `api_key`",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "it has a `?` or a `#`: write only what stands before it, {example}"
            ));
        }
        Ok(url)
    }
}

/// Headers that the host writes itself.
const OWN_HEADERS: [HeaderName; 10] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl OpenAi {
    /// A header to send. The error says what is wrong and what mends it, without
    /// the value.
    pub fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "it is no header's name: write letters, digits and -")?;
        if name == header::AUTHORIZATION {
            return Err("the host writes it from the key: give the key as `api_key`");
        }
        if OWN_HEADERS.contains(&name) {
            return Err("the host writes it itself: leave it out");
        }
        let value = value.trim();
        let is_text = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let value = HeaderValue::from_str(value)
            .ok()
            .filter(|_| is_text && !value.is_empty());
        let mut value = value.ok_or("its value is no line of visible ASCII characters: write it so")?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

/// A key that nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key that can stand in an HTTP header. The error says what is
    /// wrong, without the key.
    pub fn new(key: impl Into<String>) -> Result<ApiKey, &'static str> {
        let key = key.into();
        if key.is_empty() {
            return Err("the key is empty: leave `api_key` out where the server wants none");
        }
        match key.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(ApiKey(key)),
            false => {
                Err("the key has spaces, line breaks or other characters that no key has: copy it again")
            }
        }
    }

    /// `Bearer KEY`, marked so that it is not printed either.
    pub(super) fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The key itself, to look for it in what a server says.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_key() {
        let mut model = OpenAi::at(OpenAi::parse_base_url("http://localhost/v1").unwrap(), "m");
        model.api_key = Some(ApiKey::new("sk-123").unwrap());
        model.headers = vec![OpenAi::parse_header("X-Key", "key-123").unwrap()];
        let printed = format!(
            "{:?} {:?}",
            Model::OpenAi(model.clone()),
            model.api_key.unwrap().bearer()
        );
        assert!(!printed.contains("123"), "{printed}");
        assert!(ApiKey::new("").is_err() && ApiKey::new("a\nb").is_err() && ApiKey::new("ä").is_err());
    }

    #[test]
    fn a_base_url_is_one_that_requests_can_be_sent_to() {
        for good in [
            "https://llm.example.com/v1",
            "http://127.0.0.1:8080",
            "http://[::1]:1/v1/",
        ] {
            assert!(OpenAi::parse_base_url(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("llm.example.com/v1", "no URL"),
            ("ftp://example.com", "`ftp:`"),
            ("https://me:secret@example.com/v1", "api_key"),
            ("https://example.com/v1?key=1", "`?`"),
            ("https://", "no URL"),
        ] {
            let fault = OpenAi::parse_base_url(bad).unwrap_err();
            assert!(fault.contains(why) && !fault.contains("secret"), "{bad}: {fault}");
        }
    }

    #[test]
    fn a_header_is_one_that_the_host_does_not_write_itself() {
        let (name, value) = OpenAi::parse_header("X-Team", " search ").unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-team", &b"search"[..]));
        for (name, value, why) in [
            ("X Team", "a", "no header's name"),
            ("authorization", "Bearer a", "`api_key`"),
            ("Content-Length", "5", "leave it out"),
            ("X-Team", "a\r\nX-Other: b", "no line"),
            ("X-Team", "ä", "ASCII"),
            ("X-Team", " ", "ASCII"),
        ] {
            let fault = OpenAi::parse_header(name, value).unwrap_err();
            assert!(fault.contains(why), "{name}: {fault}");
        }
    }
}
