//! An HTTP client of one listener, with a reader of server-sent events.

use std::net::SocketAddr;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::within;

/// Speaks to one listener, with a bearer token if there is one.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// A client that goes where it is told and nowhere else. The provider of TLS is
/// the program's to install, and in a test that is whoever comes first.
#[must_use]
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("an HTTP client")
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SseEvent {
    pub id: String,
    pub event: String,
    pub data: Value,
}

/// An answer read event by event. Dropping it leaves, as a client that closes
/// its browser does.
pub struct SseStream {
    response: Response,
    buffer: Vec<u8>,
}

impl Http {
    #[must_use]
    pub fn new(addr: SocketAddr, token: Option<String>) -> Self {
        Self {
            client: client(),
            base: format!("http://{addr}"),
            token,
        }
    }

    /// The same listener without a token.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// A request to be filled in and given to [`Http::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn send(&self, request: RequestBuilder) -> Response {
        within("an HTTP answer", request.send())
            .await
            .expect("an HTTP answer")
    }

    /// Status and body, the body as JSON where it is JSON, else as a string.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.send(self.request(Method::GET, path)).await;
        answer(response).await
    }

    /// The body of a `200`.
    ///
    /// # Panics
    /// On any other status.
    pub async fn get_ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self
            .request(Method::POST, path)
            .header("accept", "application/json")
            .json(body);
        answer(self.send(request).await).await
    }

    /// Posts a message and reads its answer as events.
    pub async fn stream(&self, body: &Value) -> SseStream {
        let request = self
            .request(Method::POST, "/v1/messages")
            .header("accept", "text/event-stream")
            .json(body);
        self.stream_request(request).await
    }

    pub async fn stream_request(&self, request: RequestBuilder) -> SseStream {
        let response = self.send(request).await;
        let status = response.status();
        if status != 200 {
            let (status, body) = answer(response).await;
            panic!("no stream but {status}: {body}");
        }
        let kind = response.headers()["content-type"]
            .to_str()
            .expect("a content type");
        assert!(kind.starts_with("text/event-stream"), "content-type: {kind}");
        SseStream {
            response,
            buffer: Vec::new(),
        }
    }

    /// The value of one sample of `/metrics`, named with its labels in the order
    /// they are written there; 0 when there is none.
    pub async fn metric(&self, sample: &str) -> f64 {
        let text = self.get_ok("/metrics").await;
        let text = text.as_str().expect("metrics are text");
        text.lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
            .map_or(0.0, |value| value.trim().parse().expect("a number"))
    }
}

/// Reads a whole answer.
async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = within("an HTTP body", response.text()).await.expect("a body");
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    (status, body)
}

impl SseStream {
    /// The next event, `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.take_event() {
                return Some(event);
            }
            let more = within("a server-sent event", self.response.chunk()).await;
            self.buffer.extend_from_slice(&more.expect("a readable stream")?);
        }
    }

    /// Every event up to the end of the stream.
    pub async fn collect(mut self) -> Vec<SseEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// Takes one block that ends in an empty line; comments are passed over.
    fn take_event(&mut self) -> Option<SseEvent> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("events in UTF-8");
            if let Some(event) = parse(&block) {
                return Some(event);
            }
        }
    }
}

fn parse(block: &str) -> Option<SseEvent> {
    let mut event = SseEvent::default();
    let mut data = String::new();
    for line in block.lines() {
        match line.split_once(':') {
            Some(("id", value)) => event.id = value.trim_start().to_owned(),
            Some(("event", value)) => event.event = value.trim_start().to_owned(),
            Some(("data", value)) => data.push_str(value.trim_start()),
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    event.data = serde_json::from_str(&data).expect("data in JSON");
    Some(event)
}
