//! How deep the elements of a page are nested, told without building its tree:
//! a parser of HTML walks up through the open elements at nearly every tag, so
//! that a page which only opens elements would keep it busy for hours.

/// Whether elements are nested deeper than `limit`. Counts high where tags are
/// missing, never low.
pub(super) fn is_deeper(html: &str, limit: usize) -> bool {
    let mut rest = html;
    let mut depth = 0_usize;
    // Drawings and formulas close their elements with `/>`; HTML does not.
    let mut foreign = 0_usize;
    while let Some(at) = rest.find('<') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = after(comment, "-->");
            continue;
        }
        let closes = rest.starts_with('/');
        let tag = rest.strip_prefix('/').unwrap_or(rest);
        if !tag.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let end = tag.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'));
        let (name, attributes) = tag.split_at(end.unwrap_or(tag.len()));
        let name = name
            .get(..name.len().min(16))
            .unwrap_or_default()
            .to_ascii_lowercase();
        let (closed, behind) = end_of_tag(attributes);
        rest = behind;
        let is_foreign = matches!(name.as_str(), "svg" | "math");
        if closes {
            foreign = foreign.saturating_sub(usize::from(is_foreign));
            depth = depth.saturating_sub(usize::from(!closes_itself(&name)));
        } else if matches!(name.as_str(), "script" | "style" | "textarea" | "title") {
            rest = after_text(rest, &name);
        } else if !(closes_itself(&name) || (foreign > 0 || is_foreign) && closed) {
            foreign += usize::from(is_foreign);
            depth += 1;
            if depth > limit {
                return true;
            }
        }
    }
    false
}

/// Whether the tag ends in `/>`, and what is behind it.
fn end_of_tag(attributes: &str) -> (bool, &str) {
    let mut quote = None;
    let mut before = None;
    for (at, byte) in attributes.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return (before == Some(b'/'), attributes.get(at + 1..).unwrap_or_default()),
            (None, b'"' | b'\'') if before == Some(b'=') => quote = Some(byte),
            (Some(open), byte) if byte == open => quote = None,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = Some(byte);
        }
    }
    (false, "")
}

fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or("", |(_, rest)| rest)
}

/// What follows an element that has no elements in it.
fn after_text<'a>(mut rest: &'a str, name: &str) -> &'a str {
    while let Some((_, tail)) = rest.split_once("</") {
        rest = tail;
        if tail
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
        {
            return tail;
        }
    }
    ""
}

/// Elements without content, and those whose end is implied by the next of
/// their kind.
fn closes_itself(name: &str) -> bool {
    let void = matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
            | "frame"
    );
    let implied = matches!(
        name,
        "a" | "p"
            | "li"
            | "dt"
            | "dd"
            | "option"
            | "optgroup"
            | "rt"
            | "rp"
            | "tr"
            | "td"
            | "th"
            | "thead"
            | "tbody"
            | "tfoot"
            | "caption"
            | "colgroup"
            | "html"
            | "head"
            | "body"
    );
    void || implied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_open_counts() {
        for (html, deep) in [
            ("<div>".repeat(11), true),
            ("<DIV/>".repeat(11), true),
            ("<x-y>".repeat(11), true),
            ("<div>".repeat(10), false),
            ("<div></div>".repeat(50), false),
            ("<p>text<br><li><img src='<div><div>'>".repeat(50), false),
            ("<!-- <div> -->".repeat(50), false),
            ("<script>'<div>'</script>".repeat(50), false),
            (format!("<svg>{}</svg>", "<path d=\"\"/>".repeat(50)), false),
            ("1 < 2 <3 </".repeat(50), false),
            ("<div title=\"a > b\"></div>".repeat(50), false),
            (format!("<script>{}", "<div>".repeat(50)), false),
        ] {
            assert_eq!(is_deeper(&html, 10), deep, "{html}");
        }
    }
}
