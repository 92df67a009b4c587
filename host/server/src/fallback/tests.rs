//! B26: what is done when the first choice is out. What is the question's own
//! fault, or was begun to be answered, is left as it is.

use segue_protocol::{Incoming, RequestError, ServerFrame};

use super::*;
use crate::edge::testing::{Bench, bench};
use crate::limits::{Caller, Via};
use crate::session::{End, Exchange, Session, Taken};

const CONFIG: &str = r#"
[resilience.handler.echo]
rate_limit = 2

[[route]]
match = { mtype = "limited" }
handler = "echo"
fallback = [{ text = "Come back later." }]

[[route]]
match = { mtype = "handler" }
handler = "absent"
fallback = [{ handler = "fail" }, { handler = "echo" }, { text = "never said" }]

[[route]]
match = { mtype = "text" }
handler = "fail"
fallback = [{ cached = "1h" }, { text = "Come back later." }]

[[route]]
match = { mtype = "own" }
handler = "once"
fallback = [{ cached = "1h" }]

[[route]]
match = { mtype = "shared" }
handler = "once"
fallback = [{ cached = "1h", shared = true }]

[[route]]
match = { mtype = "begun" }
handlers = ["gate", "fail"]
mode = "sequence"
deadline = "50ms"
fallback = [{ text = "Come back later." }]
"#;

async fn ask(bench: &Bench, session: &Arc<Session>, mtype: &str, content: &str) -> Arc<Exchange> {
    let message = Incoming {
        id: None,
        mtype: mtype.into(),
        content: content.into(),
        rag_sql: false,
        rag_doc: false,
        meta: serde_json::Map::new(),
        traceparent: None,
    };
    let mut caller = Caller::new([127, 0, 0, 1].into(), Via::Socket);
    let taken = dispatch::accept(&bench.app, session, message, &mut caller)
        .await
        .unwrap();
    let Taken::New(exchange) = taken else {
        panic!("every message is new");
    };
    exchange.finished().await;
    exchange
}

/// Each part's handler and error, and what counts of what was said.
fn told(exchange: &Arc<Exchange>) -> (Vec<(String, Option<&'static str>)>, String) {
    let record = exchange.record();
    let End::Done { parts, .. } = record.end.as_ref().unwrap() else {
        panic!("{:?}", record.end);
    };
    let parts = parts.iter().map(|part| (part.handler.to_string(), part.error));
    (parts.collect(), crate::session::reply_text(&record.parts))
}

fn failed(exchange: &Arc<Exchange>) -> RequestError {
    match exchange.record().end.as_ref().unwrap() {
        End::Failed(error) => error.clone(),
        End::Done { parts, .. } => panic!("{parts:?}"),
    }
}

#[tokio::test]
async fn the_first_that_can_answers_and_the_client_is_told_who_could_not() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(9).unwrap();
    let exchange = ask(&bench, &session, "handler", "hello there").await;
    let (parts, said) = told(&exchange);
    let expected = [
        ("absent".to_owned(), Some("handler_unavailable")),
        ("fail".to_owned(), Some("handler_failed")),
        ("echo".to_owned(), None),
    ];
    assert_eq!(
        (parts.as_slice(), said.as_str()),
        (expected.as_slice(), "hello there")
    );
    let frames: Vec<_> = exchange.replay();
    let errors = frames
        .iter()
        .filter(|frame| matches!(frame, ServerFrame::Error { last: false, .. }));
    assert_eq!(errors.count(), 2);
    let text = String::from_utf8(bench.app.metrics.render().unwrap().1).unwrap();
    for to in ["fail", "echo"] {
        let line = format!("segue_fallbacks_total{{handler=\"absent\",to=\"{to}\"}} 1");
        assert!(text.contains(&line), "{text}");
    }
}

#[tokio::test]
async fn where_nothing_was_kept_the_operators_words_are_said() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(9).unwrap();
    let exchange = ask(&bench, &session, "text", "fail with upstream_timeout").await;
    let (parts, said) = told(&exchange);
    assert_eq!(parts[0], ("fail".to_owned(), Some("upstream_timeout")));
    assert_eq!((parts[1].0.as_str(), said.as_str()), (TEXT, "Come back later."));
}

#[tokio::test]
async fn an_answer_is_kept_for_its_session_and_its_question_alone() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(9).unwrap();
    assert_eq!(told(&ask(&bench, &session, "own", "q").await).1, "the answer");
    let (parts, said) = told(&ask(&bench, &session, "own", "q").await);
    assert_eq!((parts[1].0.as_str(), said.as_str()), (CACHED, "the answer"));
    failed(&ask(&bench, &session, "own", "another question").await);
    let other = bench.app.sessions.open(9).unwrap();
    let error = failed(&ask(&bench, &other, "own", "q").await);
    assert_eq!(error.code, ErrorCode::UpstreamUnavailable);
    bench.app.answers.forget(&session.id);
    failed(&ask(&bench, &session, "own", "q").await);
}

#[tokio::test]
async fn an_answer_that_is_shared_is_everybodys() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(9).unwrap();
    ask(&bench, &session, "shared", "q").await;
    let other = bench.app.sessions.open(9).unwrap();
    let exchange = ask(&bench, &other, "shared", "q").await;
    assert_eq!(told(&exchange).1, "the answer");
    assert_eq!(exchange.record().parts[1].data[0].get(), "[1]");
}

#[tokio::test]
async fn what_is_wrong_with_the_question_is_wrong_everywhere() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(9).unwrap();
    for code in ["query_invalid", "capability_denied", "invalid_message"] {
        let exchange = ask(&bench, &session, "text", &format!("fail with {code}")).await;
        assert_eq!(failed(&exchange).code.as_str(), code);
    }
}

#[tokio::test]
async fn what_was_begun_is_not_taken_back() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(9).unwrap();
    let exchange = ask(&bench, &session, "begun", "q").await;
    failed(&exchange);
    assert_eq!(exchange.record().parts[0].content, "begun ");
}

// O17, O18: a handler's own limit; what is over it may still be answered.
#[tokio::test]
async fn over_a_handlers_limit_the_route_falls_back() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(9).unwrap();
    for _ in 0..2 {
        assert_eq!(told(&ask(&bench, &session, "limited", "q").await).1, "q");
    }
    let (parts, said) = told(&ask(&bench, &session, "limited", "q").await);
    assert_eq!(parts[0], ("echo".to_owned(), Some("rate_limited")));
    assert_eq!(said, "Come back later.");
}
