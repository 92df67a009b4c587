//! The sentences of a passage, as a reader sees them: without Markdown's marks,
//! otherwise word for word. A row of a table is one too, each cell behind the
//! name of its column. Code and markup are left out.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A longer sentence is not worth quoting, and cannot be cut.
const SENTENCE_MAX_BYTES: usize = 600;

/// Longer words in bold are no heading of the paragraph that they begin.
const RUN_IN_MAX_BYTES: usize = 60;

/// Stands before words of code until sentences are divided: one may begin with
/// them, whatever their case.
const CODE: char = '\u{2}';

/// A sentence and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) text: String,
    /// What stands above it within the passage, from the outermost on: headings,
    /// bold words that begin its paragraph, the names of a row's columns.
    pub(super) headings: String,
    /// Whether it is the first one under its heading.
    pub(super) opens: bool,
    /// The cells, where it is the row of a table.
    pub(super) cells: Option<String>,
}

/// The sentences of `passage`, in order.
pub(super) fn sentences(passage: &str) -> Vec<Sentence> {
    let mut reader = Reader::default();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    for event in Parser::new_ext(passage, options) {
        reader.take(event);
    }
    reader.end_block();
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<Sentence>,
    block: String,
    headings: Vec<(usize, String)>,
    /// Bold words that began the paragraph.
    run_in: Option<String>,
    /// The block begins with bold words that have not ended.
    bold: bool,
    in_table: bool,
    columns: Vec<String>,
    row: Vec<String>,
    /// How many blocks that are left out this one stands in.
    left_out: usize,
    opens: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => {
                if is_block(&tag) {
                    self.end_block();
                }
                self.left_out += usize::from(is_left_out(&tag));
                self.in_table |= matches!(tag, Tag::Table(_));
                self.bold = matches!(tag, Tag::Strong) && self.block.is_empty() && !self.in_table;
            }
            Event::End(TagEnd::Strong) if self.bold && is_run_in(&self.block) => {
                self.bold = false;
                self.run_in = Some(self.take_block());
                self.opens = true;
            }
            Event::End(TagEnd::TableCell) => {
                let cell = self.take_block();
                self.row.push(cell);
            }
            Event::End(TagEnd::TableHead) => self.columns = std::mem::take(&mut self.row),
            Event::End(TagEnd::TableRow) => self.end_row(),
            Event::End(TagEnd::Table) => self.in_table = false,
            Event::End(TagEnd::Heading(level)) => {
                let text = self.take_block();
                let level = level as usize;
                self.headings.retain(|(above, _)| *above < level);
                self.headings.push((level, text));
                self.opens = true;
            }
            Event::End(end) => match end {
                TagEnd::CodeBlock if self.left_out == 0 => self.end_block(),
                TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_) => {
                    self.left_out = self.left_out.saturating_sub(1);
                }
                TagEnd::Paragraph | TagEnd::Item | TagEnd::BlockQuote(_) => self.end_block(),
                _ => {}
            },
            Event::Code(code) if self.left_out == 0 => {
                self.block.push(CODE);
                self.block.push_str(&code);
            }
            Event::Text(text) if self.left_out == 0 => self.block.push_str(&text),
            Event::SoftBreak | Event::HardBreak if self.left_out == 0 => self.block.push(' '),
            Event::Rule => self.end_block(),
            _ => {}
        }
    }

    /// The words of the block, where no sentences are divided.
    fn take_block(&mut self) -> String {
        std::mem::take(&mut self.block).replace(CODE, "")
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        let run_in = self.run_in.take();
        // Rows of a table whose head is in another passage.
        if block.trim_start_matches(CODE).starts_with('|') {
            return;
        }
        let headings = self.above(run_in.as_slice());
        for text in split(&block) {
            if text.len() <= SENTENCE_MAX_BYTES {
                self.found.push(Sentence {
                    text,
                    headings: headings.clone(),
                    opens: std::mem::take(&mut self.opens),
                    cells: None,
                });
            }
        }
    }

    fn end_row(&mut self) {
        let cells = std::mem::take(&mut self.row);
        let named = self
            .columns
            .iter()
            .zip(&cells)
            .filter(|(_, cell)| !cell.is_empty());
        let told = named.map(|(name, cell)| match name.is_empty() {
            true => cell.clone(),
            false => format!("{name}: {cell}"),
        });
        let text = told.collect::<Vec<_>>().join("; ");
        if text.is_empty() || text.len() > SENTENCE_MAX_BYTES {
            return;
        }
        self.found.push(Sentence {
            text,
            headings: self.above(&self.columns),
            opens: false,
            cells: Some(cells.join(" ")),
        });
    }

    /// The headings above, and what stands nearer.
    fn above(&self, nearer: &[String]) -> String {
        let headings = self.headings.iter().map(|(_, text)| text);
        let all: Vec<&str> = headings.chain(nearer).map(String::as_str).collect();
        all.join(" ")
    }
}

/// `**Breaker.** Closed, it ...`: bold words that say what the paragraph is about.
fn is_run_in(bold: &str) -> bool {
    bold.len() <= RUN_IN_MAX_BYTES && bold.ends_with(['.', ':'])
}

fn is_block(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::Item
            | Tag::List(_)
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::Table(_)
            | Tag::HtmlBlock
    )
}

/// Indented text is not code more often than it is, in passages of plain text.
fn is_left_out(tag: &Tag<'_>) -> bool {
    match tag {
        Tag::CodeBlock(kind) => matches!(kind, CodeBlockKind::Fenced(_)),
        Tag::HtmlBlock | Tag::MetadataBlock(_) => true,
        _ => false,
    }
}

/// Words that end in a full stop without ending a sentence.
const SHORT: [&str; 22] = [
    "approx", "bzw", "ca", "cf", "dr", "e.g", "etc", "fig", "i.e", "inc", "ltd", "mr", "mrs", "ms", "no",
    "nr", "prof", "sec", "st", "vol", "vs", "z.b",
];

/// The sentences of one block, with single spaces between their words.
fn split(block: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    let mut words = block.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
        let ends = match words.peek() {
            Some(next) => ends_sentence(word, next),
            None => true,
        };
        if ends && sentence.chars().any(char::is_alphanumeric) {
            sentences.push(std::mem::take(&mut sentence).replace(CODE, ""));
        }
    }
    sentences
}

fn ends_sentence(word: &str, next: &str) -> bool {
    let word = word.trim_start_matches(CODE);
    let bare = word.trim_end_matches(['"', '\'', '”', '’', '»', ')', ']', '*', '_']);
    let begins = next
        .trim_start_matches(['"', '\'', '“', '‘', '«', '(', '['])
        .chars()
        .next();
    if begins.is_none_or(char::is_lowercase) {
        return false;
    }
    let Some(stem) = bare.strip_suffix('.') else {
        return bare.ends_with(['!', '?', '…', '。']);
    };
    let stem = stem.trim_start_matches(['(', '[', '"', '“']);
    let is_initial = stem.chars().count() == 1 && stem.chars().all(char::is_alphabetic);
    let is_short = SHORT.contains(&stem.to_lowercase().as_str());
    !is_initial && !is_short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(passage: &str) -> Vec<String> {
        sentences(passage)
            .into_iter()
            .map(|sentence| sentence.text)
            .collect()
    }

    #[test]
    fn sentences_end_where_a_reader_sees_them_end() {
        assert_eq!(
            texts(
                "It runs, e.g. on Linux. Version 1.2 is out! (See below.) Dr. Who knows?\nYes, J. Smith does"
            ),
            [
                "It runs, e.g. on Linux.",
                "Version 1.2 is out!",
                "(See below.)",
                "Dr. Who knows?",
                "Yes, J. Smith does"
            ]
        );
        assert_eq!(
            texts("a file.\nnamed so. Then..."),
            ["a file. named so.", "Then..."]
        );
        assert_eq!(
            texts("It ends. `call.left()` says when, e.g. `now`. (`never` too.)"),
            ["It ends.", "call.left() says when, e.g. now.", "(never too.)"]
        );
    }

    #[test]
    fn marks_are_stripped_and_words_are_kept() {
        assert_eq!(
            texts("A **bold** `max_in_flight` in snake_case, see [the guide](guide.md) &amp; more."),
            ["A bold max_in_flight in snake_case, see the guide & more."]
        );
    }

    #[test]
    fn code_and_markup_are_no_sentences() {
        let passage = "One.\n\n```toml\n[llm.main]\n```\n\n<div>x</div>\n\n- Two\n- Three.\n\n> Four.";
        assert_eq!(texts(passage), ["One.", "Two", "Three.", "Four."]);
        assert_eq!(texts("| c | d |\n| 1 | 2 |\n\nFive."), ["Five."]);
        assert_eq!(
            texts("    Indented plain text. Of two sentences."),
            ["Indented plain text.", "Of two sentences."]
        );
    }

    #[test]
    fn a_sentence_knows_the_headings_above_it() {
        let found = sentences("# Guide\n\n## Swap\n\nFirst. Second.\n\n## Cancel\n\nThird.");
        let seen: Vec<_> = found
            .iter()
            .map(|it| (it.text.as_str(), it.headings.as_str(), it.opens))
            .collect();
        assert_eq!(
            seen,
            [
                ("First.", "Guide Swap", true),
                ("Second.", "Guide Swap", false),
                ("Third.", "Guide Cancel", true)
            ]
        );
    }

    #[test]
    fn a_row_of_a_table_says_its_cells_behind_the_names_of_their_columns() {
        let passage = "One.\n\n| limit | default | |\n|---|--:|---|\n| `deadline` | 30 s | ends |\n| `memory` | | |\n\nTwo.";
        assert_eq!(
            texts(passage),
            [
                "One.",
                "limit: deadline; default: 30 s; ends",
                "limit: memory",
                "Two."
            ]
        );
        let row = &sentences(passage)[1];
        assert_eq!(
            (row.cells.as_deref(), row.headings.as_str(), row.opens),
            (Some("deadline 30 s ends"), "limit default ", false)
        );
        // Without a head nobody knows what the cells are.
        assert_eq!(texts("| c | d |\n| 1 | 2 |\n\nFive."), ["Five."]);
    }

    #[test]
    fn bold_words_that_begin_a_paragraph_are_its_heading() {
        let found = sentences("# Guard\n\n**Breaker.** Closed, it lets calls through. Open, none.\n\nMore.");
        let seen: Vec<_> = found
            .iter()
            .map(|it| (it.text.as_str(), it.headings.as_str(), it.opens))
            .collect();
        assert_eq!(
            seen,
            [
                ("Closed, it lets calls through.", "Guard Breaker.", true),
                ("Open, none.", "Guard Breaker.", false),
                ("More.", "Guard", false)
            ]
        );
        assert_eq!(texts("**All** of it. In **bold.**"), ["All of it.", "In bold."]);
    }

    #[test]
    fn what_is_too_long_to_quote_is_left_out() {
        assert_eq!(
            texts(&format!("{}. Short.", "word ".repeat(300).trim_end())),
            ["Short."]
        );
    }
}
