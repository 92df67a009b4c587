//! Guards that a model is shown the conversation and nothing too long of it, and
//! that without one the reader learns what to do.

use segue_sdk::test::{Call, FakeModel, Piece};

use super::*;

fn pieces(model: &FakeModel) -> Vec<Piece> {
    model.asked()[0].pieces.clone()
}

#[test]
fn a_model_sees_the_conversation_and_answers_into_the_reply() {
    let model = FakeModel::saying(["Your name is Ada."]);
    let run = Call::text("What is my name?")
        .model("main", model.clone())
        .history([("I am Ada.", "Hello, Ada."), ("Fail!", "")])
        .run(chat);
    assert_eq!(run.text(), "Your name is Ada.");
    assert!(run.chunks().len() > 1);
    let expected = [
        Piece::System(SYSTEM.into()),
        Piece::User("I am Ada.".into()),
        Piece::Assistant("Hello, Ada.".into()),
        Piece::User("What is my name?".into()),
    ];
    assert_eq!(pieces(&model), expected);
}

#[test]
fn settings_choose_model_system_and_turns() {
    let (one, two) = (FakeModel::saying(["1"]), FakeModel::saying(["2"]));
    let run = Call::text("hi")
        .model("one", one)
        .model("two", two.clone())
        .setting("model", "two")
        .setting("system", "Speak like a pirate.")
        .setting("turns", 1)
        .history([("a", "b"), ("c", "d")])
        .run(chat);
    assert_eq!(run.text(), "2");
    let run = Call::text("hi")
        .model("plain", FakeModel::offline())
        .model("main", FakeModel::saying(["3"]))
        .run(chat);
    assert_eq!(run.text(), "3");
    assert_eq!(two.asked()[0].system(), "Speak like a pirate.");
    assert_eq!(pieces(&two).len(), 4);
}

#[test]
fn of_a_long_conversation_the_latest_turns_are_shown() {
    let model = FakeModel::saying(["ok"]);
    let long = "x".repeat(20 << 10);
    let turns = [("first", long.as_str()), ("second", &long), ("third", &long)];
    Call::text("hi")
        .model("main", model.clone())
        .history(turns)
        .run(chat);
    let users: Vec<Piece> = pieces(&model)
        .into_iter()
        .filter(|piece| matches!(piece, Piece::User(_)))
        .collect();
    assert_eq!(
        users,
        ["second", "third", "hi"].map(|text| Piece::User(text.into()))
    );
}

#[test]
fn without_memory_it_talks_all_the_same() {
    let denied = Call::text("hi")
        .model("main", FakeModel::saying(["hello"]))
        .run(chat);
    assert_eq!(denied.text(), "hello");
    assert!(
        denied.logs[0].message.contains("session = [\"history\"]"),
        "{:?}",
        denied.logs
    );
    let forgetful = Call::text("hi")
        .setting("turns", 0)
        .model("main", FakeModel::saying(["hello"]));
    assert!(forgetful.run(chat).logs.is_empty());
}

#[test]
fn without_a_model_that_writes_it_names_the_lines_that_bring_one() {
    let none = Call::text("hi").run(chat);
    assert!(none.text().contains("none is granted to me"), "{}", none.text());
    let offline = Call::text("hi").model("plain", FakeModel::offline()).run(chat);
    assert!(offline.text().contains("`plain` is of the provider `offline`"));
    assert!(none.result.is_ok() && offline.result.is_ok());
    for line in [
        "[plugins.max_grants]",
        "[grants]",
        "[llm.main]",
        "llm = [\"main\"]",
    ] {
        assert!(none.text().contains(line), "{line}");
    }
    // What is granted already is not asked for again.
    let text = offline.text();
    assert!(
        text.contains("[llm.plain]\nprovider = \"openai\"") && text.ends_with("```"),
        "{text}"
    );
    assert!(
        !text.contains("[grants]") && !text.contains("max_grants"),
        "{text}"
    );
}

#[test]
fn a_model_that_fails_ends_the_message_in_its_code() {
    let limited = Error::new(Error::UPSTREAM_RATE_LIMITED, "slower").retryable();
    let model = FakeModel::default().then_fails(limited);
    let run = Call::text("hi").model("main", model).run(chat);
    assert_eq!(run.result.unwrap_err().code(), Error::UPSTREAM_RATE_LIMITED);
    assert_eq!(Call::text(" ").run(chat).text(), "I am listening.");
}
