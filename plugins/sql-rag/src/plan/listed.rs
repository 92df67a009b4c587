//! Lists: rows of a table, or the different values of a column.

use crate::link::{Facts, Links, Mention};
use crate::read::{Act, Asked, By, Compared, Condition, Noun, Sort};
use crate::schema::{Field, Kind, Table};
use crate::words::plural;

use super::columns::about;
use super::grouped::SOME;
use super::measured::groups;
use super::scope::Builder;
use super::{Planned, Query, Shape, Top, Why, name, spoken};

/// As many columns of a row are shown when none is asked for.
const COLUMNS: usize = 6;

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
    if asked.rank.is_some() || !asked.shown.is_empty() {
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
        let mut columns: Vec<Field<'a>> = Vec::new();
        let add = |columns: &mut Vec<Field<'a>>, field: Field<'a>| {
            if !columns.contains(&field) {
                columns.push(field);
            }
        };
        let label = table.label();
        let primary = table.primary();
        let shown = self.shown(table)?;
        if shown.is_empty() || label.is_empty() {
            primary.iter().for_each(|field| add(&mut columns, *field));
        }
        label.iter().for_each(|field| add(&mut columns, *field));
        let mut details: Vec<Field<'a>> = shown
            .iter()
            .filter(|field| !label.contains(field))
            .copied()
            .collect();
        shown.iter().for_each(|field| add(&mut columns, *field));

        let ranked = self.ranked()?;
        let ordered = self.ordered(table)?;
        for field in ranked.iter().chain(&ordered.0).map(|(field, _)| *field) {
            if details.is_empty() && !label.contains(&field) {
                details.push(field);
            }
            add(&mut columns, field);
        }
        if shown.is_empty() {
            for field in self.filtered() {
                add(&mut columns, field);
            }
            let more = table.fields().filter(|field| tells(*field));
            for field in more {
                if columns.len() < COLUMNS {
                    add(&mut columns, field);
                }
            }
        }
        if columns.is_empty() {
            return Err(Why::Unfit);
        }
        let places = |fields: &[Field<'a>]| -> Vec<usize> {
            fields
                .iter()
                .filter_map(|field| columns.iter().position(|own| own == field))
                .collect()
        };
        let named = if label.is_empty() {
            primary.clone()
        } else {
            label.clone()
        };
        let shape_label = places(&named);
        let details = places(&details);

        let select: Vec<String> = columns.iter().copied().map(name).collect();
        let mut top = None;
        let mut order: Vec<String> = Vec::new();
        if let Some((field, up)) = ranked {
            let column = name(field);
            if asked.rank.as_ref().is_some_and(|rank| rank.one) {
                let best = if up { "MAX" } else { "MIN" };
                let from = self.from(0);
                self.condition(0, format!("{column} = (SELECT {best}({column}) {from})"));
                top = Some(Top::One);
            } else {
                // Nothing is neither much nor little.
                self.condition(0, format!("{column} IS NOT NULL"));
                let limit = asked.limit.unwrap_or(SOME);
                top = Some(if up { Top::Most(limit) } else { Top::Fewest(limit) });
            }
            order.push(format!("{column}{}", if up { " DESC" } else { "" }));
        }
        let direction = if ordered.1 { " DESC" } else { "" };
        order.extend(
            ordered
                .0
                .iter()
                .map(|(field, _)| format!("{}{direction}", name(*field))),
        );
        // In the end the order of the keys, so that the same question has the same
        // answer.
        let rest = if primary.is_empty() { &label } else { &primary };
        order.extend(
            rest.iter()
                .copied()
                .map(name)
                .filter(|column| !order.contains(column))
                .collect::<Vec<_>>(),
        );
        let mut sql = format!("SELECT {} {}", select.join(", "), self.from(0));
        if !order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        match (top, asked.limit) {
            (Some(Top::Most(limit) | Top::Fewest(limit)), _) | (None, Some(limit)) => {
                sql.push_str(&format!(" LIMIT {limit}"))
            }
            _ => {}
        }
        let shape = Shape::Rows {
            noun: spoken(table),
            label: shape_label,
            details,
            top,
        };
        Ok(self.query(sql, shape))
    }

    /// The columns that were asked for by name, or the names of what was.
    fn shown(&mut self, table: &'a Table) -> Planned<Vec<Field<'a>>> {
        let mut fields = Vec::new();
        let asked = self.asked;
        for noun in &asked.shown {
            match noun {
                Noun::Column(mention) if mention.said == "name" && !table.label().is_empty() => {
                    fields.extend(table.label())
                }
                Noun::Column(mention) => fields.push(self.column(mention, &[0], true, |_| true)?.0),
                Noun::Table(other) => {
                    let steps = self.links.graph.up(table, other).map_err(|_| Why::Unfit)?;
                    self.join_up(0, &steps, true)?;
                    let label = other.label();
                    if label.is_empty() {
                        return Err(Why::Unfit);
                    }
                    fields.extend(label);
                }
                Noun::Part(_) => return Err(Why::Unfit),
            }
        }
        Ok(fields)
    }

    fn ranked(&mut self) -> Planned<Option<(Field<'a>, bool)>> {
        let Some(rank) = &self.asked.rank else {
            return Ok(None);
        };
        let field = match &rank.by {
            Some(By::Quality(quality)) => self.quality(*quality, &[0])?.0,
            Some(By::Column(mention)) => {
                let facts = self.facts;
                self.column(mention, &[0], false, |field| {
                    field.column.is_measure() || facts.is_date(field)
                })?
                .0
            }
            Some(By::Measure) | None => return Err(Why::Unfit),
        };
        Ok(Some((field, rank.up)))
    }

    /// The columns to sort by, and whether downwards.
    fn ordered(&mut self, table: &'a Table) -> Planned<(Vec<(Field<'a>, bool)>, bool)> {
        let Some(order) = &self.asked.order else {
            return Ok((Vec::new(), false));
        };
        let down = order.descending;
        let label = || {
            let label = table.label();
            if label.is_empty() {
                Err(Why::Unfit)
            } else {
                Ok(label)
            }
        };
        let fields = match &order.by {
            Sort::Label => label()?,
            Sort::Column(mention) if mention.said == "name" => label()?,
            Sort::Column(mention) => vec![self.column(mention, &[0], true, |_| true)?.0],
            Sort::Quality(quality) => vec![self.quality(*quality, &[0])?.0],
            Sort::Measure => return Err(Why::Unfit),
        };
        Ok((fields.into_iter().map(|field| (field, down)).collect(), down))
    }

    /// The columns of the root that conditions are about.
    fn filtered(&self) -> Vec<Field<'a>> {
        let Ok(root) = self.node(0) else {
            return Vec::new();
        };
        let compared = |condition: &Condition<'a>| match condition {
            Condition::Compare {
                what: Compared::Quality(_) | Compared::Bare,
                ..
            }
            | Condition::Value(_)
            | Condition::Date { .. } => None,
            Condition::Compare {
                what: Compared::Column(mention),
                ..
            }
            | Condition::Flag(mention) => Some(mention.clone()),
            _ => None,
        };
        let mentions: Vec<_> = self
            .asked
            .conditions
            .iter()
            .filter_map(|(_, condition)| compared(condition))
            .collect();
        let own = |field: &Field<'a>| {
            let column = name(*field);
            mentions
                .iter()
                .any(|mention| mention.fields.iter().any(|(own, _)| own == field))
                || self.from(0).contains(&format!("{column} "))
        };
        root.table
            .fields()
            .filter(|field| field.column.primary == 0 && !field.column.foreign)
            .filter(own)
            .collect()
    }
}

/// Whether a column is worth a place in a list without being asked for.
fn tells(field: Field<'_>) -> bool {
    let column = field.column;
    let long = [
        "comment",
        "description",
        "note",
        "body",
        "text",
        "picture",
        "photo",
        "path",
        "address",
        "fax",
        "password",
        "hash",
        "token",
        "secret",
    ];
    !column.foreign && column.primary == 0 && column.kind != Kind::Blob && !column.has_any(&long)
}
