//! One document: from the bytes of a file to its text, its headings and the
//! passages that can be found.
//!
//! Every passage stands word for word at its offset in the document's text. Of
//! Markdown and plain text that text is the file itself, byte for byte, unless
//! the file is not UTF-8; of HTML it is what a reader sees. Front matter,
//! comments and the lines of headings belong to no passage (a heading that has
//! nothing under it is one of its own). Whatever is in a file, reading it ends,
//! in time and memory that grow with its size alone.

mod cut;
mod decode;
mod depth;
mod html;
mod markdown;
mod plain;

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest title and the longest heading, in bytes.
const MAX_HEADING_BYTES: usize = 300;
/// Elements of HTML within each other; browsers stop here too.
const MAX_DEPTH: usize = 512;

/// What a file is read as, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Markdown,
    Html,
    Plain,
}

impl Kind {
    pub(super) fn of(path: &str) -> Kind {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((_, extension)) = name.rsplit_once('.') else {
            return Kind::Plain;
        };
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" | "mdown" | "mkd" => Kind::Markdown,
            "html" | "htm" | "xhtml" => Kind::Html,
            _ => Kind::Plain,
        }
    }
}

/// Why a file is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoText {
    #[error("it is not text")]
    Binary,
    #[error("its elements are nested more than {MAX_DEPTH} deep")]
    Deep,
    #[error("its reader failed inside the host")]
    Reader,
}

/// The text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    /// Whether the text is the file, byte for byte.
    pub(super) verbatim: bool,
    title: Option<String>,
    blocks: Vec<Block>,
}

/// A stretch of a text and what it is. Blocks are in order and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    range: Range<usize>,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Heading {
        level: u8,
        text: String,
    },
    /// May be cut between sentences.
    Prose,
    /// Code or a table: stays whole where it fits, and is cut between lines.
    Whole,
    /// Not for readers. No passage reaches over it.
    Hole,
}

/// A heading of a document, and the one above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) text: Box<str>,
    pub(super) above: Option<u32>,
}

/// What can be found: `text[offset..offset + len]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) offset: u32,
    pub(super) len: u32,
    /// Which of the headings is the innermost above it.
    pub(super) heading: Option<u32>,
    /// Of its words, to see whether they still stand there.
    pub(super) hash: u64,
}

/// A document, cut up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) text: String,
    pub(super) verbatim: bool,
    pub(super) title: Option<String>,
    pub(super) headings: Vec<Heading>,
    pub(super) passages: Vec<Passage>,
}

/// Reads the text of a document. A reader that fails fails for this file alone.
pub(super) fn text(kind: Kind, bytes: Vec<u8>) -> Result<Text, NoText> {
    let (text, verbatim) = decode::decode(bytes).ok_or(NoText::Binary)?;
    if kind == Kind::Html && depth::is_deeper(&text, MAX_DEPTH) {
        return Err(NoText::Deep);
    }
    guarded(|| match kind {
        Kind::Markdown => {
            let (title, blocks) = markdown::blocks(&text);
            Text {
                text,
                verbatim,
                title,
                blocks,
            }
        }
        Kind::Plain => {
            let blocks = plain::blocks(&text);
            Text {
                text,
                verbatim,
                title: None,
                blocks,
            }
        }
        Kind::Html => {
            let (text, title, blocks) = html::render(&text);
            Text {
                text,
                verbatim: false,
                title,
                blocks,
            }
        }
    })
}

/// Reads a document and cuts it into passages.
pub(super) fn parse(kind: Kind, bytes: Vec<u8>) -> Result<Parsed, NoText> {
    let text = text(kind, bytes)?;
    guarded(|| {
        let (headings, passages) = cut::cut(&text.text, &text.blocks);
        let title = title(&text);
        Parsed {
            text: text.text,
            verbatim: text.verbatim,
            title,
            headings,
            passages,
        }
    })
}

impl Text {
    pub(super) fn title(&self) -> Option<String> {
        title(self)
    }
}

/// What the document says it is called, or its first heading of the highest
/// level it has.
fn title(text: &Text) -> Option<String> {
    let heading = || {
        let headings = text.blocks.iter().filter_map(|block| match &block.shape {
            Shape::Heading { level, text } if !text.is_empty() => Some((level, text)),
            _ => None,
        });
        let (_, text) = headings.min_by_key(|(level, _)| **level)?;
        Some(text.clone())
    };
    let own = text.title.clone().filter(|title| !title.is_empty());
    own.or_else(heading)
}

/// A hash that is the same for the same words within one run of the host.
pub(super) fn hash(words: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(words.as_bytes());
    hasher.finish()
}

/// One line of at most [`MAX_HEADING_BYTES`].
fn line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MAX_HEADING_BYTES {
            line.truncate(line.floor_char_boundary(MAX_HEADING_BYTES));
            line.push('…');
            break;
        }
    }
    line
}

/// Parsers are other people's code: one that panics must not end the index.
fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, NoText> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| NoText::Reader)
}

#[cfg(test)]
mod tests;
