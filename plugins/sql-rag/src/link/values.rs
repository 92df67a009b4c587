//! Values by looking them up.
//!
//! Every run of words that could be a value is looked for in every column of
//! text: the runs are bound to the statement, and the comparison ignores the case
//! of ASCII letters. What is no value of the database is none of the question's.

use segue_sdk::Result;

use crate::schema::{Field, Schema};
use crate::words::{Question, countries, is_function, number, plural};

use super::{Database, Hit, Place, Said, Value};

/// The longest value, in words.
const MAX_WORDS: usize = 7;
/// As many runs of words as are looked for, and columns as they are looked for in.
const MAX_RUNS: usize = 600;
const MAX_COLUMNS: usize = 240;
/// What one statement looks for and in: so many columns, and columns times runs.
/// A host bounds a statement's SELECTs, of which each column takes one, and its
/// size when compiled.
const COLUMNS_AT_ONCE: usize = 50;
const PAIRS_AT_ONCE: usize = 8000;

/// A run of words: where it begins and ends, and how it was typed.
struct Run {
    start: usize,
    end: usize,
    text: String,
}

/// The values that the question names, by the word they begin at.
pub(super) fn find<'a>(
    question: &Question,
    schema: &'a Schema,
    database: &dyn Database,
) -> Result<Vec<(usize, Said<'a>)>> {
    let runs = runs(question);
    let places = places(schema);
    if runs.is_empty() || places.is_empty() {
        return Ok(Vec::new());
    }
    // What is looked for, and which runs it would be.
    let mut sought: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        for spelling in spellings(&run.text) {
            if let Some((_, of)) = sought.iter_mut().find(|(known, _)| *known == spelling) {
                of.push(index);
            } else if sought.len() < MAX_RUNS {
                sought.push((spelling, vec![index]));
            }
        }
    }
    let params: Vec<Value> = sought.iter().map(|(text, _)| Value::Text(text.clone())).collect();
    let at_once = (PAIRS_AT_ONCE / params.len().max(1)).clamp(1, COLUMNS_AT_ONCE);
    let mut found: Vec<Vec<Hit<'a>>> = runs.iter().map(|_| Vec::new()).collect();
    for places in places.chunks(at_once) {
        for row in database.query(&statement(places, params.len()), &params)? {
            let [Value::Integer(place), Value::Text(stored)] = &*row else {
                continue;
            };
            let place = usize::try_from(*place).ok().and_then(|place| places.get(place));
            let folded = folded(stored);
            let of = sought.iter().find(|(known, _)| *known == folded);
            let (Some(place), Some((_, of))) = (place, of) else {
                continue;
            };
            for run in of {
                if let Some(hits) = found.get_mut(*run) {
                    add(hits, *place, stored);
                }
            }
        }
    }
    let said = runs.into_iter().zip(found).filter(|(_, hits)| !hits.is_empty());
    let said = said.map(|(run, hits)| {
        let (text, end) = (run.text, run.end);
        (run.start, Said { text, end, hits })
    });
    Ok(said.collect())
}

fn add<'a>(hits: &mut Vec<Hit<'a>>, place: Place<'a>, stored: &str) {
    match hits.iter_mut().find(|hit| hit.place == place) {
        Some(hit) => hit.stored.push(stored.into()),
        None => hits.push(Hit {
            place,
            stored: vec![stored.into()],
        }),
    }
}

/// Runs that are more than words which hold a sentence together, and no numbers.
fn runs(question: &Question) -> Vec<Run> {
    let mut runs = Vec::new();
    for start in 0..question.tokens.len() {
        for end in start + 1..=(start + MAX_WORDS).min(question.tokens.len()) {
            let tokens = question.tokens.get(start..end).unwrap_or_default();
            let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
                continue;
            };
            let text = question.slice(start, end).to_string();
            let bare = |word: &str| matches!(word, "," | "'s" | "<" | ">" | "=" | "<=" | ">=" | "<>");
            let quoted = tokens.iter().any(|token| token.quoted);
            let may_be = tokens.iter().any(|token| may_be_value(&token.lower)) || text == "US";
            if (quoted && tokens.len() > 1) || bare(&first.lower) || bare(&last.lower) || !(quoted || may_be)
            {
                continue;
            }
            // "R.E.M." and "Alive (Live)" end in what otherwise ends a word.
            let after = question
                .text
                .get(last.end..)
                .and_then(|after| after.chars().next());
            if let Some(mark) = after.filter(|mark| ".)!?".contains(*mark)) {
                let text = format!("{text}{mark}");
                runs.push(Run { start, end, text });
            }
            runs.push(Run { start, end, text });
        }
    }
    runs
}

fn may_be_value(word: &str) -> bool {
    !is_function(word) && number([word]).is_none()
}

/// A run as the database may have it: as typed, in the other number, a country
/// by its other names. All in lower case.
fn spellings(text: &str) -> Vec<String> {
    let text = folded(text);
    let mut all = vec![text.clone()];
    all.extend(countries(&text).into_iter().map(String::from));
    if !text.contains(' ') && text.is_ascii() {
        let one = crate::words::singular(&text);
        all.extend([plural(&one), one].into_iter().filter(|other| *other != text));
    }
    all
}

/// As the database compares: only ASCII letters lose their case.
fn folded(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Every column of text and every label that takes several columns. Views
/// repeat what tables hold.
fn places(schema: &Schema) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    for table in schema.tables.iter().filter(|table| !table.view) {
        if table.label().len() > 1 {
            places.push(Place::Label(table));
        }
        let text = |field: &Field<'_>| field.column.is_text() && !field.column.foreign;
        places.extend(table.fields().filter(text).map(Place::Column));
    }
    places.truncate(MAX_COLUMNS);
    places
}

fn statement(places: &[Place<'_>], runs: usize) -> String {
    use crate::plan::{label_text, name, table_name};
    let sought: Vec<String> = (1..=runs).map(|run| format!("?{run}")).collect();
    let sought = sought.join(", ");
    let selects = places.iter().enumerate().map(|(index, place)| {
        let text = match place {
            Place::Column(field) => name(*field),
            Place::Label(table) => label_text(table),
        };
        let table = table_name(place.table());
        format!("SELECT DISTINCT {index}, {text} FROM {table} WHERE {text} COLLATE NOCASE IN ({sought})")
    });
    selects.collect::<Vec<_>>().join(" UNION ALL ")
}
