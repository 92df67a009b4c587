//! In which order, and by what the best are told.

use crate::words::Degree;

use super::{Act, Asked, By, Noun, Order, Rank, Reader, Readings, Sort};

const SORTED: &str = "sorted by|ordered by|order by|sort by|in order of|ranked by|arranged by|listed by|sorted|\
    ordered|and sort by|and order by|, sorted by|, ordered by|and sorted by";
const BY: &str = "by|according to|in terms of|based on|with respect to|measured by|ranked by|sorted by|ordered by|\
    in order of|rank by";
const DOWN: &str = "descending|desc|in descending order|descending order|from highest to lowest|from high to low|\
    highest first|largest first|biggest first|from largest to smallest|from most to least|\
    from newest to oldest|most first|in reverse order";
const UP: &str = "ascending|asc|in ascending order|ascending order|from lowest to highest|from low to high|\
    lowest first|smallest first|from smallest to largest|from least to most|from oldest to newest";

impl<'a> Reader<'_, 'a> {
    pub(super) fn order(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        if asked.order.is_some() {
            return;
        }
        let mut add = |by: Sort<'a>, descending: bool, end: usize, cost: u32| {
            let mut next = asked.at_cost(cost);
            next.order = Some(Order { by, descending });
            found.push((next, end));
        };
        let at = self.maybe(at, ",|and");
        if let Some(end) = self.phrases(
            at,
            "alphabetically|in alphabetical order|sorted alphabetically|ordered alphabetically|\
                by name|from a to z",
        ) {
            add(Sort::Label, false, end, 0);
        }
        if let Some(own) = self.adjective(at).filter(|own| own.degree == Degree::Superlative)
            && self.word(at + 1) == "first"
        {
            add(Sort::Quality(own.quality), own.up, at + 2, 0);
        }
        if self.is(at, "most")
            && self.word(at + 2) == "first"
            && let Some(own) = self.adjective(at + 1)
        {
            add(Sort::Quality(own.quality), own.up, at + 3, 0);
        }
        let grouped = asked.measure.is_some() || asked.act == Act::Count;
        if let Some(next) = self.phrases(at, SORTED) {
            if grouped && let Some((descending, end)) = self.direction(next) {
                add(Sort::Measure, descending, end, 0);
            }
            for (mention, end) in self.column_phrases_of(next) {
                let (descending, end) = self.direction(end).unwrap_or((false, end));
                add(Sort::Column(mention), descending, end, 0);
            }
            let counted = self.phrases(next, "number|count|the number|the count|that|it|total|the total");
            if let Some(end) = counted.filter(|_| grouped) {
                let (descending, end) = self.direction(end).unwrap_or((true, end));
                add(Sort::Measure, descending, end, 1);
            }
        } else if self.word(at) == "by" && asked.rank.is_none() && !grouped {
            // "products by price": a column one does not group by.
            for (mention, end) in self.column_phrases_of(at + 1) {
                let sorts = |field: &crate::schema::Field<'_>| {
                    field.column.is_measure()
                        || field.column.may_be_date()
                        || field.table.is_label(field.column)
                };
                if mention.fields.iter().all(|(field, _)| sorts(field)) {
                    let (descending, end) = self.direction(end).unwrap_or((false, end));
                    add(Sort::Column(mention), descending, end, 0);
                }
            }
        } else if let Some((descending, end)) = self.direction(at).filter(|_| grouped) {
            add(Sort::Measure, descending, end, 0);
        }
    }

    fn direction(&self, at: usize) -> Option<(bool, usize)> {
        let at = self.maybe(at, ",");
        let down = self.phrases(at, DOWN).map(|end| (true, end));
        down.or_else(|| self.phrases(at, UP).map(|end| (false, end)))
    }

    /// "top five artists by number of tracks", "artists by number of tracks".
    pub(super) fn ranked(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let (Some(_), Act::List, None) = (asked.subject, asked.act, &asked.measure) else {
            return;
        };
        let waits = match &asked.rank {
            Some(rank) if rank.by.is_some() => return,
            Some(_) => true,
            None => false,
        };
        let at = self.maybe(at, ",");
        let Some(next) = self.phrases(at, BY) else {
            return;
        };
        let ranking = |by: By<'a>, descending: Option<bool>| {
            let rank = asked.rank.clone().unwrap_or(Rank {
                by: None,
                up: true,
                one: false,
                all: true,
            });
            Rank {
                by: Some(by),
                up: descending.unwrap_or(rank.up),
                one: rank.one,
                all: rank.all,
            }
        };
        for (measured, end) in self.measures(asked, next) {
            let direction = self.direction(end);
            let mut next = measured;
            if waits || direction.is_some() {
                next.rank = Some(ranking(By::Measure, direction.map(|(down, _)| down)));
            }
            found.push((next, direction.map_or(end, |(_, end)| end)));
        }
        if !waits {
            return;
        }
        for (mention, end) in self.column_phrases(next) {
            let mut next = asked.at_cost(0);
            next.rank = Some(ranking(By::Column(mention), None));
            found.push((next, end));
        }
        for named in self.tables(self.skip(next)) {
            let mut next = asked.with_head(Noun::Table(named.table), named.plural).counting();
            next.cost += named.cost + 1;
            next.rank = Some(ranking(By::Measure, None));
            found.push((next, named.end));
        }
    }
}
