//! Bytes to text. UTF-8, UTF-16 that says so with a byte order mark, and what is
//! nearly UTF-8: each wrong sequence becomes U+FFFD, since a page with a few old
//! letters is still worth finding. Anything else is not text.

/// One wrong sequence in so many characters is the most that passes for text.
const WRONG_ONE_IN: usize = 8;

/// The text, and whether it is the bytes as they are. `None` for what is not
/// text. A byte order mark of UTF-8 stays, so that offsets are those of the
/// file.
pub(super) fn decode(bytes: Vec<u8>) -> Option<(String, bool)> {
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => {}
    }
    if bytes.contains(&0) {
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => is_text(&text).then_some((text, true)),
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            is_text(&text).then_some((text, false))
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<(String, bool)> {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    (!text.contains('\0') && is_text(&text)).then_some((text, false))
}

/// Few wrong sequences, and few control characters: those of text are tabs, ends
/// of lines and pages.
fn is_text(text: &str) -> bool {
    let wrong = |c: char| {
        c == char::REPLACEMENT_CHARACTER || (c.is_ascii_control() && !matches!(c, '\t'..='\r' | '\u{1b}'))
    };
    let (mut all, mut bad) = (0_usize, 0_usize);
    for c in text.chars() {
        all += 1;
        bad += usize::from(wrong(c));
    }
    bad.saturating_mul(WRONG_ONE_IN) <= all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Option<(String, bool)> {
        decode(bytes.to_vec())
    }

    #[test]
    fn text_is_told_from_what_is_not() {
        let verbatim = |text: &str| Some((text.to_owned(), true));
        let rendered = |text: &str| Some((text.to_owned(), false));
        assert_eq!(decoded("plain ä".as_bytes()), verbatim("plain ä"));
        assert_eq!(decoded(b""), verbatim(""));
        assert_eq!(decoded("\u{feff}mark".as_bytes()), verbatim("\u{feff}mark"));
        assert_eq!(
            decoded(b"Stra\xdfe in K\xf6ln am Rhein"),
            rendered("Stra\u{fffd}e in K\u{fffd}ln am Rhein")
        );
        assert_eq!(decoded(b"\xff\xfeh\0i\0"), rendered("hi"));
        assert_eq!(decoded(b"\xfe\xff\0h\0i"), rendered("hi"));
        assert_eq!(decoded(b"\xff\xfeh\0i\0!"), rendered("hi"));
        assert_eq!(decoded(b"text\0with a zero"), None);
        assert_eq!(decoded(b"\x80\x81\x82\x83abc"), None);
        assert_eq!(decoded(b"\x01\x02\x03abc"), None);
        assert_eq!(decoded(b"\x7fELF\x02\x01\x01\0\0"), None);
    }
}
