//! Reads a question by rule: words to names and values, names to readings,
//! readings to statements, and of these the one that is nearest to the plain
//! sense of the words. Two that are equally near and not the same make a question
//! that is not understood.

use segue_sdk::Result;

use crate::link::{Database, Facts, Links};
use crate::plan::{Query, Shape, Why, plan};
use crate::read::readings;
use crate::schema::Schema;
use crate::words::{Question, Synonyms, is_known, number};

/// Why a question is not understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Unread {
    /// Words that mean nothing here, as they were typed.
    pub(crate) unknown: Vec<String>,
    /// It says that something is not.
    pub(crate) negation: bool,
    /// What can be read in two ways, and which.
    pub(crate) several: Option<String>,
    /// The tables that its words come nearest to.
    pub(crate) near: Vec<String>,
}

const NEGATIONS: &[&str] = &[
    "not",
    "no",
    "never",
    "without",
    "except",
    "neither",
    "nor",
    "nobody",
    "none",
    "but",
    "excluding",
];

/// The statement for a question, or why there is none.
pub(crate) fn understand(
    asked: &str,
    schema: &Schema,
    synonyms: &Synonyms,
    database: &dyn Database,
) -> Result<Result<Query, Unread>> {
    let question = Question::new(asked);
    let links = Links::new(&question, schema, synonyms, database)?;
    let readings = readings(&question, &links);
    if readings.is_empty() {
        return Ok(Err(unread(&question, &links, None)));
    }
    let facts = Facts::new(schema, &links, database)?;
    let mut found: Vec<(u32, Query)> = Vec::new();
    let mut several: Option<(u32, String)> = None;
    for reading in &readings {
        match plan(reading, &links, &facts) {
            Ok((query, cost)) => found.push((cost, query)),
            Err(Why::Several(text)) if several.as_ref().is_none_or(|(least, _)| reading.cost < *least) => {
                several = Some((reading.cost, text));
            }
            Err(_) => {}
        }
    }
    let Some(cost) = found.iter().map(|(cost, _)| *cost).min() else {
        return Ok(Err(unread(&question, &links, several.map(|(_, text)| text))));
    };
    // A plainer reading that is ambiguous is not outdone by a far-fetched one.
    if let Some((_, text)) = several.filter(|(least, _)| *least < cost) {
        return Ok(Err(unread(&question, &links, Some(text))));
    }
    let mut best: Vec<Query> = found
        .into_iter()
        .filter(|(own, _)| *own == cost)
        .map(|(_, query)| query)
        .collect();
    // "What is the total" asks for one thing: where that can be had, a list is
    // not meant.
    if asks_for_one(&question) && best.iter().any(is_one) {
        best.retain(is_one);
    }
    let mut best = best.into_iter();
    let Some(query) = best.next() else {
        return Ok(Err(unread(&question, &links, None)));
    };
    if let Some(rival) = best.find(|other| other.sql != query.sql || other.params != query.params) {
        let text = format!("it may be {} or {}", query.shape, rival.shape);
        return Ok(Err(unread(&question, &links, Some(text))));
    }
    Ok(Ok(query))
}

fn asks_for_one(question: &Question) -> bool {
    let mut words = question.tokens.iter().map(|token| &*token.lower);
    matches!(
        (words.next(), words.next(), words.next()),
        (Some("what"), Some("is" | "'s" | "was"), Some("the")) | (Some("what's"), Some("the"), _)
    )
}

fn is_one(query: &Query) -> bool {
    matches!(query.shape, Shape::Count { .. } | Shape::Number { .. })
}

fn unread(question: &Question, links: &Links<'_>, several: Option<String>) -> Unread {
    let mut unread = Unread {
        several,
        ..Unread::default()
    };
    let mut covered = 0;
    for (at, token) in question.tokens.iter().enumerate() {
        unread.negation |= NEGATIONS.contains(&&*token.lower);
        let Some(spot) = links.spot(at) else {
            continue;
        };
        let tables = spot.tables.iter().map(|named| (named.table, named.end));
        let fields = spot.columns.iter().flat_map(|mention| {
            let cheapest = mention.fields.iter().min_by_key(|(_, cost)| *cost);
            cheapest.map(|(field, _)| (field.table, mention.end))
        });
        let dated = spot
            .dates
            .iter()
            .filter_map(|mention| Some((mention.fields.first()?.0.table, mention.end)));
        let values = spot
            .values
            .iter()
            .filter_map(|said| Some((said.hits.first()?.place.table(), said.end)));
        for (table, end) in tables.chain(fields).chain(values).chain(dated) {
            covered = covered.max(end);
            if !unread.near.contains(&table.name) {
                unread.near.push(table.name.clone());
            }
        }
        let figure = token.lower.starts_with(|letter: char| letter.is_ascii_digit())
            || number([&*token.lower]).is_some();
        if at >= covered && !figure && !is_known(&token.lower) && !NEGATIONS.contains(&&*token.lower) {
            let typed = question.slice(at, at + 1).to_string();
            if !unread.unknown.contains(&typed) {
                unread.unknown.push(typed);
            }
        }
    }
    unread.near.truncate(5);
    unread
}
