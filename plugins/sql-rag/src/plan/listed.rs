//! Lists: rows of a table, or the different values of a column.

use crate::link::{Facts, Links, Mention};
use crate::read::{Act, Asked, Noun, Sort};
use crate::schema::{Field, Table};
use crate::words::plural;

use super::columns::about;
use super::grouped::SOME;
use super::measured::groups;
use super::scope::Builder;
use super::shown::Shown;
use super::{Best, Planned, Query, Shape, Top, Why, name, spoken};

pub(super) fn rows<'a>(
    asked: &Asked<'a>,
    table: &'a Table,
    links: &Links<'a>,
    facts: &Facts<'a>,
) -> Planned<(Query, u32)> {
    let mut builder = Builder::new(asked, table, links, facts);
    builder.set_head(asked.subject.unwrap_or_default(), 0);
    builder.place_heads()?;
    builder.conditions()?;
    if asked.act == Act::Count {
        if !asked.shown.is_empty() || asked.rank.is_some() || asked.limit.is_some() || asked.order.is_some() {
            return Err(Why::Unfit);
        }
        let many = super::measured::many(&table.words);
        let sql = format!(
            "SELECT COUNT(*) AS {} {}",
            super::sql::alias(&many),
            builder.from(0)
        );
        return Ok(builder.query(sql, Shape::Count { noun: spoken(table) }));
    }
    builder.list(table)
}

/// A column as the subject: its different values, or their number.
pub(super) fn values<'a>(
    asked: &Asked<'a>,
    mention: &Mention<'a>,
    links: &Links<'a>,
    facts: &Facts<'a>,
) -> Planned<(Query, u32)> {
    let cut = asked.act == Act::Count && (asked.limit.is_some() || asked.order.is_some());
    if asked.rank.is_some() || !asked.shown.is_empty() || cut {
        return Err(Why::Unfit);
    }
    // With conditions but without a noun, they are somebody else's.
    let lost = |why| {
        if asked.conditions.is_empty() {
            why
        } else {
            Why::Unfit
        }
    };
    let field = about(asked, mention, links, |field| groups(field) && !field.table.view).map_err(lost)?;
    // The root is the thing spoken of, if there is one: the countries of
    // customers are not those of everybody.
    let spoken_of = asked.heads.iter().find_map(|head| match head.noun {
        Noun::Table(table) => Some(table),
        _ => None,
    });
    let root = spoken_of.unwrap_or(field.table);
    let mut builder = Builder::new(asked, root, links, facts);
    // "composer of X" is rather one of X than a list of composers.
    builder.cost += if spoken_of.is_none() && !asked.conditions.is_empty() {
        4
    } else {
        0
    };
    builder.place_heads()?;
    let (field, node) = builder.column(mention, &[0], false, |own| own == field)?;
    builder.conditions()?;
    let column = name(field);
    let noun = field.column.words.join(" ");
    if asked.act == Act::Count {
        let sql = format!(
            "SELECT COUNT(DISTINCT {column}) AS {} {}",
            super::sql::alias(&plural(&mention.said)),
            builder.from(0)
        );
        return Ok(builder.query(
            sql,
            Shape::Count {
                noun: format!("different {noun}"),
            },
        ));
    }
    let scope = builder.node(node)?.scope;
    builder.condition(scope, format!("{column} IS NOT NULL"));
    // Values have no other order than their own.
    let own = |by: &Sort<'a>| match by {
        Sort::Label => true,
        Sort::Column(mention) => mention.fields.iter().any(|(own, _)| *own == field),
        Sort::Quality(_) | Sort::Measure => false,
    };
    if asked.order.as_ref().is_some_and(|order| !own(&order.by)) {
        return Err(Why::Unfit);
    }
    let descending = asked.order.as_ref().is_some_and(|order| order.descending);
    let direction = if descending { " DESC" } else { "" };
    let limit = asked
        .limit
        .map(|limit| format!(" LIMIT {limit}"))
        .unwrap_or_default();
    let sql = format!(
        "SELECT DISTINCT {column} {} ORDER BY {column}{direction}{limit}",
        builder.from(0)
    );
    Ok(builder.query(sql, Shape::Values { noun }))
}

impl<'a> Builder<'_, 'a> {
    fn list(mut self, table: &'a Table) -> Planned<(Query, u32)> {
        let asked = self.asked;
        if asked.rank.is_some() && asked.order.is_some() {
            return Err(Why::Unfit);
        }
        let ranked = self.ranked()?;
        let (sorted, down) = self.ordered(table)?;
        let mut by: Vec<Field<'a>> = ranked.iter().map(|(field, _)| *field).collect();
        by.extend(&sorted);
        let shown = self.shown(table, &by)?;
        let (top, best) = match ranked {
            Some((field, up)) => {
                let top = self.top(field, up);
                (Some(top), self.best(field, up, &shown))
            }
            None => (None, None),
        };
        let direction = |down: bool| if down { " DESC" } else { "" };
        let mut order: Vec<String> = Vec::new();
        order.extend(ranked.map(|(field, up)| format!("{}{}", name(field), direction(up))));
        order.extend(
            sorted
                .iter()
                .map(|field| format!("{}{}", name(*field), direction(down))),
        );
        // In the end the order of the keys, so that the same question has the same
        // answer; the last of a day is the one with the last key.
        let late = ranked.is_some_and(|(field, up)| up && self.facts.is_date(field));
        let primary = table.primary();
        let rest = if primary.is_empty() {
            &shown.label
        } else {
            &primary
        };
        let rest: Vec<String> = rest
            .iter()
            .map(|field| format!("{}{}", name(*field), direction(late)))
            .collect();
        order.extend(
            rest.into_iter()
                .filter(|column| !order.contains(column))
                .collect::<Vec<_>>(),
        );

        let select: Vec<String> = shown.columns.iter().copied().map(name).collect();
        let mut sql = format!("SELECT {} {}", select.join(", "), self.from(0));
        if !order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        match (top, asked.limit) {
            (Some(Top::Most(limit) | Top::Fewest(limit)), _) | (None, Some(limit)) => {
                sql.push_str(&format!(" LIMIT {limit}"));
            }
            _ => {}
        }
        let shape = Shape::Rows {
            noun: spoken(table),
            label: shown.places(&shown.label),
            details: shown.places(&shown.details),
            top,
            best,
        };
        Ok(self.query(sql, shape))
    }

    /// Keeps only rows that can be ranked: those of the first place, or those that
    /// have a value. Nothing is neither much nor little.
    fn top(&mut self, field: Field<'a>, up: bool) -> Top {
        let column = name(field);
        if self.asked.rank.as_ref().is_some_and(|rank| rank.one) {
            let (best, from) = (if up { "MAX" } else { "MIN" }, self.from(0));
            self.condition(0, format!("{column} = (SELECT {best}({column}) {from})"));
            return Top::One;
        }
        self.condition(0, format!("{column} IS NOT NULL"));
        let limit = self.asked.limit.unwrap_or(SOME);
        if up { Top::Most(limit) } else { Top::Fewest(limit) }
    }

    fn best(&self, field: Field<'a>, up: bool, shown: &Shown<'a>) -> Option<Best> {
        let degree = match (self.facts.is_date(field), up) {
            (true, true) => "latest",
            (true, false) => "earliest",
            (false, true) => "highest",
            (false, false) => "lowest",
        };
        let column = shown.places(&[field]).first().copied()?;
        let what = format!("{degree} {}", self.told(field));
        Some(Best { what, column })
    }
}
