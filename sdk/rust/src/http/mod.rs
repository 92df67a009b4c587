//! Asks servers outside, where the operator granted it
//! (`[grants] http = ["api.example.com"]` in the plugin's own `.toml`; a name
//! alone is that host over https on its usual port, an origin such as
//! `"http://localhost:9000"` is just that).
//!
//! ```
//! use segue_sdk::{http, prelude::*};
//!
//! fn weather(message: Message, reply: &mut Reply) -> Result<()> {
//!     let answer: serde_json::Value = http::Request::get("https://api.example.com/weather")
//!         .query("city", message.text())
//!         .send()?
//!         .successful()?
//!         .json()?;
//!     reply.send(format!("{} degrees", answer["temperature"]))
//! }
//!
//! use segue_sdk::test::{Call, FakeResponse, FakeServer};
//!
//! let api = FakeServer::answering(|request| {
//!     assert_eq!(request.url, "https://api.example.com/weather?city=S%C3%A3o%20Paulo");
//!     Ok(FakeResponse::new(200).body(r#"{ "temperature": 23 }"#))
//! });
//! let run = Call::text("São Paulo").server("api.example.com", api).run(weather);
//! assert_eq!(run.text(), "23 degrees");
//! ```
//!
//! Nothing is followed, retried or kept: a redirect is an answer like any other,
//! and there are no cookies.
//!
//! Error codes: `capability_denied`; `upstream_unavailable` (no such name,
//! refused, no TLS), `upstream_timeout`, `upstream_failed` (cut off, senseless,
//! larger than allowed); `overloaded`; `invalid_argument` (the URL or a header).

mod response;
mod url;
#[cfg(target_family = "wasm")]
pub(crate) mod wasi;

use std::time::Duration;

use serde::Serialize;

use crate::{Error, Result, host};
pub use response::Response;
pub(crate) use url::Url;
#[cfg(not(target_family = "wasm"))]
pub(crate) use url::encode;

/// Gets what is at `url`, and waits for the answer's head.
pub fn get(url: &str) -> Result<Response> {
    Request::get(url).send()
}

/// A request in the making. What is wrong with it is told when it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Result<Vec<u8>>,
    timeout: Option<Duration>,
}

/// A request whose parts are sound, as the host takes it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: String,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Option<Duration>,
}

impl Request {
    /// With a method such as `PATCH`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Ok(Vec::new()),
            timeout: None,
        }
    }

    /// `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// `PUT`.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// `DELETE`.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header; one that is added twice is sent twice.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds `name=value` to the URL's query, encoded as a URL wants it.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        url::add_query(&mut self.url, name, value.as_ref());
        self
    }

    /// What is sent along.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(body.into());
        self
    }

    /// What is sent along, as JSON under its content type.
    ///
    /// ```
    /// # use segue_sdk::{http, prelude::*, test::*};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// let answer = http::Request::post("https://api.example.com/orders")
    ///     .header("authorization", "Bearer 1234")
    ///     .json(&serde_json::json!({ "product": 7 }))
    ///     .send()?;
    /// # assert_eq!(answer.status(), 201); reply.send("ordered") }
    /// # let api = FakeServer::answering(|request| {
    /// #     assert_eq!(request.header("content-type"), Some("application/json"));
    /// #     assert_eq!(request.body, br#"{"product":7}"#);
    /// #     Ok(FakeResponse::new(201))
    /// # });
    /// # assert!(Call::text("").server("api.example.com", api).run(answer).result.is_ok());
    /// ```
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        self.body = serde_json::to_vec(body).map_err(Error::from);
        self.header("content-type", "application/json")
    }

    /// How long the server may take to begin its answer, and to go on with it.
    /// The operator's bounds hold all the same.
    #[must_use]
    pub fn timeout(mut self, wait: Duration) -> Self {
        self.timeout = Some(wait);
        self
    }

    /// Sends it and waits for the answer's head. A status of 4xx or 5xx is no
    /// failure here: see [`Response::successful`].
    pub fn send(self) -> Result<Response> {
        self.start()?.wait()
    }

    /// Sends it and does not wait, so that several run together.
    ///
    /// ```
    /// # use segue_sdk::{http, prelude::*, test::*};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// let one = http::Request::get("https://api.example.com/1").start()?;
    /// let two = http::Request::get("https://api.example.com/2").start()?;
    /// reply.send(one.wait()?.text()?)?;
    /// reply.send(two.wait()?.text()?)
    /// # }
    /// # let api = FakeServer::answering(|request| Ok(FakeResponse::new(200).body(request.url.clone())));
    /// # let run = Call::text("").server("api.example.com", api).run(answer);
    /// # assert_eq!(run.chunks().len(), 2);
    /// ```
    pub fn start(self) -> Result<Pending> {
        let outgoing = Outgoing {
            method: self.method,
            url: Url::parse(&self.url)?,
            headers: self.headers,
            body: self.body?,
            timeout: self.timeout,
        };
        let inner = host::http::start(outgoing)?;
        Ok(Pending { inner })
    }
}

/// A request that was sent; dropping it gives it up.
#[derive(Debug)]
pub struct Pending {
    inner: host::http::Pending,
}

impl Pending {
    /// Waits for the answer's head.
    pub fn wait(self) -> Result<Response> {
        self.inner.wait().map(Response::new)
    }
}

/// The refusal of an origin, with the line that would allow it.
pub(crate) fn denied(origin: &str) -> Error {
    let name = origin.strip_prefix("https://").unwrap_or(origin);
    Error::new(
        Error::CAPABILITY_DENIED,
        format!(
            "http is not granted to this plugin for `{origin}`: add http = [\"{name}\"] to [grants] in its .toml"
        ),
    )
}
