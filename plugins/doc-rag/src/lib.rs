//! Answers from documents: searches the granted indexes, shows the words it
//! found as citations, and answers from them alone.
//!
//! With a language model the answer is the model's, from the passages and with
//! their numbers. With the provider `offline`, or with no model granted at all, it
//! is the documents' own words. Where nothing fits it says so and asks no model.
//!
//! | `[settings]` | what it does | when it is not set |
//! |---|---|---|
//! | `index` | searches this index | all that are granted |
//! | `model` | asks this model | one that is granted, the first that writes |
//! | `passages` | the most passages used, up to 20 | 4 |
//!
//! Needs `[grants] search`; uses `llm` when it is granted.

mod answer;
mod citation;
mod passages;
mod quote;
mod words;

use segue_sdk::prelude::*;
use segue_sdk::{config, llm, search};

use words::Words;

/// The most that a search takes, in bytes.
const MAX_QUESTION_BYTES: usize = 4 << 10;
const MAX_PASSAGES: u32 = 20;

#[handler]
fn doc_rag(message: Message, reply: &mut Reply) -> Result<()> {
    let question = message.text().trim();
    if question.is_empty() {
        return reply.send("Ask something, and I look it up in the documents.");
    }
    let indexes = indexes()?;
    let model = model()?;
    let most = config::read::<u32>("passages")?
        .unwrap_or(4)
        .clamp(1, MAX_PASSAGES);

    reply.status(format!("searching {}", indexes.join(", ")))?;
    let asked = Words::of(question);
    let passages = passages::find(&indexes, beginning(question), most, &asked)?;
    if passages.is_empty() {
        return reply.send(nothing(&indexes));
    }
    let mut citations = Vec::with_capacity(passages.len());
    for (n, passage) in (1..).zip(&passages) {
        let citation = citation::of(n, passage, &asked)?;
        reply.data(&citation)?;
        citations.push(citation);
    }
    match model {
        Some(model) => {
            reply.status(format!("asking {model} about {}", counted(passages.len())))?;
            answer::prompt(&model, question, &passages).complete()?.forward()
        }
        None => reply.send(answer::from_quotes(&citations)),
    }
}

/// Where to search.
fn indexes() -> Result<Vec<String>> {
    if let Some(index) = config::get("index")? {
        return Ok(vec![index]);
    }
    let granted = search::indexes();
    match granted.is_empty() {
        false => Ok(granted),
        true => Err(Error::new(
            Error::CAPABILITY_DENIED,
            "no documents are granted to this plugin: add search = [\"NAME\"] to [grants] in its .toml, \
             where [search.NAME] in the host's configuration names their folder",
        )),
    }
}

/// Who puts the answer into words, if anybody does.
fn model() -> Result<Option<String>> {
    if let Some(set) = config::get("model")? {
        return Ok(Some(set));
    }
    let models = llm::models();
    for model in &models {
        if llm::generates(model)? {
            return Ok(Some(model.clone()));
        }
    }
    Ok(models.into_iter().next())
}

/// As much of the question as a search takes.
fn beginning(question: &str) -> &str {
    let end = question.floor_char_boundary(MAX_QUESTION_BYTES);
    question.get(..end).unwrap_or(question)
}

fn nothing(indexes: &[String]) -> String {
    format!(
        "I found nothing about that in the documents ({}), so I have no answer. \
         Other words for the same thing may help.",
        indexes.join(", ")
    )
}

fn counted(passages: usize) -> String {
    match passages {
        1 => "1 passage".to_owned(),
        many => format!("{many} passages"),
    }
}

#[cfg(test)]
mod tests;
