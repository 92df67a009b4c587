//! Words: how text becomes what is looked up, the same way for documents and
//! for what is asked.
//!
//! A word is a run of letters and digits; `_`, `-`, `.` and apostrophes hold it
//! together when letters stand on both sides. Such a compound is one word
//! without them (`max_in_flight` is `maxinflight`, `plug-in` is `plugin`) and
//! also each of its parts; so is `camelCase`. Case and accents do not matter,
//! and English endings are cut off. Scripts that are written without spaces
//! become overlapping pairs of characters.

mod lists;

use std::collections::BTreeSet;

use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
    WhitespaceTokenizer,
};

pub(super) use lists::{is_stop_word, is_weak};

/// Longer runs are no words but keys, digests and encoded data.
const MAX_WORD_BYTES: usize = 64;

/// A word as it stands in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Without what holds its parts together; case and accents as written.
    pub(super) whole: String,
    /// What it is made of; empty for a plain word.
    pub(super) parts: Vec<String>,
    from: usize,
    to: usize,
}

/// The words of a text, in order.
pub(super) struct Words<'a> {
    text: &'a str,
    at: usize,
}

/// Cuts `text` into words.
pub(super) fn words(text: &str) -> Words<'_> {
    Words { text, at: 0 }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        loop {
            let rest = self.text.get(self.at..)?;
            let (skipped, first) = rest.char_indices().find(|(_, c)| c.is_alphanumeric())?;
            let from = self.at + skipped;
            let rest = self.text.get(from..)?;
            if is_unspaced(first) {
                return Some(self.pair(from, rest));
            }
            let to = from + run_len(rest);
            self.at = to;
            let word = word(self.text.get(from..to)?, from, to);
            if !word.whole.is_empty() {
                return Some(word);
            }
        }
    }
}

impl Words<'_> {
    /// A character and the one after it, or the character alone.
    fn pair(&mut self, from: usize, rest: &str) -> Word {
        let mut chars = rest.chars();
        let first = chars.next().map_or(0, char::len_utf8);
        let second = chars.next().filter(|c| is_unspaced(*c)).map_or(0, char::len_utf8);
        let follows = chars.next().is_some_and(is_unspaced);
        // The last pair of a run takes both its characters along.
        self.at = from
            + if second > 0 && !follows {
                first + second
            } else {
                first
            };
        let to = from + first + second;
        Word {
            whole: self.text.get(from..to).unwrap_or_default().to_owned(),
            parts: Vec::new(),
            from,
            to,
        }
    }
}

/// How many bytes from the start of `rest`, which begins with a letter, are one
/// run.
fn run_len(rest: &str) -> usize {
    let mut end = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let inside = if c.is_alphanumeric() {
            !is_unspaced(c)
        } else {
            is_joint(c)
                && chars
                    .peek()
                    .is_some_and(|(_, next)| next.is_alphanumeric() && !is_unspaced(*next))
        };
        if !inside {
            break;
        }
        end = at + c.len_utf8();
    }
    end
}

fn word(run: &str, from: usize, to: usize) -> Word {
    // The genitive says nothing; other apostrophes hold one word together.
    let run = run
        .strip_suffix("'s")
        .or_else(|| run.strip_suffix("’s"))
        .unwrap_or(run);
    let mut word = Word {
        from,
        to,
        ..Word::default()
    };
    let mut part = String::new();
    let mut before = None;
    for c in run.chars() {
        if is_apostrophe(c) {
            continue;
        }
        let camel = before.is_some_and(char::is_lowercase) && c.is_uppercase();
        if (camel || is_joint(c)) && !part.is_empty() {
            word.parts.push(std::mem::take(&mut part));
        }
        if !is_joint(c) {
            part.push(c);
            word.whole.push(c);
        }
        before = Some(c);
    }
    // Most words have no parts.
    if !word.parts.is_empty() && !part.is_empty() {
        word.parts.push(part);
    }
    word.parts.retain(|part| part.len() <= MAX_WORD_BYTES);
    if word.whole.len() > MAX_WORD_BYTES {
        word.whole.clear();
        // The parts of what is too long may be words all the same.
        if let Some(first) = (!word.parts.is_empty()).then(|| word.parts.remove(0)) {
            word.whole = first;
        }
    }
    word
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

fn is_joint(c: char) -> bool {
    matches!(c, '_' | '-' | '.') || is_apostrophe(c)
}

/// Of a script that puts no spaces between its words: Han, kana, Thai, Lao,
/// Khmer, Burmese.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// What the index calls the analyzers of its fields.
pub(super) const ANALYZER: &str = "words";
pub(super) const FORMS_ANALYZER: &str = "forms";

/// Text to the terms of the index.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(WordTokenizer::default())
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::default())
        .build()
}

/// Of what [`forms`] gives, each as it is.
pub(super) fn forms_analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(WhitespaceTokenizer::default()).build()
}

/// The words of a text that are not their own terms, without case and accents,
/// each once: by them a slip in an ending is mended.
pub(super) fn forms(text: &str) -> String {
    let mut terms = Terms::new();
    let mut known = BTreeSet::new();
    let mut forms = String::new();
    for word in words(text) {
        // Most are spelled as they were before, and are looked at once.
        if !known.insert(word.whole.clone()) {
            continue;
        }
        let plain = terms.plain(&word.whole);
        if plain != word.whole && !known.insert(plain.clone()) {
            continue;
        }
        if plain != terms.stem(&word.whole) {
            forms.push_str(&plain);
            forms.push(' ');
        }
    }
    forms
}

/// Single words to terms.
pub(super) struct Terms {
    plain: TextAnalyzer,
    stem: TextAnalyzer,
}

impl Terms {
    pub(super) fn new() -> Terms {
        let plain = TextAnalyzer::builder(RawTokenizer::default())
            .filter(LowerCaser)
            .filter(AsciiFoldingFilter);
        let stem = TextAnalyzer::builder(RawTokenizer::default())
            .filter(LowerCaser)
            .filter(AsciiFoldingFilter)
            .filter(Stemmer::default());
        Terms {
            plain: plain.build(),
            stem: stem.build(),
        }
    }

    /// The word without case and accents.
    pub(super) fn plain(&mut self, word: &str) -> String {
        only(&mut self.plain, word)
    }

    /// The word as the index knows it.
    pub(super) fn stem(&mut self, word: &str) -> String {
        only(&mut self.stem, word)
    }
}

fn only(analyzer: &mut TextAnalyzer, word: &str) -> String {
    let mut stream = analyzer.token_stream(word);
    stream.next().map(|token| token.text.clone()).unwrap_or_default()
}

#[derive(Clone, Default)]
struct WordTokenizer {
    token: Token,
}

/// Each word, then its parts, at the same place.
struct WordStream<'a> {
    words: Words<'a>,
    parts: std::vec::IntoIter<String>,
    token: &'a mut Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            words: words(text),
            parts: Vec::new().into_iter(),
            token: &mut self.token,
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        if let Some(part) = self.parts.next() {
            self.token.text = part;
            return true;
        }
        let Some(word) = self.words.next() else {
            return false;
        };
        self.token.text = word.whole;
        self.token.offset_from = word.from;
        self.token.offset_to = word.to;
        self.token.position = self.token.position.wrapping_add(1);
        self.parts = word.parts.into_iter();
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut analyzer = analyzer();
        let mut stream = analyzer.token_stream(text);
        let mut terms = Vec::new();
        while stream.advance() {
            terms.push(stream.token().text.clone());
        }
        terms
    }

    #[test]
    fn words_are_found_by_what_they_are_made_of() {
        for (text, expected) in [
            ("Swapping plugins", "swap plugin"),
            ("the plug-in's outbox", "the plugin plug in outbox"),
            ("max_in_flight = 64", "maxinflight max in flight 64"),
            ("RamDirectory", "ramdirectori ram directori"),
            ("don't, can’t", "dont cant"),
            ("segue.toml.", "seguetoml segu toml"),
            ("Café naïve", "cafe naiv"),
            ("wasm32-wasip2", "wasm32wasip2 wasm32 wasip2"),
            ("a--b -c- 'd'", "a b c d"),
            ("", ""),
            ("... \u{0} !?", ""),
            ("日本語 の x", "日本 本語 の x"),
            ("a日本b", "a 日本 b"),
        ] {
            assert_eq!(terms(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn forms_are_the_words_that_their_terms_are_not() {
        assert_eq!(
            forms("Configuration, configuration of PLUGINS: read it"),
            "configuration plugins "
        );
    }

    #[test]
    fn what_is_too_long_is_no_word() {
        assert_eq!(terms(&"x".repeat(65)), Vec::<String>::new());
        assert_eq!(terms(&"x".repeat(64)).len(), 1);
        assert_eq!(terms(&"é".repeat(100_000)), Vec::<String>::new());
        // Its parts may be.
        let long = ["word"; 20].join("_");
        assert_eq!(terms(&long).len(), 20);
    }

    #[test]
    fn offsets_are_those_of_the_text() {
        let text = "Ä max_in_flight, 日本語!";
        let found: Vec<&str> = words(text).map(|word| &text[word.from..word.to]).collect();
        assert_eq!(found, ["Ä", "max_in_flight", "日本", "本語"]);
    }
}
