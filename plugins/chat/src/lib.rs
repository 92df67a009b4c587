//! Plain conversation with a language model, which remembers what was said.
//!
//! | `[settings]` | what it does | when it is not set |
//! |---|---|---|
//! | `model` | asks this model | the first granted one that writes |
//! | `system` | stands above the conversation | a few words |
//! | `turns` | the most turns of the conversation that the model is shown | 20 |
//!
//! Needs `[grants] llm`; with `session = ["history"]` it remembers. Without a model
//! that can write it says what is missing.

mod missing;
mod recall;

use segue_sdk::config;
use segue_sdk::llm::{self, Prompt};
use segue_sdk::prelude::*;

const SYSTEM: &str = "You are a helpful assistant. Be brief, and say so when you do not know.";

#[handler]
fn chat(message: Message, reply: &mut Reply) -> Result<()> {
    let text = message.text();
    if text.trim().is_empty() {
        return reply.send("I am listening.");
    }
    let model = match model()? {
        Ok(model) => model,
        Err(missing) => return reply.send(missing),
    };
    let system = config::get("system")?;
    let mut prompt = Prompt::new(&model).system(system.as_deref().unwrap_or(SYSTEM));
    for turn in recall::turns(config::read("turns")?.unwrap_or(20))? {
        prompt = prompt.user(turn.user).assistant(turn.reply);
    }
    prompt.user(text).complete()?.forward()
}

/// Whom to ask, or what is missing.
fn model() -> Result<std::result::Result<String, String>> {
    let candidates = match config::get("model")? {
        Some(set) => vec![set],
        None => llm::models(),
    };
    for model in &candidates {
        if llm::generates(model)? {
            return Ok(Ok(model.clone()));
        }
    }
    Ok(Err(match candidates.first() {
        Some(model) => missing::no_writer(model),
        None => missing::no_model(),
    }))
}

#[cfg(test)]
mod tests;
