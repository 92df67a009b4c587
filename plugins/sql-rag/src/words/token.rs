//! Cuts a question into words.

use super::singular;

/// A question with its words.
#[derive(Debug)]
pub(crate) struct Question {
    /// As it was asked, with plain quotation marks.
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
}

/// A word, a number, a sign of comparison or a comma.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) lower: String,
    /// Its singular.
    pub(crate) stem: String,
    /// Where it stands, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// It stood between quotation marks, and is a value.
    pub(crate) quoted: bool,
}

/// Words before `'s` that are short for "is", not owners of something.
const BEFORE_IS: &[&str] = &[
    "what", "who", "where", "how", "that", "there", "it", "here", "when", "which",
];
const ENDINGS: &[(&str, &str)] = &[
    ("n't", "not"),
    ("'re", "are"),
    ("'ve", "have"),
    ("'ll", "will"),
    ("'d", "would"),
    ("'m", "am"),
];

impl Question {
    pub(crate) fn new(asked: &str) -> Self {
        let plain = |letter| match letter {
            '\u{2018}' | '\u{2019}' | '\u{201b}' => '\'',
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => '"',
            '\n' | '\r' | '\t' | '\u{a0}' => ' ',
            other => other,
        };
        let text: String = asked.chars().map(plain).collect();
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            at += next(rest, at, &mut tokens).max(1);
            while !text.is_char_boundary(at) {
                at += 1;
            }
        }
        Self { text, tokens }
    }

    /// The words from `start` to `end` as they were typed.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &str {
        let from = self.tokens.get(start).map_or(0, |token| token.start);
        let to = end.checked_sub(1).and_then(|last| self.tokens.get(last));
        let to = to.map_or(from, |token| token.end);
        self.text.get(from..to).unwrap_or_default()
    }
}

/// Reads what `rest` begins with, which stands at byte `at`, and tells its length.
fn next(rest: &str, at: usize, tokens: &mut Vec<Token>) -> usize {
    let Some(first) = rest.chars().next() else {
        return 1;
    };
    if matches!(first, '"' | '\'') {
        if let Some(inside) = quoted(rest, first) {
            tokens.push(Token {
                lower: inside.to_lowercase(),
                stem: inside.to_lowercase(),
                start: at + 1,
                end: at + 1 + inside.len(),
                quoted: true,
            });
            return inside.len() + 2;
        }
        return 1;
    }
    if matches!(first, '<' | '>' | '=' | '!') {
        let length = if rest.get(1..).is_some_and(|more| more.starts_with(['=', '>'])) {
            2
        } else {
            1
        };
        let sign = rest.get(..length).unwrap_or_default();
        if sign != "!" {
            push(tokens, sign, at);
        }
        return length;
    }
    if matches!(first, ',' | ';') {
        push(tokens, ",", at);
        return 1;
    }
    if !(first.is_alphanumeric() || matches!(first, '$' | '€' | '£' | '&' | '-' | '.')) {
        return first.len_utf8();
    }
    let length = length_of_word(rest);
    word(rest.get(..length).unwrap_or_default(), at, tokens);
    length
}

/// What stands between two marks. An apostrophe closes only before a gap, so
/// that `'Guns N' Roses'` is rather not read than read wrongly.
fn quoted(rest: &str, mark: char) -> Option<&str> {
    let inside = rest.get(1..)?;
    let end = inside.find(mark)?;
    let after = inside.get(end + 1..).and_then(|after| after.chars().next());
    let closes = mark == '"' || after.is_none_or(|after| !after.is_alphanumeric());
    (closes && end > 0).then(|| inside.get(..end)).flatten()
}

/// Up to the next gap or mark. A comma within a number belongs to it.
fn length_of_word(rest: &str) -> usize {
    let mut before = ' ';
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let after = letters.peek().map_or(' ', |(_, after)| *after);
        let thousands = letter == ',' && before.is_ascii_digit() && after.is_ascii_digit();
        let mark = matches!(
            letter,
            ',' | ';' | '?' | '!' | ':' | '(' | ')' | '[' | ']' | '"' | '<' | '>' | '='
        );
        if letter.is_whitespace() || (mark && !thousands) {
            return at;
        }
        before = letter;
    }
    rest.len()
}

/// Adds a word, or the several that are written as one: `what's`,
/// `best-selling`, `order_items`, `AC/DC's`.
fn word(typed: &str, at: usize, tokens: &mut Vec<Token>) {
    let numeric = typed.contains(|letter: char| letter.is_ascii_digit());
    let trimmed = typed.trim_end_matches(['.', '\'', '-']);
    let owner = typed.ends_with("s'");
    let start = trimmed.len() - trimmed.trim_start_matches(['.', '&', '-']).len();
    let Some(bare) = trimmed.get(start..).filter(|bare| !bare.is_empty()) else {
        if typed == "&" {
            push(tokens, "and", at);
        }
        return;
    };
    // "-5" is a number below zero.
    let negative = numeric && typed.starts_with('-');
    let (bare, at) = if negative {
        (trimmed, at)
    } else {
        (bare, at + start)
    };
    let lower = bare.to_lowercase();
    for (ending, whole) in ENDINGS {
        if let Some(stem) = lower.strip_suffix(ending).filter(|stem| !stem.is_empty()) {
            push(tokens, bare.get(..stem.len()).unwrap_or(bare), at);
            push(tokens, whole, at + stem.len());
            return;
        }
    }
    if let Some(stem) = lower.strip_suffix("'s") {
        push(tokens, bare.get(..stem.len()).unwrap_or(bare), at);
        let mark = if BEFORE_IS.contains(&stem) { "is" } else { "'s" };
        push(tokens, mark, at + stem.len());
        return;
    }
    if numeric {
        push(tokens, bare, at);
    } else {
        let mut from = 0;
        for part in bare.split_inclusive(['-', '_']) {
            push(tokens, part.trim_end_matches(['-', '_']), at + from);
            from += part.len();
        }
    }
    if owner {
        push(tokens, "'s", at + bare.len());
    }
}

fn push(tokens: &mut Vec<Token>, word: &str, at: usize) {
    if word.is_empty() {
        return;
    }
    let lower = word.to_lowercase();
    tokens.push(Token {
        stem: singular(&lower),
        start: at,
        end: at + word.len(),
        lower,
        quoted: false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let tokens = Question::new(text).tokens;
        tokens
            .iter()
            .map(|token| &*token.lower)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn cuts_what_people_type() {
        for (typed, expected) in [
            ("How many customers are there?", "how many customers are there"),
            ("albums by AC/DC.", "albums by ac/dc"),
            ("AC/DC\u{2019}s albums", "ac/dc 's albums"),
            ("customers' e-mails", "customers 's e mails"),
            ("what's new, and who isn't?", "what is new , and who is not"),
            ("best-selling order_items", "best selling order items"),
            ("total>=1,000.50!", "total >= 1,000.50"),
            ("in 2010-01-05", "in 2010-01-05"),
            (
                "\u{201c}Let There Be Rock\u{201d} tracks",
                "let there be rock tracks",
            ),
            ("over $100 & under -5", "over $100 and under -5"),
            ("  ...  ?!", ""),
        ] {
            assert_eq!(words(typed), expected, "{typed}");
        }
    }

    #[test]
    fn a_slice_is_what_was_typed() {
        let question = Question::new("tracks by Guns N\u{2019} Roses, please");
        assert_eq!(question.slice(2, 5), "Guns N' Roses");
        let question = Question::new("the \"Big Ones\" album");
        assert!(question.tokens[1].quoted);
        assert_eq!(question.slice(1, 2), "Big Ones");
    }

    #[test]
    fn reads_any_text_to_its_end() {
        for text in [
            "\u{1f600}\u{1f600}",
            "'",
            "\"",
            "'a",
            "ß'ß",
            "a\u{301}''",
            "<",
            "-",
            "--",
            "….",
            "'é'",
        ] {
            let question = Question::new(text);
            for token in &question.tokens {
                assert!(
                    question.text.get(token.start..token.end).is_some() || token.end > text.len(),
                    "{text}"
                );
            }
        }
    }
}
