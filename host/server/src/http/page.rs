//! `GET /`: the chat page, one file without a build step.
//!
//! Its `Content-Security-Policy` lets run what is in the file and nothing else,
//! by digest, so that even a hole in the page could not run foreign code.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
};
use http::{HeaderMap, HeaderName, StatusCode};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("page.html");

/// Fixed by the file, so worked out once.
static POLICY: LazyLock<String> = LazyLock::new(|| policy(PAGE));
static TAG: LazyLock<String> = LazyLock::new(|| format!("\"{}\"", base64(&Sha256::digest(PAGE))));

/// The chat page.
#[utoipa::path(
    get, path = "/", tag = "page",
    responses(
        (status = 200, description = "The chat page.", content_type = "text/html"),
        (status = 304, description = "The page that `If-None-Match` names is the current one."),
    ),
)]
pub(crate) async fn page(headers: HeaderMap) -> Response {
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|tag| tag.as_bytes() == TAG.as_bytes());
    let common = [
        (ETAG, TAG.as_str()),
        // Kept, but asked for each time: a new host has a new page.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}

/// What the page may do: run its own script and style, talk to its own host.
fn policy(page: &str) -> String {
    let digests = |tag: &str| {
        let found: Vec<String> = elements(page, tag).map(digest).collect();
        if found.is_empty() {
            "'none'".to_owned()
        } else {
            found.join(" ")
        }
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digests("script"),
        digests("style"),
    )
}

/// The source of a policy that allows this script or style and no other.
pub(super) fn digest(text: &str) -> String {
    format!("'sha256-{}'", base64(&Sha256::digest(text)))
}

/// The texts of the page's elements of one kind, which carry no attributes.
fn elements<'a>(page: &'a str, tag: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = page;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, behind) = after.split_once(&close)?;
        rest = behind;
        Some(text)
    })
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * place) & 63) as usize);
            text.push(match digit {
                Some(digit) if place <= group.len() => char::from(*digit),
                _ => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_standard_shows_it() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_page_does_nothing_that_its_policy_forbids() {
        assert!(elements(PAGE, "script").count() > 0 && elements(PAGE, "style").count() > 0);
        let markup: String = PAGE.split("<script>").next().unwrap().to_owned();
        for forbidden in [
            "style=\"",
            " onclick=",
            " onload=",
            " onsubmit=",
            " oninput=",
            "src=\"",
            "<script ",
        ] {
            assert!(!markup.contains(forbidden), "{forbidden} in the page's markup");
        }
        assert!(
            !PAGE.contains("<style "),
            "a style with attributes has no digest in the policy"
        );
    }

    #[tokio::test]
    async fn it_carries_its_policy_and_is_sent_once() {
        let response = page(HeaderMap::new()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains("script-src 'sha256-") && !policy.contains("unsafe"),
            "{policy}"
        );
        let mut again = HeaderMap::new();
        again.insert(IF_NONE_MATCH, response.headers()[ETAG].clone());
        assert_eq!(page(again).await.status(), StatusCode::NOT_MODIFIED);
    }
}
