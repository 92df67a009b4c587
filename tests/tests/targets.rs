//! Several servers behind one model. What each of them was sent is counted by the
//! servers themselves: before the first word of an answer another may be asked,
//! after it never; one that fails is out of the rotation within a second and back
//! once it is well; an open breaker sends nothing, a half-open one its probes and
//! no more; and retries stay within what pays for them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use segue_tests::{Act, Bed, Chat, Site, Upstream};
use serde_json::json;
use tokio::net::TcpListener;

/// What is promised of a server that fails.
const OUT_WITHIN: Duration = Duration::from_secs(1);

/// A host whose message type `chat` is answered by the model `main` with these
/// targets, under these lines on resilience.
async fn bed(targets: &str, resilience: &str) -> Bed {
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
            model = "scripted"
            connect_timeout = "300ms"
            first_token_timeout = "300ms"
            idle_timeout = "300ms"
            {targets}

            [resilience.llm]
            {resilience}

            [[route]]
            match = {{ mtype = "chat" }}
            handler = "chat"
            "#
        ))
        .start()
        .await
}

fn target(name: &str, upstream: &Upstream, more: &str) -> String {
    let url = upstream.base_url();
    format!("[llm.main.targets.{name}]\nbase_url = \"{url}\"\n{more}\n")
}

/// `east` first, then `west`.
fn in_order(east: &Upstream, west: &Upstream) -> String {
    target("east", east, "") + &target("west", west, "order = 2")
}

async fn outcome(bed: &Bed, target: &str, outcome: &str) -> u64 {
    let sample =
        format!("segue_breaker_calls_total{{dependency=\"llm.main/{target}\",outcome=\"{outcome}\"}}");
    bed.http().metric(&sample).await as u64
}

/// Whether `event` has happened, asked by a message each time.
async fn ask_until(chat: &mut Chat, number: &mut usize, mut event: impl FnMut(&str) -> bool) {
    let since = Instant::now();
    loop {
        *number += 1;
        let reply = chat.ask(&format!("until-{number}"), "chat", "hello").await;
        assert_eq!(reply.last["type"], "done", "{}", reply.last);
        if event(&reply.text) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "it never happened");
    }
}

/// B16, B22: every failure before the first word is another server's turn.
#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_word_another_server_answers() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    west.answer(|_| vec![Act::say("From the west.")]);
    let bed = bed(&in_order(&east, &west), "breaker = false\nretry_budget = 1.0").await;
    let mut chat = bed.chat().await;
    let failures = [
        vec![Act::status(500, "broken")],
        vec![Act::rate_limited(60)],
        vec![Act::status(401, "who?")],
        vec![Act::status(403, "not you")],
        vec![Act::status(404, "what?")],
        vec![Act::Hang],
        vec![Act::Begin, Act::Hang],
        vec![Act::Cut],
        vec![Act::Reset],
        vec![Act::Senseless(b"\x00\x01 garbage\r\n\r\n".to_vec())],
        vec![Act::garbage()],
        vec![Act::Fails(String::from("oh"))],
        vec![Act::Unfinished],
    ];
    for (number, acts) in failures.iter().enumerate() {
        east.script(acts.clone());
        let reply = chat.ask(&format!("m{number}"), "chat", "Hello").await;
        assert_eq!(reply.text, "From the west.", "{acts:?}: {}", reply.last);
    }
    let all = failures.len();
    assert_eq!((east.requests().len(), west.requests().len()), (all, all));
    let http = bed.http();
    for (target, outcome, count) in [
        ("east", "success", 0),
        ("east", "unavailable", 3),
        ("east", "rate_limited", 1),
        ("east", "rejected", 3),
        ("east", "timeout", 2),
        ("east", "failed", 4),
        ("west", "success", all),
    ] {
        let sample =
            format!("segue_llm_requests_total{{model=\"main\",outcome=\"{outcome}\",target=\"{target}\"}}");
        assert_eq!(http.metric(&sample).await as usize, count, "{target} {outcome}");
    }
}

/// B16: nobody there, and one that speaks no TLS.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_another_ones_turn() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = gone.local_addr().unwrap();
    drop(gone);
    let (plain, west) = (Upstream::start().await, Upstream::start().await);
    west.answer(|_| vec![Act::say("From the west.")]);
    let no_tls = plain.base_url().replace("http://", "https://");
    let targets = format!(
        "[llm.main.targets.refused]\nbase_url = \"http://{refused}/v1\"\n\
         [llm.main.targets.tls]\nbase_url = \"{no_tls}\"\norder = 2\n{}",
        target("west", &west, "order = 3")
    );
    let bed = bed(&targets, "failure_threshold = 2").await;
    let mut chat = bed.chat().await;
    for id in ["a", "b", "c"] {
        assert_eq!(chat.ask(id, "chat", "Hello").await.text, "From the west.");
    }
    assert_eq!(west.requests().len(), 3);
    assert!(plain.requests().is_empty());
    for target in ["refused", "tls"] {
        assert_eq!(outcome(&bed, target, "failure").await, 2, "{target}: then out");
    }
}

/// B16: after the first word an answer is its server's, to its failure.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_word_nothing_is_tried_again() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    let bed = bed(&in_order(&east, &west), "retries = 5\nbreaker = false").await;
    let mut chat = bed.chat().await;
    let failures = [
        (vec![Act::say("Half"), Act::Cut], "upstream_failed"),
        (vec![Act::say("Half"), Act::Reset], "upstream_failed"),
        (vec![Act::say("Half"), Act::Hang], "upstream_timeout"),
        (vec![Act::say("Half"), Act::garbage()], "upstream_failed"),
        (vec![Act::say("Half"), Act::Unfinished], "upstream_failed"),
    ];
    for (number, (acts, code)) in failures.iter().enumerate() {
        east.script(acts.clone());
        let reply = chat.ask(&format!("m{number}"), "chat", "Hello").await;
        assert_eq!(
            (reply.error_code(), reply.text.as_str()),
            (*code, "Half"),
            "{acts:?}"
        );
        assert_eq!(east.requests().len(), number + 1, "{acts:?}");
    }
    assert_eq!(west.requests().len(), 0);
}

/// A question that is wrong, or too long, is wrong for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_wrong_is_asked_once() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    let bed = bed(&in_order(&east, &west), "retries = 5\nfailure_threshold = 1").await;
    let mut chat = bed.chat().await;
    for (number, status) in [400, 413, 422].into_iter().enumerate() {
        east.script([Act::status(status, "context too long")]);
        let reply = chat.ask(&format!("m{number}"), "chat", "Hello").await;
        assert_eq!(reply.error_code(), "upstream_rejected");
    }
    assert_eq!((east.requests().len(), west.requests().len()), (3, 0));
    assert_eq!(outcome(&bed, "east", "neither").await, 3);
}

/// B4, E10
#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_sends_nothing_and_a_half_open_one_its_probe() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    east.answer(|_| vec![Act::status(500, "out of order")]);
    west.answer(|_| vec![Act::say("From the west.")]);
    let bed = bed(
        &in_order(&east, &west),
        "failure_threshold = 2\nreset_timeout = \"500ms\"\nreset_timeout_max = \"500ms\"",
    )
    .await;
    let mut chat = bed.chat().await;
    let since = Instant::now();
    let mut answered = 0;
    // As often as it goes while it is open: it is sent nothing.
    while since.elapsed() < Duration::from_millis(400) || answered < 3 {
        let reply = chat.ask(&format!("open-{answered}"), "chat", "Hello").await;
        assert_eq!(reply.text, "From the west.");
        answered += 1;
    }
    let failed = east.requests();
    assert_eq!(failed.len(), 2, "an open breaker sent something");
    let states = bed.admin().get_ok("/breakers").await.to_string();
    assert!(
        states.contains("llm.main/east") && states.contains("llm.main/west"),
        "{states}"
    );

    // Half-open: one probe is under way, whoever else asks goes west.
    east.answer(|_| vec![Act::Pause, Act::say("From the east.")]);
    let mut probe = bed.chat().await;
    let mut number = 0;
    while east.requests().len() == 2 {
        number += 1;
        let id = format!("probe-{number}");
        probe.message(&id, "chat", "Hello").await;
        tokio::select! {
            asked = east.request(2) => assert!(asked.at - failed[1].at >= Duration::from_millis(450)),
            reply = probe.reply(&id) => assert_eq!(reply.text, "From the west."),
        }
    }
    for number in 0..5 {
        let reply = chat.ask(&format!("half-{number}"), "chat", "Hello").await;
        assert_eq!(reply.text, "From the west.");
    }
    assert_eq!(east.requests().len(), 3, "one probe and no more");
    east.release();
    assert_eq!(
        probe.reply(&format!("probe-{number}")).await.text,
        "From the east."
    );
    east.answer(|_| vec![Act::say("From the east.")]);
    assert_eq!(chat.ask("well", "chat", "Hello").await.text, "From the east.");
}

/// B22, O10
#[tokio::test(flavor = "multi_thread")]
async fn retries_stay_within_their_number_and_their_budget() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    for upstream in [&east, &west] {
        upstream.answer(|_| vec![Act::status(500, "out of order")]);
    }
    let bed = bed(
        &in_order(&east, &west),
        "breaker = false\nretries = 3\nretry_backoff = \"1ms\"\nretry_budget = 0.1",
    )
    .await;
    let mut chat = bed.chat().await;
    assert_eq!(
        chat.ask("first", "chat", "Hello").await.error_code(),
        "upstream_unavailable"
    );
    let sent = |calls: usize| {
        let all = east.requests().len() + west.requests().len();
        (all, all - calls)
    };
    assert_eq!(sent(1), (5, 4), "each once, and three retries");
    for number in 0..39 {
        let reply = chat.ask(&format!("m{number}"), "chat", "Hello").await;
        assert_eq!(reply.error_code(), "upstream_unavailable");
    }
    // A tenth of the calls, and ten of each server's that are free.
    let (_, more) = sent(40);
    assert!(
        (20..=24).contains(&more),
        "{more} more than the 40 that were asked"
    );
}

/// B16: what a server asks for is waited for, if it is not long.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_when_to_come_back_is_not_asked_before() {
    let east = Upstream::start().await;
    east.script([Act::Status(
        429,
        vec![(String::from("Retry-After-Ms"), String::from("300"))],
        String::from("{}"),
    )]);
    east.script([Act::say("Now.")]);
    east.script([Act::rate_limited(60)]);
    let bed = bed(&target("east", &east, ""), "retries = 2\nretry_backoff = \"1ms\"").await;
    let mut chat = bed.chat().await;
    assert_eq!(chat.ask("a", "chat", "Hello").await.text, "Now.");
    let asked = east.requests();
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(300));
    // Longer than `retry_backoff_max`: the client is told.
    let reply = chat.ask("b", "chat", "Hello").await;
    assert_eq!(reply.error_code(), "upstream_rate_limited");
    assert_eq!(reply.last["retry_after_ms"], 60_000);
    let reply = chat.ask("c", "chat", "Hello").await;
    assert_eq!(reply.error_code(), "circuit_open");
    assert_eq!(east.requests().len(), 3);
}

/// A client that leaves says nothing about the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_counts_neither_and_is_nobody_elses_turn() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    let bed = bed(&in_order(&east, &west), "failure_threshold = 1\nretries = 5").await;
    let mut chat = bed.chat().await;
    for (number, acts) in [vec![Act::Hang], vec![Act::say("Half"), Act::Hang]]
        .into_iter()
        .enumerate()
    {
        let (id, begun) = (format!("m{number}"), acts.len() > 1);
        east.script(acts);
        chat.message(&id, "chat", "Hello").await;
        east.request(number).await;
        if begun {
            chat.until("chunk").await;
        }
        chat.send(json!({"type": "cancel", "id": id})).await;
        assert_eq!(chat.reply(&id).await.error_code(), "cancelled");
        assert!(east.closed(number).await.within_answer);
    }
    east.script([Act::say("Well.")]);
    assert_eq!(chat.ask("well", "chat", "Hello").await.text, "Well.");
    assert_eq!(west.requests().len(), 0);
    for (kind, count) in [("success", 1), ("failure", 0), ("neither", 2)] {
        assert_eq!(outcome(&bed, "east", kind).await, count, "{kind}");
    }
}

/// O10: a server that begins to fail, or falls silent, while people ask.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_server_is_out_of_the_rotation_within_a_second_and_back_once_it_is_well() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    let well = |name: &'static str| move |_: &serde_json::Value| vec![Act::say(name)];
    east.answer(well("east"));
    west.answer(well("west"));
    let looked = "health_interval = \"200ms\"";
    let bed = bed(
        &(target("east", &east, looked) + &target("west", &west, looked)),
        "failure_threshold = 3\nreset_timeout = \"300ms\"\nreset_timeout_max = \"300ms\"\nretry_budget = 1.0",
    )
    .await;
    let (mut chat, mut number) = (bed.chat().await, 0);
    ask_until(&mut chat, &mut number, |text| text == "east").await;

    // Fails: the breaker has it out. Every answer is whole all the same.
    east.answer(|_| vec![Act::status(500, "out of order")]);
    let since = Instant::now();
    let states = async || bed.admin().get_ok("/breakers").await.to_string();
    ask_until(&mut chat, &mut number, |_| east.requests_since(since) >= 3).await;
    assert!(since.elapsed() < OUT_WITHIN, "{:?}", since.elapsed());
    assert!(states().await.contains("\"open\""));
    east.answer(well("east"));
    ask_until(&mut chat, &mut number, |text| text == "east").await;

    // Is silent: looks have it out, and whoever was waiting is answered by the other.
    east.answer(|_| vec![Act::Hang]);
    east.health([Act::Hang]);
    let since = Instant::now();
    while since.elapsed() < OUT_WITHIN {
        ask_until(&mut chat, &mut number, |_| true).await;
    }
    let out = Instant::now();
    for _ in 0..20 {
        ask_until(&mut chat, &mut number, |text| text == "west").await;
    }
    assert_eq!(east.requests_since(out), 0, "still in the rotation");
    let backends = bed.admin().get_ok("/backends").await.to_string();
    assert!(
        backends.contains("does not answer the health check"),
        "{backends}"
    );
    east.answer(well("east"));
    east.health([Act::Status(200, Vec::new(), String::from("{}"))]);
    ask_until(&mut chat, &mut number, |text| text == "east").await;
}

/// Each target has its share, its own headers and its own model.
#[tokio::test(flavor = "multi_thread")]
async fn targets_are_asked_by_weight_each_in_its_own_way() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    for upstream in [&east, &west] {
        upstream.answer(|_| vec![Act::say("Well."), Act::usage(3, 1)]);
    }
    let targets = target("east", &east, "weight = 9\nheaders = { X-Team = \"search\" }")
        + &target("west", &west, "model = \"other\"");
    let bed = bed(&targets, "").await;
    let mut chat = bed.chat().await;
    for number in 0..60 {
        chat.ask(&format!("m{number}"), "chat", "Hello").await;
    }
    let (asked, others) = (east.requests(), west.requests());
    assert_eq!(asked.len() + others.len(), 60);
    assert!(asked.len() > others.len(), "{} and {}", asked.len(), others.len());
    assert_eq!(asked[0].header("x-team"), Some("search"));
    assert_eq!(asked[0].body["model"], "scripted");
    if let Some(other) = others.first() {
        assert_eq!(
            (other.header("x-team"), &other.body["model"]),
            (None, &json!("other"))
        );
    }
    let sample = "segue_llm_tokens_total{direction=\"input\",model=\"main\",target=\"east\"}";
    assert_eq!(bed.http().metric(sample).await as usize, 3 * asked.len());
}

/// A change while the host runs: what is no target any more is forgotten, breaker
/// and all, and what stays keeps its counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_taken_out_takes_its_breaker_along() {
    let (east, west) = (Upstream::start().await, Upstream::start().await);
    east.answer(|_| vec![Act::status(500, "out of order")]);
    west.answer(|_| vec![Act::say("From the west.")]);
    let bed = bed(&in_order(&east, &west), "failure_threshold = 1").await;
    let mut chat = bed.chat().await;
    assert_eq!(chat.ask("a", "chat", "Hello").await.text, "From the west.");
    let breakers = async || bed.admin().get_ok("/breakers").await.to_string();
    assert!(breakers().await.contains("llm.main/east"));
    let config = std::fs::read_to_string(bed.config_path()).unwrap();
    let mut config: toml::Table = config.parse().unwrap();
    let main = config["llm"]["main"].as_table_mut().unwrap();
    main["targets"].as_table_mut().unwrap().remove("east");
    std::fs::write(bed.config_path(), config.to_string()).unwrap();
    assert_eq!(bed.admin().post("/reload", &json!({})).await.0, 200);
    assert_eq!(chat.ask("b", "chat", "Hello").await.text, "From the west.");
    assert_eq!(east.requests().len(), 1);
    let left = breakers().await;
    assert!(
        !left.contains("llm.main/east") && left.contains("llm.main/west"),
        "{left}"
    );
    assert_eq!(outcome(&bed, "west", "success").await, 2);
}
