//! Conditions that name something: a value, another noun, a yes-or-no column.

use std::rc::Rc;

use crate::link::Said;

use super::cursor::among;
use super::nouns::Wanted;
use super::{Act, Asked, Condition, Named, Reader, Readings, Way};

/// Participles that say no more than that things belong together.
const PLAIN: &str = "made|released|recorded|placed|performed|sung|played|issued|produced|published|\
    sent|created|registered|received|dated|found|done|generated|joined|added|handled|processed|managed|taken";
const LINKING: &str = "that|who|which|where|whose|and|,|also|it|they|but";
const BEING: &str = "are|is|was|were|been|be|being";
const DWELLING: &str = "live|lives|living|lived|come|comes|coming|came|located|based|situated|reside|resides|residing|\
    belong|belongs|belonging|stored|held";
const PREPOSITIONS: &str = "from|in|of|by|for|to|at|on|with|within|containing|including|under|as|via|through";
pub(super) const HAVING: &str = "with|having|have|has|had|containing|contain|contains|including|include|includes|placed|made|\
    released|recorded|wrote|own|owns|offer|offers|supply|supplies|get|got|received";

/// Where a clause's own words begin, and what led up to them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Led {
    pub(super) at: usize,
    /// Ended in "is" or "are".
    pub(super) being: bool,
    /// Had any word at all.
    pub(super) any: bool,
}

impl<'a> Reader<'_, 'a> {
    /// Skips "that are", "who live", "and which were".
    pub(super) fn led(&self, at: usize) -> Led {
        let mut end = self.while_any(at, LINKING);
        if self.is(end, "have|has|had") && self.word(end + 1) == "been" {
            end += 1;
        }
        let beings = self.while_any(end, BEING);
        let dwelling = self.while_any(beings, DWELLING);
        Led {
            at: dwelling,
            being: beings > end && dwelling == beings,
            any: dwelling > at,
        }
    }

    pub(super) fn conditions(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let led = self.led(at);
        self.having(asked, led, found);
        self.most(asked, led, found);
        self.with_columns(asked, at, found);
        if asked.heads.is_empty() && asked.measure.is_none() && asked.act != Act::HowMuch {
            return;
        }
        self.value(asked, led, found);
        self.related(asked, led, found);
        self.like(asked, led, found);
        if led.being {
            for mention in self.columns(led.at) {
                let mut next = asked.with(Condition::Flag(mention.clone()));
                next.cost += 1;
                found.push((next, mention.end));
            }
        }
    }

    fn value(&self, asked: &Asked<'a>, led: Led, found: &mut Readings<'a>) {
        // "shipped to Germany", "written by Queen"
        let (hint, at) = match self.participle(led.at) {
            Some((hint, end)) if self.is(end, PREPOSITIONS) => (hint, end),
            _ => (None, led.at),
        };
        let preposition = self.is(at, PREPOSITIONS);
        let next = self.skip(self.maybe(at, PREPOSITIONS));
        let way = if led.being && !preposition {
            Way::Predicate
        } else {
            Way::Related
        };
        if preposition || led.being || asked.after_verb {
            for (values, all, end) in self.value_lists(next) {
                let value = Named {
                    values,
                    all,
                    column: None,
                    hint: hint.clone(),
                    way,
                    agent: self.word(at) == "by",
                };
                let mut condition = asked.with(Condition::Value(value.clone()));
                condition.cost += 1;
                found.push((condition.clone(), end));
                // "in Lisbon city", "with cancelled status"
                for mention in self.columns(end) {
                    let mut value = value.clone();
                    value.column = Some(mention.clone());
                    let mut condition = asked.with(Condition::Value(value));
                    condition.cost += 1;
                    found.push((condition, mention.end));
                }
            }
        }
        if !(preposition || led.any) && self.word(led.at) != "having" {
            return;
        }
        // "in the city of Lisbon", "whose status is cancelled"
        for (mention, end) in self.column_phrases(next) {
            let end = self
                .phrases(
                    end,
                    "of|is|=|equals|are|was|were|equal to|is equal to|is either|called|named",
                )
                .unwrap_or(end);
            for (values, all, end) in self.value_lists(self.skip(end)) {
                let value = Named {
                    values,
                    all,
                    column: Some(mention.clone()),
                    hint: None,
                    way: Way::Name,
                    agent: false,
                };
                found.push((asked.with(Condition::Value(value)), end));
            }
        }
    }

    /// A further noun: "of customers", "with orders", "in the genre Rock".
    fn related(&self, asked: &Asked<'a>, led: Led, found: &mut Readings<'a>) {
        let at = match self.participle(led.at) {
            Some((_, end)) if self.is(end, PREPOSITIONS) => end,
            _ => led.at,
        };
        let linked = self.is(at, PREPOSITIONS) || self.is(at, HAVING);
        if !linked && !asked.after_verb {
            return;
        }
        let next = if linked { at + 1 } else { at };
        let wanted = Wanted {
            subject: false,
            columns: false,
        };
        for (mut noun, end) in self.nouns(asked, next, wanted) {
            // "by genre" rather groups; "by customers from Lisbon" does not.
            let several = noun.heads.last().is_some_and(|head| head.plural);
            let named = noun.conditions.len() > asked.conditions.len();
            noun.cost += match self.word(at) {
                "by" if named => 1,
                "by" if several && !self.at_end(end) => 0,
                "by" => continue,
                _ => 1,
            };
            found.push((noun, end));
        }
    }

    /// Values one after the other, with "and", "or" or commas between: every
    /// length of the list, and whether "and" stood there.
    pub(super) fn value_lists(&self, at: usize) -> Vec<(Vec<Rc<Said<'a>>>, bool, usize)> {
        let mut found = Vec::new();
        let mut open: Vec<(Vec<Rc<Said<'a>>>, bool, usize)> = self
            .values(at)
            .map(|said| (vec![said.clone()], false, said.end))
            .collect();
        for _ in 0..6 {
            found.extend(open.iter().cloned());
            let mut next = Vec::new();
            for (list, all, end) in &open {
                let Some(behind) = self.phrases(
                    *end,
                    "and|or|,|, and|, or|and in|or in|and from|or from|or by|and by",
                ) else {
                    continue;
                };
                let all = *all || (*end..behind).any(|at| self.word(at) == "and");
                for said in self.values(self.skip(behind)) {
                    let list = list.iter().cloned().chain([said.clone()]).collect();
                    next.push((list, all, said.end));
                }
            }
            open = next;
            open.truncate(32);
        }
        found
    }

    /// A participle before a preposition: one that says nothing, or one whose
    /// root the name of a column or table has.
    pub(super) fn participle(&self, at: usize) -> Option<(Option<String>, usize)> {
        let word = self.word(at);
        let root = crate::words::root(word);
        let tables = self.links.schema.tables.iter().filter(|table| !table.view);
        let mut words = tables.flat_map(|table| {
            table
                .words
                .iter()
                .chain(table.columns.iter().flat_map(|column| &column.words))
        });
        let participle = ["ed", "en", "rn", "ing"].iter().any(|end| word.ends_with(end));
        if participle
            && words.any(|own| crate::words::root(own) == root || crate::words::same_meaning(own, word))
        {
            return Some((Some(root), at + 1));
        }
        among(word, PLAIN).then_some((None, at + 1))
    }
}
