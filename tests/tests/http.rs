//! Messages over HTTP, as one object and as events, and the conversations they
//! belong to.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use reqwest::Method;
use segue_tests::{Bed, Site, SseEvent};
use serde_json::{Value, json};

async fn bed() -> Bed {
    Site::builder().standard().start().await
}

fn message(mtype: &str, content: &str) -> Value {
    json!({"mtype": mtype, "content": content})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_as_one_object() {
    let bed = bed().await;
    let (status, answer) = bed.http().post("/v1/messages", &message("do", "slow 3 0")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["content"], "0 1 2 ");
    assert!(
        answer["version"]
            .as_str()
            .expect("a version")
            .starts_with("sha256:"),
        "{answer}"
    );
    assert_eq!(answer["parts"][0]["handler"], "misbehave");
    for field in ["session", "epoch", "id"] {
        assert!(answer[field].is_string(), "{field} in {answer}");
    }
    let (_, answer) = bed.http().post("/v1/messages", &message("do", "data")).await;
    assert_eq!(answer["data"], json!([{"rows": [1, 2, 3]}]), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fails_has_its_codes_status() {
    let bed = bed().await;
    for (body, status, code) in [
        (message("weather", "x"), 404, "no_route"),
        (message("do", "trap-mid"), 502, "handler_trapped"),
        (message("do", "silent"), 502, "empty_reply"),
        (message("do", "retryable overloaded 1500"), 503, "overloaded"),
        (json!({"mtype": "chat"}), 400, "invalid_message"),
        (json!([]), 400, "invalid_message"),
    ] {
        let (found, answer) = bed.http().post("/v1/messages", &body).await;
        assert_eq!(
            (found, &answer["error"]["code"]),
            (status, &json!(code)),
            "{body}: {answer}"
        );
        assert!(
            answer["error"]["message"].is_string() && answer["error"]["retryable"].is_boolean(),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_as_events_that_are_numbered_frames() {
    let bed = bed().await;
    let events = bed
        .http()
        .stream(&message("do", "slow 3 0"))
        .await
        .collect()
        .await;
    let kinds: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(kinds, ["accepted", "chunk", "chunk", "chunk", "done"]);
    assert_eq!(text(&events), "0 1 2 ");
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.data["type"], json!(event.event));
        assert_eq!(event.data["seq"], index + 1);
        let (_, seq) = event.id.rsplit_once(':').expect("epoch:seq");
        assert_eq!(seq.parse::<usize>().expect("a number"), index + 1);
    }
}

fn text(events: &[SseEvent]) -> String {
    events
        .iter()
        .filter(|event| event.event == "chunk")
        .filter_map(|event| event.data["content"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_runs_the_handler_once() {
    let bed = bed().await;
    let http = bed.http();
    let ask = async |content: &str| {
        let request = http
            .request(Method::POST, "/v1/messages")
            .header("accept", "application/json")
            .header("idempotency-key", "key-1")
            .json(&message("do", content));
        let response = http.send(request).await;
        (
            response.status().as_u16(),
            response.json::<Value>().await.expect("JSON"),
        )
    };
    let (first, again, other) = (
        ask("traceparent").await,
        ask("traceparent").await,
        ask("attempt").await,
    );
    assert_eq!(first.0, 200, "{}", first.1);
    // Each call has a span of its own, so the same text was said only once.
    assert_eq!(first.1["content"], again.1["content"]);
    assert_eq!(first.1["id"], "key-1");
    assert_eq!((other.0, &other.1["error"]["code"]), (409, &json!("id_conflict")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_does_not_cancel_and_resumes_where_it_stood() {
    let bed = bed().await;
    let http = bed.http();
    let request = || {
        http.request(Method::POST, "/v1/messages")
            .header("accept", "text/event-stream")
            .header("idempotency-key", "key-2")
            .json(&message("do", "slow 6 100"))
    };
    let mut stream = http.stream_request(request()).await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(stream.next().await.expect("an event"));
    }
    drop(stream);

    let last = seen.last().expect("events").id.clone();
    let rest = http
        .stream_request(request().header("last-event-id", &last))
        .await
        .collect()
        .await;
    let all: Vec<SseEvent> = seen
        .into_iter()
        .chain(rest)
        .filter(|event| event.event != "accepted")
        .collect();
    assert_eq!(text(&all), "0 1 2 3 4 5 ");
    assert_eq!(all.last().expect("a last").event, "done");
    let (mut ids, count) = (all.iter().map(|event| &event.id).collect::<Vec<_>>(), all.len());
    ids.dedup();
    assert_eq!(ids.len(), count, "an event came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_shared_by_http_and_sockets_and_its_history_is_kept() {
    let bed = bed().await;
    let http = bed.http();
    let mut chat = bed.chat().await;
    chat.ask("m1", "chat", "by socket").await;
    let body = json!({"mtype": "chat", "content": "by HTTP", "session": chat.session()});
    let (status, answer) = http.post("/v1/messages", &body).await;
    assert_eq!(
        (status, &answer["session"]),
        (200, &json!(chat.session())),
        "{answer}"
    );
    chat.until("done").await;

    let page = http
        .get_ok(&format!("/v1/sessions/{}/messages", chat.session()))
        .await;
    let contents: Vec<&str> = page["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|turn| turn["content"].as_str())
        .collect();
    assert_eq!(
        contents,
        ["by socket", "by socket", "by HTTP", "by HTTP"],
        "{page}"
    );
    let sessions = http.get_ok("/v1/sessions").await;
    assert!(sessions.to_string().contains(chat.session()), "{sessions}");
    assert_eq!(http.get("/v1/sessions/nobody/messages").await.0, 404);
    let body = json!({"mtype": "chat", "content": "x", "session": "nobody"});
    let (status, answer) = http.post("/v1/messages", &body).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("session_unknown"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_paged() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    for number in 0..5 {
        chat.ask(&format!("m{number}"), "chat", &number.to_string()).await;
    }
    let path = format!("/v1/sessions/{}/messages", chat.session());
    let (mut contents, mut after) = (Vec::new(), 0);
    loop {
        let page = bed.http().get_ok(&format!("{path}?limit=2&after={after}")).await;
        let turns = page["messages"].as_array().expect("messages").clone();
        contents.extend(
            turns
                .iter()
                .filter(|turn| turn["role"] == "user")
                .map(|turn| turn["content"].clone()),
        );
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(contents, ["0", "1", "2", "3", "4"]);
}
