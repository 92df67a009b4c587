//! When: "in 2010", "since March 2011", "between 2009 and 2011", "shipped in
//! 1997".

use crate::words::{Degree, Quality};

use super::{Asked, Condition, Reader, Readings, Span};

const WITHIN: &str = "in|during|of|for|from|throughout|within|on|over|dated|in the course of";
const SINCE: &str = "since|starting in|starting from|from|as of|on or after|beginning in|starting";
const AFTER: &str = "after|later than|newer than|following";
const BEFORE: &str = "before|prior to|earlier than|older than|until before";
const UNTIL: &str = "until|till|through|up to|up until|by the end of|on or before";

impl<'a> Reader<'_, 'a> {
    pub(super) fn dates(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let led = self.led(at);
        let at = self.maybe(led.at, "with|having|a|the");
        // "shipped in 1997", "whose order date is after 2010"
        let mut starts = vec![(None, led.at)];
        for (mention, end) in self.column_phrases(at) {
            starts.push((Some(mention), self.while_any(end, "is|was|are|were")));
        }
        for mention in self.links.spot(led.at).into_iter().flat_map(|spot| &spot.dates) {
            starts.push((Some(mention.clone()), mention.end));
        }
        if let Some((None, end)) = self.participle(led.at) {
            starts.push((None, end));
        }
        for (column, start) in starts {
            for (span, end) in self.spans(start) {
                let column = column.clone();
                found.push((asked.with(Condition::Date { column, span }), end));
            }
        }
    }

    fn spans(&self, at: usize) -> Vec<(Span, usize)> {
        let mut found = Vec::new();
        let mut add = |from, to, end| found.push((Span { from, to }, end));
        if let Some((from, to, end)) = self.phrases(at, "between|from").and_then(|next| self.two(next)) {
            add(Some(from), Some(to), end);
            return found;
        }
        let lists = [(WITHIN, 0), (SINCE, 1), (AFTER, 2), (BEFORE, 3), (UNTIL, 4)];
        for (list, kind) in lists {
            let Some((from, to, end)) = self.phrases(at, list).and_then(|next| self.period(next)) else {
                continue;
            };
            match kind {
                0 => add(Some(from), Some(to), end),
                1 if self.word(at) == "from" => {
                    let onwards = self.phrases(end, "on|onwards|onward|and later");
                    if let Some(end) = onwards {
                        add(Some(from), None, end);
                    }
                }
                1 => add(Some(from), None, end),
                2 => add(Some(to), None, end),
                3 => add(None, Some(from), end),
                _ => add(None, Some(to), end),
            }
        }
        let own = self.adjective(at).filter(|own| own.degree == Degree::Comparative);
        if own.is_some_and(|own| !matches!(own.quality, Quality::Age | Quality::Time)) {
            found.clear();
        }
        found
    }

    /// "2009 and 2011", "March 2010 to May 2010".
    fn two(&self, at: usize) -> Option<(super::Day, super::Day, usize)> {
        let (from, _, end) = self.period(at)?;
        let next = self.phrases(end, "and|to|until|through|till|up to")?;
        let (_, to, end) = self.period(next)?;
        (from < to).then_some((from, to, end))
    }
}
