//! The body of a request: a prompt as OpenAI's chat completions know it.
//!
//! Servers differ in what order of roles they take, so the order is the one that
//! all take: the instructions as one message at the top, then the turns as they
//! are. The material stands at the head of the user's last turn, since a message
//! of its own would be a second one of the same role in a row, which the chat
//! templates of several models refuse.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;

use super::super::prompt::{Piece, Prompt};
use super::super::settings::OpenAi;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Cow<'a, str>,
}

/// The body that asks `prompt` of the model in `settings`.
pub(super) fn body(settings: &OpenAi, prompt: &Prompt) -> Result<Vec<u8>, serde_json::Error> {
    let asked = prompt.max_tokens.into_iter().chain(settings.max_tokens).min();
    serde_json::to_vec(&Body {
        model: &settings.model,
        messages: messages(prompt),
        max_tokens: asked,
        temperature: prompt.temperature.or(settings.temperature),
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    })
}

fn messages(prompt: &Prompt) -> Vec<Message<'_>> {
    let mut system: Option<Message<'_>> = None;
    let mut turns: Vec<Message<'_>> = Vec::new();
    for piece in prompt.pieces() {
        let (role, text) = match piece {
            Piece::System(text) => {
                match &mut system {
                    Some(above) => {
                        let above = above.content.to_mut();
                        above.push_str("\n\n");
                        above.push_str(text);
                    }
                    None => system = Some(message("system", text)),
                }
                continue;
            }
            Piece::Material { .. } => continue,
            Piece::User(text) => ("user", text),
            Piece::Assistant(text) => ("assistant", text),
        };
        turns.push(message(role, text));
    }
    if let Some(material) = material(prompt) {
        match turns.iter_mut().rfind(|turn| turn.role == "user") {
            Some(last) => last.content = Cow::Owned(format!("{material}{}", last.content)),
            None => turns.push(Message {
                role: "user",
                content: Cow::Owned(material),
            }),
        }
    }
    system.into_iter().chain(turns).collect()
}

fn message<'a>(role: &'static str, text: &'a str) -> Message<'a> {
    Message {
        role,
        content: Cow::Borrowed(text),
    }
}

/// `[1] label`, the text, an empty line, and so on; `None` without material.
fn material(prompt: &Prompt) -> Option<String> {
    let mut all = String::new();
    for material in prompt.material() {
        // Writing to a string cannot fail.
        let _ = write!(
            all,
            "[{}] {}\n{}\n\n",
            material.number, material.label, material.text
        );
    }
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings() -> OpenAi {
        OpenAi::at(OpenAi::parse_base_url("http://localhost/v1").unwrap(), "m")
    }

    fn text(text: &str) -> String {
        String::from(text)
    }

    fn made(settings: &OpenAi, prompt: &Prompt) -> Value {
        serde_json::from_slice(&body(settings, prompt).unwrap()).unwrap()
    }

    #[test]
    fn instructions_stand_at_the_top_and_material_before_the_last_question() {
        let mut prompt = Prompt::new();
        prompt.push(Piece::User(text("Hello")));
        prompt.push(Piece::System(text("Be short.")));
        prompt.push(Piece::Material {
            label: text("guide.md"),
            text: text("Swaps lose nothing."),
        });
        prompt.push(Piece::Assistant(text("Good day.")));
        prompt.push(Piece::User(text("What is lost?")));
        prompt.push(Piece::Material {
            label: text("notes.md"),
            text: text("Nothing."),
        });
        prompt.push(Piece::System(text("Cite.")));
        assert_eq!(
            made(&settings(), &prompt),
            json!({
                "model": "m",
                "messages": [
                    {"role": "system", "content": "Be short.\n\nCite."},
                    {"role": "user", "content": "Hello"},
                    {"role": "assistant", "content": "Good day."},
                    {"role": "user", "content":
                        "[1] guide.md\nSwaps lose nothing.\n\n[2] notes.md\nNothing.\n\nWhat is lost?"},
                ],
                "stream": true,
                "stream_options": {"include_usage": true},
            })
        );
    }

    #[test]
    fn a_plugin_may_ask_for_fewer_tokens_than_the_operator_allows_not_for_more() {
        let mut settings = settings();
        let mut prompt = Prompt::new();
        prompt.push(Piece::User(text("a")));
        prompt.temperature(0.0);
        settings.temperature = Some(0.2);
        for (operator, plugin, sent) in [
            (None, None, Value::Null),
            (Some(100), None, json!(100)),
            (None, Some(50), json!(50)),
            (Some(100), Some(50), json!(50)),
            (Some(100), Some(500), json!(100)),
        ] {
            settings.max_tokens = operator;
            prompt.max_tokens = plugin;
            let made = made(&settings, &prompt);
            assert_eq!((&made["max_tokens"], &made["temperature"]), (&sent, &json!(0.0)));
        }
        prompt.temperature = None;
        assert!(
            body(&settings, &prompt)
                .unwrap()
                .ends_with(br#""include_usage":true}}"#)
        );
        let sent = String::from_utf8(body(&settings, &prompt).unwrap()).unwrap();
        assert!(
            sent.contains(r#""temperature":0.2,"#),
            "as it was written: {sent}"
        );
    }
}
