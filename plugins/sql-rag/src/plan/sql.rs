//! SQL text. Names come from the schema and are quoted where they must be;
//! values never become text: they are parameters.

use crate::schema::{Field, Table};

/// Words that SQLite does not take for names, or would read as something else.
const KEYWORDS: &str = "abort action add after all alter always analyze and as asc attach autoincrement before begin \
    between by cascade case cast check collate column commit conflict constraint create cross current current_date \
    current_time current_timestamp database default deferrable deferred delete desc detach distinct do drop each else \
    end escape except exclude exclusive exists explain fail filter first following for foreign from full generated glob \
    group groups having if ignore immediate in index indexed initially inner insert instead intersect into is isnull join \
    key last left like limit match materialized natural no not nothing notnull null nulls of offset on or order others \
    outer over partition plan pragma preceding primary query raise range recursive references regexp reindex release \
    rename replace restrict returning right rollback row rows savepoint select set table temp temporary then ties to \
    transaction trigger unbounded union unique update using vacuum values view virtual when where window with without";

/// A name, quoted unless it is plain.
pub(crate) fn quoted(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let plain = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(letters)
        && !KEYWORDS.split_whitespace().any(|keyword| keyword == lower);
    if plain {
        name.into()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

pub(crate) fn table_name(table: &Table) -> String {
    quoted(&table.name)
}

/// A column with its table.
pub(crate) fn name(field: Field<'_>) -> String {
    format!("{}.{}", quoted(&field.table.name), quoted(&field.column.name))
}

/// All columns of a table's label as one text.
pub(crate) fn label_text(table: &Table) -> String {
    let names: Vec<String> = table.label().into_iter().map(name).collect();
    format!("({})", names.join(" || ' ' || "))
}

/// Columns as they are selected.
pub(super) fn names(fields: &[Field<'_>]) -> String {
    fields.iter().copied().map(name).collect::<Vec<_>>().join(", ")
}

/// Several columns as one value to compare: `a`, or `(a, b)`.
pub(super) fn row(fields: &[Field<'_>]) -> String {
    let names = names(fields);
    if fields.len() == 1 {
        names
    } else {
        format!("({names})")
    }
}

/// A name for a column of the answer, from words.
pub(super) fn alias(words: &str) -> String {
    let letters = words
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { '_' });
    quoted(&letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, text) in [
            ("Customer", "Customer"),
            ("order_items", "order_items"),
            ("Order Details", "\"Order Details\""),
            ("Order", "\"Order\""),
            ("2nd", "\"2nd\""),
            ("a\"b", "\"a\"\"b\""),
            ("größe", "\"größe\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(name), text);
        }
    }
}
