//! The model writes the SELECT.
//!
//! It is given the part of the schema that the question touches and asked for one
//! statement. What it gives is checked and run as anybody's would be; when the
//! database refuses, the model is told in the database's own words and tries
//! again, at most twice. After that the message ends in the database's error: a
//! wrong answer would be worse. A failure of the model's own is passed on.

mod extract;
mod prompt;

use segue_sdk::llm::Prompt;
use segue_sdk::prelude::*;
use segue_sdk::sql::Records;

use crate::answer::{self, Granted};
use crate::say;
use crate::schema::Schema;
use crate::settings::Settings;
use extract::{Answer, extract};

/// The first try and two repairs.
const ATTEMPTS: u32 = 3;
/// The longest question, in bytes.
const MAX_QUESTION: usize = 8 << 10;
/// As much of the rows as the model is given to word an answer from, in bytes.
const MAX_MATERIAL: usize = 16 << 10;

pub(crate) fn answer(
    message: &Message,
    reply: &mut Reply,
    settings: &Settings,
    database: &Granted,
    schema: &Schema,
    model: &str,
) -> Result<()> {
    let question = message.text().trim();
    if question.is_empty() || question.len() > MAX_QUESTION {
        return Err(Error::new(
            "invalid_argument",
            "a question is from 1 byte to 8 KiB of text",
        ));
    }
    let system = prompt::system(question, schema, settings, database);
    let mut said: Vec<(String, String)> = Vec::new();
    let mut refused = None;
    for attempt in 1..=ATTEMPTS {
        let status = if attempt == 1 {
            format!("asking {model} for SQL")
        } else {
            "correcting the SQL".into()
        };
        reply.status(status)?;
        let mut asked = Prompt::new(model).temperature(0.0).system(&system).user(question);
        for (answer, wrong) in &said {
            asked = asked.assistant(answer).user(prompt::repair(wrong));
        }
        let text = asked.complete()?.text()?;
        let (wrong, answer) = match extract(&text) {
            Answer::Cannot => return reply.send(prompt::CANNOT),
            Answer::Nothing => (Error::new("query_invalid", "the model gave no SQL"), text),
            Answer::Sql(sql) => {
                reply.status(format!("asking {}", database.name))?;
                match database.run(&sql, &[]) {
                    Ok(records) => return tell(reply, settings, database, model, question, &sql, &records),
                    Err(error) if matches!(error.code(), "query_invalid" | "query_forbidden") => (error, sql),
                    Err(error) => return Err(error),
                }
            }
        };
        log::info!("attempt {attempt}: {wrong}: {answer}");
        said.push((answer, wrong.message().to_string()));
        refused = Some(wrong);
    }
    let last = refused.unwrap_or_else(|| Error::new("query_invalid", "the model gave no SQL"));
    let text = format!(
        "{model} wrote no SQL that {} runs, in {ATTEMPTS} attempts: {}",
        database.name,
        last.message()
    );
    Err(Error::new(last.code(), text))
}

fn tell(
    reply: &mut Reply,
    settings: &Settings,
    database: &Granted,
    model: &str,
    question: &str,
    sql: &str,
    records: &Records,
) -> Result<()> {
    answer::data(reply, &database.name, sql, &[], records, settings.max_rows)?;
    if !settings.summarise || records.is_empty() {
        return reply.send(say::plainly(records, settings.max_rows));
    }
    Prompt::new(model)
        .temperature(0.0)
        .system(prompt::SUMMARISE)
        .material("rows", rows(records, settings.max_rows))
        .user(question)
        .complete()?
        .forward()
}

/// The rows as lines, as many as are shown and fit.
fn rows(records: &Records, most: usize) -> String {
    let mut text = records.columns.join(" | ");
    for row in records.rows.iter().take(most) {
        let cells: Vec<String> = row.iter().map(say::cell).collect();
        let line = cells.join(" | ");
        if text.len() + line.len() > MAX_MATERIAL {
            text.push_str("\n(more rows follow)");
            return text;
        }
        text.push('\n');
        text.push_str(&line);
    }
    if records.truncated || records.len() > most {
        text.push_str("\n(more rows follow)");
    }
    text
}
