//! What a measure is taken of.

use crate::link::{Facts, Links};
use crate::read::{Asked, Function, Noun, Of};
use crate::schema::{Field, Kind, Table, joined};
use crate::words::{Quality, plural};

use super::columns::{about, told};
use super::sql::alias;
use super::{Planned, Why, name, spoken, subject};

/// A measure as an expression over the rows of one table.
#[derive(Debug, Clone)]
pub(super) struct Expression<'a> {
    pub(super) table: &'a Table,
    pub(super) function: Function,
    pub(super) over: Over<'a>,
    /// What the answer's column is called.
    pub(super) alias: String,
    /// What it is called in a sentence.
    pub(super) what: String,
    /// Only rows that belong to what is asked for as a whole may be added up.
    pub(super) strict: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Over<'a> {
    Rows,
    /// Different values of a column.
    Different(Field<'a>),
    Text(String),
}

impl<'a> Expression<'a> {
    fn new(table: &'a Table, function: Function, over: Over<'a>, what: String) -> Self {
        Self {
            table,
            function,
            over,
            alias: String::new(),
            what,
            strict: false,
        }
    }

    fn called(mut self, words: &str) -> Self {
        self.alias = alias(words);
        self
    }
}

/// The measures that a reading may mean, the best first.
pub(super) fn expressions<'a>(
    asked: &Asked<'a>,
    links: &Links<'a>,
    facts: &Facts<'a>,
) -> Planned<Vec<Expression<'a>>> {
    let Some(measure) = &asked.measure else {
        let subject = subject(asked).ok_or(Why::Unfit)?;
        return Ok(vec![counted(asked, subject, links)?]);
    };
    let function = measure.function;
    match &measure.of {
        Of::Rows(head) => {
            let head = asked.heads.get(*head).ok_or(Why::Unfit)?;
            Ok(vec![counted(asked, &head.noun, links)?])
        }
        Of::Column(mention) => {
            let fits = |field: Field<'a>| {
                let dated = matches!(function, Function::Least | Function::Most) && facts.is_date(field);
                field.column.is_measure() || dated
            };
            let field = about(asked, mention, links, fits)?;
            Ok(vec![of_column(function, field, &mention.said)])
        }
        Of::Quality(quality) => {
            let tables = asked.heads.iter().rev().filter_map(|head| match head.noun {
                Noun::Table(table) => Some(table),
                _ => None,
            });
            let words = quality.column_words();
            let measured = |table: &'a Table| {
                table
                    .measures()
                    .into_iter()
                    .find(|field| field.column.has_any(words))
            };
            let field = tables.filter_map(measured).next().ok_or(Why::Unfit)?;
            Ok(vec![of_column(function, field, quality_name(*quality))])
        }
        Of::Whole(head) => {
            let head = asked.heads.get(*head).ok_or(Why::Unfit)?;
            let Noun::Table(table) = head.noun else {
                return Err(Why::Unfit);
            };
            whole(function, table, links, facts)
        }
        Of::Revenue => Ok(revenue(links, facts)),
        Of::Units => {
            let tables = links.schema.tables.iter().filter(|table| !table.view);
            let lines = tables.filter_map(|table| Some((table, table.line()?)));
            let units = lines.map(|(table, line)| {
                let what = format!("quantity sold (the sum of {})", told(line.quantity, true));
                let mut units = Expression::new(table, Function::Sum, Over::Text(name(line.quantity)), what);
                units.strict = true;
                units.called("quantity")
            });
            only(units.collect())
        }
    }
}

fn counted<'a>(asked: &Asked<'a>, noun: &Noun<'a>, links: &Links<'a>) -> Planned<Expression<'a>> {
    match noun {
        Noun::Table(table) => {
            let many = many(&table.words);
            let what = format!("number of {many}");
            Ok(Expression::new(table, Function::Count, Over::Rows, what).called(&many))
        }
        Noun::Column(mention) => {
            let field = about(asked, mention, links, |field| !field.column.is_measure())?;
            let many = plural(&mention.said);
            let what = format!("number of different {many}");
            Ok(Expression::new(field.table, Function::Count, Over::Different(field), what).called(&many))
        }
        Noun::Part(_) => Err(Why::Unfit),
    }
}

fn of_column<'a>(function: Function, field: Field<'a>, said: &str) -> Expression<'a> {
    let column = joined(&field.column.name);
    let (before, short) = match function {
        Function::Sum if field.column.has("total") => ("", "total"),
        Function::Sum => ("total ", "total"),
        Function::Average => ("average ", "average"),
        Function::Least => ("lowest ", "lowest"),
        Function::Most => ("highest ", "highest"),
        Function::Count => ("", "count"),
    };
    let mut what = format!("{before}{said}");
    if !said.split(' ').any(|word| field.column.has(word)) {
        what = format!("{what} ({})", told(field, false));
    }
    let alias = if function == Function::Sum && field.column.has("total") {
        column
    } else {
        format!("{short}_{column}")
    };
    Expression::new(field.table, function, Over::Text(name(field)), what).called(&alias)
}

/// What rows of a table come to: their total, or the lines they are made of.
fn whole<'a>(
    function: Function,
    table: &'a Table,
    links: &Links<'a>,
    facts: &Facts<'a>,
) -> Planned<Vec<Expression<'a>>> {
    if let Some(field) = table.total() {
        let mut of = of_column(
            function,
            field,
            &format!("{} {}", spoken(table), field.column.words.join(" ")),
        );
        if function == Function::Sum {
            of.what = format!("total of {}", many(&table.words));
        }
        return Ok(vec![of]);
    }
    // Of lines only a sum is one of the whole.
    let lines = lines(links, facts);
    let own = lines
        .into_iter()
        .filter(|line| links.graph.up(line.table, table).is_ok_and(|way| way.len() == 1));
    let own: Vec<_> = own
        .filter(|_| function == Function::Sum && table.is_sale())
        .collect();
    only(own)
}

/// What came in. A table of sales has it as its total; otherwise it is worked out
/// from the lines, which is also the only way to divide it among what was sold.
fn revenue<'a>(links: &Links<'a>, facts: &Facts<'a>) -> Vec<Expression<'a>> {
    let tables = links
        .schema
        .tables
        .iter()
        .filter(|table| !table.view && table.is_sale());
    let totals: Vec<_> = tables.filter_map(|table| Some((table, table.total()?))).collect();
    let mut found = Vec::new();
    if let [(table, total)] = *totals {
        let what = format!("revenue (the sum of {})", told(total, true));
        let mut revenue =
            Expression::new(table, Function::Sum, Over::Text(name(total)), what).called("revenue");
        revenue.strict = true;
        found.push(revenue);
    }
    if let Ok(line) = only(lines(links, facts)) {
        found.extend(line);
    }
    found
}

/// Quantity times price, less the discount where there is one and it is a share.
fn lines<'a>(links: &Links<'a>, facts: &Facts<'a>) -> Vec<Expression<'a>> {
    let tables = links
        .schema
        .tables
        .iter()
        .filter(|table| !table.view && links.graph.refers(table));
    let lines = tables.filter_map(|table| {
        let line = table.line()?;
        let (quantity, price) = (name(line.quantity), name(line.price));
        let mut text = format!("{quantity} * {price}");
        let mut said = format!("{} times {}", line.quantity.column.name, line.price.column.name);
        if let Some(discount) = line.discount {
            if !facts.is_fraction(discount) {
                return None;
            }
            text = format!("{text} * (1 - {})", name(discount));
            said = format!("{said}, less {}", discount.column.name);
        }
        let what = format!("revenue ({said})");
        let mut revenue = Expression::new(table, Function::Sum, Over::Text(text), what).called("revenue");
        revenue.strict = true;
        Some(revenue)
    });
    lines.collect()
}

fn only(found: Vec<Expression<'_>>) -> Planned<Vec<Expression<'_>>> {
    match &*found {
        [_] => Ok(found),
        [] => Err(Why::Unfit),
        [one, other, ..] => Err(Why::Several(format!(
            "it may be the {} or the {}",
            one.what, other.what
        ))),
    }
}

fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Duration => "length",
        Quality::Weight => "weight",
        _ => "value",
    }
}

/// Words in the plural.
pub(super) fn many(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => plural(last),
        Some((last, rest)) => format!("{} {}", rest.join(" "), plural(last)),
        None => String::new(),
    }
}

/// Whether values of a kind can be grouped by.
pub(super) fn groups(field: Field<'_>) -> bool {
    let column = field.column;
    matches!(
        column.kind,
        Kind::Text | Kind::Integer | Kind::Bool | Kind::Unknown | Kind::Date
    ) && !(column.is_measure() && column.kind == Kind::Real)
}
