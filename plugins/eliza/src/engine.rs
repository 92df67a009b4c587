//! How an answer is found, in this order:
//!
//! 1. The text is cut into clauses; each word that a rule listens for is a
//!    candidate, the highest rank first, then as they were said.
//! 2. The rule's patterns are tried on the candidate's clause, in order. The
//!    first that fits gives its list of answers.
//! 3. The message's id chooses one, and what the pattern's gaps held is put into
//!    it, said the other way round.
//!
//! Where nothing fits there is an answer that needs no understanding.

use crate::script::{AGAIN, FAMILIES, RULES, Rule, SILENCE};
use crate::words::{clauses, reflected};

/// What is said to `text`; `id` decides between things equally fit to say.
pub(crate) fn answer(text: &str, id: &str) -> String {
    let seed = hash(id);
    let clauses = clauses(text);
    if clauses.is_empty() {
        return pick(SILENCE, seed).copied().unwrap_or_default().to_string();
    }
    let mut candidates: Vec<(&Rule, &[String])> = Vec::new();
    for clause in &clauses {
        for word in clause {
            candidates.extend(rules_for(word).map(|rule| (rule, clause.as_slice())));
        }
    }
    // A stable sort: what was said first stays first within a rank.
    candidates.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.rank));
    for (rule, clause) in candidates {
        for (pattern, answers) in rule.patterns {
            let Some(gaps) = fit(pattern, clause) else {
                continue;
            };
            let given = answers.iter().filter_map(|answer| filled(answer, &gaps));
            let given: Vec<String> = given.collect();
            if let Some(said) = pick(&given, seed) {
                return said.clone();
            }
        }
    }
    pick(AGAIN, seed).copied().unwrap_or_default().to_string()
}

fn rules_for(word: &str) -> impl Iterator<Item = &'static Rule> {
    RULES
        .iter()
        .filter(move |rule| rule.words.iter().any(|heard| same(heard, word)))
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// What the gaps of `pattern` hold when it fits `words`. A pattern is made of
/// words, of `*` for any run of words, and of `@name` for a word of a family.
fn fit<'a>(pattern: &str, words: &'a [String]) -> Option<Vec<&'a [String]>> {
    let parts: Vec<&str> = pattern.split(' ').collect();
    let mut gaps = Vec::new();
    fit_from(&parts, words, &mut gaps).then_some(gaps)
}

fn fit_from<'a>(parts: &[&str], words: &'a [String], gaps: &mut Vec<&'a [String]>) -> bool {
    let Some((part, parts)) = parts.split_first() else {
        return words.is_empty();
    };
    if *part == "*" {
        // The shortest run first, so that the next word of the pattern means its
        // first occurrence.
        for end in 0..=words.len() {
            let (gap, rest) = words.split_at(end);
            gaps.push(gap);
            if fit_from(parts, rest, gaps) {
                return true;
            }
            gaps.pop();
        }
        return false;
    }
    let Some((word, rest)) = words.split_first() else {
        return false;
    };
    let Some(family) = part.strip_prefix('@') else {
        return same(part, word) && fit_from(parts, rest, gaps);
    };
    if !is_of(family, word) {
        return false;
    }
    gaps.push(std::slice::from_ref(word));
    if fit_from(parts, rest, gaps) {
        return true;
    }
    gaps.pop();
    false
}

fn is_of(family: &str, word: &str) -> bool {
    FAMILIES
        .iter()
        .filter(|(name, _)| *name == family)
        .any(|(_, members)| members.iter().any(|member| same(member, word)))
}

/// An answer with `{1}`, `{2}`, ... replaced by what the gaps held, unless one
/// that it needs held nothing.
fn filled(answer: &str, gaps: &[&[String]]) -> Option<String> {
    let mut text = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some((before, after)) = rest.split_once('{') {
        let (number, after) = after.split_once('}')?;
        let gap = gaps.get(number.parse::<usize>().ok()?.checked_sub(1)?)?;
        if gap.is_empty() {
            return None;
        }
        text.push_str(before);
        text.push_str(&reflected(gap));
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// One of several.
fn pick<T>(of: &[T], seed: usize) -> Option<&T> {
    of.get(seed.checked_rem(of.len())?)
}

/// FNV-1a: short, and the same on every machine.
fn hash(id: &str) -> usize {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    // The low bits of FNV follow the last byte alone.
    (hash ^ (hash >> 15)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that may be said to `text`.
    fn answers(text: &str) -> Vec<String> {
        (0..200).map(|id| answer(text, &id.to_string())).collect()
    }

    fn always(text: &str, part: &str) -> bool {
        answers(text).iter().all(|answer| answer.contains(part))
    }

    fn sometimes(text: &str, said: &str) -> bool {
        answers(text).iter().any(|answer| answer == said)
    }

    #[test]
    fn gives_back_what_it_heard() {
        assert!(always("I need a longer holiday", "a longer holiday"));
        assert!(sometimes(
            "I can't sleep because of you",
            "How would it be without me?"
        ));
        assert!(sometimes("My sister hates my dog", "Your sister hates your dog?"));
        assert!(sometimes(
            "You don't listen to me.",
            "Would you like me to listen to you?"
        ));
        assert!(sometimes("Why can't I sleep?", "When could you last sleep?"));
        assert!(sometimes("Well, I love you!", "Why do you love me?"));
        assert!(sometimes(
            "I dreamt of the sea",
            "What does it remind you of, the sea?"
        ));
    }

    #[test]
    fn an_answer_without_its_words_is_not_given() {
        assert!(always("My sister", "your sister"));
        assert!(!answers("because").iter().any(|answer| answer.contains("reason")));
    }

    #[test]
    fn the_higher_rank_wins_wherever_it_stands() {
        // "computer" outranks "I am", although it comes later.
        assert!(
            !answers("I am sad, and computers are why")
                .iter()
                .any(|a| a.contains("sad"))
        );
        assert!(always("Hello, I need rest", "rest"));
    }

    #[test]
    fn says_something_to_everything() {
        for text in ["", "...", "xyzzy", "ÄÖÜ ß 漢字", "* @family {1}", "i i i i i i i"] {
            for said in answers(text) {
                assert!(!said.is_empty());
                assert!(!said.contains("{1}") || text.contains("{1}"), "{text}: {said}");
            }
        }
    }

    #[test]
    fn a_long_letter_is_answered_in_time() {
        let started = std::time::Instant::now();
        answer(&"i feel you are my mother because ".repeat(30_000), "m1");
        assert!(started.elapsed().as_secs() < 5);
    }

    /// Every rule can be heard, and every answer fits its pattern.
    #[test]
    fn the_script_is_sound() {
        for rule in RULES {
            assert!(!rule.words.is_empty() && !rule.patterns.is_empty());
            for (pattern, answers) in rule.patterns {
                let gaps = pattern.split(' ').filter(|part| part.starts_with(['*', '@']));
                let gaps = gaps.count();
                assert!(!answers.is_empty(), "{pattern}");
                for answer in *answers {
                    for gap in 1..=9 {
                        let used = answer.contains(&format!("{{{gap}}}"));
                        assert!(!used || gap <= gaps, "{pattern}: {answer}");
                    }
                    assert!(answer.ends_with(['.', '?', '!']), "{answer}");
                }
                for part in pattern.split(' ') {
                    if let Some(name) = part.strip_prefix('@') {
                        assert!(FAMILIES.iter().any(|(family, _)| *family == name), "{part}");
                    }
                }
            }
        }
    }
}
