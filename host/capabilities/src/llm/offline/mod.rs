//! `provider = "offline"`: no model.
//!
//! It answers from the material alone and adds nothing to it: from passages it
//! repeats, word for word, the one to four sentences that fit the user's last
//! turn best, each with the number of its passage; of tables, and of a table's row
//! in a passage, it says what their rows say. Its last sentence says that no model wrote it. The same prompt
//! gives the same answer.

mod choose;
mod rows;
mod sentences;
mod terms;

use super::prompt::{Material, Prompt};
use rows::Table;

/// How much of the material is read, in bytes: the work is done while the guest
/// waits, on its thread.
const READ_MAX_BYTES: usize = 512 * 1024;

const NOTHING: &str = "Without a language model I can answer only from documents or from rows of a \
    database, and I was given none.";
const NO_FIT: &str =
    "Nothing in the passages fits the question, as far as can be told without a language model.";
const BY_PASSAGES: &str =
    "Composed without a language model: every sentence is quoted from the passage it cites.";
const BY_ROWS: &str = "Composed without a language model, from the rows alone.";
const BY_BOTH: &str =
    "Composed without a language model, from the rows and, word for word, from the passages cited.";

/// The answer, in pieces.
pub(super) fn answer(prompt: &Prompt) -> Vec<String> {
    let mut budget = READ_MAX_BYTES;
    let material: Vec<Material<'_>> = prompt
        .material()
        .map_while(|material| {
            let fits = budget.checked_sub(material.label.len() + material.text.len())?;
            budget = fits;
            Some(material)
        })
        .collect();
    if prompt.material().next().is_none() {
        return vec![String::from(NOTHING)];
    }
    let mut passages = Vec::new();
    let mut pieces = Vec::new();
    let mut ruled = Vec::new();
    for material in material {
        match Table::parse(material.text) {
            // As documents have them: whoever asks wants some of the rows.
            Some(table) if table.is_markdown() => {
                ruled.push(table.say(material.number));
                passages.push(material);
            }
            Some(table) => pieces.push(table.say(material.number)),
            None => passages.push(material),
        }
    }
    let chosen = choose::sentences(prompt.question().unwrap_or_default(), &passages);
    if pieces.is_empty() && chosen.quotes.is_empty() {
        pieces = ruled;
    }
    let tables = !pieces.is_empty();
    pieces.extend(chosen.quotes);
    let closing = match (tables || chosen.rows, chosen.prose) {
        (true, false) => BY_ROWS,
        (false, true) => BY_PASSAGES,
        (true, true) => BY_BOTH,
        (false, false) => return vec![String::from(NO_FIT)],
    };
    let last = pieces.len().saturating_sub(1);
    for piece in pieces.iter_mut().take(last) {
        piece.push(' ');
    }
    pieces.push(format!("\n\n{closing}"));
    pieces
}

#[cfg(test)]
mod tests;
