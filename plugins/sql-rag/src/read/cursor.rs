//! What a rule can ask of a place in the question.

use std::rc::Rc;

use crate::link::{Mention, Named, Said};
use crate::words::{Adjective, Number, Token, adjective, number, written};

use super::Reader;

/// Words that say nothing where a noun phrase begins.
const ARTICLES: &str = "the|a|an|all|any|our|my|your|their|its|his|her|these|those|every|only|just|some|us";

impl<'a> Reader<'_, 'a> {
    pub(super) fn token(&self, at: usize) -> Option<&Token> {
        self.question.tokens.get(at)
    }

    /// The word at a place; of a value in quotation marks, and at the end, none.
    pub(super) fn word(&self, at: usize) -> &str {
        match self.token(at) {
            Some(token) if !token.quoted => &token.lower,
            _ => "",
        }
    }

    /// Whether one of the words stands here. Lists of words and phrases are
    /// written with `|` between them.
    pub(super) fn is(&self, at: usize, words: &str) -> bool {
        among(self.word(at), words)
    }

    /// Behind the phrase, if it stands here.
    pub(super) fn phrase(&self, at: usize, phrase: &str) -> Option<usize> {
        let mut end = at;
        for word in phrase.split(' ') {
            if self.word(end) != word {
                return None;
            }
            end += 1;
        }
        Some(end)
    }

    /// Behind the longest of the phrases that stands here.
    pub(super) fn phrases(&self, at: usize, phrases: &str) -> Option<usize> {
        let first = self.word(at);
        let near = phrases.split('|').filter(|phrase| phrase.starts_with(first));
        near.filter_map(|phrase| self.phrase(at, phrase)).max()
    }

    /// Behind one of the words, or here.
    pub(super) fn maybe(&self, at: usize, words: &str) -> usize {
        if self.is(at, words) { at + 1 } else { at }
    }

    /// Behind all such words.
    pub(super) fn while_any(&self, mut at: usize, words: &str) -> usize {
        while self.is(at, words) {
            at += 1;
        }
        at
    }

    /// Behind the articles.
    pub(super) fn skip(&self, at: usize) -> usize {
        let at = if self.phrase(at, "all of").is_some() {
            at + 2
        } else {
            at
        };
        self.while_any(at, ARTICLES)
    }

    pub(super) fn at_end(&self, at: usize) -> bool {
        at >= self.question.tokens.len()
    }

    pub(super) fn number(&self, at: usize) -> Option<(Number, usize)> {
        let words = (at..at + 6)
            .map(|at| self.word(at))
            .take_while(|word| !word.is_empty());
        let number = number(words)?;
        Some((number, at + number.words))
    }

    /// A whole number that can say how many are wanted.
    pub(super) fn how_many(&self, at: usize) -> Option<(u32, usize)> {
        let (number, end) = self.number(at)?;
        let counts = !number.money && (1.0..=10_000.0).contains(&number.value);
        Some((written(number.value).parse().ok().filter(|_| counts)?, end))
    }

    pub(super) fn adjective(&self, at: usize) -> Option<Adjective> {
        adjective(self.word(at))
    }

    pub(super) fn tables(&self, at: usize) -> impl Iterator<Item = &Named<'a>> {
        self.links.spot(at).into_iter().flat_map(|spot| &spot.tables)
    }

    pub(super) fn columns(&self, at: usize) -> impl Iterator<Item = &Mention<'a>> {
        self.links.spot(at).into_iter().flat_map(|spot| &spot.columns)
    }

    pub(super) fn values(&self, at: usize) -> impl Iterator<Item = &Rc<Said<'a>>> {
        self.links.spot(at).into_iter().flat_map(|spot| &spot.values)
    }

    /// Whether exactly these words name a table, and so hardly a column.
    pub(super) fn is_table(&self, at: usize, end: usize) -> bool {
        self.tables(self.skip(at))
            .any(|named| named.end == end && named.cost == 0)
    }

    /// A column with or without its table: "length", "track length", "the
    /// customer's country".
    pub(super) fn column_phrases(&self, at: usize) -> Vec<(Mention<'a>, usize)> {
        let at = self.skip(at);
        let mut found: Vec<_> = self
            .columns(at)
            .map(|mention| (mention.clone(), mention.end))
            .collect();
        for named in self.tables(at) {
            let next = self.maybe(named.end, "'s");
            for mention in self.columns(next) {
                let mut mention = mention.clone();
                mention.owner = Some(named.table);
                mention.said = format!("{} {}", named.table.words.join(" "), mention.said);
                let end = mention.end;
                found.push((mention, end));
            }
        }
        found
    }

    /// The same, and "country of the customer".
    pub(super) fn column_phrases_of(&self, at: usize) -> Vec<(Mention<'a>, usize)> {
        let mut found = self.column_phrases(at);
        for (mention, end) in found.clone() {
            if mention.owner.is_some() || self.word(end) != "of" {
                continue;
            }
            for named in self.tables(self.skip(end + 1)) {
                let mut mention = mention.clone();
                mention.owner = Some(named.table);
                found.push((mention, named.end));
            }
        }
        found
    }
}

/// Whether a word is one of a list.
pub(super) fn among(word: &str, list: &str) -> bool {
    !word.is_empty() && list.split('|').any(|own| own == word)
}
