//! Conditions of every other kind.

use crate::link::{Mention, Value};
use crate::read::{Amount, Compared, Condition, Op, Pattern, Span};
use crate::schema::{Field, Kind};
use crate::words::{Quality, written};

use super::columns::unit;
use super::scope::Builder;
use super::{Planned, Why, label_text, name};

impl<'a> Builder<'_, 'a> {
    /// All conditions of the question. The nouns have their places.
    pub(super) fn conditions(&mut self) -> Planned<()> {
        let asked = self.asked;
        for (head, condition) in &asked.conditions {
            match condition {
                Condition::Value(value) => self.value(*head, value)?,
                Condition::Key(number) => self.numbered(*head, *number)?,
                Condition::Compare { what, op, amount } => self.amount(*head, what, *op, *amount)?,
                Condition::Date { column, span } => self.span(*head, column.as_ref(), *span)?,
                Condition::Flag(mention) => self.flag(*head, mention)?,
                Condition::Like {
                    column,
                    pattern,
                    text,
                } => self.like(*head, column.as_ref(), *pattern, text)?,
            }
        }
        Ok(())
    }

    /// "invoice 404": the row of that key.
    fn numbered(&mut self, head: usize, number: f64) -> Planned<()> {
        let node = self.heads.get(head).copied().flatten().ok_or(Why::Unfit)?;
        let node = self.node(node)?;
        let primary = node.table.primary();
        let [key] = *primary else {
            return Err(Why::Unfit);
        };
        if key.column.kind != Kind::Integer {
            return Err(Why::Unfit);
        }
        let bound = self.bind(figure(number));
        self.condition(node.scope, format!("{} = {bound}", name(key)));
        self.notes
            .push(format!("{} is {}", self.told(key), written(number)));
        Ok(())
    }

    fn amount(&mut self, head: usize, what: &Compared<'a>, op: Op, amount: Amount) -> Planned<()> {
        let context = self.context(head);
        let (field, node) = match what {
            Compared::Column(mention) => self.column(mention, &context, false, |field| {
                // A number that is a text is a code, and equal or not.
                let code = field.column.has_any(&["code", "number", "phone", "zip", "no"]);
                let text = field.column.is_text() && op == Op::Equal && code;
                field.column.kind.is_number() || field.column.kind == Kind::Unknown || text
            })?,
            Compared::Quality(quality) => self.quality(*quality, &context)?,
            Compared::Bare => self.bare(&context, amount)?,
        };
        let mut value = amount.value;
        match (amount.unit, unit(field)) {
            (Some(given), Some(own)) => value = value * given.milliseconds() / own.milliseconds(),
            // Minutes of what is not known to be time; five of what.
            (Some(_), None) => return Err(Why::Unfit),
            (None, Some(_)) if matches!(what, Compared::Quality(Quality::Duration)) => {
                return Err(Why::Unfit);
            }
            _ => {}
        }
        let text = field.column.is_text();
        let bound = self.bind(if text {
            Value::Text(written(value))
        } else {
            figure(value)
        });
        let scope = self.node(node)?.scope;
        self.condition(scope, format!("{} {} {bound}", name(field), op.sign()));
        self.notes
            .push(format!("{} is {}{}", self.told(field), op.said(), written(value)));
        Ok(())
    }

    /// "over 100" of the nearest thing that comes to an amount.
    fn bare(&self, context: &[usize], amount: Amount) -> Planned<(Field<'a>, usize)> {
        if amount.unit.is_some() {
            return self.quality(Quality::Duration, context);
        }
        if amount.money {
            return self.quality(Quality::Money, context);
        }
        for index in context {
            if let Some(field) = self.node(*index)?.table.total() {
                return Ok((field, *index));
            }
        }
        Err(Why::Unfit)
    }

    fn span(&mut self, head: usize, column: Option<&Mention<'a>>, span: Span) -> Planned<()> {
        let context = self.context(head);
        let facts = self.facts;
        let (field, node) = match column {
            Some(mention) => self.column(mention, &context, false, |field| facts.is_date(field))?,
            None => self.date(&context)?,
        };
        let scope = self.node(node)?.scope;
        let told = match (span.from, span.to) {
            (Some(from), Some(to)) if from.next() == to => format!("on {from}"),
            (Some(from), Some(to)) => format!("from {from} to {}", to.before()),
            (Some(from), None) => format!("from {from} on"),
            (None, Some(to)) => format!("before {to}"),
            (None, None) => return Err(Why::Unfit),
        };
        self.notes.push(format!("{} is {told}", self.told(field)));
        if let Some(from) = span.from {
            let bound = self.bind(Value::Text(from.to_string()));
            self.condition(scope, format!("{} >= {bound}", name(field)));
        }
        if let Some(to) = span.to {
            let bound = self.bind(Value::Text(to.to_string()));
            self.condition(scope, format!("{} < {bound}", name(field)));
        }
        Ok(())
    }

    fn flag(&mut self, head: usize, mention: &Mention<'a>) -> Planned<()> {
        let near = self.context(head).into_iter().take(1).collect::<Vec<_>>();
        let facts = self.facts;
        let (field, node) = self.column(mention, &near, false, |field| facts.yes(field).is_some())?;
        let yes = facts.yes(field).cloned().ok_or(Why::Unfit)?;
        let bound = self.bind(yes);
        let scope = self.node(node)?.scope;
        self.condition(scope, format!("{} = {bound}", name(field)));
        self.notes.push(format!("{} is set", self.told(field)));
        Ok(())
    }

    fn like(
        &mut self,
        head: usize,
        column: Option<&Mention<'a>>,
        pattern: Pattern,
        text: &str,
    ) -> Planned<()> {
        let context = self.context(head);
        let (node, expression, told) = match column
            .filter(|mention| mention.said != "name" && mention.said != "title")
        {
            Some(mention) => {
                let (field, node) = self.column(mention, &context, false, |field| field.column.is_text())?;
                (node, name(field), self.told(field))
            }
            None => {
                let node = context.first().copied().ok_or(Why::Unfit)?;
                let table = self.node(node)?.table;
                if table.label().is_empty() {
                    return Err(Why::Unfit);
                }
                (node, label_text(table), "name".into())
            }
        };
        // What is sought means itself, whatever LIKE would take it for.
        let text: String = text
            .chars()
            .flat_map(|letter| {
                matches!(letter, '%' | '_' | '\\')
                    .then_some('\\')
                    .into_iter()
                    .chain([letter])
            })
            .collect();
        let (sought, verb) = match pattern {
            Pattern::Holds => (format!("%{text}%"), "contains"),
            Pattern::Begins => (format!("{text}%"), "starts with"),
            Pattern::Ends => (format!("%{text}"), "ends with"),
        };
        let bound = self.bind(Value::Text(sought));
        let scope = self.node(node)?.scope;
        self.condition(scope, format!("{expression} LIKE {bound} ESCAPE '\\'"));
        self.notes.push(format!("{told} {verb} {text}"));
        Ok(())
    }
}

/// A number as the database would have it.
pub(super) fn figure(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and far within")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::Integer(number as i64)
    } else {
        Value::Real(number)
    }
}
