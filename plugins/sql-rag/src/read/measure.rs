//! Measures: "number of tracks", "average track length", "revenue".

use crate::words::{Degree, Quality};

use super::cursor::among;
use super::nouns::Wanted;
use super::{Asked, Condition, Function, Key, Measure, Of, Part, Reader, Readings};

/// What comes in when things are sold.
const REVENUE: &str = "revenue|revenues|sales|turnover|income|earnings|takings|sales revenue|sales total|sales totals|\
    sales amount|sales volume|amount of sales|spending|amount spent|money spent|\
    amount of money spent|money|total spent|sales value";
const UNITS: &str = "units sold|items sold|copies sold|pieces sold|quantity sold|units|quantity ordered|\
    units ordered|number of units sold|number of items sold|number of copies sold|sold units|\
    sold quantity|unit sales";
/// Columns whose values add up to something.
const ADDS_UP: &str = "total|amount|quantity|qty|revenue|sale|subtotal|freight";

impl<'a> Reader<'_, 'a> {
    /// The measures at a place. Nouns that belong to one become heads.
    pub(super) fn measures(&self, asked: &Asked<'a>, at: usize) -> Readings<'a> {
        if asked.measure.is_some() {
            return Vec::new();
        }
        let at = self.skip(at);
        let mut found = self.plain_measures(asked, at);
        if let Some((part, next)) = adverb(self.word(at)).map(|part| (part, at + 1))
            && asked.keys.is_empty()
        {
            let mut grouped = asked.at_cost(0);
            grouped.keys.push(Key::Part(part));
            found.extend(self.plain_measures(&grouped, next));
        }
        found
    }

    fn plain_measures(&self, asked: &Asked<'a>, at: usize) -> Readings<'a> {
        let mut found = Vec::new();
        self.counts(asked, at, &mut found);
        self.aggregates(asked, at, &mut found);
        let revenue = Measure {
            function: Function::Sum,
            of: Of::Revenue,
        };
        let units = Measure {
            function: Function::Sum,
            of: Of::Units,
        };
        let bare = self.while_any(at, "total|overall|gross|sum|of|the");
        if let Some(end) = self.phrases(bare, REVENUE) {
            found.push((asked.measuring(revenue, 1), end));
        }
        for start in [at, bare] {
            if let Some(end) = self.phrases(start, UNITS) {
                found.push((asked.measuring(units.clone(), 1), end));
            }
        }
        for (mention, end) in self.column_phrases(at) {
            let last = mention.said.split(' ').next_back().unwrap_or_default();
            if among(last, ADDS_UP) {
                let measure = Measure {
                    function: Function::Sum,
                    of: Of::Column(mention),
                };
                let mut implied = asked.measuring(measure, 2);
                implied.implied = true;
                found.push((implied, end));
            }
        }
        found
    }

    /// "number of tracks", "count of tracks", "track count".
    fn counts(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let wanted = Wanted {
            subject: false,
            columns: true,
        };
        let bare = self.while_any(at, "total|overall");
        for phrase in ["number of", "count of", "numbers of", "amount of", "no of"] {
            if let Some(next) = self.phrase(bare, phrase) {
                for (counted, end) in self.nouns(asked, next, wanted) {
                    found.push((counted.counting(), end));
                }
            }
        }
        for named in self.tables(at) {
            if self.is(named.end, "count|counts") {
                let mut counted = asked.with_head(super::Noun::Table(named.table), true);
                counted.cost += named.cost;
                found.push((counted.counting(), named.end + 1));
            }
        }
    }

    /// "average track length", "total of invoices", "highest price".
    fn aggregates(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let Some((function, next)) = self.function(at) else {
            return;
        };
        let of = self.phrases(next, "of|of the|up|up the|for");
        let next = self.skip(of.unwrap_or(next));
        for (mention, end) in self.column_phrases(next) {
            // "the average of 5" has no column; "total" alone is the function.
            let measure = Measure {
                function,
                of: Of::Column(mention),
            };
            found.push((asked.measuring(measure, 0), end));
        }
        let wanted = Wanted {
            subject: false,
            columns: false,
        };
        for (noun, end) in self.nouns(asked, next, wanted) {
            let last = noun.last();
            let whole = Measure {
                function,
                of: Of::Whole(last),
            };
            // "the largest invoice" is rather the invoice than its amount.
            let rather = matches!(function, Function::Least | Function::Most) && of.is_none();
            // "the total of invoice 404" is rather what stands there.
            let row = noun
                .conditions
                .iter()
                .any(|(_, condition)| matches!(condition, Condition::Key(_)));
            found.push((noun.measuring(whole, if rather || row { 4 } else { 0 }), end));
            // "total customers" can only be their number; of what has a total of
            // its own the two readings contradict each other.
            if function == Function::Sum && of.is_none() {
                found.push((noun.counting(), end));
            }
        }
    }

    pub(super) fn function(&self, at: usize) -> Option<(Function, usize)> {
        let function =
            match self.word(at) {
                "total" | "sum" | "overall" | "combined" | "add" => Function::Sum,
                "average" | "avg" | "mean" => Function::Average,
                "maximum" | "max" => Function::Most,
                "minimum" | "min" => Function::Least,
                _ => match self.adjective(at) {
                    Some(own) if own.degree == Degree::Superlative && own.quality == Quality::Size => {
                        if own.up { Function::Most } else { Function::Least }
                    }
                    _ => return None,
                },
            };
        let sum = function == Function::Sum;
        let next = if sum {
            self.maybe(at + 1, "total|sum|amount")
        } else {
            at + 1
        };
        // "total total" would be read twice as well as once.
        let next = if self.word(next) == "of" || next == at + 1 || !self.at_end(next) {
            next
        } else {
            at + 1
        };
        Some((function, next))
    }
}

impl<'a> Asked<'a> {
    pub(super) fn measuring(&self, measure: Measure<'a>, cost: u32) -> Self {
        let mut next = self.at_cost(cost);
        next.measure = Some(measure);
        next
    }

    /// Counts the rows of the last noun.
    pub(super) fn counting(&self) -> Self {
        let of = Of::Rows(self.last());
        let function = Function::Count;
        self.measuring(Measure { function, of }, 0)
    }
}

fn adverb(word: &str) -> Option<Part> {
    Some(match word {
        "yearly" | "annual" => Part::Year,
        "quarterly" => Part::Quarter,
        "monthly" => Part::Month,
        "daily" => Part::Day,
        _ => return None,
    })
}
