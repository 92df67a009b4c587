//! A language model behind the whole host: `chat` hands the model's answer over,
//! so that it goes from the model's server to the client without an instance;
//! every way the server fails has its code on the wire, and a client that cancels,
//! or leaves where nobody else would read, stops it within 100 ms, as the server's
//! own log proves.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use segue_tests::{Act, Bed, Frame, Site, Upstream};
use serde_json::json;

/// A host whose message type `chat` is answered by the model behind `upstream`,
/// however often that has failed.
async fn bed(upstream: &Upstream) -> Bed {
    bed_with(upstream, "breaker = false").await
}

/// The same with these lines on resilience.
async fn bed_with(upstream: &Upstream, resilience: &str) -> Bed {
    let base_url = upstream.base_url();
    Site::builder()
        .plugin("chat")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .config(&format!(
            r#"
            [plugins.max_grants]
            llm = ["main"]
            session = ["history"]

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"
            idle_timeout = "500ms"
            first_token_timeout = "500ms"

            [resilience.llm]
            {resilience}

            [[route]]
            match = {{ mtype = "chat" }}
            handler = "chat"

            [[endpoint]]
            path = "/model"
            kind = "raw"
            handler = "chat"
            "#
        ))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams_in_order_is_counted_and_is_remembered() {
    let upstream = Upstream::start().await;
    upstream.script([
        Act::tokens(["One", ", two"]),
        Act::Pause,
        Act::say(", three."),
        Act::usage(12, 5),
    ]);
    upstream.script([Act::say("Four.")]);
    let bed = bed(&upstream).await;
    let mut chat = bed.chat().await;
    chat.message("m1", "chat", "Count").await;
    let first = chat.until("chunk").await;
    assert!(first["content"].as_str().unwrap().starts_with("One"));
    upstream.release();
    let rest = chat.reply("m1").await;
    let text = first["content"].as_str().unwrap().to_owned() + &rest.text;
    assert_eq!(text, "One, two, three.", "{rest:?}");
    let meters = &rest.last["parts"][0]["usage"]["meters"];
    assert_eq!(
        *meters,
        json!({"llm.input_tokens": 12, "llm.output_tokens": 5, "llm.requests": 1})
    );

    // What was handed over is in the session's history.
    assert_eq!(chat.ask("m2", "chat", "Go on").await.text, "Four.");
    let asked = upstream.request(1).await;
    assert_eq!(
        (asked.said("assistant").as_str(), asked.said("user").as_str()),
        ("One, two, three.", "Count\nGo on")
    );
    assert_eq!(upstream.connections(), 1, "the connection is used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_the_server_has_its_code_on_the_wire() {
    let upstream = Upstream::start().await;
    let bed = bed(&upstream).await;
    for (number, (acts, code, text)) in [
        (vec![Act::Hang], "upstream_timeout", ""),
        (vec![Act::say("Half"), Act::Hang], "upstream_timeout", "Half"),
        (vec![Act::Cut], "upstream_unavailable", ""),
        (vec![Act::status(500, "broken")], "upstream_unavailable", ""),
        (vec![Act::status(401, "who?")], "upstream_rejected", ""),
        (vec![Act::rate_limited(7)], "upstream_rate_limited", ""),
        (vec![Act::say("Half"), Act::Cut], "upstream_failed", "Half"),
        (vec![Act::say("Half"), Act::Reset], "upstream_failed", "Half"),
        (vec![Act::say("Half"), Act::Unfinished], "upstream_failed", "Half"),
        (
            vec![Act::say("Half"), Act::Fails(String::from("oh"))],
            "upstream_failed",
            "Half",
        ),
        (vec![Act::say("Half"), Act::garbage()], "upstream_failed", "Half"),
        (vec![Act::Endless], "upstream_failed", ""),
    ]
    .into_iter()
    .enumerate()
    {
        upstream.script(acts.clone());
        let mut chat = bed.chat().await;
        let reply = chat.ask(&format!("m{number}"), "chat", "Hello").await;
        assert_eq!(
            (reply.error_code(), reply.text.as_str()),
            (code, text),
            "{acts:?}: {reply:?}"
        );
        if code == "upstream_rate_limited" {
            assert_eq!(reply.last["retry_after_ms"], 7000);
        }
    }
}

/// What is promised of a stop. A machine that is busy with something else may be
/// late now and then, so the quickest of some tries counts.
const STOP: Duration = Duration::from_millis(100);
const TRIES: usize = 5;

fn hangs() -> Vec<Act> {
    vec![Act::say("Half"), Act::Hang]
}

fn drips() -> Vec<Act> {
    let words = vec![String::from("a "); 1000];
    vec![Act::Drip(words, Duration::from_millis(10))]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cancels_stops_the_server_within_100_ms() {
    let upstream = Upstream::start().await;
    let bed = bed(&upstream).await;
    let mut number = 0;
    let silent: fn() -> Vec<Act> = || vec![Act::Hang];
    for acts in [silent, hangs, drips] {
        let mut quickest = Duration::MAX;
        for _ in 0..TRIES {
            upstream.script(acts());
            let mut chat = bed.chat().await;
            chat.message("m1", "chat", "Hello").await;
            upstream.request(number).await;
            if !matches!(acts()[0], Act::Hang) {
                chat.until("chunk").await;
            }
            let since = Instant::now();
            chat.send(json!({"type": "cancel", "id": "m1"})).await;
            let closed = upstream.closed(number).await;
            assert!(closed.within_answer);
            assert_eq!(chat.reply("m1").await.error_code(), "cancelled");
            number += 1;
            quickest = quickest.min(closed.after(since));
            if quickest < STOP {
                break;
            }
        }
        assert!(quickest < STOP, "{quickest:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_raw_endpoint_stops_the_server_within_100_ms() {
    let upstream = Upstream::start().await;
    let bed = bed(&upstream).await;
    let mut number = 0;
    for acts in [hangs, drips] {
        let mut quickest = Duration::MAX;
        for _ in 0..TRIES {
            upstream.script(acts());
            let mut socket = bed.raw("/model").await;
            socket.send(&Frame::text("Hello")).await;
            socket.message().await;
            let since = Instant::now();
            drop(socket);
            let closed = upstream.closed(number).await;
            assert!(closed.within_answer);
            number += 1;
            quickest = quickest.min(closed.after(since));
            if quickest < STOP {
                break;
            }
        }
        assert!(quickest < STOP, "{quickest:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_withdrawn_says_no_more_also_where_it_was_forwarded() {
    let upstream = Upstream::start().await;
    upstream.script([Act::say("One"), Act::Pause, Act::say(", two.")]);
    let bed = bed(&upstream).await;
    let mut chat = bed.chat().await;
    chat.message("m1", "chat", "count").await;
    assert_eq!(chat.until("chunk").await["content"], "One");
    let admin = bed.admin();
    let config = std::fs::read_to_string(bed.config_path()).unwrap();
    let config = config.replace("llm = [\"main\"]", "llm = []");
    std::fs::write(bed.config_path(), config).unwrap();
    assert_eq!(admin.post("/reload", &json!({})).await.0, 200);
    upstream.release();
    let reply = chat.reply("m1").await;
    assert_eq!(reply.error_code(), "capability_denied", "{}", reply.last);
    assert_eq!(reply.text, "");
    // What a source ends is counted as it ends.
    let failed = "segue_plugin_calls_total{outcome=\"handler_failed\",plugin=\"chat\"}";
    assert!((bed.http().metric(failed).await - 1.0).abs() < f64::EPSILON);
}

/// B4, E10: what has failed is left alone, as its own log proves; one probe finds
/// that it is well again; a client that cancels says nothing about it.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_sends_nothing_and_one_probe_brings_the_model_back() {
    let upstream = Upstream::start().await;
    upstream.answer(|_| vec![Act::status(500, "out of order")]);
    let bed = bed_with(
        &upstream,
        "failure_threshold = 2\nreset_timeout = \"300ms\"\nreset_timeout_max = \"300ms\"",
    )
    .await;
    let mut chat = bed.chat().await;
    for id in ["a", "b"] {
        let failed = chat.ask(id, "chat", "hello").await;
        assert_eq!(failed.error_code(), "upstream_unavailable");
    }
    let refused = chat.ask("c", "chat", "hello").await;
    assert_eq!(refused.error_code(), "circuit_open");
    assert!(
        refused.last["retry_after_ms"].as_u64().unwrap() <= 300,
        "{}",
        refused.last
    );
    assert_eq!(upstream.requests().len(), 2, "an open breaker sent something");

    // A probe that its client cancels proves nothing, and another may go.
    upstream.answer(|_| vec![Act::say("Well"), Act::Hang]);
    let mut probes = 0;
    let number = loop {
        let id = format!("probe-{probes}");
        probes += 1;
        chat.message(&id, "chat", "hello").await;
        chat.expect("accepted").await;
        let next = chat.frame().await;
        if next["type"] == "error" {
            assert_eq!(next["code"], "circuit_open");
            continue;
        }
        let number = upstream.requests().len();
        chat.send(json!({"type": "cancel", "id": id})).await;
        chat.until("error").await;
        break number;
    };
    assert_eq!(number, 3, "one probe and no more");
    upstream.answer(|_| vec![Act::say("I am back.")]);
    let back = chat.ask("d", "chat", "hello").await;
    assert_eq!(back.text, "I am back.");
    let sample =
        |outcome: &str| format!("segue_breaker_calls_total{{dependency=\"llm.main\",outcome=\"{outcome}\"}}");
    let http = bed.http();
    assert_eq!(http.metric(&sample("failure")).await as u64, 2);
    assert_eq!(http.metric(&sample("success")).await as u64, 1);
    assert_eq!(http.metric(&sample("neither")).await as u64, 1);
}
