//! A listener that turns what it is told into a question, after the idea of
//! Joseph Weizenbaum's ELIZA ("ELIZA: a computer program for the study of natural
//! language communication between man and machine", CACM 9(1), 1966). The rules
//! and the words are its own: see [`script`].
//!
//! It streams its answer word by word, `pace_ms` apart (`[settings]`, 30 unless
//! told). The same text under the same message id always gets the same answer.

mod engine;
mod script;
mod words;

use std::thread::sleep;
use std::time::Duration;

use segue_sdk::prelude::*;

#[handler]
fn eliza(message: Message, reply: &mut Reply) -> Result<()> {
    let pace = match message.setting("pace_ms") {
        Some(ms) => Duration::from_millis(ms.parse()?),
        None => Duration::from_millis(30),
    };
    let answer = engine::answer(message.text(), message.id());
    for word in answer.split_inclusive(' ') {
        reply.send(word)?;
        sleep(pace);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use segue_sdk::test::{Call, Run};

    fn ask(text: &str, id: &str) -> Run {
        let call = Call::text(text).id(id).setting("pace_ms", 0);
        call.run(super::eliza)
    }

    #[test]
    fn answers_word_by_word() {
        let run = ask("I need a holiday", "m1");
        assert!(run.chunks().len() > 3, "{:?}", run.chunks());
        assert!(run.text().contains("a holiday"), "{}", run.text());
        assert!(run.result.is_ok());
    }

    #[test]
    fn the_same_message_is_answered_the_same() {
        assert_eq!(ask("I am tired", "m1").text(), ask("I am tired", "m1").text());
        let answers = ["m1", "m2", "m3", "m4", "m5", "m6"].map(|id| ask("I am tired", id).text());
        assert!(answers.iter().any(|answer| *answer != answers[0]));
    }

    #[test]
    fn a_setting_that_is_no_number_is_an_error() {
        let run = Call::text("hello").setting("pace_ms", "soon").run(super::eliza);
        assert_eq!(run.result.unwrap_err().code(), "handler_failed");
    }
}
