//! What an answer rests on, as a person reads it on a terminal: the rows of a
//! query with its SQL, the passages that were quoted. Anything else that a
//! handler sends as data is shown as it is.

use serde_json::Value;

/// What an answer rests on.
#[derive(Debug, PartialEq)]
pub(super) enum Evidence {
    /// A query with its rows, in words.
    Rows(String),
    Citation(Citation),
}

/// A passage that was quoted.
#[derive(Debug, PartialEq)]
pub(super) struct Citation {
    /// `[2]`, as the answer calls it.
    pub(super) mark: String,
    /// The document, and the headings above the passage.
    pub(super) place: String,
    pub(super) quote: String,
    pub(super) link: Option<Link>,
}

/// Where a citation opens. Both are absolute, and nothing but what may stand in
/// an address.
#[derive(Debug, PartialEq)]
pub(super) struct Link {
    /// For a program to follow: it marks the very words.
    pub(super) whole: String,
    /// For people to read and to copy: it leads to where the words begin.
    pub(super) short: String,
}

/// Rows and characters that are shown; what is beyond is counted.
const MAX_ROWS: usize = 20;
const MAX_CELL_CHARS: usize = 40;
const MAX_COLUMNS: usize = 12;

/// Reads `data`; `None` when it is of no known kind. `host` is what links are
/// relative to: `http://host:port`.
pub(super) fn read(data: &Value, host: &str) -> Option<Evidence> {
    match data.get("kind")?.as_str()? {
        "sql" => query(data).map(Evidence::Rows),
        "citation" => citation(data, host).map(Evidence::Citation),
        _ => None,
    }
}

/// Whether `data` is shown below the answer that refers to it.
pub(super) fn is_citation(data: &Value) -> bool {
    data.get("kind").and_then(Value::as_str) == Some("citation")
}

fn query(data: &Value) -> Option<String> {
    let sql = data.get("sql")?.as_str()?;
    let columns: Vec<String> = data.get("columns")?.as_array()?.iter().map(cell).collect();
    let rows = data.get("rows")?.as_array()?;
    let mut lines = vec![sql.to_owned()];
    let params = data.get("params").and_then(Value::as_array);
    if let Some(params) = params.filter(|params| !params.is_empty()) {
        let params: Vec<String> = params.iter().map(Value::to_string).collect();
        lines.push(format!("with {}", params.join(", ")));
    }
    let mut table = vec![columns];
    for row in rows.iter().take(MAX_ROWS) {
        table.push(row.as_array()?.iter().map(cell).collect());
    }
    lines.extend(aligned(&table));
    let hidden = rows.len().saturating_sub(MAX_ROWS);
    let cut = data.get("truncated").and_then(Value::as_bool).unwrap_or(false);
    match (hidden, cut) {
        (0, false) => {}
        (0, true) => lines.push("... and more, past the bound of the database".to_owned()),
        (_, false) => lines.push(format!("... and {hidden} more")),
        (_, true) => lines.push(format!(
            "... and {hidden} more, and more past the bound of the database"
        )),
    }
    Some(lines.join("\n"))
}

fn citation(data: &Value, host: &str) -> Option<Citation> {
    let text = |key| data.get(key).and_then(Value::as_str);
    let number = data.get("n")?.as_u64()?;
    let headings = data.get("headings").and_then(Value::as_array);
    let headings = headings.into_iter().flatten().filter_map(Value::as_str);
    let place = std::iter::once(text("document")?)
        .chain(headings)
        .collect::<Vec<_>>()
        .join(" › ");
    Some(Citation {
        mark: format!("[{number}]"),
        place: one_line(&place),
        quote: one_line(text("quote")?),
        link: text("link").and_then(|link| Link::read(link, host)),
    })
}

impl Link {
    /// `None` for what is no path and no web address, as a plugin may send.
    fn read(link: &str, host: &str) -> Option<Link> {
        let is_path = link.starts_with('/') && !link.starts_with("//");
        let is_web = link.starts_with("http://") || link.starts_with("https://");
        if !(is_path || is_web) || !link.chars().all(|c| c.is_ascii_graphic()) {
            return None;
        }
        let whole = match is_path {
            true => format!("{host}{link}"),
            false => link.to_owned(),
        };
        Some(Link {
            short: without_words(&whole),
            whole,
        })
    }
}

/// The address of a document without the words to mark, which are most of it: the
/// host finds the place by `offset` alone.
fn without_words(link: &str) -> String {
    let (rest, fragment) = match link.split_once('#') {
        Some((rest, fragment)) => (rest, format!("#{fragment}")),
        None => (link, String::new()),
    };
    let Some((path, query)) = rest.split_once('?') else {
        return link.to_owned();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.starts_with("words="))
        .collect();
    format!("{path}?{}{fragment}", kept.join("&"))
}

/// A value as a cell of a table.
fn cell(value: &Value) -> String {
    let whole = match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        other => other.to_string(),
    };
    match whole.char_indices().nth(MAX_CELL_CHARS) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Rows of cells under each other, with a line below the first.
fn aligned(table: &[Vec<String>]) -> Vec<String> {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0).min(MAX_COLUMNS);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &[String]| {
        let cells = widths.iter().enumerate().map(|(column, width)| {
            let cell = row.get(column).map_or("", String::as_str);
            format!("{cell:width$}")
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines: Vec<String> = table.iter().map(|row| line(row)).collect();
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    lines.insert(1.min(lines.len()), rule.join("  "));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOST: &str = "http://localhost:8000";

    fn words(data: &Value) -> String {
        match read(data, HOST) {
            Some(Evidence::Rows(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    fn cited(link: &str) -> Citation {
        let data = json!({
            "kind": "citation", "n": 2, "document": "docs/a.md", "headings": ["Guide", "Swap"],
            "quote": "Drop it\nin.", "link": link,
        });
        match read(&data, HOST) {
            Some(Evidence::Citation(citation)) => citation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_stand_under_their_columns_below_the_query() {
        let data = json!({
            "kind": "sql", "sql": "SELECT name, n FROM t WHERE a = ?1", "params": ["x"],
            "columns": ["name", "n"], "rows": [["tea", 3], ["a long\nname", null]],
            "truncated": true,
        });
        let expected = "SELECT name, n FROM t WHERE a = ?1\nwith \"x\"\nname         n\n───────────  ─\ntea          3\na long name\n... and more, past the bound of the database";
        assert_eq!(words(&data), expected);
    }

    #[test]
    fn many_rows_are_counted_and_long_cells_cut() {
        let rows: Vec<_> = (0..25).map(|n| json!([n, "ä".repeat(50)])).collect();
        let data = json!({"kind": "sql", "sql": "q", "columns": ["a", "b"], "rows": rows});
        let words = words(&data);
        assert!(words.ends_with("... and 5 more"));
        assert!(words.contains(&format!("{}…", "ä".repeat(40))));
        assert_eq!(words.lines().count(), 1 + 2 + 20 + 1);
    }

    #[test]
    fn a_citation_names_its_place_and_where_it_opens() {
        let citation = cited("/v1/documents/docs/docs/a.md?offset=3&words=Drop%20it#words");
        let expected = Citation {
            mark: "[2]".to_owned(),
            place: "docs/a.md › Guide › Swap".to_owned(),
            quote: "Drop it in.".to_owned(),
            link: Some(Link {
                whole: format!("{HOST}/v1/documents/docs/docs/a.md?offset=3&words=Drop%20it#words"),
                short: format!("{HOST}/v1/documents/docs/docs/a.md?offset=3#words"),
            }),
        };
        assert_eq!(citation, expected);
    }

    #[test]
    fn a_link_is_an_address_of_the_web_or_none() {
        let short = |link: &str| cited(link).link.map(|link| link.short);
        assert_eq!(
            short("https://example.com/a?b=c").unwrap(),
            "https://example.com/a?b=c"
        );
        assert_eq!(short("/a").unwrap(), "http://localhost:8000/a");
        for odd in [
            "a",
            "//elsewhere/a",
            "javascript:alert(1)",
            "/a\u{1b}]8;;b",
            "/ü",
            "/a b",
            "",
        ] {
            assert_eq!(short(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn what_is_of_no_known_kind_or_shape_is_left_alone() {
        for data in [
            json!({"a": 1}),
            json!({"kind": "picture"}),
            json!({"kind": "sql", "sql": "q", "columns": ["a"], "rows": [1]}),
            json!({"kind": "citation", "n": "one"}),
            json!([1]),
        ] {
            assert_eq!(read(&data, HOST), None, "{data}");
        }
    }
}
