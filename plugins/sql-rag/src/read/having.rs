//! Conditions and ranks that count or measure: "with more than 10 albums", "with
//! the highest total"; and what a list is to show beside its rows.

use crate::words::{Degree, Quality};

use super::conditions::{HAVING, Led};
use super::nouns::Wanted;
use super::{Act, Asked, By, Function, Measure, Noun, Of, Rank, Reader, Readings};

const COUNTED: Wanted = Wanted {
    subject: false,
    columns: false,
};

impl<'a> Reader<'_, 'a> {
    /// "with more than 10 albums", "who placed at least five orders".
    pub(super) fn having(&self, asked: &Asked<'a>, led: Led, found: &mut Readings<'a>) {
        let only = asked.subject == Some(asked.last()) && asked.having.is_none() && asked.measure.is_none();
        if !only || !(self.is(led.at, HAVING) || led.any) {
            return;
        }
        let at = self.maybe(led.at, HAVING);
        let at = self.maybe(at, "a|the");
        let mut compared = Vec::new();
        for (op, number, next) in self.counted_comparison(at) {
            for (noun, end) in self.nouns(asked, next, COUNTED) {
                compared.push((noun.counting(), op, number, end));
            }
        }
        // "with a number of tracks over 10", "whose revenue is more than 40"
        for (measured, end) in self.measures(asked, at) {
            let next = self.while_any(end, "is|are|of|was");
            compared.extend(
                self.counted_comparison(next)
                    .into_iter()
                    .map(|(op, number, end)| (measured.clone(), op, number, end)),
            );
        }
        for (mut next, op, number, end) in compared {
            next.having = Some((op, number));
            next.open = false;
            found.push((next, end));
        }
    }

    /// "with the most albums", "has the highest total", "is the most expensive".
    pub(super) fn most(&self, asked: &Asked<'a>, led: Led, found: &mut Readings<'a>) {
        let only = asked.subject == Some(asked.last()) && asked.rank.is_none() && asked.measure.is_none();
        if !only || asked.act != Act::List {
            return;
        }
        let one = asked.limit.is_none() && asked.heads.last().is_none_or(|head| !head.plural);
        let rank = |by: By<'a>, up: bool| Rank {
            by: Some(by),
            up,
            one,
            all: false,
        };
        if led.being {
            let at = self.skip(led.at);
            for (by, up, end) in self.superlative(at) {
                let mut next = asked.at_cost(0);
                next.rank = Some(rank(By::Quality(by), up));
                found.push((next, self.maybe(end, "one|ones")));
            }
            return;
        }
        if !(self.is(led.at, HAVING) || self.word(led.at) == "with") {
            return;
        }
        let at = self.skip(led.at + 1);
        let (up, next) = match (self.word(at), self.adjective(at)) {
            ("most", _) => (true, at + 1),
            ("fewest" | "least", _) => (false, at + 1),
            (_, Some(own)) if own.degree == Degree::Superlative => (own.up, at + 1),
            _ => return,
        };
        let counted = self.is(at, "most|fewest|least");
        if counted {
            for (noun, end) in self.nouns(asked, next, COUNTED) {
                let mut noun = noun.counting();
                noun.rank = Some(rank(By::Measure, up));
                noun.open = false;
                found.push((noun, end));
            }
        }
        for (mut measured, end) in self.measures(asked, next) {
            measured.rank = Some(rank(By::Measure, up));
            measured.open = false;
            found.push((measured, end));
        }
        for (mention, end) in self.column_phrases(next) {
            // Of several ratings it is their average that is high.
            if mention
                .fields
                .iter()
                .any(|(field, _)| field.column.has_any(&["rating", "score"]))
            {
                let (function, of) = (Function::Average, Of::Column(mention.clone()));
                let mut rated = asked.measuring(Measure { function, of }, 1);
                rated.rank = Some(rank(By::Measure, up));
                rated.open = false;
                found.push((rated, end));
            }
            let mut next = asked.at_cost(0);
            next.rank = Some(rank(By::Column(mention), up));
            next.open = false;
            found.push((next, end));
        }
    }

    /// "most expensive", "longest": a superlative on its own.
    fn superlative(&self, at: usize) -> Vec<(Quality, bool, usize)> {
        let own = self.adjective(at).filter(|own| own.degree == Degree::Superlative);
        if let Some(own) = own {
            return vec![(own.quality, own.up, at + 1)];
        }
        let positive = self
            .adjective(at + 1)
            .filter(|own| own.degree == Degree::Positive);
        match (self.word(at), positive) {
            ("most", Some(own)) => vec![(own.quality, own.up, at + 2)],
            ("least", Some(own)) => vec![(own.quality, !own.up, at + 2)],
            _ => Vec::new(),
        }
    }

    /// "with their emails", "and their number of tracks".
    pub(super) fn with_columns(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let listed = asked.act == Act::List && asked.subject.is_some();
        let phrases = "with|and|including|plus|along with|together with|showing|, with|, including|\
            with the|and the";
        let Some(next) = self
            .phrases(at, phrases)
            .filter(|_| listed && asked.measure.is_none())
        else {
            return;
        };
        // "customers with a company" is a condition.
        if self.is(next, "a|an|any|some") {
            return;
        }
        let theirs = self.is(next, "their|its|his|her|the");
        for (shown, end) in self.shown(next) {
            // "tracks and albums" are two lists.
            if !theirs && shown.iter().any(|noun| matches!(noun, Noun::Table(_))) && self.is(at, "and|plus|,")
            {
                continue;
            }
            let mut next = asked.at_cost(u32::from(!theirs) * 2);
            next.shown.extend(shown);
            found.push((next, end));
        }
        let joined = theirs || self.is(at, "and|plus");
        for (mut measured, end) in self.measures(asked, next) {
            measured.cost += u32::from(!joined) * 3;
            found.push((measured, end));
        }
    }
}
