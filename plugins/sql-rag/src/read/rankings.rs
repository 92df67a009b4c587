//! Superlatives before a noun: "top", "cheapest", "most expensive", "best
//! selling", "highest rated", "most reviewed".

use crate::link::Mention;
use crate::schema::{Field, Table};
use crate::words::{Adjective, Degree, Quality, root};

use super::{By, Function, Measure, Of, Rank, Reader};

/// A superlative, and what it ranks by if it says so.
pub(super) struct Ranking<'a> {
    pub(super) rank: Rank<'a>,
    pub(super) measure: Option<Measure<'a>>,
    /// What is counted: the reviews of "most reviewed".
    pub(super) counted: Option<&'a Table>,
    pub(super) end: usize,
}

impl<'a> Ranking<'a> {
    fn new(up: bool, by: Option<By<'a>>, end: usize) -> Self {
        let rank = Rank {
            by,
            up,
            one: false,
            all: false,
        };
        Self {
            rank,
            measure: None,
            counted: None,
            end,
        }
    }

    fn measured(up: bool, function: Function, of: Of<'a>, end: usize) -> Self {
        Self {
            measure: Some(Measure { function, of }),
            ..Self::new(up, Some(By::Measure), end)
        }
    }
}

impl<'a> Reader<'_, 'a> {
    pub(super) fn rankings(&self, at: usize) -> Vec<Ranking<'a>> {
        let mut found = Vec::new();
        let (up, superlative) = match (self.word(at), self.adjective(at)) {
            ("top" | "leading" | "most", _) => (true, None),
            ("bottom" | "least", _) => (false, None),
            (word @ ("first" | "last"), _) => {
                return vec![Ranking::new(
                    word == "last",
                    Some(By::Quality(Quality::Time)),
                    at + 1,
                )];
            }
            (_, Some(own)) if own.degree == Degree::Superlative => (own.up, Some(own)),
            _ => return found,
        };
        found.extend(self.simple(at, up, superlative));
        if superlative.is_none_or(|own| matches!(own.quality, Quality::Rating | Quality::Size)) {
            self.participles(at + 1, up, &mut found);
        }
        found
    }

    fn simple(&self, at: usize, up: bool, superlative: Option<Adjective>) -> Option<Ranking<'a>> {
        match superlative.map(|own| own.quality) {
            // Good at what, the rest has to tell.
            Some(Quality::Rating) => Some(Ranking::new(up, None, at + 1)),
            Some(quality) => Some(Ranking::new(up, Some(By::Quality(quality)), at + 1)),
            None if self.is(at, "most|least") => {
                let positive = self.adjective(at + 1);
                let positive = positive.filter(|own| own.degree == Degree::Positive)?;
                let by = By::Quality(positive.quality);
                Some(Ranking::new(positive.up == up, Some(by), at + 2))
            }
            None => Some(Ranking::new(up, None, at + 1)),
        }
    }

    /// "selling", "rated", "reviewed", "priced".
    fn participles(&self, at: usize, up: bool, found: &mut Vec<Ranking<'a>>) {
        let word = self.word(at);
        if self.is(at, "selling|sold|bought|purchased|ordered") {
            found.push(Ranking::measured(up, Function::Sum, Of::Units, at + 1));
        } else if word == "rated" {
            let rating = self.links.columns_called("rating", at + 1);
            found.extend(
                rating.map(|rating| Ranking::measured(up, Function::Average, Of::Column(rating), at + 1)),
            );
        } else if word.ends_with("ed") {
            let own = root(word);
            let events = self.links.schema.tables.iter().filter(|table| {
                let same = matches!(&*table.words, [word] if root(word) == own);
                same && !table.view && self.links.graph.refers(table)
            });
            found.extend(events.map(|event| Ranking {
                counted: Some(event),
                ..Ranking::new(up, Some(By::Measure), at + 1)
            }));
            let measure = self.of_family(word, at + 1);
            found.extend(measure.map(|mention| Ranking::new(up, Some(By::Column(mention)), at + 1)));
        }
    }

    /// The measures whose names are of a participle's root: "priced".
    fn of_family(&self, participle: &str, end: usize) -> Option<Mention<'a>> {
        let own = root(participle);
        let measure = |field: &Field<'_>| {
            field.column.is_measure() && field.column.words.iter().any(|word| root(word) == own)
        };
        let fields = self.links.schema.fields().filter(measure);
        let fields: Vec<_> = fields.map(|field| (field, 1)).collect();
        let said = participle.to_string();
        (!fields.is_empty()).then_some(Mention {
            fields,
            owner: None,
            end,
            said,
            plural: false,
        })
    }
}
