//! Which column a value is of.
//!
//! "Brazil" stands in several columns; which one is meant depends on what it is
//! said of. The order of preference: the column that is named with it; something
//! the row belongs to that is called so (the artist of an album); a column of the
//! row's own; one of something the row belongs to; something called so that
//! hangs together with the row in another way (the genre of a customer's
//! purchases). Two of the same rank contradict each other.

use crate::link::{Hit, Place};
use crate::read::{Named, Way};
use crate::schema::{Field, Step};
use crate::words::root;

use super::scope::Builder;
use super::{Planned, Why, label_text, name, spoken};

/// One column that a value may be of.
struct Choice<'a> {
    cost: u32,
    node: usize,
    steps: Vec<Step<'a>>,
    place: Place<'a>,
    stored: Vec<String>,
    /// A row has one of it at most.
    single: bool,
}

const UP_LABEL: u32 = 4;
const OWN: u32 = 12;
const OWN_LABEL: u32 = 13;
const SAME_NAME: u32 = 14;
const UP: u32 = 16;
const ACROSS: u32 = 28;

impl<'a> Builder<'_, 'a> {
    pub(super) fn value(&mut self, head: usize, value: &Named<'a>) -> Planned<()> {
        let context = self.context(head);
        let mut choices: Vec<Choice<'a>> = Vec::new();
        for (index, said) in value.values.iter().enumerate() {
            let mut own = self.choices(value, &said.hits, &context)?;
            if index == 0 {
                choices = own;
                continue;
            }
            // All of a list are values of one column.
            choices.retain_mut(|choice| {
                let same = own
                    .iter_mut()
                    .find(|other| other.place == choice.place && other.node == choice.node);
                let Some(other) = same else {
                    return false;
                };
                choice.stored.append(&mut other.stored);
                choice.cost = choice.cost.max(other.cost);
                true
            });
        }
        choices.retain(|choice| choice.single || !value.all);
        // Who did something is somebody: "tracks by X" are of no album called X.
        let somebody = |choice: &Choice<'a>| choice.place.is_label() && choice.place.table().is_agent();
        if value.agent && choices.iter().any(somebody) {
            choices.retain(somebody);
        }
        let least = choices.iter().map(|choice| choice.cost).min().ok_or(Why::Unfit)?;
        let first = choices
            .iter()
            .position(|choice| choice.cost == least)
            .ok_or(Why::Unfit)?;
        let best = choices.swap_remove(first);
        // Two things of one name are rivals, whichever is nearer.
        let named = |cost: u32| (UP_LABEL..OWN).contains(&cost);
        let level = |other: &&Choice<'a>| other.cost == least || (named(other.cost) && named(least));
        let rival = choices
            .iter()
            .filter(level)
            .find(|other| other.place != best.place);
        if let Some(rival) = rival {
            let text: Vec<&str> = value.values.iter().map(|said| &*said.text).collect();
            let places = [told(&best.place), told(&rival.place)].join(" or ");
            return Err(Why::Several(format!(
                "\u{201c}{}\u{201d} may be {places}",
                text.join(", ")
            )));
        }
        self.cost += best.cost / 4;
        self.compare(best)
    }

    fn choices(&self, value: &Named<'a>, hits: &[Hit<'a>], context: &[usize]) -> Planned<Vec<Choice<'a>>> {
        let mut choices: Vec<Choice<'a>> = Vec::new();
        // A name stands with its own noun and no other.
        let context = if value.way == Way::Name && value.column.is_none() {
            context.get(..1).unwrap_or_default()
        } else {
            context
        };
        for (back, index) in (0_u32..).zip(context) {
            let node = self.node(*index)?;
            let table = node.table;
            for hit in hits {
                let mut add = |rank: u32, steps: &[Step<'a>], place: Place<'a>| {
                    let up = steps.iter().all(|step| step.up);
                    let length = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                    choices.push(Choice {
                        cost: rank.saturating_add(length.saturating_mul(2)) + back,
                        node: *index,
                        steps: steps.to_vec(),
                        place,
                        stored: hit.stored.clone(),
                        single: node.scope == 0 && up,
                    });
                };
                if !allowed(value, &hit.place) {
                    if let Some(field) = self.named(value, hit, *index)? {
                        add(SAME_NAME, &[], Place::Column(field));
                    }
                    continue;
                }
                let label = hit.place.is_label();
                if hit.place.table() == table {
                    match (label, value.way) {
                        // "albums by X" is no album called X.
                        (true, Way::Related) if value.column.is_none() => {}
                        (true, _) => add(OWN_LABEL, &[], hit.place),
                        (false, _) => add(OWN, &[], hit.place),
                    }
                    continue;
                }
                if value.way == Way::Name && value.column.is_none() {
                    continue;
                }
                if let Ok(steps) = self.links.graph.up(table, hit.place.table()) {
                    add(if label { UP_LABEL } else { UP }, &steps, hit.place);
                } else if label
                    && !self.strict
                    && (value.way == Way::Related || self.is_kind(value, hit))
                    && let Ok(steps) = self.links.graph.path(table, hit.place.table())
                {
                    add(ACROSS, &steps, hit.place);
                }
                if let Some(field) = self.namesake(hit, *index)? {
                    add(SAME_NAME, &[], Place::Column(field));
                }
            }
        }
        Ok(choices)
    }

    /// Whether the value says of what kind something is: "jazz albums". What has
    /// kinds refers to them, and they to nothing.
    fn is_kind(&self, value: &Named<'a>, hit: &Hit<'a>) -> bool {
        value.way == Way::Before && !self.links.graph.refers(hit.place.table())
    }

    /// The column that was named with the value, where the value itself stands
    /// only in others: nobody lives in a country where somebody is billed.
    fn named(&self, value: &Named<'a>, hit: &Hit<'a>, node: usize) -> Planned<Option<Field<'a>>> {
        let (Some(column), Some(field)) = (&value.column, self.namesake(hit, node)?) else {
            return Ok(None);
        };
        let meant = column.fields.iter().any(|(own, _)| *own == field);
        Ok(Some(field).filter(|_| meant && column.owner.is_none_or(|owner| owner == field.table)))
    }

    /// A column of the node's own that is called like the one the value stands
    /// in: an employee's country, though the value is only a customer's. Then no
    /// row matches, and that is the answer.
    fn namesake(&self, hit: &Hit<'a>, node: usize) -> Planned<Option<Field<'a>>> {
        let table = self.node(node)?.table;
        let Place::Column(held) = hit.place else {
            return Ok(None);
        };
        if hit.place.is_label() || hit.place.table() == table {
            return Ok(None);
        }
        let last = held.column.words.last();
        let mut same = table.fields().filter(|field| {
            field.column.is_text()
                && !field.column.foreign
                && field.column.words.last() == last
                && !table.is_label(field.column)
        });
        Ok(match (same.next(), same.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        })
    }

    fn compare(&mut self, choice: Choice<'a>) -> Planned<()> {
        let node = self.place_by(choice.node, &choice.steps)?;
        let scope = self.node(node)?.scope;
        let column = match choice.place {
            Place::Column(field) => name(field),
            Place::Label(table) => label_text(table),
        };
        let told = match choice.place {
            Place::Column(field) if !choice.place.is_label() => self.told(field),
            _ => spoken(choice.place.table()),
        };
        let mut stored: Vec<String> = Vec::new();
        for text in choice.stored {
            if !stored.contains(&text) {
                stored.push(text);
            }
        }
        let bound: Vec<String> = stored
            .iter()
            .map(|text| self.bind(crate::link::Value::Text(text.clone())))
            .collect();
        match &*bound {
            [only] => self.condition(scope, format!("{column} = {only}")),
            _ => self.condition(scope, format!("{column} IN ({})", bound.join(", "))),
        }
        // What is asked for by its name needs no other description.
        let own = choice.place.is_label() && self.node(0)?.table == choice.place.table();
        if !own {
            self.notes.push(format!("{told} is {}", stored.join(" or ")));
        }
        Ok(())
    }
}

/// Whether the value may be of that column, by what else was said with it.
fn allowed(value: &Named<'_>, place: &Place<'_>) -> bool {
    let named = value.column.as_ref().is_none_or(|mention| match place {
        Place::Column(field) => {
            mention.owner.is_none_or(|owner| owner == field.table)
                && mention.fields.iter().any(|(own, _)| own == field)
        }
        Place::Label(table) => {
            mention.said.ends_with("name") && mention.owner.is_none_or(|owner| owner == *table)
        }
    });
    let hinted = value.hint.as_ref().is_none_or(|hint| {
        let words = match place {
            Place::Column(field) if !place.is_label() => field.column.words.iter().chain(&[]),
            _ => place.table().words.iter().chain(&[]),
        };
        let mut words = words.chain(match place {
            Place::Column(field) => field.column.words.as_slice(),
            Place::Label(_) => &[],
        });
        words.any(|word| root(word) == *hint)
    });
    named && hinted
}

fn told(place: &Place<'_>) -> String {
    match place {
        Place::Column(field) => name(*field),
        Place::Label(table) => format!("{} by name", table.name),
    }
}
