//! What an answer says of its origin, and which requests may be sent again.
//!
//! | the answer | says | sent again, if it may be |
//! |---|---|---|
//! | 502, 503, 504 | the origin failed | yes, not before its `Retry-After` |
//! | 429 | the origin has had enough | the same |
//! | any other 5xx | the origin failed | no |
//! | anything else | the origin works | no |
//! | none: no name, connection, TLS; cut off, silent | the origin failed | yes |
//! | none: refused on this side, or given up by the plugin | nothing | no |
//!
//! A request may be sent again if its method changes nothing (RFC 9110, 9.2.1)
//! and it has no body.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use segue_resilience::{Judged, Refused, Repeat, Verdict};

use super::body::{Received, RequestBody};
use super::failure::Failure;

/// A request that may be sent again: its head.
pub(super) struct Again(http::request::Parts);

pub(super) fn again(request: &Request<RequestBody>) -> Option<Again> {
    let harmless = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let bodiless = request.body().size_hint().exact() == Some(0);
    (harmless && bodiless).then(|| {
        let mut copy = Request::new(());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        Again(copy.into_parts().0)
    })
}

impl Again {
    pub(super) fn request(&self) -> Request<RequestBody> {
        let empty = Empty::<Bytes>::new().map_err(|never| match never {});
        Request::from_parts(self.0.clone(), empty.boxed_unsync())
    }
}

/// An attempt that the origin did not come through well.
pub(super) enum Ended {
    Failed(Failure),
    /// An answer all the same, for the plugin if it is the last.
    Answered(Box<Response<Received>>),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Ended {
        Ended::Failed(failure)
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Ended {
        Ended::Failed(match refused {
            Refused::Open { retry_after } => Failure::LeftAlone(retry_after),
            Refused::Full => Failure::Waiting,
            Refused::TooLate | Refused::TimedOut { .. } => Failure::ReadTimeout,
        })
    }
}

/// Tells answers that speak against the origin from those that do not.
pub(super) fn judged(answer: Result<Response<Received>, Failure>) -> Result<Response<Received>, Ended> {
    let answer = answer?;
    match verdict(answer.status(), answer.headers()) {
        Verdict::Success => Ok(answer),
        _ => Err(Ended::Answered(Box::new(answer))),
    }
}

impl Judged for Ended {
    fn verdict(&self) -> Verdict {
        match self {
            Ended::Failed(failure) => failure.verdict(),
            Ended::Answered(answer) => verdict(answer.status(), answer.headers()),
        }
    }
}

fn verdict(status: StatusCode, headers: &HeaderMap) -> Verdict {
    let named = retry_after(headers);
    let repeat = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            named.map_or(Repeat::Soon, Repeat::After)
        }
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Repeat::Soon,
        status if status.is_server_error() => Repeat::Never,
        _ => return Verdict::Success,
    };
    Verdict::Failure { repeat }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(
        date.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

impl Judged for Failure {
    fn verdict(&self) -> Verdict {
        match self {
            Failure::Uri(_)
            | Failure::Method(_)
            | Failure::Busy(_)
            | Failure::PluginBusy(_)
            | Failure::CallBusy(_)
            | Failure::LeftAlone(_)
            | Failure::Waiting
            | Failure::Prohibited(_)
            | Failure::NoTls(_)
            | Failure::WriteTimeout
            | Failure::RequestTooLarge(_)
            | Failure::Abandoned
            | Failure::Stopped => Verdict::Neither,
            Failure::ResponseTooLarge(_) => Verdict::Success,
            Failure::Certificate(_)
            | Failure::Alert { .. }
            | Failure::Tls(_)
            | Failure::HeadTooLarge
            | Failure::Upgraded
            | Failure::Protocol(_) => Verdict::Failure {
                repeat: Repeat::Never,
            },
            Failure::Resolve { .. }
            | Failure::ResolveTimeout(_)
            | Failure::ConnectTimeout
            | Failure::Refused
            | Failure::Unroutable(_)
            | Failure::Unavailable(_)
            | Failure::ReadTimeout
            | Failure::Terminated
            | Failure::Incomplete => Verdict::Failure { repeat: Repeat::Soon },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, after: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(RETRY_AFTER, after.parse().unwrap());
        }
        verdict(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn each_row_of_the_table_about_answers() {
        let failure = |repeat| Verdict::Failure { repeat };
        for (status, after, expected) in [
            (200, None, Verdict::Success),
            (404, None, Verdict::Success),
            (500, None, failure(Repeat::Never)),
            (501, Some("1"), failure(Repeat::Never)),
            (502, None, failure(Repeat::Soon)),
            (503, None, failure(Repeat::Soon)),
            (503, Some("7"), failure(Repeat::After(Duration::from_secs(7)))),
            (429, Some("rubbish"), failure(Repeat::Soon)),
            (
                429,
                Some("Thu, 01 Jan 1970 00:00:00 GMT"),
                failure(Repeat::After(Duration::ZERO)),
            ),
        ] {
            assert_eq!(of(status, after), expected, "{status} {after:?}");
        }
    }

    #[test]
    fn only_what_changes_nothing_and_has_no_body_is_sent_again() {
        let request = |method: Method, body: &'static str| {
            let body = http_body_util::Full::new(Bytes::from(body)).map_err(|never| match never {});
            let mut request = Request::new(body.boxed_unsync());
            *request.method_mut() = method;
            request
        };
        assert!(again(&request(Method::GET, "")).is_some());
        assert!(again(&request(Method::GET, "a body")).is_none());
        assert!(again(&request(Method::POST, "")).is_none());
    }
}
