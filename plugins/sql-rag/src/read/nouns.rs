//! Noun phrases: "the five cheapest rock tracks", "genre Rock", "invoice 404".

use super::{Act, Asked, Condition, Named, Noun, Part, Reader, Readings, Way};

/// As many words before a noun as are read.
const MAX_BEFORE: usize = 6;
const DIFFERENT: &str = "different|distinct|unique";

/// What may stand in a noun phrase here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// It is what the question lists, counts or ranks: it may say how many.
    pub(super) subject: bool,
    /// It may be a column ("countries") or a part of the calendar ("month").
    pub(super) columns: bool,
}

/// A noun phrase before its noun.
#[derive(Clone)]
struct Before<'a> {
    asked: Asked<'a>,
    conditions: Vec<Condition<'a>>,
}

impl<'a> Reader<'_, 'a> {
    /// The noun phrases at a place, each as a further head.
    pub(super) fn nouns(&self, asked: &Asked<'a>, at: usize, wanted: Wanted) -> Readings<'a> {
        let mut found = Vec::new();
        let before = Before {
            asked: asked.at_cost(0),
            conditions: Vec::new(),
        };
        self.before(&before, at, wanted, MAX_BEFORE, &mut found);
        found
    }

    fn before(&self, before: &Before<'a>, at: usize, wanted: Wanted, left: usize, found: &mut Readings<'a>) {
        let at = self.skip(at);
        self.heads(before, at, wanted, found);
        let Some(left) = left.checked_sub(1) else {
            return;
        };
        let mut go_on = |next: Before<'a>, to: usize| self.before(&next, to, wanted, left, found);
        if self.is(at, DIFFERENT) {
            let mut next = before.clone();
            next.asked.distinct = true;
            go_on(next, at + 1);
        }
        if wanted.subject {
            // "2022 invoices" are those of a year.
            let limit = self.how_many(at).filter(|_| self.year(at).is_none());
            if let Some((limit, end)) = limit.filter(|_| before.asked.limit.is_none()) {
                let mut next = before.clone();
                next.asked.limit = Some(limit);
                go_on(next, end);
            }
            for ranking in self.rankings(at) {
                // "top 5 best selling": the second says by what.
                let open = before
                    .asked
                    .rank
                    .as_ref()
                    .is_none_or(|rank| rank.by.is_none() && rank.up == ranking.rank.up);
                if open && before.asked.measure.is_none() {
                    let mut next = before.clone();
                    next.asked.rank = Some(ranking.rank);
                    next.asked.measure = ranking.measure;
                    if let Some(event) = ranking.counted {
                        next.asked = next.asked.with_head(Noun::Table(event), true).counting();
                    }
                    go_on(next, ranking.end);
                }
            }
        }
        if let Some((span, end)) = self.year(at) {
            let condition = Condition::Date { column: None, span };
            go_on(before.and(condition, 0), end);
        }
        for said in self.values(at) {
            let to = self.maybe(said.end, "'s");
            let value = Named {
                values: vec![said.clone()],
                all: false,
                column: None,
                hint: None,
                way: if to > said.end { Way::Related } else { Way::Before },
                agent: to > said.end,
            };
            go_on(before.and(Condition::Value(value), 1), to);
        }
        for mention in self.columns(at) {
            go_on(before.and(Condition::Flag(mention.clone()), 1), mention.end);
        }
    }

    fn heads(&self, before: &Before<'a>, at: usize, wanted: Wanted, found: &mut Readings<'a>) {
        for named in self.tables(at) {
            let asked = before.with_head(Noun::Table(named.table), named.plural, named.cost);
            self.behind(asked, named.end, !named.plural, found);
        }
        if !wanted.columns {
            return;
        }
        for (mention, end) in self.column_phrases(at) {
            if self.is_table(at, end) {
                continue;
            }
            let plural = mention.plural;
            found.push((before.with_head(Noun::Column(mention), plural, 0), end));
        }
        if let Some((part, plural)) = part(self.word(at)) {
            found.push((before.with_head(Noun::Part(part), plural, 1), at + 1));
        }
    }

    /// What may follow a noun as its name: a value, or the number of a row.
    fn behind(&self, asked: Asked<'a>, at: usize, one: bool, found: &mut Readings<'a>) {
        let named = self.maybe(at, "called|named|titled");
        for (values, all, end) in self.value_lists(named) {
            let value = Named {
                values,
                all,
                column: None,
                hint: None,
                way: Way::Name,
                agent: false,
            };
            let mut next = asked.with(Condition::Value(value));
            next.cost += 1;
            found.push((next, end));
        }
        let at_number = self.maybe(at, "number|id|no|nr|with id");
        if let Some((number, end)) = self.number(at_number).filter(|_| one)
            && number.value.fract() == 0.0
            && !number.money
        {
            found.push((asked.with(Condition::Key(number.value)), end));
        }
        found.push((asked, at));
    }
}

impl<'a> Before<'a> {
    fn and(&self, condition: Condition<'a>, cost: u32) -> Self {
        let mut next = self.clone();
        next.conditions.push(condition);
        next.asked.cost += cost;
        next
    }

    fn with_head(&self, noun: Noun<'a>, plural: bool, cost: u32) -> Asked<'a> {
        let mut asked = self.asked.with_head(noun, plural);
        asked.cost += cost;
        let last = asked.last();
        asked
            .conditions
            .extend(self.conditions.iter().cloned().map(|condition| (last, condition)));
        // "the cheapest product" is one, "the cheapest products" are some.
        let one = !plural && asked.limit.is_none() && asked.act == Act::List;
        if let Some(rank) = &mut asked.rank {
            rank.one = one;
        }
        asked
    }
}

/// A part of the calendar, and whether in the plural.
pub(super) fn part(word: &str) -> Option<(Part, bool)> {
    Some(match word {
        "year" => (Part::Year, false),
        "years" => (Part::Year, true),
        "quarter" => (Part::Quarter, false),
        "quarters" => (Part::Quarter, true),
        "month" => (Part::Month, false),
        "months" => (Part::Month, true),
        "day" | "date" => (Part::Day, false),
        "days" | "dates" => (Part::Day, true),
        _ => return None,
    })
}
