//! Searching folders of documents: the capability `search`.
//!
//! An operator names folders (`[search.NAME]`); the host keeps a full-text index
//! of each and follows its changes. What it guarantees:
//!
//! - A hit quotes its document word for word: its text stands at its offset in
//!   the file as it is when the search answers. A document that was deleted, or
//!   words that were changed, are not quoted any more from that moment on.
//! - A new or changed document is found within two seconds where the system
//!   tells of changes, and after the next look at everything where it does not.
//! - Nothing outside the folder is ever read, whatever links lead there.
//! - No text that is asked, and no file that is put into the folder, makes a
//!   search or the host fail: at worst that file is left out, with a line in the
//!   log that says why.
//! - Files, folders, text, searches that wait, words, hits: all are bounded.
//!
//! The way of a file: [`watch`] or a clock says look ([`follow`]), [`walk`] finds
//! what is there by [`scope`], [`keep`] compares, [`inside`] opens, [`document`]
//! cuts it into passages, [`store`] indexes their [`words`], [`shelf`] has it.
//! The way of a search: [`indexes`], [`library`] (its turn), [`search`]: [`ask`],
//! [`store`], [`texts`] (the words as they are now), [`rank`].

mod ask;
mod document;
mod error;
mod find;
mod follow;
mod guest;
mod indexes;
mod inside;
mod keep;
mod library;
mod link;
mod rank;
mod scope;
pub mod settings;
mod shared;
mod shelf;
mod store;
mod texts;
mod walk;
mod watch;
mod words;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use find::Hit;
pub use guest::Search;
pub use indexes::{Indexes, State};
pub use library::{Document, Hits};
pub use link::locate;
pub use settings::Index;
