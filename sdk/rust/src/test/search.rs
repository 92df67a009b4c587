//! An index for tests: documents that are searched by their words, or hits that
//! are scripted.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::Call;
use crate::search::Hit;
use crate::{Error, Result};

/// An index behind [`Call::index`]. A clone is the same one, so that a test can
/// ask afterwards what was searched for.
///
/// A passage is a paragraph, found if it or its headings have a word of the
/// query, and scored by how many. That is no search engine: a test that is about
/// the order of hits scripts them with [`on`](Self::on).
///
/// ```
/// use segue_sdk::test::FakeIndex;
///
/// let docs = FakeIndex::new()
///     .document("guide.md", "# Guide\n\nWelcome.\n\n## Swap\n\nCopy the file over the old one.")
///     .served();
/// # drop(docs);
/// ```
#[derive(Clone, Default)]
pub struct FakeIndex {
    passages: Vec<Hit>,
    script: Vec<(String, Result<Vec<Hit>>)>,
    served: bool,
    searches: Rc<RefCell<Vec<String>>>,
}

impl FakeIndex {
    /// Without documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document in Markdown or plain text.
    #[must_use]
    pub fn document(mut self, path: &str, text: &str) -> Self {
        self.passages.extend(passages(path, text));
        self
    }

    /// Scripts what a search for exactly this text finds.
    #[must_use]
    pub fn on(mut self, text: &str, hits: impl IntoIterator<Item = Hit>) -> Self {
        self.script.push((text.into(), Ok(hits.into_iter().collect())));
        self
    }

    /// Scripts the failure of a search for exactly this text; it is told where
    /// the hits are read.
    #[must_use]
    pub fn fails(mut self, text: &str, error: Error) -> Self {
        self.script.push((text.into(), Err(error)));
        self
    }

    /// Has the host show documents to people, so that there are links.
    #[must_use]
    pub fn served(mut self) -> Self {
        self.served = true;
        self
    }

    /// What was searched for so far, in order.
    pub fn searches(&self) -> Vec<String> {
        self.searches.borrow().clone()
    }

    fn search(&self, text: &str, limit: usize) -> Result<Vec<Hit>> {
        self.searches.borrow_mut().push(text.into());
        let scripted = self.script.iter().find(|(known, _)| known == text);
        let mut hits = match scripted {
            Some((_, hits)) => hits.clone()?,
            None => self.matching(text),
        };
        hits.truncate(limit);
        Ok(hits)
    }

    fn matching(&self, text: &str) -> Vec<Hit> {
        let wanted = words(text);
        let mut hits: Vec<Hit> = Vec::new();
        for passage in &self.passages {
            let known = words(&format!("{} {}", passage.text, passage.headings.join(" ")));
            let score = wanted.iter().filter(|word| known.contains(word)).count();
            if score > 0 {
                let score = score as f32;
                hits.push(Hit {
                    score,
                    ..passage.clone()
                });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits
    }
}

impl fmt::Debug for FakeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeIndex")
            .field("passages", &self.passages.len())
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Grants `search = [name]`, with this index behind the name.
    #[must_use]
    pub fn index(mut self, name: &str, index: FakeIndex) -> Self {
        self.fake.indexes.grant(name, index);
        self
    }
}

/// The different words of a text.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let mut words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.sort();
    words.dedup();
    words
}

/// The paragraphs of a document, with their place in it.
fn passages(path: &str, text: &str) -> Vec<Hit> {
    let mut found: Vec<Hit> = Vec::new();
    let mut title = None;
    let mut headings: Vec<(usize, String)> = Vec::new();
    let mut at = 0;
    let mut open = false;
    for line in text.split_inclusive('\n') {
        let offset = at;
        at += line.len();
        let words = line.trim();
        let level = words.len() - words.trim_start_matches('#').len();
        if words.is_empty() {
            open = false;
        } else if level > 0 {
            open = false;
            let heading = words.trim_start_matches('#').trim().to_owned();
            title.get_or_insert_with(|| heading.clone());
            headings.retain(|(above, _)| *above < level);
            headings.push((level, heading));
        } else if open && let Some(passage) = found.last_mut() {
            passage.text.push_str(line);
        } else {
            open = true;
            found.push(Hit {
                document: path.into(),
                title: String::new(),
                headings: headings.iter().map(|(_, heading)| heading.clone()).collect(),
                text: line.into(),
                offset: offset as u64,
                score: 0.0,
            });
        }
    }
    for passage in &mut found {
        passage.title = title.clone().unwrap_or_else(|| path.into());
        passage.text.truncate(passage.text.trim_end().len());
    }
    found
}

/// In the place of `segue:search/search`.
pub(crate) mod host {
    use super::super::fake::current;
    use super::super::grants::refusal;
    use super::{FakeIndex, Hit};
    use crate::Error;
    use crate::bindings::segue::plugin::types;
    use crate::http::encode;

    #[derive(Debug)]
    pub(crate) struct Hits(crate::Result<Vec<Hit>>);

    impl Hits {
        pub(crate) fn read(&self) -> Result<Vec<Hit>, types::Error> {
            self.0.clone().map_err(Error::into_host)
        }
    }

    pub(crate) fn indexes() -> Vec<String> {
        current(|host| host.indexes.names())
    }

    pub(crate) fn query(index: &str, text: &str, limit: u32) -> Result<Hits, types::Error> {
        let index = granted("search.query", index)?;
        if text.len() > 4 << 10 {
            return Err(refusal(Error::INVALID_ARGUMENT, "a query is at most 4 KiB"));
        }
        let limit = usize::try_from(limit.min(50)).unwrap_or(50);
        Ok(Hits(index.search(text, limit)))
    }

    pub(crate) fn link(
        index: &str,
        document: &str,
        offset: u64,
        words: &str,
    ) -> Result<Option<String>, types::Error> {
        let served = granted("search.link", index)?.served;
        let mut link = format!("/v1/documents/{index}");
        for part in document.split('/') {
            link.push('/');
            encode(&mut link, part);
        }
        link.push_str(&format!("?offset={offset}&words="));
        encode(&mut link, words);
        link.push_str("#words");
        Ok(served.then_some(link))
    }

    fn granted(function: &str, name: &str) -> Result<FakeIndex, types::Error> {
        current(|host| host.indexes.get(function, name, ".index(..)"))
    }
}
