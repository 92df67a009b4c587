//! From text to words and back: reading what was typed, and saying it the other
//! way round.

/// How much of a text is read, in words: no one is listened to for ever.
const MAX_WORDS: usize = 400;

/// The text in clauses, each a list of words as they were typed, contractions
/// written out.
pub(crate) fn clauses(text: &str) -> Vec<Vec<String>> {
    let text = text.replace('\u{2019}', "'");
    let mut clauses = vec![Vec::new()];
    for typed in text.split_whitespace().take(MAX_WORDS) {
        let word = typed.trim_matches(|c: char| !c.is_alphanumeric());
        let ends = typed.ends_with(['.', ',', ';', ':', '!', '?']);
        if let Some(clause) = clauses.last_mut() {
            clause.extend(written_out(word));
        }
        if ends || word.eq_ignore_ascii_case("but") {
            clauses.push(Vec::new());
        }
    }
    clauses.retain(|clause| !clause.is_empty());
    clauses
}

/// A word, or the words that a contraction stands for.
fn written_out(word: &str) -> Vec<String> {
    let lower = word.to_lowercase();
    let whole = match lower.as_str() {
        "" => return Vec::new(),
        "i'm" | "im" => "I am",
        "can't" | "cant" => "cannot",
        "won't" | "wont" => "will not",
        "dont" => "do not",
        "didnt" => "did not",
        "isnt" => "is not",
        "ain't" => "is not",
        "youre" => "you are",
        "ive" => "I have",
        "let's" => "let us",
        "it's" => "it is",
        "that's" => "that is",
        "what's" => "what is",
        "who's" => "who is",
        "he's" => "he is",
        "she's" => "she is",
        "there's" => "there is",
        _ => return ending_written_out(word),
    };
    whole.split(' ').map(str::to_string).collect()
}

fn ending_written_out(word: &str) -> Vec<String> {
    let endings = [
        ("n't", "not"),
        ("'re", "are"),
        ("'ve", "have"),
        ("'ll", "will"),
        ("'d", "would"),
    ];
    for (ending, whole) in endings {
        if let Some(stem) = word.strip_suffix(ending) {
            return vec![stem.to_string(), whole.to_string()];
        }
    }
    vec![word.to_string()]
}

/// Says words of the other person as one's own: "my cat likes you" becomes "your
/// cat likes me".
pub(crate) fn reflected(words: &[String]) -> String {
    let mut said: Vec<&str> = Vec::with_capacity(words.len());
    let mut before = String::new();
    for word in words {
        let lower = word.to_lowercase();
        said.push(match (before.as_str(), lower.as_str()) {
            ("", "you") if words.len() == 1 => "me",
            (_, "i" | "me") => "you",
            (_, "my") => "your",
            (_, "mine") => "yours",
            (_, "myself") => "yourself",
            (_, "your") => "my",
            (_, "yours") => "mine",
            (_, "yourself") => "myself",
            ("i", "am") => "are",
            ("i", "was") => "were",
            ("you", "are") => "am",
            ("you", "were") => "was",
            // Who does something is "I", whom it is done to is "me". Without
            // grammar the word before has to tell.
            (
                "" | "that" | "if" | "when" | "because" | "and" | "how" | "why" | "what" | "do" | "think"
                | "wish" | "hope" | "know" | "say" | "believe",
                "you",
            ) => "I",
            (_, "you") => "me",
            _ => word.as_str(),
        });
        before = lower;
    }
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_clause(text: &str) -> Vec<String> {
        clauses(text).concat()
    }

    #[test]
    fn reads_clauses_and_writes_contractions_out() {
        let expected = vec![
            vec!["Well".to_string()],
            "I am not sure they do not mind but"
                .split(' ')
                .map(str::to_string)
                .collect(),
            vec!["fine".to_string()],
        ];
        assert_eq!(clauses("Well, I’m not sure they don't mind but fine!"), expected);
        assert!(clauses(" ?! ...").is_empty());
    }

    #[test]
    fn says_it_the_other_way_round() {
        for (theirs, ours) in [
            ("my cat likes you", "your cat likes me"),
            ("I was afraid of you", "you were afraid of me"),
            ("you are kind to me", "I am kind to you"),
            ("that you were mine", "that I was yours"),
            ("myself and Ada", "yourself and Ada"),
            ("you", "me"),
        ] {
            assert_eq!(reflected(&one_clause(theirs)), ours);
        }
    }

    #[test]
    fn stops_listening_some_time() {
        assert_eq!(one_clause(&"so ".repeat(100_000)).len(), MAX_WORDS);
    }
}
