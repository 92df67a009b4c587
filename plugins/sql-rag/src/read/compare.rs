//! Comparisons: "over 100", "at least five", "longer than 5 minutes", "price
//! between 5 and 10".

use crate::words::{Degree, Quality};

use super::{Amount, Asked, Compared, Condition, Op, Reader, Readings};

const GREATER: &str = "more than|greater than|higher than|larger than|bigger than|over|above|exceeding|exceeds|>|\
    in excess of";
const GREATER_OR_EQUAL: &str = "at least|no less than|not less than|a minimum of|minimum of|>=|no fewer than";
const LESS: &str = "less than|fewer than|lower than|smaller than|under|below|<";
const LESS_OR_EQUAL: &str = "at most|up to|no more than|not more than|a maximum of|maximum of|<=";
const EQUAL: &str = "exactly|equal to|equals|=";

/// A unit of time that an amount is given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Millisecond,
    Second,
    Minute,
    Hour,
}

impl Unit {
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "millisecond" | "milliseconds" | "ms" | "millis" => Self::Millisecond,
            "second" | "seconds" | "sec" | "secs" | "s" => Self::Second,
            "minute" | "minutes" | "min" | "mins" => Self::Minute,
            "hour" | "hours" => Self::Hour,
            _ => return None,
        })
    }

    pub(crate) fn milliseconds(self) -> f64 {
        match self {
            Self::Millisecond => 1.0,
            Self::Second => 1e3,
            Self::Minute => 6e4,
            Self::Hour => 3.6e6,
        }
    }
}

impl<'a> Reader<'_, 'a> {
    pub(super) fn comparisons(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        if asked.heads.is_empty() && asked.measure.is_none() {
            return;
        }
        let led = self.led(at);
        let at = self.maybe(led.at, "with|having|have|has|of|for|at|had|worth|costing|priced");
        let bare = self.maybe(at, "a|an|the");
        self.by_adjective(asked, at, found);
        let mut what: Vec<(Compared<'a>, usize)> = vec![(Compared::Bare, bare)];
        if self.is(led.at, "costing|cost|costs|priced|worth") {
            let next = self.maybe(led.at + 1, "at");
            what = vec![(Compared::Quality(Quality::Money), next)];
        }
        for (mention, end) in self.column_phrases(at) {
            let end = self.while_any(end, "is|are|was|of|were|that");
            what.push((Compared::Column(mention), end));
        }
        for (what, next) in what {
            for (op, amount, end) in self.compared(next, &what) {
                let compare = |what: &Compared<'a>| {
                    asked.with(Condition::Compare {
                        what: what.clone(),
                        op,
                        amount,
                    })
                };
                found.push((compare(&what), end));
                // "more than 100 in stock"
                if let Compared::Bare = what {
                    for (mention, end) in self.column_phrases(self.maybe(end, "in|of")) {
                        found.push((compare(&Compared::Column(mention)), end));
                    }
                }
            }
            // "with 0 units in stock"
            if let (Compared::Bare, Some((amount, end))) = (&what, self.amount(next)) {
                for (mention, end) in self.column_phrases(end) {
                    let what = Compared::Column(mention);
                    let op = Op::Equal;
                    found.push((asked.with(Condition::Compare { what, op, amount }), end));
                }
            }
            if let Some((from, to, end)) = self.between(next) {
                let bound = |op, amount| Condition::Compare {
                    what: what.clone(),
                    op,
                    amount,
                };
                let both = asked
                    .with(bound(Op::GreaterOrEqual, from))
                    .with(bound(Op::LessOrEqual, to));
                found.push((both, end));
            }
        }
    }

    /// "longer than 5 minutes", "more expensive than 10", "10 or cheaper".
    fn by_adjective(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let (quality, up, next) = match (self.word(at), self.adjective(at), self.adjective(at + 1)) {
            ("more", _, Some(own)) if own.degree == Degree::Positive => (own.quality, own.up, at + 2),
            ("less", _, Some(own)) if own.degree == Degree::Positive => (own.quality, !own.up, at + 2),
            (_, Some(own), _) if own.degree == Degree::Comparative => (own.quality, own.up, at + 1),
            _ => return,
        };
        // Size says nothing of its own: "bigger than" is a sign of comparison.
        let own = matches!(
            quality,
            Quality::Money | Quality::Duration | Quality::Weight | Quality::Rating
        );
        let Some(next) = self.phrase(next, "than").filter(|_| own) else {
            return;
        };
        let op = if up { Op::Greater } else { Op::Less };
        if let Some((amount, end)) = self.amount(next) {
            let what = Compared::Quality(quality);
            found.push((asked.with(Condition::Compare { what, op, amount }), end));
        }
    }

    fn compared(&self, at: usize, what: &Compared<'a>) -> Vec<(Op, Amount, usize)> {
        let mut found = Vec::new();
        if let Some((op, next)) = self.op(at) {
            found.extend(self.amount(next).map(|(amount, end)| (op, amount, end)));
        }
        let Some((amount, end)) = self.amount(at) else {
            return found;
        };
        if let Some(end) = self.phrases(end, "or more|and more|or above|or higher|and up|or over") {
            found.push((Op::GreaterOrEqual, amount, end));
        } else if let Some(end) = self.phrases(end, "or less|or fewer|or below|or lower|or under|or cheaper")
        {
            found.push((Op::LessOrEqual, amount, end));
        } else if !matches!(what, Compared::Bare) {
            // "with rating 5"
            found.push((Op::Equal, amount, end));
        }
        found
    }

    /// The same of a number of things, with the place behind the number.
    pub(super) fn counted_comparison(&self, at: usize) -> Vec<(Op, f64, usize)> {
        let mut found = Vec::new();
        if let Some((op, next)) = self.op(at) {
            found.extend(self.number(next).map(|(number, end)| (op, number.value, end)));
        }
        if let Some((number, end)) = self.number(at) {
            if let Some(end) = self.phrase(end, "or more") {
                found.push((Op::GreaterOrEqual, number.value, end));
            } else if let Some(end) = self.phrases(end, "or fewer|or less") {
                found.push((Op::LessOrEqual, number.value, end));
            } else if number.value.fract() == 0.0 {
                found.push((Op::Equal, number.value, end));
            }
        }
        found
    }

    fn op(&self, at: usize) -> Option<(Op, usize)> {
        let lists = [
            (Op::Greater, GREATER),
            (Op::GreaterOrEqual, GREATER_OR_EQUAL),
            (Op::Less, LESS),
            (Op::LessOrEqual, LESS_OR_EQUAL),
            (Op::Equal, EQUAL),
        ];
        let found = lists
            .iter()
            .filter_map(|(op, list)| Some((*op, self.phrases(at, list)?)));
        found.max_by_key(|(_, end)| *end)
    }

    fn between(&self, at: usize) -> Option<(Amount, Amount, usize)> {
        let next = self.phrases(at, "between|from")?;
        let (mut from, end) = self.amount(next)?;
        let next = self.phrases(end, "and|to")?;
        let (to, end) = self.amount(next)?;
        from.unit = from.unit.or(to.unit);
        from.money |= to.money;
        // Two years are dates.
        let years = !from.money && from.unit.is_none() && is_year(from.value) && is_year(to.value);
        (!years && from.value <= to.value).then_some((from, to, end))
    }

    /// A number with its unit. What looks like a year is none unless it has one.
    fn amount(&self, at: usize) -> Option<(Amount, usize)> {
        let (number, end) = self.number(at)?;
        let unit = Unit::of(self.word(end));
        let currency = self.is(end, "dollars|dollar|euros|euro|pounds|usd|eur|gbp|bucks");
        let amount = Amount {
            value: number.value,
            money: number.money || currency,
            unit,
        };
        Some((amount, end + usize::from(unit.is_some() || currency)))
    }
}

impl Op {
    /// In words, after "is".
    pub(crate) fn said(self) -> &'static str {
        match self {
            Self::Less => "under ",
            Self::LessOrEqual => "at most ",
            Self::Equal => "",
            Self::Greater => "over ",
            Self::GreaterOrEqual => "at least ",
        }
    }

    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

fn is_year(value: f64) -> bool {
    value.fract() == 0.0 && (1900.0..=2100.0).contains(&value)
}
