//! `GET /v1/documents/...`: a document of an index for people to read, with the
//! words marked that an answer quoted.
//!
//! Only of indexes with `serve = true`, and only what is indexed: anything else
//! is answered as if it were not there. The page is made of the document's text,
//! every character of it escaped; its `Content-Security-Policy` lets it do
//! nothing but look as its own style says. The words are scrolled to by the
//! address's fragment, `#words`.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::HeaderName;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use segue_capabilities::search::{self, Document, Error, Indexes};
use segue_protocol::ErrorCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::page::digest;
use crate::edge::respond::Failure;
use crate::state::App;

/// The page's style, between its tags.
const STYLE: &str = include_str!("documents.css");

/// Documents that are read and written out at a time: each is held whole.
pub(crate) const AT_A_TIME: usize = 8;

/// How much of the words is repeated when they are gone.
const MAX_SHOWN_BYTES: usize = 500;

static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest(STYLE)
    )
});

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Quoted {
    /// Where the words stood, in bytes of the document's text.
    offset: Option<u64>,
    /// The words that were quoted. They are looked for near `offset`; without any,
    /// the line is marked that stands there.
    #[serde(default)]
    words: String,
}

/// A document, with the quoted words marked.
///
/// For people: an HTML page. Only documents of indexes that the operator serves.
#[utoipa::path(
    get, path = "/v1/documents/{index}/{path}", tag = "documents",
    params(
        ("index" = String, Path, description = "The index."),
        ("path" = String, Path, description = "The document's path within it; it may have slashes."),
        Quoted,
    ),
    responses(
        (status = 200, description = "The document.", content_type = "text/html"),
        (status = 404, description = "There is no such document, or it is not served.", body = super::openapi::ErrorAnswer),
        (status = 503, description = "`store_unavailable`: the index is being read for the first time, or its folder is gone.", body = super::openapi::ErrorAnswer),
    ),
)]
pub(crate) async fn document(
    State(app): State<Arc<App>>,
    Path((index, path)): Path<(String, String)>,
    quoted: Result<Query<Quoted>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(quoted) = quoted.map_err(|bad| Failure::new(ErrorCode::InvalidMessage, bad.body_text()))?;
    let indexes = app.snapshot().services.get::<Indexes>().ok_or_else(none)?;
    // Never closed, so never an error.
    let _turn = app.documents.acquire().await;
    let document = indexes.document(&index, &path).await.map_err(failure)?;
    let html = tokio::task::spawn_blocking(move || page(&index, &path, &document, &quoted))
        .await
        .map_err(|error| {
            tracing::error!(%error, "writing out a document failed");
            Failure::new(
                ErrorCode::Internal,
                "something failed inside the host; its log says what",
            )
        })?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    Ok((headers, html).into_response())
}

/// What is not served is told like what is not there.
fn failure(error: Error) -> Failure {
    match error {
        Error::UnknownIndex(_) | Error::NotServed(_) | Error::NoDocument { .. } => none(),
        Error::Reading(_) => Failure::new(
            ErrorCode::StoreUnavailable,
            "the documents are being read for the first time; try again in a moment",
        ),
        other => {
            tracing::warn!(error = %other, "a document could not be shown");
            Failure::new(ErrorCode::StoreUnavailable, "the documents cannot be read now")
        }
    }
}

fn none() -> Failure {
    Failure::new(ErrorCode::NotFound, "there is no such document here")
}

/// The page. Every text in it is the document's or the caller's, and escaped.
fn page(index: &str, path: &str, document: &Document, quoted: &Quoted) -> String {
    let text = document.text.as_str();
    let offset = quoted
        .offset
        .map(|offset| usize::try_from(offset).unwrap_or(usize::MAX));
    let found = match (quoted.words.trim(), offset) {
        ("", Some(offset)) => line_at(text, offset),
        _ => search::locate(text, offset.unwrap_or(0), &quoted.words),
    };
    let mut html = String::with_capacity(text.len() + text.len() / 8 + STYLE.len() + 1024);
    html.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    escape(&document.title, &mut html);
    // Writing into a string does not fail.
    let _ = write!(
        html,
        "</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>"
    );
    escape(&document.title, &mut html);
    html.push_str("</h1>\n<p><span>");
    escape(index, &mut html);
    html.push_str("</span> ");
    escape(path, &mut html);
    html.push_str("</p>\n");
    match (&found, quoted.words.trim()) {
        (None, "") => {}
        (Some(_), _) => html.push_str("<p><a href=\"#words\">To the quoted words</a></p>\n"),
        (None, words) => {
            html.push_str(
                "<p class=\"gone\" role=\"status\">The quoted words are no longer in this document: <q>",
            );
            let shown = words.get(..words.floor_char_boundary(MAX_SHOWN_BYTES));
            escape(shown.unwrap_or_default(), &mut html);
            html.push_str("</q></p>\n");
        }
    }
    html.push_str("</header>\n<main>\n<pre>\n");
    let (before, words, after) = match &found {
        Some(range) => (
            text.get(..range.start),
            text.get(range.clone()),
            text.get(range.end..),
        ),
        None => (Some(text), None, None),
    };
    escape(before.unwrap_or_default(), &mut html);
    if let Some(words) = words {
        html.push_str("<mark id=\"words\" tabindex=\"-1\">");
        escape(words, &mut html);
        html.push_str("</mark>");
    }
    escape(after.unwrap_or_default(), &mut html);
    html.push_str("</pre>\n</main>\n</body>\n</html>\n");
    html
}

/// The line of `text` that has this offset, without white space around it.
fn line_at(text: &str, offset: usize) -> Option<Range<usize>> {
    let offset = text.floor_char_boundary(offset);
    let (before, after) = text.split_at_checked(offset)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = after.find('\n').map_or(text.len(), |at| offset + at);
    let line = text.get(start..end)?;
    let start = start + (line.len() - line.trim_start().len());
    let found = start..start + line.trim().len();
    (!found.is_empty()).then_some(found)
}

/// Adds `text` so that it is text wherever HTML may have it, attributes too.
fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // A parser drops it, or reads what follows otherwise than it stands.
            '\0' => html.push('\u{fffd}'),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
