//! What is asked, in plain language, to what is looked up.
//!
//! There is no query language, so nothing anybody types is an error. Words that
//! only hold a sentence together are left aside unless there are no others. A
//! word that no document has stands for those that begin with it or, failing
//! that, are a letter or two away; one with digits stands for itself alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tantivy::query::{
    BooleanQuery, BoostQuery, DisjunctionMaxQuery, FuzzyTermQuery, Occur, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, TantivyError, Term};

use super::store::Fields;
use super::words::{self, Terms};

/// Words of one question that are looked up: the rarest.
const MAX_WORDS: usize = 24;
/// Terms of one compound.
const MAX_TERMS: usize = 16;
/// Words that are not there and are made up for.
const MAX_MENDED: usize = 8;
/// Terms that stand in for a word which is not there, and those they are chosen
/// from.
const MAX_STAND_INS: usize = 12;
const MAX_MATCHING: usize = 2_000;
/// What a word counts in the title, in the headings above, in the innermost
/// heading and in the passage itself.
const TITLE: f32 = 0.6;
const ABOVE: f32 = 0.6;
const HEADING: f32 = 1.5;
const BODY: f32 = 1.0;
/// How much of the lesser fields counts besides the best.
const TIE: f32 = 0.3;
/// What a word counts that says little.
const WEAK: f32 = 0.4;
/// What a part of a compound counts, and what a stand-in does.
const PART: f32 = 0.5;
const STAND_IN: f32 = 0.5;

/// A question, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    pub(super) words: Vec<AskedWord>,
}

/// One word of it.
#[derive(Clone, Debug)]
pub(super) struct AskedWord {
    /// Without case and accents.
    pub(super) plain: String,
    /// The terms that answer to it, and what each counts.
    pub(super) terms: Vec<(String, f32)>,
    /// How much it says: the fewer passages have it, the more.
    pub(super) weight: f32,
}

/// Reads a question. Its words are those of `searcher`, as far as it has them;
/// `loosely`: as if it had none of them.
pub(super) fn read(
    text: &str,
    searcher: &Searcher,
    fields: &Fields,
    loosely: bool,
) -> Result<Question, TantivyError> {
    let mut asked = asked(text);
    let mut mended = 0;
    for word in &mut asked {
        let mut has = 0;
        for (term, _) in &word.terms {
            has = has.max(frequency(searcher, fields, term)?);
        }
        if (has == 0 || loosely) && mended < MAX_MENDED {
            mended += 1;
            let stand_ins = stand_ins(word, searcher, fields)?;
            has = stand_ins
                .iter()
                .map(|(_, frequency)| *frequency)
                .max()
                .unwrap_or(0)
                .max(has);
            let known: BTreeSet<String> = word.terms.iter().map(|(term, _)| term.clone()).collect();
            let others = stand_ins.into_iter().map(|(term, _)| term);
            word.terms.extend(
                others
                    .filter(|term| !known.contains(term))
                    .map(|term| (term, STAND_IN)),
            );
        }
        let counts = if words::is_weak(&word.plain) { WEAK } else { 1.0 };
        word.weight = counts * weight(has, searcher.num_docs());
        for (_, count) in &mut word.terms {
            *count *= counts;
        }
    }
    asked.retain(|word| word.weight > 0.0);
    if asked.len() > MAX_WORDS {
        let mut weights: Vec<f32> = asked.iter().map(|word| word.weight).collect();
        weights.sort_by(|a, b| b.total_cmp(a));
        let least = weights.get(MAX_WORDS - 1).copied().unwrap_or(0.0);
        asked.retain(|word| word.weight >= least);
        asked.truncate(MAX_WORDS);
    }
    Ok(Question { words: asked })
}

/// The words that say something, each once, in their order.
fn asked(text: &str) -> Vec<AskedWord> {
    let mut terms = Terms::new();
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for word in words::words(text) {
        let plain = terms.plain(&word.whole);
        let mut known = vec![(terms.stem(&word.whole), 1.0)];
        for part in &word.parts {
            if !words::is_stop_word(&terms.plain(part)) {
                known.push((terms.stem(part), PART));
            }
        }
        known.truncate(MAX_TERMS);
        if seen.insert(plain.clone()) {
            all.push(AskedWord {
                plain,
                terms: known,
                weight: 0.0,
            });
        }
    }
    let says = |word: &AskedWord| !words::is_stop_word(&word.plain);
    if all.iter().any(says) {
        all.retain(says);
    }
    all
}

impl Question {
    /// The passages that have any of the words; those score best that have the
    /// rarest, and have them where it counts.
    pub(super) fn query(&self, fields: &Fields) -> BooleanQuery {
        let words = self.words.iter().map(|word| {
            let terms = word.terms.iter().flat_map(|(term, counts)| {
                [
                    (fields.title, TITLE),
                    (fields.above, ABOVE),
                    (fields.heading, HEADING),
                    (fields.body, BODY),
                ]
                .map(|(field, boost)| in_field(field, term, boost * counts))
            });
            let any: Box<dyn Query> = Box::new(DisjunctionMaxQuery::with_tie_breaker(terms.collect(), TIE));
            (Occur::Should, any)
        });
        BooleanQuery::new(words.collect())
    }
}

fn in_field(field: Field, term: &str, boost: f32) -> Box<dyn Query> {
    let term = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
    Box::new(BoostQuery::new(Box::new(term), boost))
}

/// In how many passages a term is, at least.
fn frequency(searcher: &Searcher, fields: &Fields, term: &str) -> Result<u64, TantivyError> {
    let mut most = 0;
    for field in [fields.body, fields.heading, fields.above, fields.title] {
        most = most.max(searcher.doc_freq(&Term::from_field_text(field, term))?);
    }
    Ok(most)
}

/// As BM25 weighs it; nothing for what is nowhere.
fn weight(frequency: u64, passages: u64) -> f32 {
    if frequency == 0 {
        return 0.0;
    }
    let (frequency, passages) = (frequency as f32, passages.max(frequency) as f32);
    (1.0 + (passages - frequency + 0.5) / (frequency + 0.5)).ln()
}

/// Terms of the index that a word may have meant, and how frequent each is.
fn stand_ins(
    word: &AskedWord,
    searcher: &Searcher,
    fields: &Fields,
) -> Result<Vec<(String, u64)>, TantivyError> {
    let letters = word.plain.chars().count();
    // A number that is nowhere is not its neighbour.
    if word.plain.contains(|c: char| c.is_numeric()) {
        return Ok(Vec::new());
    }
    let stem = word.terms.first().map_or(word.plain.as_str(), |(stem, _)| stem);
    // How far from what was asked, or whatever begins with it.
    let attempts = [(3, None), (4, Some(1)), (8, Some(2))];
    for (_, distance) in attempts.into_iter().filter(|(least, _)| letters >= *least) {
        let mut found = BTreeMap::new();
        for probe in [word.plain.as_str(), stem] {
            for field in [fields.body, fields.heading, fields.forms] {
                let term = Term::from_field_text(field, probe);
                let query = match distance {
                    None => FuzzyTermQuery::new_prefix(term, 0, true),
                    Some(distance) => FuzzyTermQuery::new(term, distance, true),
                };
                matching(&query, field, searcher, &mut found)?;
            }
        }
        if !found.is_empty() {
            return most_frequent(found, searcher, fields);
        }
    }
    Ok(Vec::new())
}

/// The terms of a field that match, and how many passages have each.
fn matching(
    query: &FuzzyTermQuery,
    field: Field,
    searcher: &Searcher,
    found: &mut BTreeMap<String, u64>,
) -> Result<(), TantivyError> {
    let automaton = query.automaton()?;
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut stream = index.terms().search(&automaton).into_stream()?;
        while stream.advance() {
            if let Ok(term) = std::str::from_utf8(stream.key()) {
                let passages = found.entry(term.to_owned()).or_insert(0);
                *passages += u64::from(stream.value().doc_freq);
            }
            if found.len() >= MAX_MATCHING {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The terms that stand for these words, the most frequent first.
fn most_frequent(
    found: BTreeMap<String, u64>,
    searcher: &Searcher,
    fields: &Fields,
) -> Result<Vec<(String, u64)>, TantivyError> {
    let mut words: Vec<(String, u64)> = found.into_iter().collect();
    words.sort_by_key(|(_, passages)| Reverse(*passages));
    let mut terms = Terms::new();
    let mut best: Vec<(String, u64)> = Vec::new();
    for (word, _) in words {
        // A form is not a term itself; a term may be its own.
        for term in [terms.stem(&word), word] {
            let passages = frequency(searcher, fields, &term)?;
            if passages > 0 && !best.iter().any(|(other, _)| *other == term) {
                best.push((term, passages));
            }
        }
        if best.len() >= MAX_STAND_INS {
            break;
        }
    }
    Ok(best)
}
