//! `LIKE` and `GLOB`, as SQLite defines them, but so that they can be stopped:
//! a long pattern over a long text takes the product of the two.
//!
//! `LIKE`: `%` is any text, `_` one character, letters of ASCII match whichever
//! case they are written in. `GLOB`: `*`, `?`, `[a-z]`, `[^a-z]`, all as
//! written.

/// Steps between two looks at whether to go on.
const STEPS: u32 = 1 << 14;

/// One element of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// Any text, empty too.
    Any,
    /// One character, whichever.
    One,
    Char(char),
    /// One character within one of these, ends included, or within none.
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// A set that does not end: matches nothing.
    Never,
}

/// A pattern that was read.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    items: Vec<Item>,
    folds: bool,
}

/// The caller said to stop.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl Pattern {
    pub(super) fn like(pattern: &str, escape: Option<char>) -> Pattern {
        let mut items = Vec::new();
        let mut chars = pattern.chars();
        while let Some(char) = chars.next() {
            items.push(match char {
                // An escape at the very end escapes nothing, and nothing matches.
                char if Some(char) == escape => chars.next().map_or(Item::Never, Item::Char),
                '%' => Item::Any,
                '_' => Item::One,
                char => Item::Char(char),
            });
        }
        Pattern { items, folds: true }
    }

    pub(super) fn glob(pattern: &str) -> Pattern {
        let mut items = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(char) = chars.next() {
            items.push(match char {
                '*' => Item::Any,
                '?' => Item::One,
                '[' => set(&mut chars),
                char => Item::Char(char),
            });
        }
        Pattern { items, folds: false }
    }

    /// Whether all of `text` matches. `stop` is asked now and then.
    pub(super) fn matches(&self, text: &str, stop: impl Fn() -> bool) -> Result<bool, Stopped> {
        let (mut item, mut rest) = (0, text.chars());
        // Where to go on when the text after the last `Any` did not match: that
        // `Any` then takes one character more. Earlier ones never have to.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        let mut steps = 0u32;
        loop {
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(STEPS) && stop() {
                return Err(Stopped);
            }
            let matched = match self.items.get(item) {
                Some(Item::Any) => {
                    item += 1;
                    if item == self.items.len() {
                        return Ok(true);
                    }
                    retry = Some((item, rest.clone()));
                    continue;
                }
                Some(wanted) => match rest.next() {
                    Some(char) => self.is(wanted, char),
                    None => return Ok(false),
                },
                None if rest.as_str().is_empty() => return Ok(true),
                None => false,
            };
            if matched {
                item += 1;
                continue;
            }
            let Some((after, from)) = &mut retry else {
                return Ok(false);
            };
            if from.next().is_none() {
                return Ok(false);
            }
            (item, rest) = (*after, from.clone());
        }
    }

    fn is(&self, wanted: &Item, char: char) -> bool {
        match wanted {
            Item::Char(wanted) if self.folds => wanted.eq_ignore_ascii_case(&char),
            Item::Char(wanted) => *wanted == char,
            Item::Set { negated, ranges } => {
                let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&char));
                within != *negated
            }
            Item::One => true,
            Item::Any | Item::Never => false,
        }
    }
}

/// What stands between `[` and `]`. A `]` that comes first is one of the set.
fn set(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Item {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    if chars.next_if_eq(&']').is_some() {
        ranges.push((']', ']'));
    }
    while let Some(low) = chars.next() {
        if low == ']' {
            return Item::Set { negated, ranges };
        }
        let mut ahead = chars.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                *chars = ahead;
                high
            }
            _ => low,
        };
        ranges.push((low, high));
    }
    Item::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str, text: &str) -> bool {
        Pattern::like(pattern, Some('\\'))
            .matches(text, || false)
            .unwrap()
    }

    fn glob(pattern: &str, text: &str) -> bool {
        Pattern::glob(pattern).matches(text, || false).unwrap()
    }

    #[test]
    fn like_is_as_sqlite_has_it() {
        for (pattern, text) in [
            ("", ""),
            ("abc", "ABC"),
            ("%", ""),
            ("a%", "Abc"),
            ("%b%", "abc"),
            ("%bc", "abcbc"),
            ("_b_", "abc"),
            ("a%b%c", "aXbXXbXc"),
            ("100\\%", "100%"),
            ("%ß_", "großé"),
            ("%%_", "x"),
        ] {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("_", ""),
            ("Ä", "ä"),
            ("a%b", "abc"),
            ("100\\%", "1000"),
            ("%_%_", "x"),
            ("a\\", "a"),
        ] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn glob_is_as_sqlite_has_it() {
        for (pattern, text) in [
            ("*.md", "a.md"),
            ("[a-c]?", "bz"),
            ("[^a-c]*", "dabc"),
            ("[]]", "]"),
            ("[a-]", "-"),
            ("*[0-9]", "x9"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("A", "a"), ("[a-c]", "d"), ("[^]]", "]"), ("[a", "a"), ("?", "")] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_match_that_takes_too_long_can_be_stopped() {
        let pattern = format!("%{}b%", "a".repeat(900));
        let text = "a".repeat(1 << 20);
        let asked = std::cell::Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        assert_eq!(Pattern::like(&pattern, None).matches(&text, stop), Err(Stopped));
        assert_eq!(asked.get(), 3);
    }
}
