//! An answer whose status is not 2xx, made into a fault.
//!
//! Guarantees: what the guest gets has at most a short sentence of the server's,
//! and none that repeats a part of the key; where the key itself is the matter,
//! nothing of the server's at all.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::fault::{Fault, Kind, QUOTE_MAX_BYTES, clip};
use super::super::settings::ApiKey;
use super::framing::Framing;

/// How much of a refusal is read, in bytes.
const BODY_MAX_BYTES: usize = 8 * 1024;

/// The longest wait that a server can ask for.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// How many characters of a key are too many to repeat.
const KEY_PART: usize = 8;

/// Adds the beginning of a refusal's body to `body`. `first` came with the head.
/// `true` if that was all of it, and nothing came behind it.
pub(super) async fn read(
    link: &mut (impl AsyncRead + Unpin),
    mut framing: Framing,
    first: Vec<u8>,
    body: &mut Vec<u8>,
) -> bool {
    let mut wire = first;
    loop {
        let mut bytes = wire.as_slice();
        while !bytes.is_empty() && !framing.is_ended() {
            let Ok((part, rest)) = framing.split(bytes) else {
                return false;
            };
            body.extend_from_slice(part);
            bytes = rest;
        }
        if framing.is_ended() {
            return bytes.is_empty();
        }
        let left = BODY_MAX_BYTES.saturating_sub(body.len());
        wire.clear();
        match (&mut *link).take(left as u64).read_buf(&mut wire).await {
            Ok(1..) => {}
            _ => return false,
        }
    }
}

/// What the guest gets for this status.
pub(super) fn fault(status: StatusCode, headers: &HeaderMap, body: &[u8], key: Option<&ApiKey>) -> Fault {
    let (kind, what) = match status {
        StatusCode::TOO_MANY_REQUESTS => (Kind::RateLimited, "is asked too often"),
        StatusCode::UNAUTHORIZED => (Kind::Misconfigured, "refuses the operator's key"),
        StatusCode::FORBIDDEN => (Kind::Forbidden, "refuses the operator's key"),
        StatusCode::PAYMENT_REQUIRED => (Kind::Misconfigured, "wants to be paid"),
        StatusCode::NOT_FOUND => (Kind::Misconfigured, "does not know the model or the address"),
        StatusCode::REQUEST_TIMEOUT => (Kind::Unavailable, "took too long to read the request"),
        _ if status.is_client_error() => (Kind::Rejected, "rejects the request"),
        _ if status.is_server_error() => (Kind::Unavailable, "has failed"),
        _ => (
            Kind::Misconfigured,
            "answers with a redirect or the like, which is not followed",
        ),
    };
    let secret = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let said = serde_json::from_slice(body).ok().and_then(|body| words(&body));
    let said = said.filter(|_| !secret).and_then(|said| quoted(&said, key));
    let number = status.as_u16();
    let message = match said {
        Some(said) => format!("the model's server {what} ({number}): {said}"),
        None => format!("the model's server {what} ({number})"),
    };
    Fault {
        retry_after: matches!(kind, Kind::RateLimited | Kind::Unavailable)
            .then(|| retry_after(headers, SystemTime::now()))
            .flatten(),
        ..Fault::new(kind, message)
    }
}

/// What a server says of an error, in any of the forms that are about:
/// `{"error":{"message":".."}}`, `{"error":".."}`, `{"message":".."}`,
/// `{"detail":".."}`, or one of the inner ones.
pub(super) fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => ["error", "message", "detail"]
            .iter()
            .find_map(|key| object.get(*key).and_then(words)),
        _ => None,
    }
}

/// The part of it that a guest may read; `None` when it repeats the key.
pub(super) fn quoted(said: &str, key: Option<&ApiKey>) -> Option<String> {
    let said = said.trim();
    let leaks = key.is_some_and(|key| repeats(said, key.expose()));
    (!said.is_empty() && !leaks).then(|| clip(said, QUOTE_MAX_BYTES))
}

fn repeats(said: &str, key: &str) -> bool {
    let part = KEY_PART.min(key.len());
    key.as_bytes()
        .windows(part.max(1))
        .any(|part| said.as_bytes().windows(part.len()).any(|window| window == part))
}

/// What the log may have of it.
pub(super) fn logged(body: &[u8], key: Option<&ApiKey>) -> String {
    let text = String::from_utf8_lossy(body);
    let text = match key {
        Some(key) => text.replace(key.expose(), "[the key]"),
        None => text.into_owned(),
    };
    clip(&text, 1000)
}

/// When the server wants to be asked again: seconds, a date, or one of the
/// forms of those who found these too coarse.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let ms = value("retry-after-ms").and_then(number).map(|ms| ms / 1000.0);
    let standard = value(header::RETRY_AFTER.as_str());
    let wait = match (ms.or_else(|| standard.and_then(number)), standard) {
        (Some(seconds), _) => Duration::try_from_secs_f64(seconds.min(1e9)).ok(),
        (None, Some(date)) => {
            let then = httpdate::parse_http_date(date).ok();
            then.map(|then| then.duration_since(now).unwrap_or_default())
        }
        (None, None) => {
            value("x-ratelimit-reset-requests").and_then(|text| humantime::parse_duration(text).ok())
        }
    };
    wait.map(|wait| wait.min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> Fault {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        let key = ApiKey::new("sk-test-0123456789").unwrap();
        fault(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
            Some(&key),
        )
    }

    #[test]
    fn every_status_has_its_code() {
        for (status, kind) in [
            (302, Kind::Misconfigured),
            (400, Kind::Rejected),
            (401, Kind::Misconfigured),
            (402, Kind::Misconfigured),
            (403, Kind::Forbidden),
            (408, Kind::Unavailable),
            (404, Kind::Misconfigured),
            (413, Kind::Rejected),
            (429, Kind::RateLimited),
            (500, Kind::Unavailable),
            (503, Kind::Unavailable),
            (504, Kind::Unavailable),
        ] {
            assert_eq!(of(status, &[], "").kind, kind, "{status}");
        }
    }

    #[test]
    fn the_servers_words_are_found_in_every_form_and_bounded() {
        for body in [
            r#"{"error":{"message":"too long","type":"x"}}"#,
            r#"{"error":"too long"}"#,
            r#"{"object":"error","message":"too long"}"#,
            r#"{"detail":"too long"}"#,
        ] {
            let fault = of(400, &[], body);
            assert_eq!(
                fault.message,
                "the model's server rejects the request (400): too long"
            );
        }
        let long = of(400, &[], &format!(r#"{{"error":"{}"}}"#, "x".repeat(5000)));
        assert!(long.message.len() < 400, "{}", long.message.len());
        for none in ["<html>secret</html>", "", "{}", r#"{"error":{"message":7}}"#] {
            assert_eq!(of(500, &[], none).message, "the model's server has failed (500)");
        }
    }

    #[test]
    fn no_part_of_a_key_is_repeated() {
        let masked = r#"{"error":{"message":"bad key: sk-test-****6789"}}"#;
        for status in [400, 401, 403, 500] {
            let fault = of(status, &[], masked);
            assert!(!fault.message.contains("sk-"), "{status}: {}", fault.message);
        }
        let key = ApiKey::new("abc").unwrap();
        assert_eq!(quoted("it was abc", Some(&key)), None);
        assert_eq!(quoted("it was ab", Some(&key)).as_deref(), Some("it was ab"));
        assert_eq!(logged(b"key abc is bad\n", Some(&key)), "key [the key] is bad");
    }

    #[test]
    fn the_wait_is_read_in_every_form() {
        let wait = |headers: &[(&'static str, &str)]| of(429, headers, "").retry_after;
        let ms = Duration::from_millis;
        assert_eq!(wait(&[("retry-after", "7")]), Some(ms(7000)));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(ms(500)));
        assert_eq!(
            wait(&[("retry-after", "7"), ("retry-after-ms", "250")]),
            Some(ms(250))
        );
        assert_eq!(
            wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]),
            Some(ms(0))
        );
        assert_eq!(wait(&[("x-ratelimit-reset-requests", "1m30s")]), Some(ms(90_000)));
        assert_eq!(wait(&[("retry-after", "99999999999999999999")]), Some(WAIT_MAX));
        for senseless in ["", "soon", "-1", "NaN", "1e400"] {
            assert_eq!(wait(&[("retry-after", senseless)]), None, "{senseless}");
        }
        assert_eq!(of(503, &[("retry-after", "7")], "").retry_after, Some(ms(7000)));
        assert_eq!(of(400, &[("retry-after", "7")], "").retry_after, None);

        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_470);
        let mut headers = HeaderMap::new();
        headers.insert(
            "retry-after",
            HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"),
        );
        assert_eq!(retry_after(&headers, now), Some(ms(10_000)));
    }
}
