//! Markdown: where its headings, paragraphs, items, code and tables stand.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Block, Shape, line};

/// The title in the front matter, and the blocks.
pub(super) fn blocks(text: &str) -> (Option<String>, Vec<Block>) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut reader = Reader::default();
    // A byte order mark would hide front matter and a first heading.
    let mark = text.len() - text.trim_start_matches('\u{feff}').len();
    let body = text.get(mark..).unwrap_or_default();
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        reader.event(event, range.start + mark..range.end + mark, text);
    }
    (reader.title, without(reader.blocks, &reader.holes))
}

#[derive(Default)]
struct Reader {
    title: Option<String>,
    blocks: Vec<Block>,
    /// Comments, wherever they are, in order.
    holes: Vec<Range<usize>>,
    /// No comment ends below: there is no use in looking for it again.
    open_comment: bool,
    /// Elements that are open, without the lists at the outermost level, whose
    /// items are blocks.
    depth: usize,
    heading: Option<String>,
    metadata: bool,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, range: Range<usize>, text: &str) {
        match event {
            Event::Start(tag) => self.start(&tag, range, text),
            Event::End(end) => self.end(end, range),
            Event::InlineHtml(_) => self.comments(range, text),
            Event::Text(words) if self.metadata => {
                self.title = self.title.take().or_else(|| front_matter_title(&words));
            }
            Event::Text(words) | Event::Code(words) => self.heading_goes_on(&words),
            Event::SoftBreak | Event::HardBreak => self.heading_goes_on(" "),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, range: Range<usize>, text: &str) {
        let shape = match tag {
            // Its items are the blocks.
            Tag::List(_) if self.depth == 0 => return,
            Tag::Heading { .. } => {
                self.heading = (self.depth == 0).then(String::new);
                None
            }
            Tag::MetadataBlock(_) => {
                self.metadata = true;
                Some(Shape::Hole)
            }
            Tag::HtmlBlock => {
                self.comments(range.clone(), text);
                let hidden = is_hidden(text.get(range.clone()).unwrap_or_default());
                Some(if hidden { Shape::Hole } else { Shape::Prose })
            }
            Tag::CodeBlock(_) | Tag::Table(_) => Some(Shape::Whole),
            _ => Some(Shape::Prose),
        };
        if let Some(shape) = shape.filter(|_| self.depth == 0) {
            self.blocks.push(Block { range, shape });
        }
        self.depth += 1;
    }

    fn end(&mut self, end: TagEnd, range: Range<usize>) {
        match end {
            TagEnd::List(_) if self.depth == 0 => return,
            TagEnd::MetadataBlock(_) => self.metadata = false,
            TagEnd::Heading(level) => {
                if let Some(text) = self.heading.take() {
                    let shape = Shape::Heading {
                        level: level as u8,
                        text: line(&text),
                    };
                    self.blocks.push(Block { range, shape });
                }
            }
            _ => {}
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn heading_goes_on(&mut self, words: &str) {
        if let Some(heading) = &mut self.heading {
            heading.push_str(words);
        }
    }

    /// The comments that begin in this piece of HTML. An empty line ends the
    /// HTML but not the comment in it, which may end further down.
    fn comments(&mut self, piece: Range<usize>, text: &str) {
        let mut from = piece.start.max(self.holes.last().map_or(0, |hole| hole.end));
        while let Some(found) = text.get(from..piece.end).and_then(|rest| rest.find("<!--")) {
            let start = from + found;
            let end = if self.open_comment {
                None
            } else {
                let rest = text.get(start + 4..).unwrap_or_default();
                rest.find("-->").map(|found| start + 4 + found + 3)
            };
            self.open_comment = end.is_none();
            from = end.unwrap_or(piece.end);
            self.holes.push(start..from);
        }
    }
}

/// What a browser does not show, although it stands between tags.
fn is_hidden(html: &str) -> bool {
    let html = html.trim_start().as_bytes();
    ["<script", "<style", "<template"].iter().any(|tag| {
        html.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    })
}

/// `title: Words`, `title = "Words"`: front matter in YAML and TOML.
fn front_matter_title(matter: &str) -> Option<String> {
    matter.lines().find_map(|text| {
        let rest = text.strip_prefix("title")?.trim_start();
        let rest = rest.strip_prefix([':', '='])?.trim();
        let quoted = |quote: char| rest.strip_prefix(quote)?.strip_suffix(quote);
        let title = line(quoted('"').or_else(|| quoted('\'')).unwrap_or(rest));
        (!title.is_empty()).then_some(title)
    })
}

/// The blocks, cut where there are holes; the holes stand between them.
fn without(blocks: Vec<Block>, holes: &[Range<usize>]) -> Vec<Block> {
    let mut cut = Vec::with_capacity(blocks.len() + holes.len());
    let mut holes = holes.iter().peekable();
    for block in blocks {
        let Block { mut range, shape } = block;
        // Those that end before this block matter to nothing below it.
        while let Some(hole) = holes.next_if(|hole| hole.end <= range.start) {
            cut.push(hole_at(hole));
        }
        while let Some(hole) = holes.peek().filter(|hole| hole.start < range.end) {
            if hole.start > range.start && !matches!(shape, Shape::Heading { .. }) {
                cut.push(Block {
                    range: range.start..hole.start,
                    shape: shape.clone(),
                });
            }
            let after = hole.end;
            if after > range.end {
                // It goes on below this block, which ends here.
                range.start = range.end;
                break;
            }
            cut.push(hole_at(hole));
            holes.next();
            if !matches!(shape, Shape::Heading { .. }) {
                range.start = after;
            }
        }
        if !range.is_empty() {
            cut.push(Block { range, shape });
        }
    }
    cut.extend(holes.map(hole_at));
    cut
}

fn hole_at(range: &Range<usize>) -> Block {
    Block {
        range: range.clone(),
        shape: Shape::Hole,
    }
}
