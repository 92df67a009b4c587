//! Which columns of a list are shown, and by which it is ranked or sorted.

use crate::read::{By, Compared, Condition, Noun, Sort};
use crate::schema::{Field, Kind, Table};

use super::scope::Builder;
use super::{Planned, Why, name};

/// As many columns of a row are shown when none is asked for.
const COLUMNS: usize = 6;

/// The columns of a list.
pub(super) struct Shown<'a> {
    pub(super) columns: Vec<Field<'a>>,
    /// Those that tell a row's name.
    pub(super) label: Vec<Field<'a>>,
    /// Those that the question is about.
    pub(super) details: Vec<Field<'a>>,
}

impl<'a> Shown<'a> {
    fn add(&mut self, field: Field<'a>) {
        if !self.columns.contains(&field) {
            self.columns.push(field);
        }
    }

    /// Where columns stand among those that are shown.
    pub(super) fn places(&self, fields: &[Field<'a>]) -> Vec<usize> {
        let place = |field: &Field<'a>| self.columns.iter().position(|own| own == field);
        fields.iter().filter_map(place).collect()
    }
}

impl<'a> Builder<'_, 'a> {
    /// The key, the label, what was asked for or sorted by; and if nothing was
    /// asked for by name, what conditions are about, and some more.
    pub(super) fn shown(&mut self, table: &'a Table, sorted: &[Field<'a>]) -> Planned<Shown<'a>> {
        let (label, primary) = (table.label(), table.primary());
        let asked = self.asked_for(table)?;
        let mut shown = Shown {
            columns: Vec::new(),
            label: if label.is_empty() {
                primary.clone()
            } else {
                label.clone()
            },
            details: asked
                .iter()
                .filter(|field| !label.contains(field))
                .copied()
                .collect(),
        };
        if asked.is_empty() || label.is_empty() {
            primary.iter().for_each(|field| shown.add(*field));
        }
        label.iter().chain(&asked).for_each(|field| shown.add(*field));
        for field in sorted {
            if shown.details.is_empty() && !label.contains(field) {
                shown.details.push(*field);
            }
            shown.add(*field);
        }
        if asked.is_empty() {
            self.filtered().into_iter().for_each(|field| shown.add(field));
            for field in table.fields().filter(|field| tells(*field)) {
                if shown.columns.len() < COLUMNS {
                    shown.add(field);
                }
            }
        }
        if shown.columns.is_empty() {
            Err(Why::Unfit)
        } else {
            Ok(shown)
        }
    }

    /// The columns that were asked for by name, or the names of what was.
    fn asked_for(&mut self, table: &'a Table) -> Planned<Vec<Field<'a>>> {
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

    pub(super) fn ranked(&mut self) -> Planned<Option<(Field<'a>, bool)>> {
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
    pub(super) fn ordered(&mut self, table: &'a Table) -> Planned<(Vec<Field<'a>>, bool)> {
        let Some(order) = &self.asked.order else {
            return Ok((Vec::new(), false));
        };
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
        Ok((fields, order.descending))
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
