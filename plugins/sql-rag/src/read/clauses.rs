//! What may follow the core of a question, in any order and number.

use super::nouns::part;
use super::{Act, Asked, Key, Noun, Of, Reader, Readings};

/// Phrases that add nothing.
const FILLERS: &str = "are there|there are|is there|there is|do we have|we have|do you have|have we got|have we|\
    did we have|did we get|did we make|did we receive|do we get|that we have|you have|available|are available|\
    exist|exists|do exist|are stored|are recorded|are registered|overall|altogether|in total|in all|please|\
    right now|now|currently|at the moment|so far|you know|you know of|as a list|in a list|as a table|in a table|\
    thanks|thank you|of all time|ever|at all|to me|for me|for us|to us|to date|,|were there|was there|there were|\
    did we earn|were made|was made|we made|we earned|we got|were placed|was placed|have been placed|do we earn|\
    do we make|of ours|together|did we take|each time|were received|did we sell in total";
/// Where all of it is.
const HERE: &str = "in the database|in our database|in this database|in the db|in the system|in the data|in the table|\
    on record|on file";
const GROUPS: &str = "by|per|for each|for every|in each|in every|of each|of every|from each|from every|on each|\
    to each|each|every|grouped by|group by|broken down by|break down by|split by|divided by|\
    within each|by each|for each of the|with each|a|for the different";
const HAVE: &str =
    "have|has|had|contain|contains|include|includes|make|made|hold|holds|get|place|own|offer|there";

impl<'a> Reader<'_, 'a> {
    /// The readings that go on with one more clause.
    pub(super) fn clauses(&self, asked: &Asked<'a>, at: usize) -> Readings<'a> {
        let mut found = Vec::new();
        if let Some(end) = self.phrases(at, FILLERS) {
            let mut next = asked.at_cost(0);
            next.after_verb = asked.after_verb;
            found.push((next, end));
        }
        let stands = self.while_any(at, "that|which|who|are|is|were|was|stored|registered|recorded");
        if let Some(end) = self.phrases(stands, HERE) {
            found.push((asked.at_cost(0), end));
        }
        let sold = "were sold|was sold|sold|have been sold|did we sell|have we sold|are sold";
        if let Some(end) = self.phrases(at, sold).filter(|_| asked.measures_units()) {
            found.push((asked.at_cost(0), end));
        }
        self.group(asked, at, &mut found);
        self.limit(asked, at, &mut found);
        self.order(asked, at, &mut found);
        self.ranked(asked, at, &mut found);
        self.conditions(asked, at, &mut found);
        self.comparisons(asked, at, &mut found);
        self.dates(asked, at, &mut found);
        self.verbs(asked, at, &mut found);
        found
    }

    fn group(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let waits = asked.rank.as_ref().is_some_and(|rank| rank.by.is_none());
        if !asked.keys.is_empty() || waits {
            return;
        }
        found.extend(self.groups(asked, self.while_any(at, "are|were|is|was|there")));
        // "how many tracks does each genre have"
        if self.is(at, "do|does|did") && self.is(at + 1, "each|every|the|different") {
            for (keys, end) in self.keys(self.skip(at + 1).max(self.maybe(at + 1, "each|every"))) {
                if self.is(end, HAVE) {
                    found.push((asked.grouping(keys), end + 1));
                }
            }
        }
    }

    /// "by country", "per genre and year".
    pub(super) fn groups(&self, asked: &Asked<'a>, at: usize) -> Readings<'a> {
        let Some(next) = self.phrases(at, GROUPS) else {
            return Vec::new();
        };
        // "a month", but not "a customer".
        let article = self.word(at) == "a";
        let mut found = Vec::new();
        for (keys, end) in self.keys(next) {
            let calendar = matches!(&*keys, [Key::Part(_)]);
            if article && !calendar {
                continue;
            }
            let several = matches!(&*keys, [Key::Table(_)])
                && self.token(end - 1).is_some_and(|token| token.stem != token.lower);
            let mut next = asked.grouping(keys);
            next.cost += u32::from(several);
            found.push((next, end));
        }
        found
    }

    fn keys(&self, at: usize) -> Vec<(Vec<Key<'a>>, usize)> {
        let mut found: Vec<_> = self
            .key(at)
            .into_iter()
            .map(|(key, end)| (vec![key], end))
            .collect();
        for (first, end) in found.clone() {
            let Some(next) = self.phrases(end, "and|,|and by|and per|and for each") else {
                continue;
            };
            for (second, end) in self.key(next) {
                found.push((first.iter().cloned().chain([second]).collect(), end));
            }
        }
        found
    }

    fn key(&self, at: usize) -> Vec<(Key<'a>, usize)> {
        let at = self.skip(at);
        let mut found: Vec<_> = self
            .tables(at)
            .map(|named| (Key::Table(named.table), named.end))
            .collect();
        let columns = self.column_phrases_of(at).into_iter();
        let columns = columns.filter(|(_, end)| !self.is_table(at, *end));
        found.extend(columns.map(|(mention, end)| (Key::Column(mention), end)));
        let next = self.maybe(at, "calendar|single|individual");
        found.extend(part(self.word(next)).map(|(part, _)| (Key::Part(part), next + 1)));
        found
    }

    /// "top 5" or "limit 5" at the end.
    fn limit(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        if asked.limit.is_some() {
            return;
        }
        let at = self.while_any(at, ",|the|only");
        let ordered = asked.order.is_some() || asked.rank.is_some() || asked.measure.is_some();
        if let Some((limit, end)) = self
            .phrases(at, "limit|limit to|limited to|top|first")
            .and_then(|next| self.how_many(next))
            && (ordered || self.word(at).starts_with("limit"))
        {
            let mut next = asked.at_cost(0);
            next.limit = Some(limit);
            found.push((next, self.maybe(end, "only|rows|results")));
        }
    }
}

impl<'a> Asked<'a> {
    fn measures_units(&self) -> bool {
        self.measure
            .as_ref()
            .is_some_and(|measure| matches!(measure.of, Of::Units))
    }

    /// A list that is grouped counts what it lists: "customers by country".
    fn grouping(&self, keys: Vec<Key<'a>>) -> Self {
        let mut next = self.at_cost(0);
        next.keys = keys;
        let table =
            |index: usize| matches!(next.heads.get(index).map(|head| &head.noun), Some(Noun::Table(_)));
        if next.act == Act::List && next.measure.is_none() && next.subject.is_some_and(table) {
            next.act = Act::Count;
            next.cost += 1;
        }
        next
    }
}
