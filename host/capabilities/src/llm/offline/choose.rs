//! Which sentences answer a question best.
//!
//! A sentence is worth the question's terms that it has, rare ones more (their
//! inverse frequency over all sentences of the material), those less that are only
//! a part of a name, and a little more for those that stand in the headings above
//! it, for standing early, and for coming from a passage that was found earlier.
//! Further sentences are taken while they are worth nearly as much as the best,
//! have at least half as much of the question, and say something that the others
//! do not.

use std::collections::{HashMap, HashSet};

use super::super::prompt::Material;
use super::sentences::{self, Sentence};
use super::terms::{terms, whole_terms};

/// How many sentences are quoted at most.
const CHOSEN_MAX: usize = 4;

/// What a term in the headings counts, against one in the sentence.
const HEADING: f64 = 0.4;

/// What a term counts that is only a part of a name in the sentence.
const PART: f64 = 0.3;

/// What a sentence keeps of its worth that has next to nothing of the question:
/// one that has two of its terms comes before any that has one.
const UNCOVERED: f64 = 0.4;

/// What the row of a table is worth, against a sentence with the same terms.
const ROW: f64 = 0.8;

/// What a further sentence has to be worth, against the best.
const FURTHER: f64 = 0.6;

struct Candidate {
    sentence: Sentence,
    number: usize,
    passage: usize,
    position: usize,
    terms: HashSet<String>,
    /// Those that are no mere part of a name.
    whole: HashSet<String>,
    /// The first of its terms, which it is most likely about.
    about: Option<String>,
    /// How many of the question's terms it has.
    said: usize,
    worth: f64,
    /// By which the best is chosen: its worth, and more the more of the question
    /// it has.
    rank: f64,
}

/// What was chosen.
#[derive(Default)]
pub(super) struct Chosen {
    /// One to four sentences, each followed by the number of its passage; none
    /// when no sentence has anything of the question.
    pub(super) quotes: Vec<String>,
    /// Whether a row of a table is among them.
    pub(super) rows: bool,
    /// Whether anything else is.
    pub(super) prose: bool,
}

/// Chooses from the passages what answers the question.
pub(super) fn sentences(question: &str, passages: &[Material<'_>]) -> Chosen {
    let asked: HashSet<String> = terms(question).into_iter().collect();
    let mut candidates = candidates(passages);
    weigh(&asked, passages, &mut candidates);
    candidates.retain(|candidate| candidate.worth > 0.0);
    // The sort keeps the order of the material among equals.
    candidates.sort_by(|one, other| other.rank.total_cmp(&one.rank));
    let mut chosen: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if chosen.len() >= CHOSEN_MAX {
            break;
        }
        if let Some(best) = chosen.first()
            && (candidate.worth < FURTHER * best.worth || 2 * candidate.said < best.said)
        {
            continue;
        }
        if !chosen.iter().any(|other| alike(other, &candidate)) {
            chosen.push(candidate);
        }
    }
    // The passage of the best sentence first; within a passage, as it stands.
    let first = chosen.first().map(|best| best.passage);
    chosen.sort_by_key(|it| (Some(it.passage) != first, it.passage, it.position));
    Chosen {
        rows: chosen.iter().any(|it| it.sentence.cells.is_some()),
        prose: chosen.iter().any(|it| it.sentence.cells.is_none()),
        quotes: chosen
            .into_iter()
            .map(|it| format!("{} [{}]", it.sentence.text, it.number))
            .collect(),
    }
}

fn candidates(passages: &[Material<'_>]) -> Vec<Candidate> {
    let of = |(passage, material): (usize, &Material<'_>)| {
        let number = material.number;
        let sentences = sentences::sentences(material.text).into_iter().enumerate();
        sentences.map(move |(position, sentence)| {
            let own = sentence.cells.as_deref().unwrap_or(&sentence.text);
            let terms = terms(own);
            Candidate {
                about: terms.first().cloned(),
                terms: terms.into_iter().collect(),
                whole: whole_terms(own).collect(),
                sentence,
                number,
                passage,
                position,
                said: 0,
                worth: 0.0,
                rank: 0.0,
            }
        })
    };
    passages.iter().enumerate().flat_map(of).collect()
}

fn weigh(asked: &HashSet<String>, passages: &[Material<'_>], candidates: &mut [Candidate]) {
    let mut frequency: HashMap<&str, usize> = asked.iter().map(|term| (term.as_str(), 0)).collect();
    for candidate in candidates.iter() {
        for term in &candidate.terms {
            if let Some(count) = frequency.get_mut(term.as_str()) {
                *count += 1;
            }
        }
    }
    let total = candidates.len() as f64;
    let rarity = |term: &str| {
        let count = frequency.get(term).copied().unwrap_or_default() as f64;
        (1.0 + total / (1.0 + count)).ln()
    };
    // In a fixed order, since sums of fractions depend on it.
    let mut asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    asked.sort_unstable();
    let labels: Vec<HashSet<String>> = passages
        .iter()
        .map(|it| terms(it.label).into_iter().collect())
        .collect();
    let all: f64 = asked.iter().map(|term| rarity(term)).sum();
    for candidate in candidates.iter_mut() {
        let above: HashSet<String> = terms(&candidate.sentence.headings).into_iter().collect();
        let label = labels.get(candidate.passage);
        let (mut said, mut headed) = (0.0, 0.0);
        for term in &asked {
            if candidate.whole.contains(*term) {
                said += rarity(term);
                candidate.said += 1;
            } else if candidate.terms.contains(*term) {
                said += PART * rarity(term);
            } else if above.contains(*term) || label.is_some_and(|label| label.contains(*term)) {
                headed += HEADING * rarity(term);
            }
        }
        // Headings alone are enough only for what stands right below them.
        let opens = candidate.sentence.opens || candidate.position == 0;
        if said > 0.0 || opens && candidate.sentence.cells.is_none() {
            let about = candidate
                .about
                .as_deref()
                .is_some_and(|about| asked.contains(&about));
            let factor = if about { 1.3 } else { 1.0 };
            candidate.worth = factor * (said + headed) * shape(candidate);
            candidate.rank = candidate.worth * (UNCOVERED + (1.0 - UNCOVERED) * (said + headed) / all);
        }
    }
}

/// What a sentence's form and place make of its worth.
fn shape(candidate: &Candidate) -> f64 {
    let text = &candidate.sentence.text;
    let words = text.split_whitespace().count() as f64;
    let mut factor = 1.0 / (1.0 + (words / 25.0).max(1.0).ln());
    // Material comes best first: whoever searched has weighed it already.
    factor *= 1.0 + 0.5 / (1.0 + candidate.passage as f64) + 0.1 / (1.0 + candidate.position as f64);
    if text.ends_with('?') {
        factor *= 0.4;
    }
    if text.ends_with(':') || words < 4.0 {
        factor *= 0.6;
    }
    // Settings, paths and data are not what was asked for, most often.
    let plain = text.chars().filter(|c| c.is_alphabetic() || *c == ' ').count();
    if candidate.sentence.cells.is_some() {
        factor *= ROW;
    } else if plain * 5 < text.chars().count() * 4 {
        factor *= 0.6;
    }
    // A list, of names above all, is about each of them, and about nothing.
    if text.split_whitespace().filter(|word| word.contains('_')).count() >= 3 {
        factor *= 0.4;
    } else if text.matches(',').count() > 6 {
        factor *= 0.6;
    }
    let leans = [
        "It ", "This ", "That ", "These ", "Those ", "They ", "He ", "She ",
    ];
    if leans.iter().any(|word| text.starts_with(word)) {
        factor *= 0.8;
    }
    factor
}

/// Whether two sentences say the same.
fn alike(one: &Candidate, other: &Candidate) -> bool {
    let common = one.terms.intersection(&other.terms).count();
    let fewer = one.terms.len().min(other.terms.len());
    one.sentence.text == other.sentence.text || (fewer > 0 && common * 5 >= fewer * 4)
}
