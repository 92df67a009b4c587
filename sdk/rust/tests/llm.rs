//! Guards that a model of a native test behaves as one of the host's: answers
//! come in pieces, what fails fails where it would, and what is forwarded decides
//! how the message ends.

use segue_sdk::llm::{self, Prompt};
use segue_sdk::prelude::*;
use segue_sdk::test::{Call, FakeModel, Piece, call};

fn forward(message: Message, reply: &mut Reply) -> Result<()> {
    reply.send("So: ")?;
    Prompt::new("main").user(message.text()).complete()?.forward()?;
    reply.send(" Done.")
}

#[test]
fn what_is_forwarded_takes_its_place_among_what_is_sent() {
    let run = Call::text("?")
        .model("main", FakeModel::saying(["a b"]))
        .run(forward);
    assert_eq!(run.chunks(), ["So: ", "a ", "b", " Done."]);
    assert!(run.result.is_ok());
}

#[test]
fn a_forwarded_answer_that_breaks_ends_the_message_in_its_error() {
    let cut = Error::new(Error::UPSTREAM_FAILED, "the connection was cut");
    let model = FakeModel::default().then_breaks("One day", cut.clone());
    let run = Call::text("?").model("main", model).run(|message, reply| {
        let _broken = forward(message, reply);
        Ok(())
    });
    assert_eq!(run.text(), "So: One day");
    assert_eq!(run.result, Err(cut));
    let run = Call::text("?")
        .model("main", FakeModel::saying(["a long answer"]))
        .limit_bytes(7)
        .run(forward);
    assert_eq!(run.result.unwrap_err().code(), "reply_too_large");
}

#[test]
fn answers_come_in_order_and_failures_in_their_turn() {
    let limited = Error::new(Error::UPSTREAM_RATE_LIMITED, "slower").retryable();
    let model = FakeModel::saying(["one two"])
        .then_fails(limited.clone())
        .then_breaks("half", Error::new(Error::UPSTREAM_FAILED, "cut"));
    let run = Call::text("").model("main", model.clone()).run(move |_, reply| {
        let prompt = Prompt::new("main")
            .system("Be brief.")
            .user("hi")
            .assistant("hello")
            .material("rows", "1")
            .user("count")
            .max_tokens(9)
            .temperature(0.0);
        let mut tokens = prompt.complete()?;
        assert_eq!(tokens.next(), Some(Ok("one ".into())));
        assert_eq!(tokens.usage(), None);
        assert_eq!(tokens.text()?, "two");
        assert_eq!(tokens.usage().map(|usage| usage.output_tokens), Some(2));
        assert_eq!(prompt.complete()?.text(), Err(limited));
        let mut broken = prompt.complete()?;
        assert_eq!(broken.next(), Some(Ok("half".into())));
        assert!(matches!(broken.next(), Some(Err(_))) && broken.next().is_none());
        assert_eq!(
            prompt.complete()?.text().unwrap_err().code(),
            Error::UPSTREAM_UNAVAILABLE
        );
        reply.send("read")
    });
    assert_eq!(run.text(), "read", "{:?}", run.result);
    let asked = model.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!(
        (asked[0].system(), asked[0].last_user()),
        ("Be brief.".into(), "count")
    );
    assert_eq!(asked[0].material(), [("rows", "1")]);
    assert_eq!(asked[0].pieces[2], Piece::Assistant("hello".into()));
    assert_eq!((asked[0].max_tokens, asked[0].temperature), (Some(9), Some(0.0)));
    assert_eq!(asked[0].text(), "Be brief.\nhi\nhello\nrows\n1\ncount");
}

#[test]
fn models_are_known_by_what_is_granted() {
    let run = Call::text("")
        .model(
            "main",
            FakeModel::answering(|asked| Ok(asked.last_user().to_uppercase())),
        )
        .model("plain", FakeModel::offline())
        .run(|_, _| {
            assert_eq!(llm::models(), ["main", "plain"]);
            assert!(llm::generates("main")? && !llm::generates("plain")?);
            let offline = Prompt::new("plain")
                .user("?")
                .material("a", "1")
                .material("b", "2");
            assert_eq!(offline.complete()?.text()?, "1\n2");
            Prompt::new("main").user("loud").complete()?.forward()
        });
    assert_eq!(run.text(), "LOUD", "{:?}", run.result);

    let run = call(
        |_, _| {
            assert!(llm::models().is_empty());
            assert_eq!(
                llm::generates("main").unwrap_err().code(),
                Error::CAPABILITY_DENIED
            );
            Prompt::new("main").user("?").complete()?.forward()
        },
        "",
    );
    let denied = run.result.unwrap_err();
    assert!(denied.message().contains(r#"llm = ["main"]"#), "{denied}");
}

#[test]
fn a_prompt_without_a_word_is_refused() {
    let run = Call::text("")
        .model("main", FakeModel::saying(["x"]))
        .run(|_, _| Prompt::new("main").complete()?.forward());
    assert_eq!(run.result.unwrap_err().code(), Error::INVALID_ARGUMENT);
}
