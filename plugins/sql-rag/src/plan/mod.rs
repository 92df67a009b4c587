//! From a reading to one SELECT.
//!
//! A reading names things; here they are found to fit together, or not. One table
//! is the root: what is listed, counted or measured. What a row of the root
//! refers to, directly or further up, is joined. What refers to it, or hangs
//! together with it in another way, becomes `IN (SELECT ...)`, so that no row is
//! counted twice. Sums and averages are never taken over rows that a join has
//! multiplied: such a reading is given up.

mod attach;
mod columns;
mod conditions;
mod grouped;
mod keys;
mod listed;
mod measured;
mod scope;
mod shown;
mod sql;

use std::fmt;

use crate::link::{Facts, Links, Value};
use crate::read::{Act, Asked, Noun};
use crate::schema::{Field, Table};
use crate::words::plural;

pub(crate) use sql::{label_text, name, quoted, table_name};

/// A statement and what its rows say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) params: Vec<Value>,
    pub(crate) shape: Shape,
    /// The conditions, in words: "Country is Brazil".
    pub(crate) conditions: Vec<String>,
}

/// What the rows of a statement are, for the sentence that tells them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// One number: how many of a noun, given in words, singular.
    Count { noun: String },
    /// One number, or nothing.
    Number { what: String },
    /// Some columns that name a group, then its number.
    Groups {
        /// The group in words, singular: "country".
        noun: String,
        what: String,
        keys: usize,
        top: Option<Top>,
    },
    /// Rows of a table.
    Rows {
        noun: String,
        /// The columns that tell a row's name, by position.
        label: Vec<usize>,
        /// The columns that the question is about, if any.
        details: Vec<usize>,
        top: Option<Top>,
        best: Option<Best>,
    },
    /// Different values of a column.
    Values { noun: String },
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { noun } => write!(f, "the number of {}", plural(noun)),
            Self::Number { what } => write!(f, "the {what}"),
            Self::Groups { noun, what, .. } => write!(f, "the {what} for each {noun}"),
            Self::Rows { noun, .. } => write!(f, "a list of {}", plural(noun)),
            Self::Values { noun } => write!(f, "a list of every {noun}"),
        }
    }
}

/// Only the first so many were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Top {
    Most(u32),
    Fewest(u32),
    /// The first place, shared or not.
    One,
}

/// What rows were ranked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Best {
    /// "highest price".
    pub(crate) what: String,
    /// Its column, by position.
    pub(crate) column: usize,
}

/// Why a reading comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// What it names does not fit together.
    Unfit,
    /// It fits in several ways; the text says which.
    Several(String),
}

pub(crate) type Planned<T> = Result<T, Why>;

/// The statement for a reading, and how far it is from the plain sense.
pub(crate) fn plan<'a>(asked: &Asked<'a>, links: &Links<'a>, facts: &Facts<'a>) -> Planned<(Query, u32)> {
    let mut refused = Why::Unfit;
    if asked.measure.is_some() || (asked.act == Act::Count && !asked.keys.is_empty()) {
        for expression in measured::expressions(asked, links, facts)? {
            match grouped::plan(asked, &expression, links, facts) {
                Ok(planned) => return Ok(planned),
                Err(why) => refused = refused.worse(why),
            }
        }
        return Err(refused);
    }
    if !asked.keys.is_empty() || asked.having.is_some() {
        return Err(Why::Unfit);
    }
    match subject(asked) {
        Some(Noun::Table(table)) => listed::rows(asked, table, links, facts),
        Some(Noun::Column(mention)) => listed::values(asked, mention, links, facts),
        Some(Noun::Part(_)) | None => Err(Why::Unfit),
    }
}

/// The noun that is listed, counted or ranked.
pub(crate) fn subject<'r, 'a>(asked: &'r Asked<'a>) -> Option<&'r Noun<'a>> {
    asked
        .subject
        .and_then(|subject| asked.heads.get(subject))
        .map(|head| &head.noun)
}

impl Why {
    /// That something has several meanings is worth more to the user than that it
    /// has none.
    fn worse(self, other: Self) -> Self {
        if self == Self::Unfit { other } else { self }
    }

    /// Two columns that are meant as well as each other.
    fn either(what: &str, one: Field<'_>, other: Field<'_>) -> Self {
        Self::Several(format!(
            "\u{201c}{what}\u{201d} may be {} or {}",
            name(one),
            name(other)
        ))
    }
}

/// A table's name in words, singular.
pub(crate) fn spoken(table: &Table) -> String {
    table.words.join(" ")
}
