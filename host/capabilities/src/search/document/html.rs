//! HTML: the text that a reader sees, with white space as a browser collapses
//! it, a line for each block and an empty one between paragraphs.
//!
//! Scripts, styles, templates and what is marked as hidden are left out;
//! navigation is part of the text but of no passage.

use scraper::node::Element;
use scraper::{ElementRef, Html, Node};

use super::{Block, Shape, line};

/// The text, the title and the blocks.
pub(super) fn render(html: &str) -> (String, Option<String>, Vec<Block>) {
    let html = Html::parse_document(html);
    let mut page = Page::default();
    let root = html.tree.root();
    let mut node = root;
    // Not recursive, and the tree is flat in memory: depth costs no stack.
    'open: loop {
        let enters = match node.value() {
            Node::Text(text) => {
                page.text(text);
                false
            }
            Node::Element(element) if element.name() == "title" => {
                let words = node.children().filter_map(|child| child.value().as_text());
                let words: String = words.map(|text| text.to_string()).collect();
                page.title.get_or_insert(line(&words));
                false
            }
            Node::Element(element) if is_hidden(element) => false,
            Node::Element(element) => {
                page.open(element, || ElementRef::wrap(node).is_some_and(is_layout));
                true
            }
            _ => true,
        };
        if enters && let Some(child) = node.first_child() {
            node = child;
            continue 'open;
        }
        let mut entered = enters;
        loop {
            if entered && let Node::Element(element) = node.value() {
                page.close(element);
            }
            if let Some(next) = node.next_sibling() {
                node = next;
                continue 'open;
            }
            let Some(parent) = node.parent().filter(|_| node != root) else {
                break 'open;
            };
            node = parent;
            entered = true;
        }
    }
    page.flush();
    (page.text, page.title, page.blocks)
}

#[derive(Default)]
struct Page {
    text: String,
    title: Option<String>,
    blocks: Vec<Block>,
    /// Where the block that is being written begins.
    start: Option<usize>,
    /// What separates what is written next.
    gap: Gap,
    /// The next block is the first of an item.
    bullet: bool,
    /// Items of lists that are open.
    items: usize,
    depth: usize,
    mode: Mode,
    /// The depth of the element that set the mode.
    mode_depth: usize,
    /// The depth of the navigation we are in.
    nav_depth: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Tab,
    Line,
    Paragraph,
}

/// How the elements within are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Flow,
    Heading(u8),
    Pre,
    Table,
}

impl Page {
    fn open(&mut self, element: &Element, is_layout: impl FnOnce() -> bool) {
        self.depth += 1;
        let name = element.name();
        if name == "nav" && self.nav_depth.is_none() {
            self.flush();
            self.nav_depth = Some(self.depth);
        }
        if name == "br" {
            self.gap = self.gap.max(Gap::Line);
        }
        if self.mode != Mode::Flow {
            self.gap = self.gap.max(gap_within(self.mode, name));
            return;
        }
        let mode = match name {
            "h1" => Mode::Heading(1),
            "h2" => Mode::Heading(2),
            "h3" => Mode::Heading(3),
            "h4" => Mode::Heading(4),
            "h5" => Mode::Heading(5),
            "h6" => Mode::Heading(6),
            "pre" => Mode::Pre,
            "table" if !is_layout() => Mode::Table,
            _ => Mode::Flow,
        };
        self.boundary(name);
        if name == "li" {
            self.bullet = true;
            self.items += 1;
        }
        self.mode = mode;
        self.mode_depth = self.depth;
    }

    fn close(&mut self, element: &Element) {
        let name = element.name();
        if self.mode != Mode::Flow && self.mode_depth < self.depth {
            self.gap = self.gap.max(gap_within(self.mode, name));
        } else {
            self.boundary(name);
            self.mode = Mode::Flow;
            if name == "li" {
                self.bullet = false;
                self.items = self.items.saturating_sub(1);
            }
        }
        if self.nav_depth == Some(self.depth) {
            self.flush();
            self.nav_depth = None;
        }
        self.depth -= 1;
    }

    /// Ends the block before an element that begins or ends a line.
    fn boundary(&mut self, name: &str) {
        let gap = match name {
            // Within a list each paragraph is a line.
            "p" | "div" | "ul" | "ol" if self.items > 0 => Gap::Line,
            "li" | "dt" | "dd" | "tr" | "option" | "legend" | "caption" => Gap::Line,
            "p" | "div" | "section" | "article" | "main" | "header" | "footer" | "aside" | "nav" | "ul"
            | "ol" | "menu" | "dl" | "table" | "thead" | "tbody" | "tfoot" | "td" | "th" | "blockquote"
            | "pre" | "figure" | "figcaption" | "form" | "fieldset" | "details" | "summary" | "hr"
            | "address" | "hgroup" | "body" | "html" | "center" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                Gap::Paragraph
            }
            _ => return,
        };
        self.flush();
        self.gap = self.gap.max(gap);
    }

    fn text(&mut self, text: &str) {
        if self.mode == Mode::Pre {
            self.write(text);
            return;
        }
        let is_space = |c: char| c.is_whitespace();
        if text.starts_with(is_space) {
            self.gap = self.gap.max(Gap::Space);
        }
        for word in text.split_whitespace() {
            self.write(word);
            self.gap = Gap::Space;
        }
        if !text.ends_with(is_space) && self.gap == Gap::Space {
            // What follows goes on with the last word.
            self.gap = Gap::None;
        }
    }

    fn write(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        if self.start.is_some() {
            self.text.push_str(match self.gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Tab => "\t",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        } else {
            if !self.text.is_empty() {
                let is_line = self.gap <= Gap::Line;
                self.text.push_str(if is_line { "\n" } else { "\n\n" });
            }
            self.start = Some(self.text.len());
            if std::mem::take(&mut self.bullet) {
                self.text.push_str("- ");
            }
        }
        self.gap = Gap::None;
        self.text.push_str(words);
    }

    fn flush(&mut self) {
        let Some(start) = self.start.take() else {
            return;
        };
        let range = start..self.text.len();
        let shape = match self.mode {
            _ if self.nav_depth.is_some() => Shape::Hole,
            Mode::Flow => Shape::Prose,
            Mode::Pre | Mode::Table => Shape::Whole,
            Mode::Heading(level) => Shape::Heading {
                level,
                text: line(self.text.get(range.clone()).unwrap_or_default()),
            },
        };
        self.blocks.push(Block { range, shape });
    }
}

/// What an element separates within one block.
fn gap_within(mode: Mode, name: &str) -> Gap {
    match (mode, name) {
        (Mode::Table, "tr" | "caption") => Gap::Line,
        (Mode::Table, "td" | "th") => Gap::Tab,
        (Mode::Pre, "div" | "p" | "li") => Gap::Line,
        (Mode::Table | Mode::Heading(_), "div" | "p" | "li" | "ul" | "ol" | "dl" | "dt" | "dd") => Gap::Space,
        _ => Gap::None,
    }
}

/// Whether a table only puts parts of the page beside each other.
fn is_layout(table: ElementRef<'_>) -> bool {
    let inner = table.descendants().skip(1);
    let mut elements = inner.filter_map(|node| node.value().as_element());
    elements.any(|element| {
        matches!(
            element.name(),
            "table" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "pre" | "section" | "article" | "form"
        )
    })
}

fn is_hidden(element: &Element) -> bool {
    let never_shown = matches!(
        element.name(),
        "script"
            | "style"
            | "template"
            | "noscript"
            | "iframe"
            | "object"
            | "embed"
            | "svg"
            | "canvas"
            | "audio"
            | "video"
            | "datalist"
            | "select"
    );
    never_shown || element.attr("hidden").is_some() || element.attr("aria-hidden") == Some("true")
}
