//! The order of what was found, judged by the words themselves.
//!
//! The index scores each word for itself. Here it counts in addition how much of
//! the question a passage answers to, whether words that are asked together
//! stand together, and whether they stand there as they were asked. What says
//! the same as a better passage is left out, and one document does not fill the
//! answer while others have something to say.

use std::collections::BTreeSet;
use std::sync::Arc;

use tantivy::tokenizer::TextAnalyzer;

use super::ask::Question;
use super::shelf::Document;
use super::words;

/// What of its score a passage keeps that answers to none of the words itself.
const UNCOVERED: f32 = 0.35;
/// What standing together is worth, at most.
const TOGETHER: f32 = 0.35;
/// What standing there as asked is worth, at most.
const AS_ASKED: f32 = 0.1;
/// What a heading that is about the question is worth, at most.
const HEADED: f32 = 0.3;
/// Words this far apart stand together.
const NEAR: usize = 3;
/// What each further passage of a document keeps of its score.
const FURTHER: f32 = 0.88;
/// Passages that have so many of their words in common are the same to a reader.
const ALIKE: f32 = 0.8;
/// Shorter passages seldom answer anything.
const SHORT_BYTES: usize = 60;
const SHORT: f32 = 0.75;

/// A passage with its words.
pub(super) struct Candidate {
    pub(super) document: Arc<Document>,
    pub(super) passage: usize,
    pub(super) text: String,
    pub(super) score: f32,
    words: BTreeSet<String>,
}

impl Candidate {
    /// `None` when the document has no such passage.
    pub(super) fn new(
        document: Arc<Document>,
        passage: usize,
        text: String,
        score: f32,
        question: &Question,
        analyzer: &mut TextAnalyzer,
    ) -> Option<Candidate> {
        let place = document.passages.get(passage)?.clone();
        let body = stems(&text, analyzer);
        let above = document.headings_of(&place);
        let heading = above
            .last()
            .map(|heading| stems(heading, analyzer))
            .unwrap_or_default();
        let mut around: BTreeSet<String> = stems(document.title(), analyzer).into_iter().collect();
        for heading in above {
            around.extend(stems(heading, analyzer));
        }
        let judged = judge(question, &body, &heading, &around, &text);
        let short = if text.len() < SHORT_BYTES { SHORT } else { 1.0 };
        Some(Candidate {
            document,
            passage,
            text,
            score: score * judged * short,
            words: body.into_iter().collect(),
        })
    }

    fn is_like(&self, other: &Candidate) -> bool {
        let common = self.words.intersection(&other.words).count();
        let all = self.words.len() + other.words.len() - common;
        common as f32 >= ALIKE * all as f32
    }
}

/// The terms of a text, in order.
fn stems(text: &str, analyzer: &mut TextAnalyzer) -> Vec<String> {
    let mut stems = Vec::new();
    let mut stream = analyzer.token_stream(text);
    while stream.advance() {
        stems.push(stream.token().text.clone());
    }
    stems
}

/// By how much the score of the index counts.
fn judge(
    question: &Question,
    body: &[String],
    heading: &[String],
    around: &BTreeSet<String>,
    text: &str,
) -> f32 {
    let places: Vec<Vec<usize>> = question
        .words
        .iter()
        .map(|word| {
            let is_it = |stem: &String| word.terms.iter().any(|(term, _)| term == stem);
            let at = body.iter().enumerate().filter(|(_, stem)| is_it(stem));
            at.map(|(at, _)| at).collect()
        })
        .collect();
    let plain: BTreeSet<String> = {
        let mut terms = words::Terms::new();
        words::words(text).map(|word| terms.plain(&word.whole)).collect()
    };
    let (mut all, mut covered, mut exact, mut headed) = (0.0, 0.0, 0.0, 0.0);
    for (word, places) in question.words.iter().zip(&places) {
        all += word.weight;
        if !places.is_empty() || word.terms.iter().any(|(term, _)| around.contains(term)) {
            covered += word.weight;
        }
        if plain.contains(&word.plain) {
            exact += word.weight;
        }
        if word.terms.iter().any(|(term, _)| heading.contains(term)) {
            headed += word.weight;
        }
    }
    if all <= 0.0 {
        return 1.0;
    }
    let pairs = places
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if is_near(a, b)))
        .count();
    let together = pairs as f32 / places.len().saturating_sub(1).max(1) as f32;
    let coverage = covered / all;
    (UNCOVERED + (1.0 - UNCOVERED) * coverage * coverage)
        * (1.0 + TOGETHER * together)
        * (1.0 + AS_ASKED * exact / all)
        * (1.0 + HEADED * headed / all)
}

/// Whether a place of one is close before or after one of the other. Both are in
/// order.
fn is_near(a: &[usize], b: &[usize]) -> bool {
    let mut b = b.iter().peekable();
    a.iter().any(|at| {
        while b.next_if(|other| **other + NEAR < *at).is_some() {}
        b.peek().is_some_and(|other| other.abs_diff(*at) <= NEAR)
    })
}

/// The best of them, the best first, each with the score that it has in this
/// company.
pub(super) fn select(candidates: &[Candidate], limit: usize) -> Vec<(&Candidate, f32)> {
    let mut left: Vec<&Candidate> = candidates.iter().collect();
    let mut chosen: Vec<(&Candidate, f32)> = Vec::new();
    while chosen.len() < limit {
        let score = |candidate: &Candidate| {
            let is_same =
                |(other, _): &&(&Candidate, f32)| other.document.number == candidate.document.number;
            let before = chosen.iter().filter(is_same).count();
            candidate.score * FURTHER.powi(i32::try_from(before.min(3)).unwrap_or(0))
        };
        let scores = left.iter().map(|candidate| score(candidate)).enumerate();
        let Some((at, score)) = scores.max_by(|(_, a), (_, b)| a.total_cmp(b)) else {
            break;
        };
        let best = left.swap_remove(at);
        if !chosen.iter().any(|(other, _)| other.is_like(best)) {
            chosen.push((best, score));
        }
    }
    chosen
}
