//! What a server answers.

use std::io;

use serde::de::DeserializeOwned;

use crate::{Error, Result, host};

/// The most that is read at once, unless told otherwise.
const MAX_BYTES: usize = 8 << 20;

/// An answer whose head has come; its body is read as it comes. Dropping it
/// closes the connection.
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: host::http::Body,
    limit: usize,
    /// What was taken from the body and not yet read as [`io::Read`].
    rest: Vec<u8>,
}

impl Response {
    pub(crate) fn new(incoming: host::http::Incoming) -> Self {
        Self {
            status: incoming.status,
            headers: incoming.headers,
            body: incoming.body,
            limit: MAX_BYTES,
            rest: Vec::new(),
        }
    }

    /// The status, such as 200.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers, in order. A value that is not UTF-8 has `�` in it.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of this name, however it is capitalised.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    /// Makes a failure of every status but 2xx: `upstream_rate_limited` of 429,
    /// `upstream_unavailable` of 5xx, `upstream_rejected` of the rest. The body
    /// may tell things that are no business of the client's, so its beginning is
    /// for the host's log.
    ///
    /// ```
    /// # use segue_sdk::{http, prelude::*, test::*};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// let error = http::get("https://api.example.com")?.successful().unwrap_err();
    /// assert_eq!(error.code(), Error::UPSTREAM_REJECTED);
    /// assert_eq!(error.detail(), Some("no such page"));
    /// # reply.send("") }
    /// # let api = FakeServer::answering(|_| Ok(FakeResponse::new(404).body("no such page")));
    /// # assert!(Call::text("").server("api.example.com", api).run(answer).result.is_ok());
    /// ```
    pub fn successful(mut self) -> Result<Self> {
        let (code, retryable) = match self.status {
            200..=299 => return Ok(self),
            429 => (Error::UPSTREAM_RATE_LIMITED, true),
            500.. => (Error::UPSTREAM_UNAVAILABLE, true),
            _ => (Error::UPSTREAM_REJECTED, false),
        };
        let error = Error::new(code, format!("a server answered with status {}", self.status));
        let error = if retryable { error.retryable() } else { error };
        let body = self.chunk()?.unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        Err(error.with_detail(body.chars().take(300).collect::<String>()))
    }

    /// The most bytes that [`bytes`](Self::bytes), [`text`](Self::text) and
    /// [`json`](Self::json) read. 8 MiB unless told; the plugin's memory is
    /// bounded too.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// The next piece of the body, `None` at its end. Waits for it.
    ///
    /// ```
    /// # use segue_sdk::{http, prelude::*, test::*};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// let mut answer = http::get("https://api.example.com/log")?;
    /// while let Some(piece) = answer.chunk()? {
    ///     reply.send(String::from_utf8_lossy(&piece))?;
    /// }
    /// # Ok(()) }
    /// # let api = FakeServer::answering(|_| Ok(FakeResponse::new(200).body("a").body("b")));
    /// # let run = Call::text("").server("api.example.com", api).run(answer);
    /// # assert_eq!(run.chunks(), ["a", "b"]);
    /// ```
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        self.body.chunk()
    }

    /// The body. Past the limit it is `upstream_failed`.
    pub fn bytes(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.chunk()? {
            if all.len() + piece.len() > self.limit {
                return Err(Error::new(
                    Error::UPSTREAM_FAILED,
                    format!("a server answered with more than {} bytes", self.limit),
                ));
            }
            all.extend(piece);
        }
        Ok(all)
    }

    /// The body as text; what is not UTF-8 becomes `�`.
    pub fn text(self) -> Result<String> {
        let bytes = self.bytes()?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The body, read as JSON. What is none is `upstream_failed`.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        serde_json::from_slice(&self.bytes()?).map_err(|error| {
            Error::new(
                Error::UPSTREAM_FAILED,
                "a server's answer was not what was asked for",
            )
            .with_detail(error.to_string())
        })
    }
}

/// The body; a failure tells its code in words.
impl io::Read for Response {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // An empty piece is no end.
        while self.rest.is_empty() {
            match self
                .body
                .chunk()
                .map_err(|error| io::Error::other(error.to_string()))?
            {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let read = io::Read::read(&mut self.rest.as_slice(), into)?;
        self.rest.drain(..read);
        Ok(read)
    }
}
