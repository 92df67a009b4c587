//! The catalogue of request errors.
//!
//! A request error ends one message, or answers one HTTP request; the
//! connection stays. Codes are stable: they may be added, never renamed. The
//! text that goes with a code is for people and may change.

use serde::Serialize;

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $status:literal, $retryable:literal;)+) => {
        /// The stable code of a request error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ErrorCode {
            /// The whole catalogue, in the order of the source.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// The code on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)+ }
            }

            /// The HTTP status that goes with the code.
            pub fn http_status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)+ }
            }

            /// Whether the same request may succeed later, unchanged.
            pub fn retryable(self) -> bool {
                match self { $(ErrorCode::$variant => $retryable,)+ }
            }

            /// What the code means, for documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => concat!($($doc, "\n"),+).trim_ascii(),)+ }
            }

            /// The code that is written so, if it is one of the catalogue.
            pub fn parse(code: &str) -> Option<ErrorCode> {
                match code { $($code => Some(ErrorCode::$variant),)+ _ => None }
            }
        }
    };
}

catalogue! {
    // What the client sent.
    /// The frame is not JSON, or not an object of a known `type`.
    InvalidFrame = "invalid_frame", 400, false;
    /// A field of the message is missing, of the wrong type or out of bounds.
    InvalidMessage = "invalid_message", 400, false;
    /// The frame or body is over `[server] max_frame`.
    TooLarge = "too_large", 413, false;
    /// The request's headers are over 64 KiB.
    HeadersTooLarge = "headers_too_large", 431, false;
    /// The request did not arrive whole in time.
    RequestTimeout = "request_timeout", 408, true;
    /// The body is not of a type that this path reads.
    UnsupportedMediaType = "unsupported_media_type", 415, false;
    /// There is nothing at this path.
    NotFound = "not_found", 404, false;
    /// The path is there, the method is not.
    MethodNotAllowed = "method_not_allowed", 405, false;
    /// The path wants a token, or the token is wrong.
    Unauthorized = "unauthorized", 401, false;
    /// The `Host` of the request is not one that this server answers to.
    ForbiddenHost = "forbidden_host", 403, false;
    /// The `Origin` of the request is not allowed.
    ForbiddenOrigin = "forbidden_origin", 403, false;
    /// The address of the client is one that this server does not serve.
    ForbiddenAddress = "forbidden_address", 403, false;
    /// No route matches the message's type and flags.
    NoRoute = "no_route", 404, false;
    /// The id was used before in this session, with other content.
    IdConflict = "id_conflict", 409, false;
    /// There is no such session, or it is not the caller's.
    SessionUnknown = "session_unknown", 404, false;
    /// There is no message of this id to cancel or to read, or it is finished.
    MessageUnknown = "message_unknown", 404, false;
    /// The message was answered, but the reply is no longer kept.
    ReplyExpired = "reply_expired", 410, false;

    // What the host cannot do now.
    /// The session's queue of waiting messages is full.
    SessionBusy = "session_busy", 429, true;
    /// The host holds as many sessions or connections as it may.
    ConnectionLimit = "connection_limit", 503, true;
    /// The client, or all of them together, asked more often than a limit allows.
    RateLimited = "rate_limited", 429, true;
    /// The tokens or the cost that an operator allows are used up for now.
    BudgetExceeded = "budget_exceeded", 429, true;
    /// What would answer has failed lately and is given time to recover.
    CircuitOpen = "circuit_open", 503, true;
    /// The host, or this handler, runs as many calls as it may.
    Overloaded = "overloaded", 503, true;
    /// The host is shutting down.
    Draining = "draining", 503, true;
    /// The route's handler is not loaded.
    HandlerUnavailable = "handler_unavailable", 503, true;
    /// Something failed inside the host.
    Internal = "internal", 500, true;

    // How a handler ended.
    /// The handler returned an error of its own; `handler_code` names it.
    HandlerFailed = "handler_failed", 502, false;
    /// The handler crashed.
    HandlerTrapped = "handler_trapped", 502, false;
    /// The handler's stack overflowed.
    StackExhausted = "stack_exhausted", 502, false;
    /// The handler wanted more memory than its limit.
    MemoryExceeded = "memory_exceeded", 502, false;
    /// The handler did not end before its deadline.
    DeadlineExceeded = "deadline_exceeded", 504, true;
    /// The reply reached its limit of bytes; what fitted was sent.
    ReplyTooLarge = "reply_too_large", 502, false;
    /// The reply reached its limit of chunks; what fitted was sent.
    TooManyChunks = "too_many_chunks", 502, false;
    /// The handler returned without a word.
    EmptyReply = "empty_reply", 502, false;
    /// The client cancelled the message.
    Cancelled = "cancelled", 499, false;
    /// The client of a raw endpoint left before the handler was done.
    ClientGone = "client_gone", 499, false;

    // What a capability answered its handler, which passed it on.
    /// The operator has not granted the handler what it asked for.
    CapabilityDenied = "capability_denied", 403, false;
    /// The database does not take the query: a syntax error, an unknown column.
    QueryInvalid = "query_invalid", 422, false;
    /// The query is not a read, or reaches for what queries may not reach.
    QueryForbidden = "query_forbidden", 403, false;
    /// The query took longer than its bound and was interrupted.
    QueryTimeout = "query_timeout", 504, true;
    /// A database, an index or a store cannot be opened or read now.
    StoreUnavailable = "store_unavailable", 503, true;
    /// Another call was faster: what was to be replaced is no longer the same.
    StateConflict = "state_conflict", 409, true;
    /// What the handler may keep is full.
    StateFull = "state_full", 507, false;
    /// The handler wanted the session's state, and a raw endpoint has none.
    NoSession = "no_session", 400, false;
    /// A server that the handler asked could not be reached, or failed.
    UpstreamUnavailable = "upstream_unavailable", 503, true;
    /// A server that the handler asked was silent for too long.
    UpstreamTimeout = "upstream_timeout", 504, true;
    /// A server that the handler asked wants to be asked less often.
    UpstreamRateLimited = "upstream_rate_limited", 503, true;
    /// A server that the handler asked did not take the request.
    UpstreamRejected = "upstream_rejected", 502, false;
    /// The answer of a server that the handler asked broke off or made no sense.
    UpstreamFailed = "upstream_failed", 502, true;
}

/// How the limit stands that a request ran into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitFacts {
    /// As the configuration names it.
    pub name: String,
    /// So many at once.
    pub limit: u32,
    pub remaining: u32,
    /// When all of them are there again.
    pub reset_ms: u64,
}

/// A request error, as it goes to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    pub code: ErrorCode,
    /// One sentence that says what is wrong and, where it can, the mend.
    pub message: String,
    /// Overrides the code's own verdict, where a handler knows better.
    pub retryable: bool,
    pub retry_after_ms: Option<u64>,
    /// The handler's own code, when `code` is `handler_failed`.
    pub handler_code: Option<String>,
    /// The state of the breaker that refused, when `code` is `circuit_open`.
    pub circuit_state: Option<&'static str>,
    /// The limit that is used up, when `code` is `rate_limited`.
    pub limit: Option<Box<LimitFacts>>,
}

impl RequestError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        RequestError {
            code,
            message: message.into(),
            retryable: code.retryable(),
            retry_after_ms: None,
            handler_code: None,
            circuit_state: (code == ErrorCode::CircuitOpen).then_some("open"),
            limit: None,
        }
    }

    /// The limit that is used up.
    #[must_use]
    pub fn limit(mut self, facts: LimitFacts) -> Self {
        self.limit = Some(Box::new(facts));
        self
    }

    /// When to come back.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for RequestError {}

/// The fields of an error in a frame or an HTTP body.
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a LimitFacts>,
}

impl RequestError {
    pub(crate) fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            code: self.code.as_str(),
            message: &self.message,
            retryable: self.retryable,
            retry_after_ms: self.retry_after_ms,
            handler_code: self.handler_code.as_deref(),
            circuit_state: self.circuit_state,
            limit: self.limit.as_deref(),
        }
    }
}

/// `{code, message, retryable, retry_after_ms?, handler_code?, circuit_state?, limit?}`
impl Serialize for RequestError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_read_back() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
            assert!((400..600).contains(&code.http_status()));
            assert!(!code.meaning().is_empty());
        }
        assert_eq!(ErrorCode::parse("no_such_code"), None);
    }
}
