//! How a question begins, and what it is about.

use crate::words::Quality;

use super::nouns::Wanted;
use super::{Act, Asked, Condition, Function, Head, Measure, Named, Noun, Of, Reader, Readings, Way};

/// Politeness and other ways to begin that say nothing.
const OPENINGS: &str = "please|hi|hello|hey|ok|okay|so|now|,|can you|could you|would you|will you|can i|could i|may i|\
    i want|i want to|i would like|i would like to|i need|i need to|let me|do you know|tell me|\
    tell us|tell|give me|give us|give|show me|show us|show|list|list out|list me|display|find me|\
    find|get me|get us|get|fetch|return|print|select|see|know|look up|what is|what are|what was|\
    what were|what|which|which are|which is|which were|which was|who is|who are|who was|who were|\
    who|report|calculate|compute|and|in which|in what|for which|from which|from what|on which|\
    name me|a list of|the list of|list of|have a look at|look at";
const HOW_MANY: &str = "how many|how many of|count|count up|count of";
const ANY: &str = "are there any|are there|is there any|is there a|is there an|do we have any|do we have|\
    do you have any|have we got any";

impl<'a> Reader<'_, 'a> {
    /// All that a question can be about, with the place where its clauses begin.
    pub(super) fn core(&self) -> Readings<'a> {
        let mut found = Vec::new();
        let asked = Asked::default();
        for at in self.openings() {
            for list in [HOW_MANY, ANY] {
                if let Some(next) = self.phrases(at, list) {
                    self.counted(&asked, self.skip(next), &mut found);
                }
            }
            if let Some(next) = self.phrases(at, "how much|how much money|how much in total") {
                self.how_much(&asked, next, &mut found);
            }
            if let Some(next) = self.phrases(at, "how long is|how long are|how long was") {
                self.how_long(&asked, next, &mut found);
            }
            self.priced(&asked, at, true, &mut found);
            self.listed(&asked, at, &mut found);
            found.extend(self.measures(&asked, at));
            self.each_first(&asked, at, &mut found);
            self.columns_of(&asked, at, &mut found);
        }
        found
    }

    /// Where the question may begin: at its first word, and behind each run of
    /// openings.
    fn openings(&self) -> Vec<usize> {
        let mut places = vec![0];
        let mut at = 0;
        // "name" is an order here and a column elsewhere.
        if self.word(0) == "name" && !self.is(1, "of|and|,") {
            at = 1;
            places.push(at);
        }
        while let Some(next) = self.phrases(self.skip(at), OPENINGS) {
            at = next;
            places.push(at);
        }
        places
    }

    fn counted(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let mut count = asked.at_cost(0);
        count.act = Act::Count;
        for (mut noun, end) in self.nouns(
            &count,
            at,
            Wanted {
                subject: true,
                columns: true,
            },
        ) {
            // "how many of the five cheapest" makes no sense.
            if noun.rank.is_none() && noun.limit.is_none() {
                noun.subject = Some(noun.last());
                found.push((noun, end));
            }
        }
        if let Some(end) = self.phrases(at, "units|copies|pieces|items") {
            let units = Measure {
                function: Function::Sum,
                of: Of::Units,
            };
            found.push((asked.measuring(units, 2), end));
        }
    }

    fn listed(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        for (mut noun, end) in self.nouns(
            asked,
            at,
            Wanted {
                subject: true,
                columns: true,
            },
        ) {
            noun.subject = Some(noun.last());
            if matches!(
                noun.heads.last(),
                Some(Head {
                    noun: Noun::Part(_),
                    ..
                })
            ) && end >= self.question.tokens.len()
            {
                continue;
            }
            found.push((noun, end));
        }
    }

    /// "how much revenue", "how much did ... spend", "how much is X".
    fn how_much(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        found.extend(self.measures(asked, at));
        let mut waiting = asked.at_cost(0);
        waiting.act = Act::HowMuch;
        found.push((waiting, at));
        self.priced(asked, at, false, found);
    }

    /// "is the Oak Table", "does it cost": what a thing of a name costs.
    fn priced(&self, asked: &Asked<'a>, at: usize, costs: bool, found: &mut Readings<'a>) {
        let Some(next) = self.phrases(at, "is|are|does|do|did|was") else {
            return;
        };
        let Some(price) = self.links.columns_called("price", next) else {
            return;
        };
        for (mut priced, end) in self.of_value(asked, next, false) {
            let cost = self.phrase(end, "cost");
            if cost.is_some() || !costs {
                priced.shown.push(Noun::Column(price.clone()));
                found.push((priced, cost.unwrap_or(end)));
            }
        }
    }

    fn how_long(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let length = self.links.columns_called("duration", at);
        for (mut long, end) in self.of_value(asked, at, true) {
            long.shown.extend(length.clone().map(Noun::Column));
            if !long.shown.is_empty() {
                found.push((long, end));
            }
        }
        let next = self.skip(at);
        if self.is(next, "average|mean|avg") {
            for (noun, end) in self.nouns(
                asked,
                next + 1,
                Wanted {
                    subject: false,
                    columns: false,
                },
            ) {
                let function = Function::Average;
                let of = Of::Quality(Quality::Duration);
                found.push((noun.measuring(Measure { function, of }, 0), end));
            }
        }
    }

    /// "for each genre, the average track length".
    fn each_first(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        for (grouped, end) in self.groups(asked, at) {
            let next = self.while_any(end, ",|show|list|give|me|what|is|are|the");
            found.extend(self.measures(&grouped, next));
            if let Some(next) = self.phrases(next, HOW_MANY) {
                self.counted(&grouped, next, found);
            }
        }
    }

    /// "names and emails of customers", "the price of Chai", "AC/DC's country".
    fn columns_of(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        for (shown, end) in self.shown(at) {
            // "what city does X live in"
            if self.is(end, "does|do|did|is|was") {
                for (mut owner, to) in self.of_value(asked, end + 1, false) {
                    let verbs =
                        "live in|live|come from|have|work in|work for|from|in|located in|belong to|cost";
                    if let Some(to) = self.phrases(to, verbs) {
                        owner.shown.extend(shown.iter().cloned());
                        found.push((owner, to));
                    }
                }
            }
            let Some(next) = self.phrases(end, "of|for|from|of all|for all") else {
                continue;
            };
            let mut subjects = Vec::new();
            self.listed(asked, next, &mut subjects);
            subjects.extend(self.of_value(asked, next, false));
            for (mut subject, to) in subjects {
                subject.shown.extend(shown.iter().cloned());
                // "total of invoices" rather adds up.
                subject.cost += if self.function(self.skip(at)).is_some() {
                    3
                } else {
                    0
                };
                found.push((subject, to));
            }
        }
        for (owned, end) in self.of_value(asked, at, true) {
            let Some(next) = self.phrase(end, "'s") else {
                continue;
            };
            for (shown, to) in self.shown(next) {
                let mut owned = owned.clone();
                owned.shown = shown;
                found.push((owned, to));
            }
        }
    }

    /// A row by its name, without the name of its table: "Chai".
    fn of_value(&self, asked: &Asked<'a>, at: usize, nouns: bool) -> Readings<'a> {
        let at = self.skip(at);
        let mut found = Vec::new();
        for said in self.values(at) {
            let labels = said.hits.iter().filter(|hit| hit.place.is_label());
            for hit in labels {
                let mut owner = asked.with_head(Noun::Table(hit.place.table()), false);
                owner.subject = Some(owner.last());
                let value = Named {
                    values: vec![said.clone()],
                    all: false,
                    column: None,
                    hint: None,
                    way: Way::Name,
                    agent: false,
                };
                let mut owner = owner.with(Condition::Value(value));
                owner.cost += 1;
                found.push((owner, said.end));
            }
        }
        if nouns {
            self.listed(asked, at, &mut found);
        }
        found
    }

    /// "names, emails and cities": columns, or tables that a row refers to.
    pub(super) fn shown(&self, at: usize) -> Vec<(Vec<Noun<'a>>, usize)> {
        let mut found: Vec<(Vec<Noun<'a>>, usize)> = Vec::new();
        let mut open: Vec<(Vec<Noun<'a>>, usize)> = vec![(Vec::new(), at)];
        for _ in 0..6 {
            let mut next = Vec::new();
            for (list, at) in &open {
                let at = match list.is_empty() {
                    true => Some(*at),
                    false => self.phrases(*at, "and|,|, and|as well as|and also"),
                };
                let Some(at) = at.map(|at| self.skip(at)) else {
                    continue;
                };
                let columns = self
                    .columns(at)
                    .map(|mention| (Noun::Column(mention.clone()), mention.end));
                let tables = self.tables(at).map(|named| (Noun::Table(named.table), named.end));
                for (noun, end) in columns.chain(tables) {
                    let mut list = list.clone();
                    list.push(noun);
                    next.push((list, end));
                }
            }
            found.extend(next.iter().cloned());
            open = next;
            open.truncate(32);
        }
        found
    }
}
