//! What the client is shown of a passage.

use segue_sdk::prelude::*;
use segue_sdk::search;
use serde::Serialize;

use crate::passages::Passage;
use crate::quote;
use crate::words::Words;

/// Where something was found, with the words that were.
#[derive(Debug, Serialize)]
pub(crate) struct Citation<'a> {
    kind: &'static str,
    /// What the answer calls it: `[1]`.
    pub(crate) n: usize,
    index: &'a str,
    document: &'a str,
    pub(crate) title: &'a str,
    headings: &'a [String],
    /// Of the quote, in bytes of the document's text.
    offset: u64,
    /// Word for word, at `offset`.
    pub(crate) quote: &'a str,
    /// `None` where the operator does not serve the documents.
    link: Option<String>,
}

pub(crate) fn of<'a>(n: usize, passage: &'a Passage, asked: &Words) -> Result<Citation<'a>> {
    let hit = &passage.hit;
    let quote = quote::best(&hit.text, &hit.headings.join(" "), asked);
    let offset = hit.offset + u64::try_from(quote.start).unwrap_or(u64::MAX);
    let quote = hit.text.get(quote).unwrap_or(&hit.text);
    Ok(Citation {
        kind: "citation",
        n,
        index: &passage.index,
        document: &hit.document,
        title: &hit.title,
        headings: &hit.headings,
        offset,
        quote,
        link: search::link(&passage.index, &hit.document, offset, quote)?,
    })
}
