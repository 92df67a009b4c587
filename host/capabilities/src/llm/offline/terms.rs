//! Words as they are compared: without case, endings, or those that every
//! sentence has.

/// Words of a question that say nothing of what it is about.
#[rustfmt::skip]
const EMPTY: [&str; 127] = [
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "anything", "are", "as", "at",
    "be", "been", "before", "but", "by", "can", "could", "describe", "did", "do", "does", "each",
    "ever", "every", "exactly", "explain", "for", "from", "get", "give", "had", "happen",
    "happened", "happening", "happens", "has", "have", "here", "how", "i", "if", "in", "into",
    "is", "it", "its", "just", "know", "let", "like", "long", "many", "may", "me", "mean", "means",
    "more", "most", "much", "must", "my", "need", "needs", "no", "not", "of", "often", "on", "one",
    "only", "or", "other", "our", "out", "over", "own", "please", "shall", "should", "show", "so",
    "some", "somebody", "someone", "something", "such", "tell", "than", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "those", "to", "too", "up", "us", "use",
    "used", "uses", "using", "very", "want", "wants", "was", "way", "we", "were", "what", "when",
    "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// The words of `text` that can be compared, in order, each once or more. A name
/// with `_` in it is a word, and so are its parts.
pub(super) fn terms(text: &str) -> Vec<String> {
    let all = words(text).flat_map(|word| {
        let parts: Vec<String> = match word.contains('_') {
            true => word
                .split('_')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
            false => Vec::new(),
        };
        std::iter::once(word).chain(parts)
    });
    all.filter(|word| !EMPTY.contains(&word.as_str()))
        .map(stem)
        .collect()
}

/// Those of them that stand there by themselves, not as a part of a name:
/// `too_many_plugins` is a name, and says little about plugins.
pub(super) fn whole_terms(text: &str) -> impl Iterator<Item = String> {
    words(text)
        .filter(|word| !EMPTY.contains(&word.as_str()))
        .map(stem)
}

/// The words of `text`, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(|word| word.trim_matches('_').to_lowercase())
        .filter(|word| !word.is_empty())
}

/// The word without its commonest English endings: crude, but the same for both
/// sides of a comparison.
fn stem(mut word: String) -> String {
    if !word.is_ascii() || word.len() < 4 || word.contains('_') {
        return word;
    }
    if let Some(rest) = word.strip_suffix("ies").filter(|rest| rest.len() > 2) {
        word = format!("{rest}y");
    } else if let Some(rest) = ["sses", "xes", "ches", "shes"].iter().find_map(|end| {
        let kept = end.len() - 2;
        word.ends_with(end).then(|| word.len() - end.len() + kept)
    }) {
        word.truncate(rest);
    } else if word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        word.pop();
    }
    for (ending, least) in [("ing", 3), ("ed", 3), ("ly", 4)] {
        let Some(rest) = word.strip_suffix(ending).filter(|rest| rest.len() >= least) else {
            continue;
        };
        if !rest.bytes().any(|byte| b"aeiouy".contains(&byte)) {
            continue;
        }
        let mut kept = rest.len();
        let mut ends = rest.bytes().rev();
        if let (Some(last), Some(before)) = (ends.next(), ends.next())
            && last == before
            && !b"lsz".contains(&last)
        {
            kept -= 1;
        }
        word.truncate(kept);
        break;
    }
    if word.len() > 3 && word.ends_with('e') {
        word.pop();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_the_same_term() {
        for forms in [
            &["swap", "swaps", "swapped", "swapping"][..],
            &["query", "queries"],
            &["box", "boxes"],
            &["cite", "cites", "cited", "citing"],
            &["grant", "Grants", "GRANTED"],
            &["process", "processes", "processing"],
            &["index", "indexes", "indexed"],
        ] {
            let stems: Vec<_> = forms.iter().flat_map(|form| terms(form)).collect();
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
        }
    }

    #[test]
    fn different_words_stay_different() {
        for (one, other) in [
            ("status", "state"),
            ("bus", "bu"),
            ("thing", "th"),
            ("string", "str"),
            ("red", "r"),
        ] {
            assert_ne!(terms(one), terms(other));
        }
        assert_eq!(
            terms("What is the Zürich `max_in_flight`?"),
            ["zürich", "max_in_flight", "max", "flight"]
        );
        let wholes: Vec<_> = whole_terms("What is the Zürich `max_in_flight`?").collect();
        assert_eq!(wholes, ["zürich", "max_in_flight"]);
    }
}
