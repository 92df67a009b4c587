//! Which column a word means, given the tables it is spoken of with.

use crate::link::Mention;
use crate::read::{Asked, Key, Noun, Unit};
use crate::schema::{DATE_WORDS, Field, Step, Table};
use crate::words::Quality;

use super::scope::Builder;
use super::{Planned, Why, name};

/// A column a step further away is as good as a match that is so much worse.
const STEP: u32 = 3;
/// Dates that say nothing of when a row came to be.
const OTHER_DATES: &[&str] = &[
    "birth", "death", "due", "required", "end", "expiry", "expire", "expires", "update", "updated",
    "modified", "deleted", "shipped",
];
/// The date of a row, the best word first.
const FIRST_DATES: &[&str] = &[
    "ordered", "placed", "created", "issued", "sold", "bought", "paid", "hire", "start", "begin",
];

/// A column and how to come to it.
pub(super) struct Found<'a> {
    pub(super) field: Field<'a>,
    node: usize,
    steps: Vec<Step<'a>>,
}

impl<'r, 'a> Builder<'r, 'a> {
    /// The nodes that a condition may be about, the most likely first: the last
    /// noun before it, the nouns before that, the root, the rest.
    pub(super) fn context(&self, head: usize) -> Vec<usize> {
        let (before, after) = self
            .heads
            .split_at_checked(head + 1)
            .unwrap_or((&self.heads, &[]));
        let mut nodes: Vec<usize> = Vec::new();
        let near = before
            .iter()
            .rev()
            .flatten()
            .copied()
            .chain([0])
            .chain(after.iter().flatten().copied());
        for node in near {
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        nodes
    }

    /// The column that is meant, of those that `fits` allows.
    pub(super) fn find(
        &self,
        mention: &Mention<'a>,
        context: &[usize],
        fits: impl Fn(Field<'a>) -> bool,
    ) -> Planned<(Found<'a>, u32)> {
        let mut best: Option<(Found<'a>, u32)> = None;
        let mut rival = None;
        for (back, index) in (0_u32..).zip(context) {
            let node = self.node(*index)?;
            for (field, cost) in &mention.fields {
                if mention.owner.is_some_and(|owner| owner != field.table) || !fits(*field) {
                    continue;
                }
                let steps = if field.table == node.table {
                    Vec::new()
                } else {
                    match self.links.graph.up(node.table, field.table) {
                        Ok(steps) => steps,
                        Err(_) => continue,
                    }
                };
                let length = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                let cost = cost + back + length.saturating_mul(STEP);
                let other = best.as_ref().map(|(found, least)| (found.field, *least));
                match other {
                    Some((_, least)) if least < cost => {}
                    Some((other, least)) if least == cost => {
                        if other != *field {
                            rival = Some(*field);
                        }
                    }
                    _ => {
                        rival = None;
                        best = Some((
                            Found {
                                field: *field,
                                node: *index,
                                steps,
                            },
                            cost,
                        ));
                    }
                }
            }
        }
        match (best, rival) {
            (Some((found, _)), Some(rival)) => Err(Why::either(&mention.said, found.field, rival)),
            (Some(found), None) => Ok(found),
            (None, _) => Err(Why::Unfit),
        }
    }

    /// Joins what the column needs, and gives the node it is of.
    pub(super) fn reach(&mut self, found: &Found<'a>, left: bool) -> Planned<usize> {
        self.join_up(found.node, &found.steps, left)
    }

    /// A column as the answer speaks of it: with its table, unless that is what
    /// the answer is about.
    pub(super) fn told(&self, field: Field<'a>) -> String {
        told(
            field,
            self.nodes.first().is_none_or(|root| root.table != field.table),
        )
    }

    /// Finds a column and joins what it needs.
    pub(super) fn column(
        &mut self,
        mention: &Mention<'a>,
        context: &[usize],
        left: bool,
        fits: impl Fn(Field<'a>) -> bool,
    ) -> Planned<(Field<'a>, usize)> {
        let (found, cost) = self.find(mention, context, fits)?;
        self.cost += cost;
        let node = self.reach(&found, left)?;
        Ok((found.field, node))
    }

    /// What measures a quality of the nearest thing that has it.
    pub(super) fn quality(&self, quality: Quality, context: &[usize]) -> Planned<(Field<'a>, usize)> {
        for index in context {
            let table = self.node(*index)?.table;
            let field = match quality {
                Quality::Money => table.money(),
                Quality::Size => table.size(),
                Quality::Time => self.own_date(table),
                Quality::Age => self.birth(table).or_else(|| self.own_date(table)),
                Quality::Duration | Quality::Rating | Quality::Weight => worded(table, quality),
            };
            if let Some(field) = field {
                return Ok((field, *index));
            }
        }
        Err(Why::Unfit)
    }

    fn birth(&self, table: &'a Table) -> Option<Field<'a>> {
        table
            .fields()
            .find(|field| field.column.has("birth") && self.facts.is_date(*field))
    }

    /// The one date that says when a row came to be.
    fn own_date(&self, table: &'a Table) -> Option<Field<'a>> {
        let dates: Vec<Field<'a>> = table
            .fields()
            .filter(|field| self.facts.is_date(*field) && !field.column.has_any(OTHER_DATES))
            .collect();
        if let [only] = *dates {
            return Some(only);
        }
        let of_table = |field: &&Field<'a>| {
            let mut words = field.column.words.iter();
            words.all(|word| DATE_WORDS.contains(&&**word) || table.words.contains(word))
        };
        let first = |word: &&str| dates.iter().find(|field| field.column.has(word)).copied();
        dates
            .iter()
            .find(of_table)
            .copied()
            .or_else(|| FIRST_DATES.iter().find_map(first))
    }

    /// The date that a period is about when none is named. What happened has a
    /// date before what merely is: orders before the customers who placed them.
    pub(super) fn date(&mut self, context: &[usize]) -> Planned<(Field<'a>, usize)> {
        let own = |builder: &Self, index: &usize| {
            let table = builder.nodes.get(*index)?.table;
            Some((
                builder.own_date(table)?,
                *index,
                builder.links.graph.refers(table),
            ))
        };
        let dates: Vec<_> = context.iter().filter_map(|index| own(self, index)).collect();
        if let Some((field, index, _)) = dates.iter().find(|(.., event)| *event) {
            return Ok((*field, *index));
        }
        let above = self.date_above(0)?;
        if let Some((field, steps)) = above {
            self.cost += 1;
            return Ok((field, self.join_up(0, &steps, false)?));
        }
        let (field, index, _) = dates.first().ok_or(Why::Unfit)?;
        Ok((*field, *index))
    }

    /// The date of the nearest event that a node refers to, as the lines of an
    /// order to the order.
    fn date_above(&self, node: usize) -> Planned<Option<(Field<'a>, Vec<Step<'a>>)>> {
        let root = self.node(node)?.table;
        let mut best: Option<(Field<'a>, Vec<Step<'a>>)> = None;
        for table in self
            .links
            .schema
            .tables
            .iter()
            .filter(|table| self.links.graph.refers(table))
        {
            let (Some(field), Ok(steps)) = (self.own_date(table), self.links.graph.up(root, table)) else {
                continue;
            };
            match &best {
                Some((_, least)) if least.len() < steps.len() => {}
                Some((other, least)) if least.len() == steps.len() => {
                    return Err(Why::either("when", *other, field));
                }
                _ => best = Some((field, steps)),
            }
        }
        Ok(best)
    }
}

/// The measure that a quality's words name, the best word first.
fn worded(table: &Table, quality: Quality) -> Option<Field<'_>> {
    let measures = table.measures();
    let words = quality.column_words().iter();
    words
        .filter_map(|word| measures.iter().find(|field| field.column.has(word)).copied())
        .next()
}

/// The unit that a column's name ends in.
pub(super) fn unit(field: Field<'_>) -> Option<Unit> {
    field.column.words.last().and_then(|word| Unit::of(word))
}

/// The column that a measure or a list of values is about, before there is a
/// statement: of the tables spoken of, or else the only one of that name.
pub(super) fn about<'a>(
    asked: &Asked<'a>,
    mention: &Mention<'a>,
    links: &crate::link::Links<'a>,
    fits: impl Fn(Field<'a>) -> bool,
) -> Planned<Field<'a>> {
    let tables: Vec<&'a Table> = asked
        .heads
        .iter()
        .filter_map(|head| match head.noun {
            Noun::Table(table) => Some(table),
            _ => None,
        })
        .collect();
    let key = |key: &Key<'a>| {
        if let Key::Table(table) = key {
            Some(*table)
        } else {
            None
        }
    };
    let keys: Vec<&'a Table> = asked.keys.iter().filter_map(key).collect();
    let mut costs: Vec<(u32, Field<'a>)> = Vec::new();
    for (field, cost) in &mention.fields {
        if mention.owner.is_some_and(|owner| owner != field.table) || !fits(*field) {
            continue;
        }
        let steps =
            |way: Result<Vec<Step<'a>>, _>| way.ok().map(|way| u32::try_from(way.len()).unwrap_or(u32::MAX));
        let distance = |table: &&'a Table| {
            if **table == *field.table {
                return Some(0);
            }
            // Of a row's own: the rating of a review is one of its product. Not
            // under another name: the length of an album is no track's.
            let down =
                steps(links.graph.up(field.table, table)).filter(|_| *cost <= 1 || mention.owner.is_some());
            let up = steps(links.graph.up(table, field.table));
            down.map(|steps| steps * STEP)
                .or_else(|| up.map(|steps| steps * STEP + 1))
        };
        // What is grouped by is the nearer, the fewer rows lie between.
        let from_keys = keys.iter().filter_map(|key| {
            if **key == *field.table {
                Some(0)
            } else {
                steps(links.graph.up(field.table, key))
            }
        });
        let near = tables.iter().filter_map(distance).min();
        let near = if tables.is_empty() {
            Some(from_keys.min().unwrap_or(0))
        } else {
            near
        };
        costs.extend(near.map(|near| (cost + near, *field)));
    }
    let least = costs.iter().map(|(cost, _)| *cost).min().ok_or(Why::Unfit)?;
    let mut best = costs
        .iter()
        .filter(|(cost, _)| *cost == least)
        .map(|(_, field)| *field);
    let one = best.next().ok_or(Why::Unfit)?;
    match best.find(|other| *other != one) {
        Some(other) => Err(Why::either(&mention.said, one, other)),
        None => Ok(one),
    }
}

/// A column as the answer speaks of it.
pub(super) fn told(field: Field<'_>, with_table: bool) -> String {
    if with_table {
        name(field).replace('"', "")
    } else {
        field.column.name.clone()
    }
}
