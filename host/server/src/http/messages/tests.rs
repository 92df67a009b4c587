//! A message sent over HTTP is answered once, whole, and can be read again.

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::{Value, json};

use crate::edge::testing::{Bench, Client, bench, json as json_of, text};

const CONFIG: &str = r#"
[[route]]
match = { mtype = "chat" }
handler = "echo"

[[route]]
match = { mtype = "gate" }
handler = "gate"

[[route]]
match = { mtype = "fail" }
handler = "fail"

[[route]]
match = { mtype = "both" }
handlers = ["echo", "fail"]
"#;

const JSON: (&str, &str) = ("accept", "application/json");

async fn post(client: &Client, headers: &[(&str, &str)], body: Value) -> Response {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    client.ask("POST", "/v1/messages", &all, body.to_string()).await
}

fn message(mtype: &str, content: &str) -> Value {
    json!({ "mtype": mtype, "content": content })
}

#[derive(Debug)]
struct Event {
    id: Option<String>,
    kind: String,
    data: Value,
}

fn events(text: &str) -> Vec<Event> {
    let field = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim().to_owned())
    };
    text.split("\n\n")
        .filter(|block| block.contains("data:"))
        .map(|block| Event {
            id: field(block, "id:"),
            kind: field(block, "event:").unwrap(),
            data: serde_json::from_str(&field(block, "data:").unwrap()).unwrap(),
        })
        .collect()
}

fn said(events: &[Event]) -> String {
    events
        .iter()
        .filter(|e| e.kind == "chunk")
        .map(|e| e.data["content"].as_str().unwrap())
        .collect()
}

fn session_of(response: &Response) -> String {
    response.headers()["segue-session"].to_str().unwrap().to_owned()
}

async fn hosted() -> (Bench, Client) {
    let bench = bench(CONFIG).await;
    let client = bench.public();
    (bench, client)
}

#[tokio::test]
async fn as_a_stream_the_frames_come_in_order_each_with_its_number() {
    let (_bench, client) = hosted().await;
    let response = post(&client, &[], message("chat", "one two three")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    session_of(&response);
    let events = events(&text(response).await);
    assert_eq!(said(&events), "one two three");
    assert_eq!(events.first().unwrap().kind, "accepted");
    assert_eq!(events.last().unwrap().kind, "done");
    assert!(
        events
            .iter()
            .any(|e| e.kind == "data" && e.data["data"]["words"] == true)
    );
    for (event, seq) in events.iter().zip(1_u64..) {
        assert_eq!(event.data["seq"], seq);
        assert!(event.id.as_ref().unwrap().ends_with(&format!(":{seq}")));
    }
}

#[tokio::test]
async fn as_an_object_it_comes_whole() {
    let (_bench, client) = hosted().await;
    let response = post(
        &client,
        &[JSON],
        json!({ "mtype": "chat", "content": "one two", "id": "m1" }),
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
    let body = json_of(response).await;
    assert_eq!(body["content"], "one two");
    assert_eq!(body["id"], "m1");
    assert_eq!(body["data"], json!([{ "words": true }]));
    assert_eq!(body["handler"], "echo");
    assert_eq!(body["parts"][0]["ok"], true);
    assert!(body["session"].is_string() && body["epoch"].is_string() && body["ms"].is_number());
}

#[tokio::test]
async fn a_failure_has_its_status_and_names_its_message() {
    let (_bench, client) = hosted().await;
    let response = post(&client, &[JSON], message("fail", "")).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let body = json_of(response).await;
    assert_eq!(body["error"]["code"], "handler_failed");
    assert_eq!(body["error"]["handler_code"], "out_of_stock");
    assert!(body["id"].is_string() && body["session"].is_string());

    let stream = post(&client, &[], message("fail", "")).await;
    assert_eq!(stream.status(), StatusCode::OK);
    let events = events(&text(stream).await);
    assert_eq!(events.last().unwrap().data["code"], "handler_failed");
    assert_eq!(events.last().unwrap().data["final"], true);
}

#[tokio::test]
async fn of_several_handlers_those_count_that_answered() {
    let (_bench, client) = hosted().await;
    let body = json_of(post(&client, &[JSON], message("both", "hi")).await).await;
    assert_eq!(body["content"], "hi");
    assert_eq!(body["handler"], "echo");
    let parts = body["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    assert_eq!(
        (&parts[0]["content"], &parts[1]["error"]),
        (&json!("hi"), &json!("handler_failed"))
    );
}

#[tokio::test]
async fn a_message_that_is_refused_leaves_no_session_behind() {
    let (bench, client) = hosted().await;
    let response = post(&client, &[], message("unknown", "x")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(json_of(response).await["error"]["code"], "no_route");
    assert_eq!(bench.app.sessions.len(), 0);
    let lost = json!({ "mtype": "chat", "content": "x", "session": "nobody" });
    let response = post(&client, &[], lost).await;
    assert_eq!(json_of(response).await["error"]["code"], "session_unknown");
}

#[tokio::test]
async fn the_same_key_is_answered_once() {
    let (bench, client) = hosted().await;
    let key = ("idempotency-key", "k-1");
    let first = json_of(post(&client, &[JSON, key], message("chat", "hi there")).await).await;
    let second = json_of(post(&client, &[JSON, key], message("chat", "hi there")).await).await;
    assert_eq!(first, second);
    assert_eq!(bench.app.sessions.len(), 1);
    let stream = post(&client, &[key], message("chat", "hi there")).await;
    assert_eq!(said(&events(&text(stream).await)), "hi there");
    let other = post(&client, &[key], message("chat", "something else")).await;
    assert_eq!(other.status(), StatusCode::CONFLICT);
    assert_eq!(json_of(other).await["error"]["code"], "id_conflict");
    let two = post(
        &client,
        &[key],
        json!({ "mtype": "chat", "content": "x", "id": "k-2" }),
    )
    .await;
    assert_eq!(two.status(), StatusCode::BAD_REQUEST);
}

/// Reads until `count` events are there.
async fn read_some(response: Response, count: usize) -> (Vec<Event>, Response) {
    let (head, body) = response.into_parts();
    let mut pieces = body.into_data_stream();
    let mut text = String::new();
    while events(&text).len() < count {
        text.push_str(std::str::from_utf8(&pieces.next().await.unwrap().unwrap()).unwrap());
    }
    (
        events(&text),
        Response::from_parts(head, Body::from_stream(pieces)),
    )
}

#[tokio::test]
async fn a_client_that_leaves_cancels_nothing_and_goes_on_where_it_was() {
    let (bench, client) = hosted().await;
    let key = ("idempotency-key", "k-1");
    let response = post(&client, &[key], message("gate", "x")).await;
    let (before, response) = read_some(response, 2).await;
    assert_eq!(said(&before), "begun ");
    let last = before.last().unwrap().id.clone().unwrap();
    drop(response);

    // While it runs: attached to the running reply.
    let again = post(&client, &[key, ("last-event-id", &last)], message("gate", "x")).await;
    bench.gate.notify_one();
    let after = events(&text(again).await);
    assert_eq!(said(&after), "ended");
    assert_eq!(after.last().unwrap().kind, "done");

    // When it is over: from the same event on, or from the beginning.
    let later = post(&client, &[key, ("last-event-id", &last)], message("gate", "x")).await;
    assert_eq!(said(&events(&text(later).await)), "ended");
    let whole = post(&client, &[key], message("gate", "x")).await;
    assert_eq!(said(&events(&text(whole).await)), "begun ended");
    let stranger = post(
        &client,
        &[key, ("last-event-id", "other-epoch:7")],
        message("gate", "x"),
    )
    .await;
    assert_eq!(said(&events(&text(stranger).await)), "begun ended");

    // After its end: told so, and not left waiting.
    let end = after.last().unwrap().id.clone().unwrap();
    let over = post(&client, &[key, ("last-event-id", &end)], message("gate", "x")).await;
    let over = events(&text(over).await);
    assert_eq!(
        over.iter()
            .map(|e| e.kind.as_str())
            .filter(|kind| *kind == "done")
            .count(),
        1
    );
    assert_eq!(said(&over), "");
}

#[tokio::test]
async fn what_the_outbox_no_longer_holds_is_sent_again_from_the_record() {
    let (bench, client) = hosted().await;
    let key = ("idempotency-key", "k-1");
    let first = post(&client, &[key], message("chat", "hi there")).await;
    let session = bench.app.sessions.get(&session_of(&first)).unwrap();
    let sent = events(&text(first).await);
    session.outbox.ack(sent.len() as u64);
    let again = events(&text(post(&client, &[key], message("chat", "hi there")).await).await);
    assert_eq!(said(&again), "hi there");
    let done = again.last().unwrap();
    assert_eq!(
        (done.kind.as_str(), &done.data["replayed"]),
        ("done", &json!(true))
    );
}

#[tokio::test]
async fn a_stream_goes_on_to_its_end_whatever_else_the_session_says() {
    let (bench, client) = hosted().await;
    let (_, response) = read_some(post(&client, &[], message("gate", "x")).await, 2).await;
    let session = bench.app.sessions.get(&session_of(&response)).unwrap();
    let bounds = bench.app.snapshot().bounds;
    for _ in 0..3 * bounds.frames {
        let other = segue_protocol::ServerFrame::Status {
            id: "other".into(),
            handler: "h".into(),
            text: String::new(),
        };
        session.outbox.push(&bounds, other).await;
    }
    assert!(!session.outbox.covers(2), "the others' have made room");
    bench.gate.notify_one();
    let events = events(&text(response).await);
    assert_eq!(said(&events), "ended");
    assert_eq!(events.last().unwrap().kind, "done");
}

#[tokio::test]
async fn a_conversation_can_be_listed_read_in_pages_and_erased() {
    let (bench, client) = hosted().await;
    let first = json_of(post(&client, &[JSON], message("chat", "one")).await).await;
    let session = first["session"].as_str().unwrap();
    let more = json!({ "mtype": "fail", "content": "two", "session": session });
    post(&client, &[JSON], more).await;

    let listed = json_of(client.get("/v1/sessions").await).await;
    assert_eq!(listed["sessions"][0]["session"], *session);
    let path = format!("/v1/sessions/{session}/messages");
    let page = json_of(client.get(&format!("{path}?limit=1")).await).await;
    let roles: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].clone())
        .collect();
    assert_eq!(roles, ["user", "assistant"]);
    assert_eq!(page["messages"][1]["content"], "one");
    assert_eq!(page["messages"][1]["handler"], "echo");
    let next = json_of(client.get(&format!("{path}?after={}", page["next"])).await).await;
    assert_eq!(next["messages"][0]["content"], "two");
    assert_eq!(next["messages"][1]["error"]["code"], "handler_failed");
    assert!(next.get("next").is_none());

    let erase = || {
        client.ask(
            "DELETE",
            &path[..path.len() - "/messages".len()],
            &[],
            Body::empty(),
        )
    };
    assert_eq!(erase().await.status(), StatusCode::NO_CONTENT);
    assert_eq!(erase().await.status(), StatusCode::NOT_FOUND);
    assert_eq!(client.get(&path).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(bench.app.sessions.len(), 0);
}

#[tokio::test]
async fn sessions_are_listed_page_by_page() {
    let (_bench, client) = hosted().await;
    for n in 0..5 {
        post(&client, &[JSON], message("chat", &n.to_string())).await;
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut path = "/v1/sessions?limit=2".to_owned();
    loop {
        let page = json_of(client.get(&path).await).await;
        for session in page["sessions"].as_array().unwrap() {
            assert!(seen.insert(session["session"].to_string()));
        }
        let Some(next) = page.get("next") else { break };
        path = format!("/v1/sessions?limit=2&after={}", next.as_str().unwrap());
    }
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn a_draining_host_takes_no_new_message_and_says_when_to_come_back() {
    let (bench, client) = hosted().await;
    bench.app.drain.enter(crate::drain::Phase::Draining);
    let response = post(&client, &[], message("chat", "x")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(json_of(response).await["error"]["code"], "draining");
}

#[tokio::test]
async fn a_running_answer_whose_beginning_is_gone_is_sent_whole_once_it_is() {
    let (bench, client) = hosted().await;
    let key = ("idempotency-key", "k-1");
    let (before, response) = read_some(post(&client, &[key], message("gate", "x")).await, 2).await;
    let session = bench.app.sessions.get(&session_of(&response)).unwrap();
    drop(response);
    let (_, again) = read_some(post(&client, &[key], message("gate", "x")).await, 2).await;
    session.outbox.ack(before.len() as u64);
    let late = post(&client, &[key], message("gate", "x")).await;
    bench.gate.notify_one();
    // Attached in time: goes on by number.
    assert_eq!(said(&events(&text(again).await)), "ended");
    let late = events(&text(late).await);
    assert_eq!(said(&late), "begun ended");
    assert_eq!(late.last().unwrap().data["replayed"], true);
    assert!(late.last().unwrap().id.is_none());
}
