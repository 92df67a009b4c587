//! What an answer rests on, as a person reads it on a terminal: the rows of a
//! query with its SQL, the passages that were quoted. Anything else that a
//! handler sends as data is shown as it is.

use serde_json::Value;

/// Rows and characters that are shown; what is beyond is counted.
const MAX_ROWS: usize = 20;
const MAX_CELL_CHARS: usize = 40;
const MAX_COLUMNS: usize = 12;

/// `data` in words, or `None` when it is of no known kind.
pub(super) fn words(data: &Value) -> Option<String> {
    match data.get("kind")?.as_str()? {
        "sql" => query(data),
        "citation" => citation(data),
        _ => None,
    }
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

fn citation(data: &Value) -> Option<String> {
    let text = |key| data.get(key).and_then(Value::as_str);
    let number = data.get("n")?.as_u64()?;
    let headings = data.get("headings").and_then(Value::as_array);
    let headings = headings.into_iter().flatten().filter_map(Value::as_str);
    let place = std::iter::once(text("document")?)
        .chain(headings)
        .collect::<Vec<_>>()
        .join(" › ");
    let mut words = format!("[{number}] {place}\n    \"{}\"", one_line(text("quote")?));
    if let Some(link) = text("link") {
        words.push_str("\n    ");
        words.push_str(link);
    }
    Some(words)
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

    #[test]
    fn rows_stand_under_their_columns_below_the_query() {
        let data = json!({
            "kind": "sql", "sql": "SELECT name, n FROM t WHERE a = ?1", "params": ["x"],
            "columns": ["name", "n"], "rows": [["tea", 3], ["a long\nname", null]],
            "truncated": true,
        });
        let expected = "SELECT name, n FROM t WHERE a = ?1\nwith \"x\"\nname         n\n───────────  ─\ntea          3\na long name\n... and more, past the bound of the database";
        assert_eq!(words(&data).unwrap(), expected);
    }

    #[test]
    fn many_rows_are_counted_and_long_cells_cut() {
        let rows: Vec<_> = (0..25).map(|n| json!([n, "ä".repeat(50)])).collect();
        let data = json!({"kind": "sql", "sql": "q", "columns": ["a", "b"], "rows": rows});
        let words = words(&data).unwrap();
        assert!(words.ends_with("... and 5 more"));
        assert!(words.contains(&format!("{}…", "ä".repeat(40))));
        assert_eq!(words.lines().count(), 1 + 2 + 20 + 1);
    }

    #[test]
    fn a_citation_names_its_place_and_where_it_opens() {
        let data = json!({
            "kind": "citation", "n": 2, "document": "docs/a.md", "headings": ["Guide", "Swap"],
            "quote": "Drop it\nin.", "link": "/v1/documents/docs/docs/a.md?offset=3",
        });
        let expected =
            "[2] docs/a.md › Guide › Swap\n    \"Drop it in.\"\n    /v1/documents/docs/docs/a.md?offset=3";
        assert_eq!(words(&data).unwrap(), expected);
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
            assert_eq!(words(&data), None, "{data}");
        }
    }
}
