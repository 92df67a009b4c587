//! The words of a passage that are worth quoting: its best sentence, and a
//! neighbour if that adds something.

use std::ops::Range;

use crate::words::Words;

/// The longest quote, in bytes: what a link marks in the document.
const MAX_BYTES: usize = 200;

/// The place of the quote in `text`: at most 200 bytes, exactly as they stand
/// there, without white space around them. Empty only of an empty text.
///
/// A sentence is worth the words it has of the question. The first one is also
/// worth a little for those that stand in the headings: it is what they announce.
pub(crate) fn best(text: &str, headings: &str, asked: &Words) -> Range<usize> {
    let sentences = sentences(text);
    let shared = |range: &Range<usize>| asked.shared_with(&words(text, range));
    let announced = asked.shared_with(&Words::of(headings));
    let worth = |at: usize, range| 2 * shared(range) + if at == 0 { announced } else { 0 };
    let worths: Vec<usize> = sentences
        .iter()
        .enumerate()
        .map(|(at, range)| worth(at, range))
        .collect();
    // The first of the best.
    let best = (0..worths.len()).rev().max_by_key(|at| worths.get(*at));
    let Some((best, mut quote)) = best.and_then(|at| Some((at, sentences.get(at)?.clone()))) else {
        // Headings and nothing under them.
        let whole = trimmed(text, 0..text.len()).unwrap_or(0..0);
        return cut(text, whole, asked);
    };
    for neighbour in [best.checked_add(1), best.checked_sub(1)].into_iter().flatten() {
        if let Some(sentence) = sentences.get(neighbour) {
            let both = quote.start.min(sentence.start)..quote.end.max(sentence.end);
            let gap = quote.end.min(sentence.end)..quote.start.max(sentence.start);
            if both.len() <= MAX_BYTES && is_one_paragraph(text, gap) && shared(&both) > shared(&quote) {
                quote = both;
            }
        }
    }
    cut(text, quote, asked)
}

/// Whether nothing stands between two sentences.
fn is_one_paragraph(text: &str, gap: Range<usize>) -> bool {
    let gap = text.get(gap).unwrap_or_default();
    gap.trim().is_empty() && gap.matches('\n').count() < 2
}

fn words(text: &str, range: &Range<usize>) -> Words {
    Words::of(text.get(range.clone()).unwrap_or_default())
}

/// Shortens a long sentence at its words, around the first that was asked for.
fn cut(text: &str, range: Range<usize>, asked: &Words) -> Range<usize> {
    if range.len() <= MAX_BYTES {
        return range;
    }
    let words = pieces(text, range.clone(), char::is_whitespace);
    let asked_for = |word: &Range<usize>| asked.shared_with(&self::words(text, word)) > 0;
    let first = words.iter().position(asked_for).unwrap_or(0);
    // A third of the room for what leads up to it.
    let wanted = words.get(first).map_or(range.start, |word| word.start);
    let room = wanted.saturating_sub(MAX_BYTES / 3);
    let start = words.iter().map(|word| word.start).find(|start| *start >= room);
    let start = start.unwrap_or(range.start);
    let ends = words.iter().map(|word| word.end);
    let end = ends.take_while(|end| *end <= start + MAX_BYTES).last();
    match end {
        Some(end) if end > start => start..end,
        // One word that is longer than a quote.
        _ => start..text.floor_char_boundary(start + MAX_BYTES),
    }
}

/// The places of the sentences, without what is no prose: headings, rules,
/// fences. A list's items and a table's rows count as one each.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for block in blocks(text) {
        let mut start = block.start;
        let mut before = ' ';
        let inside = text.get(block.clone()).unwrap_or_default();
        for (at, c) in inside.char_indices() {
            if c.is_whitespace() && matches!(before, '.' | '!' | '?') {
                found.extend(trimmed(text, start..block.start + at));
                start = block.start + at;
            }
            before = c;
        }
        found.extend(trimmed(text, start..block.end));
    }
    found
}

/// The places of what stands together: lines up to a blank one, or to one that
/// begins something of its own.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    let mut lines = pieces(text, 0..text.len(), |c| c == '\n').into_iter().peekable();
    while let Some(line) = lines.next() {
        let whole = text.get(line.clone()).unwrap_or_default();
        let words = whole.trim_start();
        let below = lines
            .peek()
            .and_then(|line| text.get(line.clone()))
            .unwrap_or_default();
        // A line of dashes below makes a heading of a line, or a table's head.
        if words.is_empty() || is_markup(words) || is_rule(below.trim()) {
            open = false;
            continue;
        }
        let marker = marker(words);
        let start = line.end - words.len() + marker;
        match found.last_mut() {
            Some(last) if open && marker == 0 => last.end = line.end,
            _ => found.push(start..line.end),
        }
        open = !words.starts_with('|');
    }
    found
}

/// Whether a line is there for its looks: a heading, a rule, a fence.
fn is_markup(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("```") || line.starts_with("~~~") || is_rule(line)
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().all(|c| "-=*_|:+ ".contains(c))
}

/// How long the mark of a list, a quotation or a table's row is.
fn marker(line: &str) -> usize {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = line.get(digits..).unwrap_or_default();
    if (1..=3).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") ")) {
        return digits + 2;
    }
    let marks = ["- ", "* ", "+ ", "> ", "| "];
    if marks.iter().any(|mark| line.starts_with(mark)) {
        2
    } else {
        0
    }
}

/// The places of what stands between separators, which may be empty.
fn pieces(text: &str, within: Range<usize>, separates: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let inside = text.get(within.clone()).unwrap_or_default();
    let mut at = within.start;
    let ranges = inside.split(separates).map(|piece| {
        let range = at..at + piece.len();
        // Every separator in use is of one byte or ends at the next boundary.
        at = text.ceil_char_boundary(range.end + 1);
        range
    });
    ranges.collect()
}

/// A place without the white space around it, or the end of a table's row, if
/// anything is left.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let inside = text.get(range.clone())?;
    let start = range.start + (inside.len() - inside.trim_start().len());
    let end = start
        + inside
            .trim_start()
            .trim_end_matches(|c: char| c == '|' || c.is_whitespace())
            .len();
    (end > start).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted<'a>(text: &'a str, asked: &str) -> &'a str {
        let range = best(text, "", &Words::of(asked));
        assert!(range.len() <= MAX_BYTES);
        &text[range]
    }

    #[test]
    fn the_best_sentence_is_quoted() {
        let text = "Welcome here. Copy the file\nover the old one. Then wait!";
        assert_eq!(
            quoted(text, "how to copy a file"),
            "Copy the file\nover the old one."
        );
        assert_eq!(quoted(text, "wait"), "Then wait!");
        // Nothing fits: the beginning will do.
        assert_eq!(quoted(text, "zebra"), "Welcome here.");
    }

    #[test]
    fn a_neighbour_is_quoted_too_if_it_adds_something() {
        let text = "The host drains. It waits for five seconds. Nobody notices.";
        assert_eq!(
            quoted(text, "drain seconds"),
            "The host drains. It waits for five seconds."
        );
        assert_eq!(quoted(text, "drain host"), "The host drains.");
    }

    #[test]
    fn what_is_in_another_paragraph_is_no_neighbour() {
        assert_eq!(
            quoted("The host drains.\n\nIt waits for seconds.", "drain seconds"),
            "The host drains."
        );
        assert_eq!(
            quoted("- The host drains.\n- It waits for seconds.", "drain seconds"),
            "The host drains."
        );
    }

    #[test]
    fn the_first_sentence_is_what_the_headings_announce() {
        let text = "Copy the file over the old one. That is all. Remove a plugin by its file.";
        let quote = |headings: &str| &text[best(text, headings, &Words::of("swap a plugin"))];
        assert_eq!(quote("Swap a plugin"), "Copy the file over the old one.");
        assert_eq!(quote("Other things"), "Remove a plugin by its file.");
    }

    #[test]
    fn headings_marks_and_tables_are_no_prose() {
        let text = "## Swap ##\n\n- First the file.\n- Then the swap\n  of it\n\n```\n| swap | files |\n|---|---|\n| a | swap of files |\n> 2. quoted";
        assert_eq!(quoted(text, "swap"), "Then the swap\n  of it");
        assert_eq!(quoted(text, "swap files"), "a | swap of files");
        assert_eq!(quoted(text, "quoted"), "quoted");
        assert_eq!(quoted("1) One. Two", "one"), "One.");
    }

    #[test]
    fn a_long_sentence_is_cut_around_what_was_asked() {
        let text = format!("{} needle {}", "hay ".repeat(200), "straw ".repeat(200));
        let quote = quoted(&text, "needle");
        assert!(quote.contains(" needle straw"), "{quote}");
        assert!(quote.starts_with("hay") && quote.ends_with("straw"), "{quote}");
        let word = "ü".repeat(400);
        assert_eq!(quoted(&word, "nothing"), "ü".repeat(100));
        let wide = format!("{} a\u{3000}b", "x\u{3000}".repeat(100));
        assert!(quoted(&wide, "b").ends_with("a\u{3000}b"));
    }

    #[test]
    fn without_prose_there_is_still_something_to_quote() {
        assert_eq!(quoted(" \n# Heading\n", "heading"), "# Heading");
        assert_eq!(quoted(" \n", "a"), "");
    }
}
