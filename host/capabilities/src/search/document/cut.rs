//! Blocks to passages.
//!
//! What stands between two headings is one passage if it is short, and otherwise
//! as many of about the same size as it takes. They end where a block ends if
//! they can; else between lines or sentences, else between words, and never
//! within a character.

use std::ops::Range;

use super::{Block, Heading, Passage, Shape, hash};

/// The longest passage of prose, in bytes.
const MAX_BYTES: usize = 1_200;
/// Code and tables may be this long to stay whole.
const MAX_WHOLE_BYTES: usize = 2_400;
/// What is left over below this joins the passage before it.
const MIN_BYTES: usize = 400;

/// The headings and the passages under them, in order.
pub(super) fn cut(text: &str, blocks: &[Block]) -> (Vec<Heading>, Vec<Passage>) {
    let mut cutter = Cutter {
        text,
        headings: Vec::new(),
        path: Vec::new(),
        bare: None,
        stretch: Vec::new(),
        passages: Vec::new(),
    };
    for block in blocks {
        match &block.shape {
            Shape::Heading { level, text } => cutter.heading(*level, text, block.range.clone()),
            Shape::Hole => cutter.stretch_ends(),
            Shape::Prose => cutter.block(block.range.clone(), MAX_BYTES),
            Shape::Whole => cutter.block(block.range.clone(), MAX_WHOLE_BYTES),
        }
    }
    cutter.stretch_ends();
    cutter.bare_heading();
    (cutter.headings, cutter.passages)
}

struct Cutter<'a> {
    text: &'a str,
    headings: Vec<Heading>,
    /// The headings above where we are: level and number.
    path: Vec<(u8, u32)>,
    /// A heading that has nothing under it yet.
    bare: Option<(u8, Range<usize>)>,
    /// What may make up passages with each other, none of it too long.
    stretch: Vec<Range<usize>>,
    passages: Vec<Passage>,
}

impl Cutter<'_> {
    fn heading(&mut self, level: u8, text: &str, range: Range<usize>) {
        self.stretch_ends();
        // One that only stands above others is found through them.
        if self.bare.as_ref().is_some_and(|(above, _)| *above >= level) {
            self.bare_heading();
        }
        self.path.retain(|(above, _)| *above < level);
        self.bare = (!text.is_empty()).then_some((level, range));
        if text.is_empty() {
            return;
        }
        let Ok(number) = u32::try_from(self.headings.len()) else {
            return;
        };
        self.headings.push(Heading {
            text: text.into(),
            above: self.path.last().map(|(_, number)| *number),
        });
        self.path.push((level, number));
    }

    /// A heading that nothing stands under is the only place of its words, and
    /// stands under those above it.
    fn bare_heading(&mut self) {
        let Some((_, range)) = self.bare.take() else {
            return;
        };
        let own = self.path.pop();
        for range in pieces(self.text, range, false) {
            self.push(range);
        }
        self.path.extend(own);
    }

    fn block(&mut self, range: Range<usize>, max: usize) {
        let Some(range) = trimmed(self.text, range) else {
            return;
        };
        self.bare = None;
        if range.len() <= max {
            self.stretch.push(range);
        } else {
            let by_lines = max > MAX_BYTES;
            self.stretch.extend(pieces(self.text, range, by_lines));
        }
    }

    /// Passages of about the same size out of what was gathered.
    fn stretch_ends(&mut self) {
        let stretch = std::mem::take(&mut self.stretch);
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else {
            return;
        };
        let total = last.end - first.start;
        let aim = total.div_ceil(total.div_ceil(MAX_BYTES));
        let end = last.end;
        let mut open: Option<Range<usize>> = None;
        for piece in stretch {
            open = Some(match open {
                None => piece,
                Some(passage) => {
                    let left = end - piece.start;
                    let joined = piece.end - passage.start;
                    let fits = joined <= MAX_BYTES && (passage.len() < aim || left < MIN_BYTES);
                    // A line that says what the code below it is for.
                    let leads = passage.len() < MIN_BYTES / 4 && joined <= MAX_WHOLE_BYTES;
                    if fits || leads {
                        passage.start..piece.end
                    } else {
                        self.push(passage);
                        piece
                    }
                }
            });
        }
        if let Some(passage) = open {
            self.push(passage);
        }
    }

    fn push(&mut self, range: Range<usize>) {
        let Some(range) = trimmed(self.text, range) else {
            return;
        };
        // A file is never so large: the walk leaves it out.
        let (Ok(offset), Ok(len)) = (u32::try_from(range.start), u32::try_from(range.len())) else {
            return;
        };
        let Some(words) = self.text.get(range) else {
            return;
        };
        self.passages.push(Passage {
            offset,
            len,
            heading: self.path.last().map(|(_, number)| *number),
            hash: hash(words),
        });
    }
}

/// Without white space (and byte order mark) at its ends; `None` if nothing is
/// left.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let words = text.get(range.clone())?;
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}';
    let start = range.start + (words.len() - words.trim_start_matches(is_space).len());
    let len = words.trim_matches(is_space).len();
    (len > 0).then_some(start..start + len)
}

/// Cuts what is too long for one passage into pieces that are not.
fn pieces(text: &str, range: Range<usize>, by_lines: bool) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = range.start;
    while range.end - start > MAX_BYTES {
        let left = range.end - start;
        let aim = left.div_ceil(left.div_ceil(MAX_BYTES));
        let least = text.ceil_char_boundary(start + aim / 2);
        let most = text.floor_char_boundary(start + MAX_BYTES.min(aim + aim / 8));
        let end = end_between(text, least, most, by_lines).unwrap_or(most);
        pieces.push(start..end);
        start = end;
    }
    pieces.push(start..range.end);
    pieces
        .into_iter()
        .filter_map(|piece| trimmed(text, piece))
        .collect()
}

/// The last good place to end between two offsets.
fn end_between(text: &str, least: usize, most: usize, by_lines: bool) -> Option<usize> {
    let window = text.get(least..most)?;
    let after = |found: Option<usize>, len: usize| found.map(|found| least + found + len);
    let paragraph = || after(window.rfind("\n\n"), 2);
    let line = || after(window.rfind('\n'), 1);
    let sentence = || {
        let mut before = None;
        let mut last = None;
        for (at, c) in window.char_indices() {
            let ends = c.is_whitespace() && matches!(before, Some('.' | '!' | '?' | ':' | ';'));
            if ends || matches!(c, '。' | '！' | '？') {
                last = Some(least + at + c.len_utf8());
            }
            before = Some(c);
        }
        last
    };
    let word = || {
        let (at, c) = window.char_indices().rfind(|(_, c)| c.is_whitespace())?;
        Some(least + at + c.len_utf8())
    };
    if by_lines {
        paragraph().or_else(line).or_else(word)
    } else {
        paragraph().or_else(sentence).or_else(line).or_else(word)
    }
}
