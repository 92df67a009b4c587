//! Servers outside, for tests.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::Call;
use crate::http::Url;
use crate::{Error, Result};

type Answer = Rc<dyn Fn(&FakeRequest) -> Result<FakeResponse>>;

/// A server behind [`Call::server`]. A clone is the same one, so that a test can
/// ask afterwards what it was sent.
///
/// ```
/// use segue_sdk::{prelude::*, test::{FakeResponse, FakeServer}};
///
/// let api = FakeServer::answering(|request| match (request.method.as_str(), request.url.as_str()) {
///     ("GET", "https://api.example.com/slow") => Err(Error::new("upstream_timeout", "no answer")),
///     ("GET", _) => Ok(FakeResponse::new(200).json(&["tea"])),
///     _ => Ok(FakeResponse::new(405)),
/// });
/// # drop(api);
/// ```
#[derive(Clone)]
pub struct FakeServer {
    answer: Answer,
    requests: Rc<RefCell<Vec<FakeRequest>>>,
}

impl FakeServer {
    /// Makes each answer from the request.
    pub fn answering(answer: impl Fn(&FakeRequest) -> Result<FakeResponse> + 'static) -> Self {
        Self {
            answer: Rc::new(answer),
            requests: Rc::default(),
        }
    }

    /// What it was sent so far, in order.
    pub fn requests(&self) -> Vec<FakeRequest> {
        self.requests.borrow().clone()
    }
}

impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer")
            .field("requests", &self.requests.borrow().len())
            .finish_non_exhaustive()
    }
}

/// What a server was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeRequest {
    pub method: String,
    /// Without its fragment.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl FakeRequest {
    /// The first header of this name, however it is capitalised.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<Vec<u8>>,
    failure: Option<Error>,
}

impl FakeResponse {
    /// With this status and nothing else.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            failure: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a piece of the body, which arrives on its own.
    #[must_use]
    pub fn body(mut self, piece: impl Into<Vec<u8>>) -> Self {
        self.body.push(piece.into());
        self
    }

    /// Adds a piece of the body as JSON, under its content type.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.header("content-type", "application/json").body(body)
    }

    /// Has it fail after what was added so far.
    #[must_use]
    pub fn breaks(mut self, error: Error) -> Self {
        self.failure = Some(error);
        self
    }
}

impl Call {
    /// Grants `http = [scope]`, with this server behind all that the scope
    /// covers: `api.example.com` that host over https on its usual port,
    /// `*.example.com` what is below it, `http://localhost:9000` just that.
    #[must_use]
    pub fn server(mut self, scope: &str, server: FakeServer) -> Self {
        self.fake.servers.grant(scope, server);
        self
    }
}

/// Whether a grant covers where a request goes.
fn covers(scope: &str, url: &Url) -> bool {
    if scope.contains("://") {
        return Url::parse(scope).is_ok_and(|scope| scope.origin() == url.origin());
    }
    let name = url.authority.strip_suffix(":443").unwrap_or(&url.authority);
    url.https
        && match scope.strip_prefix('*') {
            Some(below) => name.ends_with(below) && name.len() > below.len(),
            None => name == scope,
        }
}

/// In the place of `wasi:http`, as [`crate::http`] speaks to it.
pub(crate) mod host {
    use std::collections::VecDeque;

    use super::super::fake::current;
    use super::{FakeRequest, FakeResponse, covers};
    use crate::http::{Outgoing, denied};
    use crate::{Error, Result};

    #[derive(Debug)]
    pub(crate) struct Pending(Result<FakeResponse>);

    #[derive(Debug)]
    pub(crate) struct Incoming {
        pub(crate) status: u16,
        pub(crate) headers: Vec<(String, String)>,
        pub(crate) body: Body,
    }

    #[derive(Debug)]
    pub(crate) struct Body {
        pieces: VecDeque<Vec<u8>>,
        failure: Option<Error>,
    }

    /// The time that a request gives its server is nothing to a server that
    /// answers at once.
    pub(crate) fn start(request: Outgoing) -> Result<Pending> {
        let _unused = request.timeout;
        let url = request.url;
        let server = current(|host| host.servers.find(|scope| covers(scope, &url)));
        let server = server.ok_or_else(|| denied(&url.origin()))?;
        let request = FakeRequest {
            method: request.method,
            url: url.origin() + &url.path_with_query,
            headers: request.headers,
            body: request.body,
        };
        server.requests.borrow_mut().push(request.clone());
        Ok(Pending((server.answer)(&request)))
    }

    impl Pending {
        pub(crate) fn wait(self) -> Result<Incoming> {
            let response = self.0?;
            Ok(Incoming {
                status: response.status,
                headers: response.headers,
                body: Body {
                    pieces: response.body.into(),
                    failure: response.failure,
                },
            })
        }
    }

    impl Body {
        pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
            match (self.pieces.pop_front(), self.failure.take()) {
                (Some(piece), failure) => {
                    self.failure = failure;
                    Ok(Some(piece))
                }
                (None, Some(failure)) => Err(failure),
                (None, None) => Ok(None),
            }
        }
    }
}
