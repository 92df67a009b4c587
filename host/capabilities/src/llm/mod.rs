//! `segue:llm`: asks language models, by the names that were granted.
//!
//! [`Models`] is the engine and knows no wasm: a [`Prompt`] becomes a
//! [`Completion`], which is a stream of text. Behind a name stands [`openai`], any
//! server that speaks OpenAI's chat completions, or [`offline`], which has no model
//! and answers from the material alone. [`guest`] is the interface as plugins see
//! it.
//!
//! A completion starts at once, on the host's threads; it is read only as fast as
//! somebody asks, and ends when it is dropped.

mod budget;
mod completion;
mod fault;
mod guest;
mod models;
mod offline;
mod openai;
mod prompt;
mod remembered;
pub mod settings;
mod substitutes;
mod told;

pub use budget::BudgetState;
pub use completion::Completion;
pub use fault::{Fault, Kind};
pub use guest::Llm;
pub use models::{Asker, ModelState, Models};
pub use openai::{Outcome, TargetCounts, Usage};
pub use prompt::{PIECES_MAX, PROMPT_MAX_BYTES, Piece, Prompt};
pub use remembered::Remember;
pub use substitutes::Substitutes;
