//! What is grouped by.

use crate::read::{Function, Key, Part};
use crate::schema::{Field, NoPath, Table};

use super::measured::{Expression, groups};
use super::scope::{Builder, several};
use super::{Planned, Why, name, spoken};

/// What to group by, as it stands in the statement.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) select: Vec<String>,
    pub(super) group: Vec<String>,
    pub(super) noun: String,
    /// Part of it is a date.
    pub(super) calendar: bool,
    /// Rows of the root are multiplied by a join.
    pub(super) spread: bool,
}

impl Keys {
    pub(super) fn table(&mut self, table: &Table) {
        let label = table.label();
        let primary = table.primary();
        let select = if label.is_empty() { &primary } else { &label };
        let group = if primary.is_empty() { &label } else { &primary };
        self.select.extend(select.iter().copied().map(name));
        self.group.extend(group.iter().copied().map(name));
        self.named(&spoken(table));
    }

    fn named(&mut self, noun: &str) {
        self.noun = if self.noun.is_empty() {
            noun.into()
        } else {
            format!("{} and {noun}", self.noun)
        };
    }
}

impl<'a> Builder<'_, 'a> {
    pub(super) fn key(&mut self, key: &Key<'a>, expression: &Expression<'a>, keys: &mut Keys) -> Planned<()> {
        match key {
            Key::Table(table) => {
                let (_, across) = self.key_table(table, expression)?;
                keys.spread |= across;
                keys.table(table);
            }
            Key::Column(mention) => {
                let (field, _) = self.column(mention, &[0], false, groups)?;
                keys.select.push(name(field));
                keys.group.push(name(field));
                keys.named(&mention.said);
            }
            Key::Part(part) => {
                let (field, _) = self.date(&[0])?;
                let (text, called) = part_of(*part, field);
                keys.select.push(format!("{text} AS {called}"));
                keys.group.push(text);
                keys.calendar = true;
                keys.named(called);
            }
        }
        Ok(())
    }

    /// Joins the table that is grouped by. Across references that multiply rows
    /// only different rows can be counted.
    pub(super) fn key_table(
        &mut self,
        table: &'a Table,
        expression: &Expression<'a>,
    ) -> Planned<(usize, bool)> {
        let root = self.node(0)?.table;
        if root == table {
            return Err(Why::Unfit);
        }
        if table.label().is_empty() && table.primary().is_empty() {
            return Err(Why::Unfit);
        }
        match self.links.graph.path(root, table) {
            Ok(steps) => {
                let across = steps.iter().any(|step| !step.up);
                // Each group would have one row: customers by order.
                if steps.iter().all(|step| !step.up) {
                    return Err(Why::Unfit);
                }
                let countable = expression.function == Function::Count && matches!(root.primary()[..], [_]);
                if across && (expression.strict || !countable) {
                    // Whatever else the words might mean, this they do not.
                    let (what, key) = (&expression.what, spoken(table));
                    return Err(Why::Several(format!("the {what} cannot be divided by {key}")));
                }
                Ok((self.join_up(0, &steps, false)?, across))
            }
            Err(NoPath::Several) => Err(several(root, table)),
            Err(NoPath::None) => Err(Why::Unfit),
        }
    }
}

/// A part of an ISO date, and what it is called.
fn part_of(part: Part, field: Field<'_>) -> (String, &'static str) {
    let column = name(field);
    match part {
        Part::Year => (format!("SUBSTR({column}, 1, 4)"), "year"),
        Part::Month => (format!("SUBSTR({column}, 1, 7)"), "month"),
        Part::Day => (format!("SUBSTR({column}, 1, 10)"), "day"),
        Part::Quarter => {
            let quarter = format!("(CAST(SUBSTR({column}, 6, 2) AS INTEGER) + 2) / 3");
            (
                format!("SUBSTR({column}, 1, 4) || '-Q' || ({quarter})"),
                "quarter",
            )
        }
    }
}
