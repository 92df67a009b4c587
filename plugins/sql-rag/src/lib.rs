//! Answers questions from a database: it makes one SELECT of the question, has
//! the database check it, runs it, and sends the statement with its rows as data
//! and what they say as a sentence.
//!
//! With a model that generates, the model writes the SELECT (`model`). Without
//! one, plain English is read by rule (`understand`), and a question that no rule
//! reads to its last word is declined, never guessed at.
//!
//! `[settings]`: `database` (which one, where several are granted), `model`,
//! `max_rows` (50), `summarise` (whether the model words the answer; it is
//! composed by rule otherwise), `synonyms` (a table of own words for tables and
//! columns).

mod answer;
mod link;
mod model;
mod plan;
mod read;
mod say;
mod schema;
mod settings;
mod understand;
mod words;

#[cfg(test)]
mod tests;

use segue_sdk::prelude::*;

use answer::Granted;
use settings::Settings;
use understand::understand;

#[handler]
fn sql_rag(message: Message, reply: &mut Reply) -> Result<()> {
    let settings = Settings::new(&message)?;
    let database = Granted {
        name: settings.database(&message)?,
    };
    let model = settings.model()?;
    reply.status("reading the schema")?;
    let schema = database.schema()?;
    if let Some(model) = model {
        return model::answer(&message, reply, &settings, &database, &schema, &model);
    }
    let query = match understand(message.text(), &schema, &settings.synonyms, &database)? {
        Ok(query) => query,
        Err(unread) => return reply.send(say::declined(&unread, &schema)),
    };
    reply.status(format!("asking {}", database.name))?;
    let records = database.run(&query.sql, &query.params)?;
    answer::data(
        reply,
        &database.name,
        &query.sql,
        &query.params,
        &records,
        settings.max_rows,
    )?;
    reply.send(say::told(&query, &records, settings.max_rows))
}
