//! Sentences: what rows say, and why a question was not read.

use segue_sdk::sql::{Records, Value};

use crate::plan::{Best, Query, Shape, Top};
use crate::schema::{Field, Schema, Table};
use crate::understand::Unread;
use crate::words::{plural, written};

/// As many rows as a sentence names.
const NAMED: usize = 10;
/// The longest value in a sentence, in letters.
const MAX_LETTERS: usize = 80;

/// What the rows of a statement say; `shown` of them were sent.
pub(crate) fn told(query: &Query, records: &Records, shown: usize) -> String {
    let conditions = match &*query.conditions {
        [] => String::new(),
        all => format!(" where {}", all.join(" and ")),
    };
    let mut text = match &query.shape {
        Shape::Count { noun } => counted(noun, records, &conditions),
        Shape::Number { what } => match records.value(0, 0).filter(|value| !value.is_null()) {
            Some(value) => format!("The {what} is {}{conditions}.", cell(value)),
            None => nothing(),
        },
        Shape::Groups {
            noun,
            what,
            keys,
            top,
        } => groups(noun, what, *keys, *top, records, &conditions),
        Shape::Rows {
            noun,
            label,
            details,
            top,
            best,
        } => match (top, best) {
            (Some(top), Some(best)) => ranked(noun, label, (*top, best), records, &conditions),
            _ => rows(noun, [label, details], records, &conditions),
        },
        Shape::Values { noun } => {
            let names = records
                .rows
                .iter()
                .map(|row| row.first().map_or_else(String::new, cell));
            let list = list(names, records.len());
            format!(
                "{} {}{conditions}: {list}.",
                records.len(),
                several(noun, records.len())
            )
        }
    };
    if records.is_empty() {
        text = nothing();
    }
    let what = if records.truncated {
        " There are more rows than the database gives at once."
    } else {
        ""
    };
    let table = if records.len() > shown {
        format!(" The table has the first {shown}.")
    } else {
        String::new()
    };
    format!("{text}{what}{table}")
}

/// The same of rows of which nothing is known but the columns.
pub(crate) fn plainly(records: &Records, shown: usize) -> String {
    let text = match (&*records.rows, &*records.columns) {
        ([], _) => return nothing(),
        ([row], [column]) => format!(
            "{}: {}.",
            spaced(column),
            row.first().map_or_else(String::new, cell)
        ),
        ([row], columns) => {
            let each = columns
                .iter()
                .zip(row)
                .map(|(column, value)| format!("{} {}", spaced(column), cell(value)));
            format!("{}.", list(each, columns.len()))
        }
        (rows, _) => {
            let each = rows.iter().map(|row| {
                let name = row
                    .iter()
                    .find(|value| matches!(value, Value::Text(_)))
                    .or(row.first());
                let number = row.last().filter(|last| last.as_f64().is_some() && row.len() > 1);
                let name = name.map_or_else(String::new, cell);
                number.map_or(name.clone(), |number| format!("{name} ({})", cell(number)))
            });
            format!("{} rows: {}.", rows.len(), list(each, rows.len()))
        }
    };
    let more = if records.truncated || records.len() > shown {
        " There are more than the table shows."
    } else {
        ""
    };
    format!("{text}{more}")
}

fn nothing() -> String {
    "Nothing matches.".into()
}

fn counted(noun: &str, records: &Records, conditions: &str) -> String {
    match records.value(0, 0).and_then(Value::as_i64).unwrap_or_default() {
        0 => format!("There are no {}{conditions}.", plural(noun)),
        1 => format!("There is 1 {noun}{conditions}."),
        count => format!("There are {count} {}{conditions}.", plural(noun)),
    }
}

fn groups(
    noun: &str,
    what: &str,
    keys: usize,
    top: Option<Top>,
    records: &Records,
    conditions: &str,
) -> String {
    let name = |row: &Vec<Value>| joined(row.iter().take(keys));
    let each = records.rows.iter().map(|row| {
        let number = row.last().map_or_else(String::new, cell);
        format!("{} ({number})", name(row))
    });
    let count = records.len();
    let list = list(each, count);
    match (top, &*records.rows) {
        (Some(Top::One), [row]) => {
            let number = row.last().map_or_else(String::new, cell);
            format!("It is {}, by {what}{conditions}: {number}.", name(row))
        }
        (Some(Top::One), _) => format!(
            "{count} {} are level by {what}{conditions}: {list}.",
            plural(noun)
        ),
        (Some(Top::Most(_)), _) => format!(
            "The top {count} {} by {what}{conditions}: {list}.",
            several(noun, count)
        ),
        (Some(Top::Fewest(_)), _) => format!(
            "The last {count} {} by {what}{conditions}: {list}.",
            several(noun, count)
        ),
        (None, _) => format!("{} by {noun}{conditions}: {list}.", capital(what)),
    }
}

fn rows(noun: &str, [label, details]: [&[usize]; 2], records: &Records, conditions: &str) -> String {
    let count = records.len();
    let each = records.rows.iter().map(|row| {
        let details = details.iter().filter_map(|place| row.get(*place));
        with(
            &named(row, label),
            &joined(details.filter(|value| !value.is_null())),
        )
    });
    format!(
        "{count} {}{conditions}: {}.",
        several(noun, count),
        list(each, count)
    )
}

fn ranked(
    noun: &str,
    label: &[usize],
    (top, best): (Top, &Best),
    records: &Records,
    conditions: &str,
) -> String {
    let count = records.len();
    let value = |row: &Vec<Value>| row.get(best.column).map_or_else(String::new, cell);
    let what = &best.what;
    match (top, &*records.rows) {
        (Top::One, [row]) => {
            let (noun, name) = (capital(noun), named(row, label));
            format!("{noun} {name} has the {what}{conditions}: {}.", value(row))
        }
        (Top::One, rows) => {
            let level = rows.first().map_or_else(String::new, value);
            let list = list(rows.iter().map(|row| named(row, label)), count);
            format!(
                "{count} {} share the {what}{conditions}, {level}: {list}.",
                plural(noun)
            )
        }
        (Top::Most(_) | Top::Fewest(_), rows) => {
            let list = list(
                rows.iter().map(|row| with(&named(row, label), &value(row))),
                count,
            );
            format!(
                "The {count} {} with the {what}{conditions}: {list}.",
                several(noun, count)
            )
        }
    }
}

fn named(row: &[Value], label: &[usize]) -> String {
    joined(label.iter().filter_map(|place| row.get(*place)))
}

/// A name with what there is to say of it.
fn with(name: &str, details: &str) -> String {
    match (name, details) {
        (_, "") => name.into(),
        ("", _) => details.into(),
        _ => format!("{name} ({details})"),
    }
}

/// The first few, and how many more there are.
fn list(each: impl Iterator<Item = String>, count: usize) -> String {
    let named: Vec<String> = each.take(NAMED).collect();
    let more = match count.saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}

fn several(noun: &str, count: usize) -> String {
    if count == 1 { noun.into() } else { plural(noun) }
}

fn joined<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    values.map(cell).collect::<Vec<_>>().join(" ")
}

/// A value for people: numbers plainly, a day at midnight as a day, long text cut.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "none".into(),
        Value::Integer(number) => return number.to_string(),
        Value::Real(number) => return written(*number),
        Value::Blob(bytes) => return format!("{} bytes", bytes.len()),
        Value::Text(text) => text,
    };
    let day = [" 00:00:00", " 00:00:00.000"]
        .iter()
        .find_map(|midnight| text.strip_suffix(midnight));
    let text = day.unwrap_or(text);
    match text.char_indices().nth(MAX_LETTERS) {
        Some((end, _)) => format!("{}\u{2026}", text.get(..end).unwrap_or_default()),
        None => text.into(),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

fn spaced(column: &str) -> String {
    column.replace('_', " ")
}

/// Why a question was not read, and what could be asked instead.
pub(crate) fn declined(unread: &Unread, schema: &Schema) -> String {
    let mut text = String::from("I cannot read that question without a model.");
    if let Some(several) = &unread.several {
        text.push_str(&format!(" As I read it, {several}."));
    } else if !unread.unknown.is_empty() {
        let words: Vec<String> = unread
            .unknown
            .iter()
            .take(5)
            .map(|word| format!("\u{201c}{word}\u{201d}"))
            .collect();
        text.push_str(&format!(
            " I know nothing here that is called {}.",
            words.join(" or ")
        ));
    } else if unread.negation {
        text.push_str(" I read nothing that says \u{201c}not\u{201d}.");
    }
    let tables = || schema.tables.iter().filter(|table| !table.view);
    let near: Vec<&Table> = unread.near.iter().filter_map(|name| schema.table(name)).collect();
    let example = near
        .iter()
        .copied()
        .find(|table| !table.view)
        .or_else(|| tables().next());
    let Some(example) = example else {
        return format!("{text} The database has no tables.");
    };
    text.push_str(" I can count, add up, average, rank, group and list what the tables hold: ");
    text.push_str(&examples(example));
    let names: Vec<&str> = if near.is_empty() {
        tables().take(8).map(|table| &*table.name).collect()
    } else {
        near.iter().map(|table| &*table.name).collect()
    };
    let which = if near.is_empty() {
        "Tables"
    } else {
        "The nearest tables"
    };
    format!("{text} {which}: {}.", names.join(", "))
}

fn examples(table: &Table) -> String {
    let many = plural(&table.words.join(" "));
    let mut examples = vec![format!("\u{201c}how many {many} are there\u{201d}")];
    let kinds = ["status", "category", "type", "country", "city", "state", "title"];
    let own = |field: &Field<'_>| field.column.is_text() && !table.is_label(field.column);
    let kind = kinds.iter().find_map(|kind| {
        table
            .fields()
            .find(|field| own(field) && field.column.words == [*kind])
    });
    examples.extend(kind.map(|field| format!("\u{201c}{many} by {}\u{201d}", field.column.words.join(" "))));
    let measure = table.total().or_else(|| table.money());
    examples.extend(
        measure.map(|field| format!("\u{201c}top 5 {many} by {}\u{201d}", field.column.words.join(" "))),
    );
    format!("{}.", examples.join(", "))
}
