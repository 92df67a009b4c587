//! Cutting text that others wrote to a size the host is willing to pass on.

/// The longest prefix of `text` of at most `max_bytes` that ends between
/// characters.
pub(crate) fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("ab", 9), "ab");
        assert_eq!(cut("ñ", 0), "");
    }
}
