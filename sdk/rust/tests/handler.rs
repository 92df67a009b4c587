//! Guards that a handler's native run is what the host would make of it: order,
//! limits, what is allowed where, and how the message ends.

use std::time::Duration;

use segue_sdk::log::Level;
use segue_sdk::prelude::*;
use segue_sdk::test::{Call, Sent, call};
use serde_json::json;

/// The attribute leaves the function callable.
#[handler]
fn echo(message: Message, reply: &mut Reply) -> Result<()> {
    match message.payload() {
        Payload::Text(text) => reply.send(text),
        Payload::Binary(bytes) => reply.send_binary(bytes),
    }
}

#[test]
fn text_comes_back_as_text_and_bytes_as_bytes() {
    assert_eq!(call(echo, "hi").sent, [Sent::Chunk("hi".into())]);
    let run = Call::binary([0, 255]).run(echo);
    assert_eq!(run.binaries(), [[0, 255]]);
    assert!(run.result.is_ok());
}

#[test]
fn everything_arrives_in_the_order_it_was_sent() {
    let run = call(
        |_, reply| {
            reply.status("thinking")?;
            reply.send("one ")?;
            reply.data(&json!({ "n": 1 }))?;
            reply.send("two")
        },
        "",
    );
    let expected = [
        Sent::Status("thinking".into()),
        Sent::Chunk("one ".into()),
        Sent::Data(json!({ "n": 1 })),
        Sent::Chunk("two".into()),
    ];
    assert_eq!(run.sent, expected);
    assert_eq!(run.text(), "one two");
}

#[test]
fn the_handler_sees_what_the_test_gives_it() {
    let part = Part {
        handler: "sql-rag".into(),
        content: "42".into(),
        data: vec![json!([1])],
        failure: Some(Error::new("circuit_open", "later").retry_after(Duration::from_secs(2))),
    };
    let expected = part.clone();
    let run = Call::text("?")
        .id("m7")
        .mtype("order")
        .rag_doc()
        .meta("name", "Ada")
        .meta("age", 36)
        .claim("role", json!(["admin"]))
        .setting("max_rows", 50)
        .session("s1")
        .attempt(2)
        .deadline(Duration::from_millis(1500))
        .previous(part)
        .run(move |message, reply| {
            assert_eq!(
                (message.id(), message.mtype(), message.text()),
                ("m7", "order", "?")
            );
            assert_eq!((message.rag_sql(), message.rag_doc()), (false, true));
            assert_eq!(message.meta("name").as_deref(), Some("Ada"));
            assert_eq!(message.meta("age").as_deref(), Some("36"));
            assert_eq!(message.meta("none"), None);
            assert_eq!(message.claim("role").as_deref(), Some(r#"["admin"]"#));
            assert_eq!(message.setting("max_rows").as_deref(), Some("50"));
            assert_eq!(message.session().as_deref(), Some("s1"));
            assert_eq!(
                (message.attempt(), message.deadline()),
                (2, Duration::from_millis(1500))
            );
            assert!(message.traceparent().starts_with("00-"));
            assert_eq!(message.previous(), [expected]);
            reply.send("seen")
        });
    assert_eq!(run.text(), "seen");
}

#[test]
fn a_limit_decides_whatever_the_handler_returns() {
    let flood = |_: Message, reply: &mut Reply| {
        while reply.send("12345").is_ok() {}
        Ok(())
    };
    let code = |call: Call| call.run(flood).result.unwrap_err().code().to_string();
    assert_eq!(code(Call::text("").limit_bytes(12)), "reply_too_large");
    assert_eq!(code(Call::text("").limit_chunks(3)), "too_many_chunks");
    assert_eq!(code(Call::text("").client_leaves_after(1)), "client_gone");
    assert_eq!(Call::text("").limit_bytes(12).run(flood).text(), "1234512345");
}

#[test]
fn an_argument_that_is_refused_ends_nothing() {
    let run = call(
        |_, reply| {
            assert_eq!(reply.send_binary([1]).unwrap_err().code(), "invalid_argument");
            let long = "x".repeat(1025);
            assert_eq!(reply.status(long).unwrap_err().code(), "invalid_argument");
            reply.send("fine")
        },
        "",
    );
    assert!(run.result.is_ok());
    assert_eq!(run.text(), "fine");
}

#[test]
fn silence_is_an_answer_on_raw_endpoints_alone() {
    let silent = |_: Message, _: &mut Reply| Ok(());
    assert_eq!(call(silent, "").result.unwrap_err().code(), "empty_reply");
    let run = Call::text("").raw().run(|message, reply| {
        assert_eq!((message.session(), message.mtype()), (None, ""));
        assert_eq!(reply.data(&1).unwrap_err().code(), "invalid_argument");
        reply.status("dropped")
    });
    assert!(run.result.is_ok() && run.sent.is_empty());
}

#[test]
fn what_fails_keeps_what_was_sent_and_says_how_to_go_on() {
    let run = call(
        |_, reply| {
            reply.send("so far")?;
            Err(Error::new("upstream_failed", "no answer").retry_after(Duration::from_secs(3)))
        },
        "",
    );
    let error = run.result.unwrap_err();
    assert_eq!((error.code(), error.message()), ("upstream_failed", "no answer"));
    assert!(error.is_retryable());
    assert_eq!(error.wait(), Some(Duration::from_secs(3)));
    assert_eq!(run.sent, [Sent::Chunk("so far".into())]);
}

#[test]
fn records_are_kept_with_their_level_and_place() {
    let run = call(
        |message, reply| {
            log::warn!("asked {:?}", message.text());
            log::debug!("plain");
            reply.send("")
        },
        "why",
    );
    let [warning, plain] = run.logs.as_slice() else {
        panic!("{:?}", run.logs);
    };
    assert_eq!(
        (warning.level, warning.message.as_str()),
        (Level::Warn, r#"asked "why""#)
    );
    assert_eq!(
        (plain.level, plain.context.as_str()),
        (Level::Debug, module_path!())
    );
}
