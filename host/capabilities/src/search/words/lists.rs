//! Words that count for less than others in a question.

/// Words that hold a sentence together and say nothing of what it is about.
/// Apostrophes are gone when they are compared.
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "arent", "as", "at",
    "be", "because", "been", "before", "being", "between", "both", "but", "by", "can", "cannot", "cant",
    "could", "couldnt", "did", "didnt", "do", "does", "doesnt", "doing", "dont", "each", "for", "from",
    "get", "gets", "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how", "i", "id", "if",
    "im", "in", "into", "is", "isnt", "it", "its", "ive", "just", "let", "lets", "may", "me", "might", "mine", "more", "most", "my",
    "no", "nor", "not", "of", "on", "once", "one", "only", "or", "other", "our", "ours", "out", "over", "own",
    "please", "shall", "she", "should", "shouldnt", "so", "some", "such", "tell", "than", "that", "thats",
    "the", "their", "theirs", "them", "then", "there", "theres", "these", "they", "this", "those", "through",
    "to", "too", "up", "us", "very", "was", "wasnt", "we", "were", "what", "whats", "when", "where", "which",
    "while", "who", "whom", "whose", "why", "will", "with", "wont", "would", "you", "your", "yours",
];

/// Words that people ask with, and that seldom are what they ask about.
#[rustfmt::skip]
const WEAK_WORDS: &[&str] = &[
    "best", "big", "come", "comes", "different", "exactly", "explain", "find", "getting", "give", "given", "gives",
    "go", "goes", "good", "happen", "happened", "happening", "happens", "know", "large", "like", "list", "long",
    "look", "made", "make", "makes", "many", "mean", "means", "much", "must", "need", "needed", "needs", "new",
    "now", "possible", "really", "say", "says", "see", "sees", "show", "shows", "still", "take", "takes",
    "thing", "things", "try", "use", "used", "uses", "using", "want", "way", "ways", "without", "work", "works",
];

/// Whether a word, as [`Terms::plain`](super::Terms::plain) gives it, says nothing by itself.
pub(in super::super) fn is_stop_word(plain: &str) -> bool {
    STOP_WORDS.binary_search(&plain).is_ok()
}

/// Whether a word, as [`Terms::plain`](super::Terms::plain) gives it, says little by itself.
pub(in super::super) fn is_weak(plain: &str) -> bool {
    WEAK_WORDS.binary_search(&plain).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted() && WEAK_WORDS.is_sorted());
        assert!(is_stop_word("what") && !is_stop_word("plugin"));
    }
}
