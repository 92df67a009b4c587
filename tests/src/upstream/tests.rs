//! What is guarded: the server does what its script says, to a client that has
//! nothing to do with the host's own, and its log tells the truth.

use serde_json::json;

use super::*;
use crate::client;

async fn ask(upstream: &Upstream) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/chat/completions", upstream.base_url());
    let body = json!({"messages": [{"role": "user", "content": "Hello"}], "stream": true});
    client().post(url).bearer_auth("key").json(&body).send().await
}

/// The data of the events of an answer.
async fn events(response: reqwest::Response) -> Vec<String> {
    let text = response.text().await.unwrap();
    let events = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "));
    events.map(String::from).collect()
}

#[tokio::test]
async fn it_plays_scripts_in_order_and_then_what_it_makes_of_the_request() {
    let upstream = Upstream::start().await;
    upstream.script([Act::tokens(["a", "b"]), Act::usage(12, 2)]);
    upstream.script([Act::rate_limited(2)]);
    upstream.answer(|body| vec![Act::Document(body["messages"][0]["content"].to_string())]);

    let streamed = events(ask(&upstream).await.unwrap()).await;
    assert_eq!(streamed.len(), 5, "{streamed:?}");
    assert!(streamed[0].contains(r#""content":"a""#) && streamed[1].contains(r#""content":"b""#));
    assert!(streamed[2].contains("stop") && streamed[3].contains(r#""prompt_tokens":12"#));
    assert_eq!(streamed[4], "[DONE]");
    let limited = ask(&upstream).await.unwrap();
    assert_eq!(
        (limited.status().as_u16(), &limited.headers()["retry-after"]),
        (429, &"2".parse().unwrap())
    );
    let whole: Value = ask(&upstream).await.unwrap().json().await.unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], "\"Hello\"");

    let asked = upstream.request(0).await;
    assert_eq!(asked.line, "POST /v1/chat/completions");
    assert_eq!(
        (asked.header("Authorization"), asked.said("user").as_str()),
        (Some("Bearer key"), "Hello")
    );
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn it_fails_as_it_is_told_to() {
    let upstream = Upstream::start().await;
    for (acts, whole) in [
        (vec![Act::Cut], None),
        (vec![Act::Reset], None),
        (vec![Act::say("a b"), Act::Cut], Some(false)),
        (vec![Act::say("a b"), Act::Reset], Some(false)),
        (vec![Act::say("a b"), Act::Unfinished], Some(true)),
        (vec![Act::say("a b"), Act::Fails(String::from("oh"))], Some(true)),
        (vec![Act::garbage()], Some(true)),
    ] {
        upstream.script(acts.clone());
        let response = ask(&upstream).await;
        assert_eq!(response.is_ok(), whole.is_some(), "{acts:?}");
        if let (Ok(response), Some(whole)) = (response, whole) {
            assert_eq!(response.bytes().await.is_ok(), whole, "{acts:?}");
        }
    }
}

#[tokio::test]
async fn its_log_tells_when_a_client_leaves() {
    let upstream = Upstream::start().await;
    for acts in [
        vec![Act::Hang],
        vec![Act::say("a"), Act::Hang],
        vec![Act::say("a"), Act::Pause],
        vec![Act::Endless],
        vec![Act::Drip(
            vec![String::from("a"); 1000],
            Duration::from_millis(10),
        )],
    ] {
        let number = upstream.requests().len();
        let silent = matches!(acts[0], Act::Hang);
        upstream.script(acts);
        let mut asking = Box::pin(ask(&upstream));
        let response = tokio::select! {
            response = &mut asking => Some(response.unwrap()),
            _ = upstream.request(number), if silent => None,
        };
        let since = Instant::now();
        match response {
            Some(mut response) => drop(response.chunk().await.unwrap()),
            None => drop(asking),
        }
        let closed = upstream.closed(number).await;
        assert!(closed.within_answer && closed.at >= since);
    }
}

#[tokio::test]
async fn a_pause_ends_when_it_is_released() {
    let upstream = Upstream::start().await;
    upstream.script([Act::say("a"), Act::Pause, Act::say("b")]);
    let mut response = ask(&upstream).await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&first).contains("[DONE]"));
    upstream.release();
    assert_eq!(events(response).await.last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test]
async fn looks_are_answered_and_logged_apart() {
    let upstream = Upstream::start().await;
    let url = format!("{}/models", upstream.base_url());
    let look = async || client().get(&url).send().await.unwrap().status().as_u16();
    assert_eq!(look().await, 200);
    upstream.health([Act::status(503, "down")]);
    assert_eq!(look().await, 503);
    assert_eq!((upstream.looks().len(), upstream.requests().len()), (2, 0));
    upstream.script([Act::Senseless(b"SSH-2.0-server\r\n".to_vec())]);
    assert!(ask(&upstream).await.is_err());
    assert_eq!(upstream.requests_since(upstream.request(0).await.at), 1);
}
