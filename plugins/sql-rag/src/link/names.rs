//! Tables and columns by name.
//!
//! Names are compared word by word, singular with singular. The cost of a match
//! says how far it is from the name itself: 0 for the name, 2 for each word that
//! only means the same, 2 for the last words of a longer name ("country" for
//! `BillingCountry`), 3 more for a view.

use crate::schema::{Column, DATE_WORDS, Field, Schema, Table};
use crate::words::{Question, Synonyms, rewritten, root, same_meaning};

use super::{Mention, Named, Spot};

const SYNONYM: u32 = 2;
const TAIL: u32 = 2;
const VIEW: u32 = 3;
/// The longest name, in words.
const MAX_WORDS: usize = 5;
/// Words that end a column's name with the unit it is measured in.
const UNITS: &[&str] = &[
    "ms",
    "millis",
    "millisecond",
    "s",
    "sec",
    "second",
    "min",
    "minute",
    "hour",
    "usd",
    "eur",
    "cent",
];

/// The names that begin at a word.
pub(super) fn spot<'a>(question: &Question, at: usize, schema: &'a Schema, synonyms: &Synonyms) -> Spot<'a> {
    let mut spot = Spot::default();
    let rest = question.tokens.get(at..).unwrap_or_default();
    let rest = rest.get(..rest.len().min(MAX_WORDS)).unwrap_or_default();
    let rest = rest
        .split(|token| token.quoted || token.lower == ",")
        .next()
        .unwrap_or_default();
    let stems: Vec<&str> = rest.iter().map(|token| &*token.stem).collect();
    let plural = |count: usize| {
        let last = count.checked_sub(1).and_then(|last| rest.get(last));
        last.is_some_and(|token| token.stem != token.lower)
    };
    for count in 1..=stems.len() {
        let words = stems.get(..count).unwrap_or_default();
        add(&mut spot, schema, words, at + count, plural(count), 0);
    }
    if let Some((count, words)) = rewritten(&stems) {
        add(&mut spot, schema, &words, at + count, plural(count), 0);
    }
    if let Some(word) = stems.first() {
        let of =
            |field: Field<'a>| Some((field, dated(word, field.table, field.column)? + view(field.table)));
        let fields: Vec<_> = schema.fields().filter_map(of).collect();
        if !fields.is_empty() {
            let (owner, said) = (None, (*word).to_string());
            spot.dates.push(Mention {
                fields,
                owner,
                end: at + 1,
                said,
                plural: false,
            });
        }
    }
    for (words, name) in &synonyms.names {
        if stems.starts_with(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
            own(&mut spot, schema, name, at + words.len(), plural(words.len()));
        }
    }
    spot
}

/// What the operator says a word stands for: a table, a column, or both with a
/// dot between.
fn own<'a>(spot: &mut Spot<'a>, schema: &'a Schema, name: &str, end: usize, plural: bool) {
    if let Some(table) = schema.table(name) {
        spot.tables.push(Named {
            table,
            cost: 0,
            end,
            plural,
        });
    }
    let (table, column) = name.split_once('.').unwrap_or(("", name));
    let named = |field: &Field<'_>| {
        let of = table.is_empty() || field.table.name.eq_ignore_ascii_case(table);
        of && field.column.name.eq_ignore_ascii_case(column)
    };
    let fields: Vec<_> = schema.fields().filter(named).map(|field| (field, 0)).collect();
    if !fields.is_empty() {
        let said = column.to_lowercase();
        spot.columns.push(Mention {
            fields,
            owner: None,
            end,
            said,
            plural,
        });
    }
}

fn add<'a>(spot: &mut Spot<'a>, schema: &'a Schema, words: &[&str], end: usize, plural: bool, extra: u32) {
    for table in &schema.tables {
        if let Some(cost) = cost_of(words, &table.words) {
            let cost = cost + extra + view(table);
            spot.tables.push(Named {
                table,
                cost,
                end,
                plural,
            });
        }
    }
    let fields = columns(schema, words);
    if !fields.is_empty() {
        let said = words.join(" ");
        spot.columns.push(Mention {
            fields,
            owner: None,
            end,
            said,
            plural,
        });
    }
}

pub(super) fn columns_called<'a>(schema: &'a Schema, word: &str, end: usize) -> Option<Mention<'a>> {
    let fields = columns(schema, &[word]);
    let said = word.into();
    (!fields.is_empty()).then_some(Mention {
        fields,
        owner: None,
        end,
        said,
        plural: false,
    })
}

fn columns<'a>(schema: &'a Schema, words: &[&str]) -> Vec<(Field<'a>, u32)> {
    let cost = |field: Field<'a>| {
        Some((
            field,
            column_cost(words, field.table, field.column)? + view(field.table),
        ))
    };
    schema.fields().filter_map(cost).collect()
}

fn view(table: &Table) -> u32 {
    if table.view { VIEW } else { 0 }
}

/// How far words are from a name, if they may mean it at all.
fn cost_of(words: &[&str], name: &[String]) -> Option<u32> {
    if let [word] = words
        && *word == name.concat()
    {
        return Some(0);
    }
    if words.len() != name.len() || words.is_empty() {
        return None;
    }
    let each = words.iter().zip(name).map(|(word, own)| {
        let same = word == own;
        (same || same_meaning(word, own)).then_some(if same { 0 } else { SYNONYM })
    });
    each.sum()
}

fn column_cost(words: &[&str], table: &Table, column: &Column) -> Option<u32> {
    let name = &*column.words;
    // "date" is the `InvoiceDate` of an invoice, "name" the `ProductName` of a product,
    // and "active" is `is_active`.
    let leads = |word: &&String| table.words.contains(*word) || matches!(&***word, "is" | "has");
    let of_table = name.iter().take_while(leads).count();
    let short = name.get(of_table..).unwrap_or_default();
    let whole = cost_of(words, name).or_else(|| cost_of(words, short));
    if whole.is_some() || column.primary > 0 || column.foreign {
        return whole;
    }
    let tail = name
        .len()
        .checked_sub(words.len())
        .and_then(|from| name.split_at_checked(from));
    // "order" is no `UnitsOnOrder`.
    let tail = tail.filter(|(before, _)| {
        !before
            .last()
            .is_some_and(|word| matches!(&**word, "on" | "in" | "of" | "per" | "by"))
    });
    let tail = tail
        .and_then(|(_, tail)| cost_of(words, tail))
        .map(|cost| cost + TAIL);
    let measured = name.split_at_checked(words.len()).and_then(|(front, rest)| {
        let unit = rest.iter().all(|word| UNITS.contains(&&**word));
        cost_of(words, front).filter(|_| unit)
    });
    [tail, measured].into_iter().flatten().min()
}

/// A date by its participle: "hired" for `HireDate`, "created" for `created_at`.
fn dated(word: &str, table: &Table, column: &Column) -> Option<u32> {
    let (front, rest) = column.words.split_first()?;
    let date = column.may_be_date() && rest.iter().all(|word| DATE_WORDS.contains(&&**word));
    let same = word == front || same_meaning(word, front) || root(word) == root(front);
    (date && same && !table.words.contains(front)).then_some(1)
}
