//! Text that holds, begins or ends with a text.

use super::conditions::Led;
use super::{Asked, Condition, Pattern, Reader, Readings};

impl<'a> Reader<'_, 'a> {
    /// "whose name starts with A", "with love in the title".
    pub(super) fn like(&self, asked: &Asked<'a>, led: Led, found: &mut Readings<'a>) {
        self.holding(asked, led.at, found);
        let at = self.maybe(led.at, "with|whose|the");
        let mut columns = vec![(None, led.at)];
        columns.extend(
            self.column_phrases(at)
                .into_iter()
                .map(|(mention, end)| (Some(mention), end)),
        );
        for (column, at) in columns {
            let (pattern, next) = if let Some(next) = self.phrases(
                at,
                "starting with|starts with|start with|begins with|beginning with|begin with",
            ) {
                (Pattern::Begins, next)
            } else if let Some(next) =
                self.phrases(at, "ending with|ends with|ending in|ends in|end with|end in")
            {
                (Pattern::Ends, next)
            } else if let (Some(next), true) =
                (self.phrases(at, "contains|containing|contain"), column.is_some())
            {
                (Pattern::Holds, next)
            } else {
                continue;
            };
            let next = self
                .phrases(next, "the letter|the letters|the word|the text")
                .unwrap_or(next);
            if let Some(token) = self.token(next) {
                let text = self
                    .question
                    .text
                    .get(token.start..token.end)
                    .unwrap_or_default()
                    .to_string();
                found.push((
                    asked.with(Condition::Like {
                        column,
                        pattern,
                        text,
                    }),
                    next + 1,
                ));
            }
        }
    }

    /// "with love in the title".
    fn holding(&self, asked: &Asked<'a>, at: usize, found: &mut Readings<'a>) {
        let Some(start) = self.phrases(at, "with|with the word|containing|that have|having|that contain")
        else {
            return;
        };
        for end in start + 1..start + 5 {
            let Some(next) = self.phrases(end, "in the|in their|in its") else {
                continue;
            };
            let text = self.question.slice(start, end).to_string();
            let (pattern, name) = (Pattern::Holds, self.is(next, "name|names|title|titles"));
            if name {
                let column = None;
                let condition = Condition::Like {
                    column,
                    pattern,
                    text: text.clone(),
                };
                found.push((asked.with(condition), next + 1));
            }
            for mention in self.columns(next).filter(|_| !name) {
                let column = Some(mention.clone());
                let condition = Condition::Like {
                    column,
                    pattern,
                    text: text.clone(),
                };
                found.push((asked.with(condition), mention.end));
            }
        }
    }
}
