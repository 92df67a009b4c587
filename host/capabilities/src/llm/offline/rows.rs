//! Material that is a table, and what its rows say.
//!
//! A table is JSON (`{"columns":[..],"rows":[[..]]}` or a list of objects), or
//! lines of cells with a line of names above: divided by tabs, by commas, or by
//! `|` as in Markdown, where a rule stands below the names. Without it, lines with
//! bars are as likely the middle of a table, whose first row names nothing.

use serde_json::{Map, Value};

/// How many rows are told; the rest are counted.
const ROWS_MAX: usize = 5;

/// How much of a cell is told, in bytes.
const CELL_MAX_BYTES: usize = 100;

/// Rows under named columns.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// As Markdown has it, with a rule below the names.
    ruled: bool,
}

impl Table {
    /// The table that `text` is, if it is one and nothing else.
    pub(super) fn parse(text: &str) -> Option<Table> {
        let text = text.trim();
        if text.starts_with(['{', '[']) {
            return Table::of_json(&serde_json::from_str(text).ok()?);
        }
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        Table::of_lines(&lines, |line| {
            line.contains('\t').then(|| line.split('\t').collect())
        })
        .or_else(|| match Table::of_lines(&lines, bars) {
            Some(table) => is_ruled(&lines).then_some(Table { ruled: true, ..table }),
            None => Table::of_lines(&lines, commas),
        })
    }

    fn of_json(value: &Value) -> Option<Table> {
        match value {
            Value::Object(object) => {
                let columns = object.get("columns")?.as_array()?;
                let rows = object.get("rows")?.as_array()?;
                let row = |row: &Value| Some(row.as_array()?.iter().map(cell).collect());
                Some(Table {
                    columns: columns.iter().map(cell).collect(),
                    rows: rows.iter().map(row).collect::<Option<_>>()?,
                    ruled: false,
                })
            }
            Value::Array(rows) => {
                let rows: Vec<&Map<String, Value>> =
                    rows.iter().map(Value::as_object).collect::<Option<_>>()?;
                let columns: Vec<String> = rows.first()?.keys().cloned().collect();
                let row = |row: &&Map<String, Value>| {
                    let cells = columns
                        .iter()
                        .map(|name| row.get(name).map(cell).unwrap_or_default());
                    cells.collect()
                };
                Some(Table {
                    rows: rows.iter().map(row).collect(),
                    columns,
                    ruled: false,
                })
            }
            _ => None,
        }
    }

    /// Lines that `cells` divides alike, the first of which names the columns.
    fn of_lines<'a>(lines: &[&'a str], cells: impl Fn(&'a str) -> Option<Vec<&'a str>>) -> Option<Table> {
        let mut rows = Vec::with_capacity(lines.len());
        for line in lines {
            let row: Vec<String> = cells(line)?
                .into_iter()
                .map(|cell| cell.trim().to_owned())
                .collect();
            let is_rule = row.iter().all(|cell| is_dashes(cell));
            if !(is_rule && rows.len() == 1) {
                rows.push(row);
            }
        }
        let mut rows = rows.into_iter();
        let columns = rows.next()?;
        let rows: Vec<Vec<String>> = rows.collect();
        let alike = rows.iter().all(|row| row.len() == columns.len());
        let headed = columns.iter().any(|name| !name.is_empty());
        (alike && headed && lines.len() > 1).then_some(Table {
            columns,
            rows,
            ruled: false,
        })
    }

    /// Whether it is one of Markdown's, as documents have them.
    pub(super) fn is_markdown(&self) -> bool {
        self.ruled
    }

    /// What the rows say, with the number to cite them by.
    pub(super) fn say(&self, number: usize) -> String {
        let [column] = self.columns.as_slice() else {
            return self.say_rows(number);
        };
        match self.rows.as_slice() {
            [row] => format!(
                "{}: {} [{number}].",
                clip(column),
                row.first().map_or("", |cell| shown(cell))
            ),
            _ => self.say_rows(number),
        }
    }

    fn say_rows(&self, number: usize) -> String {
        let pairs = |row: &Vec<String>| {
            let pair = |(name, cell): (&String, &String)| format!("{}: {}", clip(name), clip(shown(cell)));
            let pairs: Vec<String> = self.columns.iter().zip(row).map(pair).collect();
            pairs.join(", ")
        };
        match self.rows.as_slice() {
            [] => format!("There are no rows [{number}]."),
            [row] => format!("{} [{number}].", pairs(row)),
            rows => {
                let columns: Vec<String> = self.columns.iter().map(|name| clip(name)).collect();
                let told = rows.iter().take(ROWS_MAX).map(|row| {
                    let cells: Vec<String> = row.iter().map(|cell| clip(shown(cell))).collect();
                    cells.join(", ")
                });
                let told: Vec<String> = told.collect();
                let rest = match rows.len().checked_sub(ROWS_MAX) {
                    Some(rest) if rest > 0 => format!("; and {rest} more"),
                    _ => String::new(),
                };
                let (count, names) = (rows.len(), columns.join(", "));
                format!("{count} rows of {names}: {}{rest} [{number}].", told.join("; "))
            }
        }
    }
}

/// Whether the second line is the rule below the names.
fn is_ruled(lines: &[&str]) -> bool {
    let cells = lines.get(1).and_then(|line| bars(line));
    cells.is_some_and(|cells| cells.iter().all(|cell| is_dashes(cell.trim())))
}

/// `---`, or `:--:`.
fn is_dashes(cell: &str) -> bool {
    cell.contains('-') && cell.trim_matches([':', '-']).is_empty()
}

fn bars(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    let inner = line.strip_prefix('|').unwrap_or(line);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    line.contains('|').then(|| inner.split('|').collect())
}

/// Commas divide prose too, but there a space follows, and a line ends in a
/// full stop.
fn commas(line: &str) -> Option<Vec<&str>> {
    let is_prose = line.contains(", ") || line.contains('"') || line.ends_with(['.', ',', '!', '?']);
    (line.contains(',') && !is_prose).then(|| line.split(',').collect())
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn shown(cell: &str) -> &str {
    match cell {
        "" => "nothing",
        cell => cell,
    }
}

fn clip(text: &str) -> String {
    super::super::fault::clip(text, CELL_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        Table::parse(text)
            .unwrap_or_else(|| panic!("a table: {text}"))
            .say(1)
    }

    #[test]
    fn a_table_is_known_in_every_form() {
        let expected = "2 rows of artist, tracks: AC/DC, 18; Accept, 4 [1].";
        for text in [
            "artist\ttracks\nAC/DC\t18\nAccept\t4",
            "| artist | tracks |\n|--------|-------:|\n| AC/DC | 18 |\n| Accept | 4 |\n",
            "artist | tracks\n:--- | ---:\nAC/DC | 18\nAccept | 4",
            "artist,tracks\nAC/DC,18\nAccept,4",
            r#"{"columns":["artist","tracks"],"rows":[["AC/DC",18],["Accept",4]],"truncated":false}"#,
            r#"[{"artist":"AC/DC","tracks":18},{"artist":"Accept","tracks":4}]"#,
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn rows_are_told_briefly() {
        assert_eq!(
            said(r#"{"columns":["count(*)"],"rows":[[59]]}"#),
            "count(*): 59 [1]."
        );
        assert_eq!(
            said(r#"{"columns":["a","b"],"rows":[["x",null]]}"#),
            "a: x, b: nothing [1]."
        );
        assert_eq!(
            said(r#"{"columns":["a","b"],"rows":[]}"#),
            "There are no rows [1]."
        );
        let many = format!("n\tm\n{}", "1\t2\n".repeat(9));
        assert_eq!(
            said(&many),
            "9 rows of n, m: 1, 2; 1, 2; 1, 2; 1, 2; 1, 2; and 4 more [1]."
        );
    }

    #[test]
    fn prose_is_no_table() {
        for text in [
            "",
            "One line.",
            "One, two, three.\nFour, five, six.",
            "Hello,world\nand no comma here",
            "[1] a note",
            "{not json}",
            "# Heading\n\n| a | b |\n|---|---|\n| 1 | 2 |",
            "a | b\nc | d | e",
        ] {
            assert_eq!(Table::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_middle_of_a_table_is_no_table() {
        for text in [
            "| `memory_exceeded` | 507 |\n| `overloaded` | 503 |\n| `denied` | 403 |",
            "|---|---|\n| `overloaded` | 503 |\n| `denied` | 403 |",
            "| a,b |\n| c,d |",
            "artist | tracks\nAC/DC | 18\nAccept | 4",
            "| a | b |\n| 1 | 2 |\n|---|---|",
        ] {
            assert_eq!(Table::parse(text), None, "{text}");
        }
    }
}
