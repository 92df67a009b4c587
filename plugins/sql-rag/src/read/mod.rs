//! Reads a question by a grammar: every way in which all of its words have a
//! part.
//!
//! A question is an opening ("how many", "show me"), its core (a noun phrase, a
//! measure or some columns of something), and clauses in any order (conditions,
//! groups, an order, a limit). Each rule takes a reading so far and a place, and
//! gives the readings that go on behind what it understood. A word that no rule
//! takes ends the reading, and when none reaches the end, the question is not
//! understood: that, not a list of forbidden words, keeps this from guessing.

mod clauses;
mod compare;
mod conditions;
mod cursor;
mod dates;
mod having;
mod like;
mod measure;
mod nouns;
mod opening;
mod order;
mod period;
mod rankings;
mod verbs;

use std::cell::Cell;
use std::rc::Rc;

use crate::link::{Links, Mention, Said};
use crate::schema::Table;
use crate::words::{Quality, Question};

pub(crate) use compare::Unit;
pub(crate) use period::{Day, Span};

/// The longest question, in words, the steps spent on one, and its readings. Past
/// any of them it is not read.
const MAX_TOKENS: usize = 60;
const MAX_STEPS: u32 = 20_000;
const MAX_READINGS: usize = 500;

/// One way to read a question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) act: Act,
    /// The nouns, in order.
    pub(crate) heads: Vec<Head<'a>>,
    /// Which of them is listed, counted or ranked.
    pub(crate) subject: Option<usize>,
    pub(crate) measure: Option<Measure<'a>>,
    pub(crate) shown: Vec<Noun<'a>>,
    pub(crate) keys: Vec<Key<'a>>,
    /// Conditions, each with the number of the last noun before it.
    pub(crate) conditions: Vec<(usize, Condition<'a>)>,
    pub(crate) rank: Option<Rank<'a>>,
    pub(crate) order: Option<Order<'a>>,
    pub(crate) limit: Option<u32>,
    /// Only groups whose measure compares so.
    pub(crate) having: Option<(Op, f64)>,
    pub(crate) distinct: bool,
    /// The measure is only a column's name, which adds up where it is grouped.
    pub(crate) implied: bool,
    /// An auxiliary that waits for its verb ("how many does X ...").
    pub(crate) open: bool,
    /// The last thing read was a verb, which may take an object without a
    /// preposition.
    pub(crate) after_verb: bool,
    /// How far the reading is from the plain sense of the words.
    pub(crate) cost: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Act {
    #[default]
    List,
    Count,
    /// "How much": waits for a measure.
    HowMuch,
}

#[derive(Debug, Clone)]
pub(crate) struct Head<'a> {
    pub(crate) noun: Noun<'a>,
    pub(crate) plural: bool,
    /// Of a verb's noun, as the sale in "customers who bought": the one
    /// noun before it that it belongs to.
    pub(crate) under: Option<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Noun<'a> {
    Table(&'a Table),
    Column(Mention<'a>),
    Part(Part),
}

/// A stretch of the calendar to group by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Year,
    Quarter,
    Month,
    Day,
}

#[derive(Debug, Clone)]
pub(crate) enum Key<'a> {
    Table(&'a Table),
    Column(Mention<'a>),
    Part(Part),
}

#[derive(Debug, Clone)]
pub(crate) struct Measure<'a> {
    pub(crate) function: Function,
    pub(crate) of: Of<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    Sum,
    Average,
    Least,
    Most,
}

#[derive(Debug, Clone)]
pub(crate) enum Of<'a> {
    /// Rows of a noun, or its different values.
    Rows(usize),
    /// What a noun comes to: its one column that says so.
    Whole(usize),
    Column(Mention<'a>),
    Quality(Quality),
    Revenue,
    Units,
}

#[derive(Debug, Clone)]
pub(crate) struct Rank<'a> {
    /// None until the question tells by what.
    pub(crate) by: Option<By<'a>>,
    /// The most first.
    pub(crate) up: bool,
    /// Only the first, or those that share its place.
    pub(crate) one: bool,
    /// Not only the first few: they are sorted, not chosen.
    pub(crate) all: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum By<'a> {
    Quality(Quality),
    Column(Mention<'a>),
    Measure,
}

#[derive(Debug, Clone)]
pub(crate) struct Order<'a> {
    pub(crate) by: Sort<'a>,
    pub(crate) descending: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Sort<'a> {
    Column(Mention<'a>),
    Quality(Quality),
    Label,
    Measure,
}

#[derive(Debug, Clone)]
pub(crate) enum Condition<'a> {
    Value(Named<'a>),
    /// The key of a row: "invoice 404".
    Key(f64),
    Compare {
        what: Compared<'a>,
        op: Op,
        amount: Amount,
    },
    /// From a day, to before a day.
    Date {
        column: Option<Mention<'a>>,
        span: Span,
    },
    /// A column that says yes or no.
    Flag(Mention<'a>),
    /// Text that holds, begins or ends with a text.
    Like {
        column: Option<Mention<'a>>,
        pattern: Pattern,
        text: String,
    },
}

/// A value as a condition.
#[derive(Debug, Clone)]
pub(crate) struct Named<'a> {
    /// Any of them.
    pub(crate) values: Vec<Rc<Said<'a>>>,
    /// "and" stood between them, which means "or" only of what a row has one of.
    pub(crate) all: bool,
    /// The column it is said to be of.
    pub(crate) column: Option<Mention<'a>>,
    /// The root of a participle before it: "shipped to".
    pub(crate) hint: Option<String>,
    pub(crate) way: Way,
    /// Said of somebody who did something: "by X", "X's", "did X".
    pub(crate) agent: bool,
}

/// How a value stands to its noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Before it: "rock tracks".
    Before,
    /// After it as its name: "the genre Rock".
    Name,
    /// Behind a preposition or a verb.
    Related,
    /// Behind "is" or "are".
    Predicate,
}

#[derive(Debug, Clone)]
pub(crate) enum Compared<'a> {
    Column(Mention<'a>),
    Quality(Quality),
    /// Nothing is said: "orders over 100".
    Bare,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amount {
    pub(crate) value: f64,
    pub(crate) money: bool,
    pub(crate) unit: Option<Unit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Less,
    LessOrEqual,
    Equal,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Holds,
    Begins,
    Ends,
}

/// Readings that go on from a place.
type Readings<'a> = Vec<(Asked<'a>, usize)>;

/// A question and what its words may mean.
pub(crate) struct Reader<'q, 'a> {
    question: &'q Question,
    links: &'q Links<'a>,
    steps: Cell<u32>,
}

/// Every reading that leaves no word over.
pub(crate) fn readings<'a>(question: &Question, links: &Links<'a>) -> Vec<Asked<'a>> {
    if question.tokens.len() > MAX_TOKENS {
        return Vec::new();
    }
    let reader = Reader {
        question,
        links,
        steps: Cell::new(MAX_STEPS),
    };
    let mut whole = Vec::new();
    for (asked, at) in reader.core() {
        reader.go_on(&asked, at, &mut whole);
    }
    // What was left off could be another meaning.
    if reader.steps.get() == 0 || whole.len() >= MAX_READINGS {
        return Vec::new();
    }
    whole.retain(Asked::is_whole);
    whole
}

impl<'a> Reader<'_, 'a> {
    /// Follows every clause from a place to the end.
    fn go_on(&self, asked: &Asked<'a>, at: usize, whole: &mut Vec<Asked<'a>>) {
        if at >= self.question.tokens.len() {
            whole.push(asked.clone());
            return;
        }
        let left = self.steps.get().checked_sub(1);
        let Some(left) = left.filter(|_| whole.len() < MAX_READINGS) else {
            return;
        };
        self.steps.set(left);
        for (next, to) in self.clauses(asked, at) {
            if to > at {
                self.go_on(&next, to, whole);
            }
        }
    }
}

impl<'a> Asked<'a> {
    /// Nothing is left waiting for its other half.
    fn is_whole(&self) -> bool {
        let ranked = self.rank.as_ref().is_none_or(|rank| rank.by.is_some());
        let asks = self.subject.is_some() || self.measure.is_some();
        let grouped = !self.implied || self.subject.is_some() || !self.keys.is_empty();
        ranked && asks && grouped && !self.open && self.act != Act::HowMuch
    }

    fn at_cost(&self, cost: u32) -> Self {
        let mut next = self.clone();
        next.cost += cost;
        next.after_verb = false;
        next
    }

    /// The number of the last noun.
    fn last(&self) -> usize {
        self.heads.len().saturating_sub(1)
    }

    fn with(&self, condition: Condition<'a>) -> Self {
        let mut next = self.at_cost(0);
        let last = next.last();
        next.conditions.push((last, condition));
        next
    }

    fn with_head(&self, noun: Noun<'a>, plural: bool) -> Self {
        let mut next = self.at_cost(0);
        next.heads.push(Head {
            noun,
            plural,
            under: None,
        });
        next
    }
}
