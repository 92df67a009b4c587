//! A message ends in one truthful frame, whoever reads or does not.

use std::time::Duration;

use segue_protocol::ServerFrame;
use tokio::time::timeout;

use super::*;
use crate::drain::Phase;
use crate::edge::testing::{Bench, bench};
use crate::limits::Via;

const CONFIG: &str = r#"
[outbox]
size = 16

[[route]]
match = { mtype = "chat" }
handler = "echo"
deadline = "100ms"

[[route]]
match = { mtype = "long" }
handler = "echo"

[[route]]
match = { mtype = "gate" }
handler = "gate"

[[route]]
match = { mtype = "fails" }
handlers = ["absent", "fail"]
"#;

/// A session whose outbox is full, and whose client has left.
async fn deserted() -> (Bench, Arc<Session>) {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(1).unwrap();
    let bounds = bench.app.snapshot().bounds;
    for _ in 0..bounds.frames {
        let frame = ServerFrame::Status {
            id: "before".into(),
            handler: "h".into(),
            text: String::new(),
        };
        session.outbox.push_now(&bounds, frame);
    }
    (bench, session)
}

async fn begin(bench: &Bench, session: &Arc<Session>, mtype: &str) -> Arc<Exchange> {
    let message = Incoming {
        id: Some("m".into()),
        mtype: mtype.into(),
        content: "one two".into(),
        rag_sql: false,
        rag_doc: false,
        meta: serde_json::Map::new(),
        traceparent: None,
    };
    let mut caller = Caller::new([127, 0, 0, 1].into(), Via::Socket);
    let Taken::New(exchange) = accept(&bench.app, session, message, &mut caller).await.unwrap() else {
        panic!("the id is new");
    };
    exchange
}

async fn code_of(exchange: &Exchange) -> Option<ErrorCode> {
    timeout(Duration::from_secs(10), exchange.finished())
        .await
        .expect("the message never ends");
    match exchange.record().end.as_ref().unwrap() {
        End::Done { .. } => None,
        End::Failed(error) => Some(error.code),
    }
}

#[tokio::test]
async fn that_a_handler_failed_is_told_without_waiting_for_a_client_that_left() {
    let (bench, session) = deserted().await;
    let exchange = begin(&bench, &session, "fails").await;
    assert_eq!(code_of(&exchange).await, Some(ErrorCode::HandlerFailed));
    assert!(session.is_idle());
}

#[tokio::test]
async fn an_answer_that_could_not_be_passed_on_whole_is_not_done() {
    let (bench, session) = deserted().await;
    let exchange = begin(&bench, &session, "chat").await;
    assert_eq!(code_of(&exchange).await, Some(ErrorCode::DeadlineExceeded));
}

#[tokio::test]
async fn cancelled_before_its_last_words_were_passed_on_it_is_cancelled() {
    let (bench, session) = deserted().await;
    let exchange = begin(&bench, &session, "long").await;
    // Until it has said something that nobody reads.
    timeout(Duration::from_secs(10), async {
        while exchange.record().parts.iter().all(|part| part.content.is_empty()) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let now = bench.app.snapshot();
    assert!(session.cancel("m", &now.rules, &now.bounds));
    assert_eq!(code_of(&exchange).await, Some(ErrorCode::Cancelled));
}

#[tokio::test]
async fn a_clients_own_cancel_is_one_while_the_host_drains() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(1).unwrap();
    let exchange = begin(&bench, &session, "gate").await;
    bench.app.drain.enter(Phase::Draining);
    let now = bench.app.snapshot();
    assert!(session.cancel("m", &now.rules, &now.bounds));
    assert_eq!(code_of(&exchange).await, Some(ErrorCode::Cancelled));
}

#[tokio::test]
async fn what_the_host_cuts_off_is_told_to_be_sent_again() {
    let bench = bench(CONFIG).await;
    let session = bench.app.sessions.open(1).unwrap();
    let exchange = begin(&bench, &session, "gate").await;
    bench.app.drain.enter(Phase::Draining);
    bench.app.cut.cancel();
    bench.app.sessions.cancel_all();
    assert_eq!(code_of(&exchange).await, Some(ErrorCode::Draining));
}
