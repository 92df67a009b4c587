//! Verbs: who bought, what was sold, how many X has.
//!
//! A verb of trade stands for the table of sales, and becomes a noun of its own
//! between the two it relates; a verb that shares its root with a table stands
//! for that one. All others say no more than that things belong together.

use crate::schema::Table;
use crate::words::root;

use super::cursor::among;
use super::nouns::Wanted;
use super::{
    Act, Asked, By, Condition, Function, Head, Measure, Named, Noun, Of, Rank, Reader, Readings, Way,
};

const TRADE: &str = "bought|buy|buys|purchased|purchase|purchases|sold|sell|sells|ordered|order";
const BELONGING: &str = "have|has|had|own|make|made|record|release|produce|place|get|hold|contain|include|offer|perform|\
    publish|sing|come from|live in|come|belong to|belong|placed|made|received|come in|supply|got";
const SPENDING: &str = "spend|spent|pay|paid|spend in total";
const EARNING: &str = "earn|make|take|sell|bring in|generate|earned|made|taken|generated|turn over";

impl<'a> Reader<'_, 'a> {
    pub(super) fn verbs(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        self.closing(asked, at, found);
        self.asking(asked, at, found);
        self.trading(asked, at, found);
        self.spending(asked, at, found);
    }

    /// "does AC/DC have", "did customers from Lisbon place", "do we sell".
    fn asking(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        if asked.open || !self.is(at, "do|does|did|have|has|are|is|were") {
            return;
        }
        let does = self.is(at, "do|does|did|have|has");
        let next = at + 1;
        if does && self.is(next, "we|you|people|they") {
            let mut open = asked.at_cost(0);
            open.open = true;
            found.push((open, next + 1));
            return;
        }
        for (mut noun, end) in self.nouns(
            asked,
            next,
            Wanted {
                subject: false,
                columns: false,
            },
        ) {
            noun.cost += 1;
            if does {
                noun.open = true;
                found.push((noun, end));
            } else if let Some(end) =
                self.phrases(end, "from|in|by|located in|based in|living in|coming from")
            {
                // "which countries are our customers from"
                if self.at_end(end) {
                    found.push((noun, end));
                }
            }
        }
        if does {
            for (values, all, end) in self.value_lists(self.skip(next)) {
                let value = Named {
                    values,
                    all,
                    column: None,
                    hint: None,
                    way: Way::Related,
                    agent: true,
                };
                let mut open = asked.with(Condition::Value(value));
                open.open = true;
                open.cost += 1;
                found.push((open, end));
            }
        }
    }

    /// The verb that an auxiliary waits for.
    fn closing(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        if !asked.open {
            return;
        }
        if let Some(end) = self.phrases(at, BELONGING) {
            let mut closed = asked.at_cost(0);
            closed.open = false;
            found.push((closed, self.maybe(end, "from|in").min(self.question.tokens.len())));
            found.push((closed_at(asked), end));
        }
        let verbs = [(SPENDING, Of::Revenue), (EARNING, Of::Revenue)];
        for (verbs, of) in verbs {
            let Some(end) = self.phrases(at, verbs).filter(|_| asked.act == Act::HowMuch) else {
                continue;
            };
            let mut spent = closed_at(asked).measuring(sum_of(of), 0);
            spent.act = Act::List;
            found.push((
                spent,
                self.phrases(end, "on|in total").filter(|_| false).unwrap_or(end),
            ));
        }
    }

    /// "who bought", "that were sold", "ordered by", "which X did Y buy".
    fn trading(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        if asked.heads.is_empty() {
            return;
        }
        let linking = "that|who|which|have|has|had|been|were|was|are|is|ever|and|,";
        let at = self.while_any(at, linking);
        let verb = self.word(at);
        for event in self.events(verb) {
            if !fits(asked, verb) {
                continue;
            }
            let mut next = asked.at_cost(1);
            let under = next.last();
            next.heads.push(Head {
                noun: Noun::Table(event),
                plural: true,
                under: Some(under),
            });
            next.open = false;
            next.after_verb = true;
            let trade = self.is(at, TRADE);
            // Of things, "how many were sold" asks for pieces.
            if trade && !asked.distinct && self.counts_goods(asked, event) {
                next.subject = asked.subject.filter(|_| asked.act != Act::Count);
                next.act = Act::List;
                next.measure = Some(sum_of(Of::Units));
                next.heads.pop();
            }
            found.push((next, at + 1));
        }
    }

    /// Whether what is counted is what is traded, not who trades.
    fn counts_goods(&self, asked: &Asked<'a>, event: &'a Table) -> bool {
        let counted = match &asked.measure {
            Some(measure) => match measure.of {
                Of::Rows(head) => Some(head),
                _ => None,
            },
            None => asked.subject.filter(|_| asked.act == Act::Count),
        };
        let head = counted.and_then(|counted| asked.heads.get(counted));
        let Some(Noun::Table(table)) = head.map(|head| &head.noun) else {
            return false;
        };
        *table != event && self.links.graph.up(event, table).is_err()
    }

    /// The tables that a verb stands for.
    fn events(&self, verb: &str) -> Vec<&'a Table> {
        let graph = &self.links.graph;
        let tables = || {
            self.links
                .schema
                .tables
                .iter()
                .filter(|table| !table.view && graph.refers(table))
        };
        let past = verb.ends_with("ed") && verb.len() > 4;
        let own = root(verb);
        let same: Vec<_> = tables()
            .filter(|table| matches!(&*table.words, [word] if root(word) == own))
            .collect();
        if past && !same.is_empty() {
            return same;
        }
        if !among(verb, TRADE) {
            return Vec::new();
        }
        let sales: Vec<_> = tables().filter(|table| table.is_sale()).collect();
        // Several kinds of sale: the one that is made of lines.
        let lines: Vec<_> = sales
            .iter()
            .filter(|sale| {
                tables().any(|line| {
                    line.line().is_some()
                        && line != **sale
                        && graph.up(line, sale).is_ok_and(|way| way.len() == 1)
                })
            })
            .copied()
            .collect();
        if sales.len() > 1 && lines.len() == 1 {
            lines
        } else {
            sales
        }
    }

    /// "who spent the most", "that sold the most".
    fn spending(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let free = asked.lists_rows()
            && asked.subject == Some(asked.last())
            && asked.measure.is_none()
            && asked.rank.is_none();
        if !free || asked.act != Act::List && asked.act != Act::Count {
            return;
        }
        let at = self.while_any(at, "that|who|which|have|has|and|,");
        let of = match self.word(at) {
            "spent" | "spend" | "spends" | "paid" => Of::Revenue,
            "sold" | "sells" | "sell" => Of::Units,
            _ => return,
        };
        if !fits(asked, self.word(at)) {
            return;
        }
        let next = self.skip(at + 1);
        let money = "money|units|copies|in total|of all";
        if let Some((up, end)) = match self.word(next) {
            "most" | "best" => Some((true, next + 1)),
            "least" | "worst" => Some((false, next + 1)),
            _ => None,
        } && asked.act == Act::List
        {
            let one = asked.limit.is_none() && asked.heads.last().is_none_or(|head| !head.plural);
            let mut ranked = asked.measuring(sum_of(of.clone()), 0);
            ranked.rank = Some(Rank {
                by: Some(By::Measure),
                up,
                one,
                all: false,
            });
            found.push((ranked, self.phrases(end, money).unwrap_or(end)));
        }
        for (op, number, end) in self.counted_comparison(self.skip(at + 1)) {
            let mut having = asked.measuring(sum_of(of.clone()), 0);
            having.having = Some((op, number));
            let end = self
                .phrases(end, "dollars|euros|pounds|units|in total")
                .unwrap_or(end);
            found.push((having, end));
        }
    }
}

fn closed_at<'a>(asked: &Asked<'a>) -> Asked<'a> {
    let mut closed = asked.at_cost(0);
    closed.open = false;
    closed
}

/// Whether the last noun can do what a verb says, or have it done to it: who buys
/// does not sell, who is no buyer does not buy, and a thing does not pay.
fn fits(asked: &Asked<'_>, verb: &str) -> bool {
    let Some(Noun::Table(table)) = asked.heads.last().map(|head| &head.noun) else {
        return true;
    };
    match verb {
        "sold" | "sell" | "sells" => !table.buys(),
        "spent" | "spend" | "spends" | "paid" | "pay" => table.buys(),
        _ if among(verb, TRADE) => table.buys() || !table.is_agent(),
        _ => true,
    }
}

fn sum_of(of: Of<'_>) -> Measure<'_> {
    let function = Function::Sum;
    Measure { function, of }
}

impl<'a> Asked<'a> {
    /// Whether the subject is a table.
    fn lists_rows(&self) -> bool {
        let head = self.subject.and_then(|subject| self.heads.get(subject));
        matches!(head.map(|head| &head.noun), Some(Noun::Table(_)))
    }
}
