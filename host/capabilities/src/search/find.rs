//! One search: asked, looked up, verified, put in order. Blocking.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tantivy::TantivyError;

use super::ask::{self, Question};
use super::error::Error;
use super::rank::{self, Candidate};
use super::shared::Shared;
use super::store::{self, Found};
use super::words;

/// Passages that are judged for each one that is asked for.
const JUDGED: usize = 4;
const LEAST_JUDGED: usize = 40;
/// When too much of what was found is gone, or says the same, more is looked up,
/// up to here.
const MOST_JUDGED: usize = 800;

/// A passage that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The path within the folder, with `/`.
    pub document: String,
    /// The document's title, or its path where it has none.
    pub title: String,
    /// The headings above the passage, the outermost first.
    pub headings: Vec<String>,
    /// The document's text from `offset` on, word for word.
    pub text: String,
    /// In bytes of the document's text.
    pub offset: u64,
    /// Only to be compared within one search.
    pub score: f32,
}

/// Finds the `limit` best passages. Ends early, with [`Error::Cancelled`], once
/// `give_up` says so.
pub(super) fn search(
    shared: &Shared,
    text: &str,
    limit: usize,
    max_file: u64,
    give_up: &dyn Fn() -> bool,
) -> Result<Vec<Hit>, Error> {
    shared.available()?;
    let search = Search {
        shared,
        max_file,
        give_up,
    };
    match search.run(text, limit, false)? {
        // Perhaps all that has these words is gone.
        found if found.is_empty() => search.run(text, limit, true),
        found => Ok(found),
    }
}

struct Search<'a> {
    shared: &'a Shared,
    max_file: u64,
    give_up: &'a dyn Fn() -> bool,
}

impl Search<'_> {
    fn run(&self, text: &str, limit: usize, loosely: bool) -> Result<Vec<Hit>, Error> {
        let searcher = self.shared.store.searcher();
        let fields = &self.shared.store.fields;
        let question = ask::read(text, &searcher, fields, loosely).map_err(internal)?;
        if question.words.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let query = question.query(fields);
        let mut judged = limit.saturating_mul(JUDGED).max(LEAST_JUDGED);
        let mut candidates = Vec::new();
        let mut seen = 0;
        loop {
            let found = store::best(&searcher, fields, &query, judged, self.give_up).map_err(internal)?;
            let Some(mut found) = found else {
                return Err(Error::Cancelled);
            };
            let is_all = found.len() < judged;
            // The view does not change, so the first of them are the same again.
            let new = found.split_off(seen.min(found.len()));
            seen += new.len();
            self.verify(new, &question, &mut candidates)?;
            let chosen = rank::select(&candidates, limit);
            if chosen.len() == limit || is_all || judged >= MOST_JUDGED {
                return Ok(chosen
                    .into_iter()
                    .filter_map(|(chosen, score)| hit(chosen, score))
                    .collect());
            }
            judged = judged.saturating_mul(5).min(MOST_JUDGED);
        }
    }

    /// Adds what still stands in its document, with its words.
    fn verify(
        &self,
        found: Vec<Found>,
        question: &Question,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), Error> {
        let mut by_document: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
        for found in found {
            by_document.entry(found.document).or_default().push(found);
        }
        let root = self.shared.shelf.root();
        let mut analyzer = words::analyzer();
        for (number, found) in by_document {
            if (self.give_up)() {
                return Err(Error::Cancelled);
            }
            let Some(document) = self.shared.shelf.by_number(number) else {
                continue;
            };
            let passages: Vec<usize> = found.iter().map(|found| found.passage).collect();
            let quotes = self
                .shared
                .texts
                .quote(&root, &document, &passages, self.max_file);
            // Taken from the shelf while it was read: gone all the same.
            if self.shared.shelf.by_number(number).is_none() {
                continue;
            }
            for (found, text) in found.iter().zip(quotes) {
                candidates.extend(text.and_then(|text| {
                    let document = document.clone();
                    Candidate::new(
                        document,
                        found.passage,
                        text,
                        found.score,
                        question,
                        &mut analyzer,
                    )
                }));
            }
        }
        Ok(())
    }
}

fn hit(candidate: &Candidate, score: f32) -> Option<Hit> {
    let document = &candidate.document;
    let place = document.passages.get(candidate.passage)?;
    Some(Hit {
        document: document.path.to_string(),
        title: document.title().to_owned(),
        headings: document
            .headings_of(place)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        text: candidate.text.clone(),
        offset: u64::from(place.offset),
        score,
    })
}

fn internal(error: TantivyError) -> Error {
    Error::Internal(error.to_string())
}
