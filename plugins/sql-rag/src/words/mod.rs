//! The words of a question, and what is known of words before any database is.

mod forms;
mod lexicon;
mod numbers;
mod thesaurus;
mod token;

pub(crate) use forms::{plural, root, singular};
pub(crate) use lexicon::{Adjective, Degree, Quality, adjective, is_function, is_known};
pub(crate) use numbers::{Number, number, written};
pub(crate) use thesaurus::{Synonyms, countries, rewritten, same_meaning};
pub(crate) use token::{Question, Token};
