//! What is guarded: servers differ in their habits, and an answer that was
//! finished is told from one that was not.

use super::*;

fn read(events: &[&str]) -> (Answer, String, Result<(), Broken>) {
    let mut answer = Answer::new(1000);
    let mut text = String::new();
    for event in events {
        let fed = answer.feed(format!("data: {event}\n\n").as_bytes());
        text.extend(answer.take_text());
        if fed.is_err() {
            return (answer, text, fed);
        }
    }
    let ended = answer.finish();
    text.extend(answer.take_text());
    (answer, text, ended)
}

const A: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn an_answer_is_read_from_servers_of_many_habits() {
    let (answer, text, ended) = read(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        r#"{"type":"ping"}"#,
        A,
        r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"id":"x"}]}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"another"}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"thinking"},{"type":"text","text":"b"}]}}],"error":null}"#,
        r#"{"choices":[{"delta":{"refusal":"c"},"finish_reason":""}]}"#,
        STOP,
        r#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}"#,
        "[DONE]",
        "not even JSON",
    ]);
    assert_eq!((text.as_str(), ended), ("abc", Ok(())));
    let cost = Usage {
        input_tokens: 12,
        output_tokens: 3,
    };
    assert_eq!((answer.usage(), answer.is_done()), (Some(cost), true));
}

#[test]
fn what_the_server_finished_is_whole_and_what_it_did_not_is_not() {
    assert_eq!(read(&[A, STOP]).2, Ok(()), "without [DONE]");
    assert_eq!(read(&[A, "[DONE]"]).2, Ok(()), "without a reason");
    assert_eq!(read(&[A]).2, Err(Broken::Unfinished));
    assert_eq!(read(&[]).2, Err(Broken::Unfinished));
    let mut cut = Answer::new(1000);
    cut.feed(format!("data: {A}\n\ndata: {STOP}\n\ndata: {{\"usa").as_bytes())
        .unwrap();
    assert_eq!(cut.finish(), Ok(()), "cut in what follows the end");
}

#[test]
fn an_error_within_the_stream_is_the_servers_word() {
    for (event, words) in [
        (
            r#"{"error":{"message":"out of memory","code":500}}"#,
            "out of memory",
        ),
        (r#"{"error":"no slots"}"#, "no slots"),
        (
            r#"{"object":"error","message":"too long","code":400}"#,
            "too long",
        ),
        (r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#, ""),
    ] {
        let (_, text, ended) = read(&[A, event]);
        assert_eq!(
            (text.as_str(), ended),
            ("a", Err(Broken::Server(String::from(words))))
        );
    }
}

#[test]
fn a_document_instead_of_a_stream_is_an_answer_too() {
    let document = r#" {"choices":[{"index":0,"message":{"role":"assistant","content":"all of it"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let mut answer = Answer::new(1000);
    document
        .as_bytes()
        .chunks(7)
        .for_each(|piece| answer.feed(piece).unwrap());
    assert_eq!(answer.take_text(), None, "not before its end");
    assert_eq!(answer.finish(), Ok(()));
    assert_eq!(answer.take_text().as_deref(), Some("all of it"));
    assert_eq!(answer.usage().map(|usage| usage.output_tokens), Some(2));

    let mut error = Answer::new(1000);
    error
        .feed(br#"{"detail":"x","error":{"message":"no such model"}}"#)
        .unwrap();
    assert_eq!(error.finish(), Err(Broken::Server(String::from("no such model"))));
    let mut cut = Answer::new(1000);
    cut.feed(br#"{"choices":[{"mess"#).unwrap();
    assert!(matches!(cut.finish(), Err(Broken::Event(_))));
}

#[test]
fn answers_and_documents_are_bounded() {
    let long = format!(
        r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#,
        "x".repeat(600)
    );
    let (_, text, ended) = read(&[&long, &long]);
    assert_eq!((text.len(), ended), (600, Err(Broken::TooLong(1000))));
    let mut document = Answer::new(1000);
    let fed = (0..100).try_for_each(|_| document.feed(&[b'{'; 1000]));
    assert_eq!(fed, Err(Broken::TooLong(1000)));
}

#[test]
fn senseless_events_are_errors() {
    for event in [
        "garbage",
        "\"text\"",
        "[1]",
        "{\"choices\":7}",
        "{\"choices\":[{\"delta\":\"\\ud800\"}]}",
    ] {
        assert!(matches!(read(&[event]).2, Err(Broken::Event(_))), "{event}");
    }
}
