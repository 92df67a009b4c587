//! Links to documents, and the words they point at.

use std::fmt::Write;
use std::ops::Range;

/// Words in a link are cut to this.
const MAX_WORDS_BYTES: usize = 200;
/// Words that are looked for are cut to this: a link may come from anybody.
const MAX_SOUGHT_BYTES: usize = 4 << 10;

/// `/v1/documents/{index}/{document}?offset=N&words=...#words`: the page marks the
/// words under that name, and a browser scrolls to it.
pub(super) fn link(index: &str, document: &str, offset: u64, words: &str) -> String {
    let mut link = String::from("/v1/documents/");
    encode(index, "", &mut link);
    link.push('/');
    encode(document, "/", &mut link);
    let words = words
        .get(..words.floor_char_boundary(MAX_WORDS_BYTES))
        .unwrap_or_default();
    // Writing to a string does not fail.
    let _ = write!(link, "?offset={offset}&words=");
    encode(words, "", &mut link);
    link.push_str("#words");
    link
}

/// All but the unreserved characters of RFC 3986, and those in `keep`.
fn encode(text: &str, keep: &str, to: &mut String) {
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || (c.is_ascii() && keep.contains(c)) {
            to.push(c);
        } else {
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

/// Where `words` stand in `text`: at `offset`, else where they stand nearest to
/// it, else where they stand nearest with other white space between them.
pub fn locate(text: &str, offset: usize, words: &str) -> Option<Range<usize>> {
    let words = words.get(..words.floor_char_boundary(MAX_SOUGHT_BYTES))?.trim();
    if words.is_empty() {
        return None;
    }
    if text.get(offset..).is_some_and(|rest| rest.starts_with(words)) {
        return Some(offset..offset + words.len());
    }
    if let Some(start) = nearest(text, offset, words) {
        return Some(start..start + words.len());
    }
    let (collapsed, places) = collapse(text);
    let (words, _) = collapse(words);
    let near = places.partition_point(|place| *place < offset);
    let start = nearest(&collapsed, near, &words)?;
    let from = places.get(start).copied()?;
    let last = places.get(start + words.len() - 1).copied()?;
    Some(from..last + 1)
}

/// Where `words` begin nearest to `offset`. One pass over the text.
fn nearest(text: &str, offset: usize, words: &str) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (at, _) in text.match_indices(words) {
        if best.is_none_or(|best| at.abs_diff(offset) < best.abs_diff(offset)) {
            best = Some(at);
        } else {
            // They only get further away from here on.
            break;
        }
    }
    best
}

/// The text with one space for each stretch of white space, and where each of
/// its bytes stands in the text.
fn collapse(text: &str) -> (String, Vec<usize>) {
    let mut collapsed = String::with_capacity(text.len());
    let mut places = Vec::with_capacity(text.len());
    let mut space = None;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            space.get_or_insert(at);
            continue;
        }
        if let Some(at) = space.take()
            && !collapsed.is_empty()
        {
            collapsed.push(' ');
            places.push(at);
        }
        collapsed.push(c);
        places.extend(at..at + c.len_utf8());
    }
    (collapsed, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, offset: usize, words: &str) -> Option<(usize, &'a str)> {
        locate(text, offset, words).map(|range| (range.start, &text[range]))
    }

    #[test]
    fn words_are_found_at_their_place_or_near_it() {
        let text = "one two\none two\n\none\n  two é one two";
        assert_eq!(found(text, 8, "one two"), Some((8, "one two")));
        assert_eq!(found(text, 0, "one two"), Some((0, "one two")));
        assert_eq!(found(text, 6, "one two"), Some((8, "one two")));
        assert_eq!(found(text, 999, "one two"), Some((30, "one two")));
        // Inside a character, and past the end.
        assert_eq!(found(text, 28, "é one"), Some((27, "é one")));
        assert_eq!(found(text, usize::MAX, "two\none"), Some((4, "two\none")));
        // With other white space.
        assert_eq!(found(text, 17, "two one"), Some((12, "two\n\none")));
        assert_eq!(found(text, 17, " two   é\tone "), Some((23, "two é one")));
        assert_eq!(found(text, 17, "one two é"), Some((17, "one\n  two é")));
        assert_eq!(found(text, 0, "three"), None);
        assert_eq!(found(text, 0, " \n "), None);
        assert_eq!(found("", 0, "x"), None);
    }

    #[test]
    fn whatever_is_asked_the_range_is_one_of_the_text() {
        let texts = ["", " ", "é", "\u{a0}a\u{2003}b ", "aé 日本\n\n語", "a a a a a"];
        for text in texts {
            for words in texts {
                for offset in 0..12 {
                    if let Some(range) = locate(text, offset, words) {
                        assert!(text.get(range).is_some_and(|found| !found.is_empty()));
                    }
                }
            }
        }
    }

    #[test]
    fn a_link_carries_anything_and_is_always_a_path() {
        assert_eq!(
            link("docs", "a b/ü#?.md", 12, "x & y=\"é\"\n"),
            "/v1/documents/docs/a%20b/%C3%BC%23%3F.md?offset=12&words=x%20%26%20y%3D%22%C3%A9%22%0A#words"
        );
        let long = link("docs", "a.md", 0, &"é".repeat(150));
        assert_eq!(long.matches("%C3%A9").count(), 100);
    }
}
