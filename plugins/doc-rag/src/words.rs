//! Which words of a question matter, and whether a text has them.

use std::collections::BTreeSet;

/// Words that say nothing about what is asked.
#[rustfmt::skip]
const STOP: &[&str] = &[
    "a", "about", "again", "all", "also", "am", "an", "and", "any", "anybody", "anyone", "anything",
    "are", "as", "at", "be", "because", "been", "being", "but", "by", "can", "cannot", "could", "describe",
    "did", "do", "does", "doing", "don", "done", "each", "else", "ever", "every", "exactly", "explain",
    "for", "from", "get", "gets", "give", "gives", "go", "goes", "got", "had", "happen", "happens", "has",
    "have", "he", "help", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "isn", "it",
    "its", "just", "kind", "know", "let", "ll", "long", "make", "many", "may", "me", "mean", "means",
    "might", "mine", "more", "most", "much", "must", "my", "need", "needs", "no", "not", "of", "on", "one",
    "only", "or", "other", "our", "out", "over", "please", "possible", "re", "say", "says", "shall", "she",
    "should", "show", "so", "some", "somebody", "something", "such", "tell", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "thing", "things", "this", "those", "through", "to",
    "too", "up", "us", "use", "used", "uses", "using", "ve", "very", "want", "was", "way", "we", "were",
    "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will", "with", "work",
    "works", "would", "you", "your",
];

/// The stems of the words that matter in a text, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words(BTreeSet<String>);

impl Words {
    pub(crate) fn of(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty()).map(str::to_lowercase);
        let words = words.filter(|word| !STOP.contains(&word.as_str()));
        Self(words.map(|word| stem(&word)).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of these a text has.
    pub(crate) fn shared_with(&self, text: &Words) -> usize {
        let has = |word: &&String| text.0.iter().any(|known| alike(word, known));
        self.0.iter().filter(has).count()
    }
}

/// Whether two stems are of one word, as far as letters tell.
fn alike(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() {
        (one, other)
    } else {
        (other, one)
    };
    short == long || (short.len() >= 5 && long.starts_with(short))
}

/// A word without its most usual English endings. What matters is that the forms
/// of a word come out the same, not that the result is one.
fn stem(word: &str) -> String {
    let mut stem = word;
    for ending in [
        "ations", "ation", "ings", "ing", "ies", "ied", "ions", "ion", "ers", "er", "ed", "es", "s",
    ] {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.chars().count() >= 3
            && !(ending == "s" && rest.ends_with('s'))
        {
            stem = rest;
            break;
        }
    }
    let mut letters: Vec<char> = stem.chars().collect();
    // "swapp" of "swapping", "cache" beside "caching", "query" beside "queries".
    let doubled = matches!(letters.as_slice(), [.., a, b] if a == b);
    if letters.len() > 3 && (doubled || stem.ends_with(['e', 'y'])) {
        letters.pop();
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        Words::of(one).shared_with(&Words::of(other)) == 1
    }

    #[test]
    fn the_forms_of_a_word_are_one_word() {
        for (one, other) in [
            ("swap", "swapping"),
            ("swapped", "swaps"),
            ("caching", "cache"),
            ("query", "queries"),
            ("configuration", "configure"),
            ("config", "configured"),
            ("plugins", "Plugin"),
            ("process", "processes"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [("host", "hot"), ("tea", "team")] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn only_what_says_something_counts() {
        assert_eq!(Words::of("What does it mean, and how do I use it?").len(), 0);
        assert_eq!(Words::of("How do I swap a plug-in, swap?").len(), 2);
        let asked = Words::of("drain delay");
        assert_eq!(asked.shared_with(&Words::of("The delay before it drains.")), 2);
        assert_eq!(asked.shared_with(&Words::of("Rain")), 0);
    }
}
