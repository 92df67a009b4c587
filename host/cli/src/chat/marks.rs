//! Which citations an answer refers to: the `[2]` in its text, read as it streams.

use std::collections::BTreeSet;

/// The longest number of a citation, in digits.
const MAX_DIGITS: usize = 4;

/// The marks of one handler's answer.
#[derive(Debug, Default)]
pub(super) struct Marks {
    seen: BTreeSet<u64>,
    /// A mark that has begun and not ended: the digits so far.
    open: Option<String>,
}

impl Marks {
    /// A piece of the answer. What is heard twice counts once.
    pub(super) fn hear(&mut self, text: &str) {
        for c in text.chars() {
            self.open = match (self.open.take(), c) {
                (_, '[') => Some(String::new()),
                (Some(mut digits), c) if c.is_ascii_digit() && digits.len() < MAX_DIGITS => {
                    digits.push(c);
                    Some(digits)
                }
                (Some(digits), ']') => {
                    self.seen.extend(digits.parse::<u64>());
                    None
                }
                _ => None,
            };
        }
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.seen.contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_across_pieces_and_nothing_else_is_one() {
        let mut marks = Marks::default();
        assert!(!marks.has(0));
        for piece in [
            "Two [1",
            "2] minutes [",
            "3][4]. list[i] [] [x1] [99999] [ 7] [[8]]",
            " [5",
        ] {
            marks.hear(piece);
        }
        let seen: Vec<u64> = (0..100).filter(|n| marks.has(*n)).collect();
        assert_eq!(seen, [3, 4, 8, 12]);
    }
}
