//! Who asks too much is told so, when to come back and how the limit stands; and
//! nobody who must be answered is refused.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::edge::testing::{Bench, bench, json, text};

const ROUTES: &str = r#"
[[route]]
match = { mtype = "chat" }
handler = "echo"

[[route]]
match = { mtype = "gate" }
handler = "gate"

[[endpoint]]
path = "/raw"
handler = "echo"
"#;

async fn hosted(config: &str) -> Bench {
    let bench = bench(&format!("{config}\n{ROUTES}")).await;
    bench.app.runtime.scanned().await;
    bench
}

async fn get(bench: &Bench, path: &str) -> Response {
    bench.public().get(path).await
}

async fn post(bench: &Bench, mtype: &str) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("origin", "http://localhost:3000"),
    ];
    let body = format!("{{\"mtype\":\"{mtype}\",\"content\":\"hi\"}}");
    bench.public().ask("POST", "/v1/messages", &headers, body).await
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

async fn frame(socket: &mut (impl StreamExt<Item = Result<Message, tungstenite::Error>> + Unpin)) -> Value {
    let next = tokio::time::timeout(Duration::from_secs(10), socket.next());
    let message = next.await.unwrap().unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

// O7, O41: a hundred within sixty seconds.
#[tokio::test]
async fn every_answer_says_how_the_limit_stands_and_past_it_is_429_with_the_time_to_come_back() {
    let bench = hosted("[[limit]]\nname = \"global\"\nper = \"host\"\nrate = 100\nperiod = \"60s\"").await;
    for left in (0..100).rev() {
        let response = get(&bench, "/v1/sessions").await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-ratelimit-limit"), "100");
        // A token may have come back meanwhile.
        let remaining: u32 = header(&response, "x-ratelimit-remaining").parse().unwrap();
        assert!((left..left + 20).contains(&remaining), "{remaining} of {left}");
        assert_eq!(header(&response, "ratelimit-policy"), "\"global\";q=100;w=60");
        assert_eq!(
            header(&response, "ratelimit"),
            format!("\"global\";r={remaining};t=1")
        );
    }
    let refused = loop {
        let response = get(&bench, "/nowhere").await;
        if response.status() != 404 {
            break response;
        }
    };
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(header(&refused, "ratelimit"), "\"global\";r=0;t=1");
    assert_eq!(header(&refused, "x-ratelimit-remaining"), "0");
    let reset: u32 = header(&refused, "x-ratelimit-reset").parse().unwrap();
    assert!((59..=60).contains(&reset), "{reset}");
    let error = json(refused).await;
    let error = &error["error"];
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&"rate_limited".into(), &true.into())
    );
    assert_eq!(
        (
            &error["limit"]["name"],
            &error["limit"]["limit"],
            &error["limit"]["remaining"]
        ),
        (&"global".into(), &100.into(), &0.into())
    );
    assert!(error["retry_after_ms"].as_u64().unwrap() <= 600, "{error}");
    // Probes and scrapers are not refused because others ask much.
    for quiet in ["/health/live", "/health/ready", "/metrics"] {
        let response = get(&bench, quiet).await;
        assert_eq!(response.status(), 200, "{quiet}");
        assert_eq!(header(&response, "ratelimit"), "", "{quiet}");
    }
    let metrics = text(get(&bench, "/metrics").await).await;
    assert!(
        metrics.contains("segue_rate_limited_total{limit=\"global\"} 1"),
        "{metrics}"
    );
}

// O8
#[tokio::test]
async fn a_limit_of_one_endpoint_leaves_the_others_alone() {
    let config =
        "[[limit]]\nname = \"sessions\"\nmatch = { path = \"/v1/sessions/{id}/messages\" }\nrate = 1";
    let bench = hosted(config).await;
    assert_eq!(get(&bench, "/v1/sessions/a/messages").await.status(), 404);
    assert_eq!(get(&bench, "/v1/sessions/b/messages").await.status(), 429);
    let other = get(&bench, "/v1/sessions").await;
    assert_eq!((other.status().as_u16(), header(&other, "ratelimit")), (200, ""));
}

// O8
#[tokio::test]
async fn a_limit_of_a_message_type_is_told_over_http_too_and_pages_of_others_can_read_it() {
    let bench =
        hosted("[[limit]]\nname = \"chats\"\nmatch = { mtype = \"chat\" }\nrate = 1\nperiod = \"1h\"").await;
    let answered = post(&bench, "chat").await;
    assert_eq!(answered.status(), 200);
    assert_eq!(header(&answered, "ratelimit"), "\"chats\";r=0;t=3600");
    let sessions = bench.app.sessions.len();
    let refused = post(&bench, "chat").await;
    assert_eq!(refused.status(), 429);
    let wait: u32 = header(&refused, "retry-after").parse().unwrap();
    assert!((3_500..=3_600).contains(&wait), "{wait}");
    assert_eq!(header(&refused, "x-ratelimit-limit"), "1");
    assert_eq!(
        header(&refused, "access-control-allow-origin"),
        "http://localhost:3000"
    );
    assert!(header(&refused, "access-control-expose-headers").contains("x-ratelimit-remaining"));
    assert_eq!(bench.app.sessions.len(), sessions, "it takes no room");
    let other = post(&bench, "gone").await;
    assert_eq!(other.status(), 404);
}

// N39
#[tokio::test]
async fn over_a_socket_the_message_is_refused_in_a_frame_and_the_connection_stays() {
    let config =
        "[session]\nqueue = 1\n[[limit]]\nname = \"per-client\"\nper = \"client\"\nrate = 2\nperiod = \"1h\"";
    let bench = hosted(config).await;
    let mut socket = bench.socket("/chat", &[]).await.unwrap();
    assert_eq!(frame(&mut socket).await["type"], "hello");
    for id in ["m1", "m2", "m3", "m4"] {
        let message = format!("{{\"id\":\"{id}\",\"mtype\":\"gate\",\"content\":\"\"}}");
        socket.send(Message::text(message)).await.unwrap();
    }
    let mut refused = Vec::new();
    while refused.len() < 2 {
        let frame = frame(&mut socket).await;
        if frame["type"] == "error" {
            refused.push(frame);
        }
    }
    for (frame, id) in refused.iter().zip(["m3", "m4"]) {
        assert_eq!(
            (&frame["id"], &frame["code"]),
            (&id.into(), &"rate_limited".into())
        );
        assert_eq!(
            (&frame["final"], &frame["retryable"]),
            (&true.into(), &true.into())
        );
        let wait = frame["retry_after_ms"].as_u64().unwrap();
        assert!((1_790_000..=1_800_000).contains(&wait), "{wait}");
        assert_eq!(frame["limit"]["name"], "per-client");
        assert_eq!(
            (&frame["limit"]["limit"], &frame["limit"]["remaining"]),
            (&2.into(), &0.into())
        );
    }
    // One runs, one waits: the refused ones took nobody's place in the queue.
    assert_eq!(bench.app.shed.in_flight(), 2);
    // A cancel is no message, and goes through.
    socket
        .send(Message::text("{\"type\":\"cancel\",\"id\":\"m2\"}"))
        .await
        .unwrap();
    loop {
        let frame = frame(&mut socket).await;
        if frame["id"] == "m2" && frame["final"] == true {
            assert_eq!(frame["code"], "cancelled");
            break;
        }
    }
}

#[tokio::test]
async fn sent_again_too_often_a_message_still_has_one_last_frame() {
    let config = "[[limit]]\nname = \"per-client\"\nper = \"client\"\nrate = 1\nperiod = \"1h\"";
    let bench = hosted(config).await;
    let mut socket = bench.socket("/chat", &[]).await.unwrap();
    for _ in 0..2 {
        let message = "{\"id\":\"m1\",\"mtype\":\"gate\",\"content\":\"\"}";
        socket.send(Message::text(message)).await.unwrap();
    }
    loop {
        let frame = frame(&mut socket).await;
        if frame["type"] == "error" {
            assert_eq!(frame["code"], "rate_limited");
            assert!(
                frame.get("id").is_none() && frame.get("final").is_none(),
                "{frame}"
            );
            break;
        }
    }
    bench.gate.notify_one();
    loop {
        let frame = frame(&mut socket).await;
        assert_ne!(frame["type"], "error", "{frame}");
        if frame["type"] == "done" {
            break;
        }
    }
}

#[tokio::test]
async fn connects_are_counted_and_a_raw_endpoint_closes_with_the_code() {
    let connects = "[[limit]]\nname = \"connects\"\nmatch = { path = \"/chat\" }\nrate = 1\nperiod = \"1h\"";
    let frames = "[[limit]]\nname = \"all\"\nrate = 3\nperiod = \"1h\"\nper = \"route\"";
    let bench = hosted(&format!("{connects}\n{frames}")).await;
    bench.socket("/chat", &[]).await.unwrap();
    match bench.socket("/chat", &[]).await {
        Err(tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), 429);
            assert!(response.headers().contains_key("retry-after"));
        }
        other => panic!("{other:?}"),
    }
    let mut raw = bench.socket("/raw", &[]).await.unwrap();
    for n in 0..3 {
        raw.send(Message::text(n.to_string())).await.unwrap();
    }
    let mut answers = Vec::new();
    while let Some(Ok(message)) = raw.next().await {
        if let Message::Close(Some(close)) = message {
            assert_eq!(u16::from(close.code), 4004);
            assert!(close.reason.starts_with("rate_limited: "), "{}", close.reason);
            break;
        }
        answers.push(message);
    }
    assert_eq!(answers, [Message::text("0"), Message::text("1")]);
}

// O9
#[tokio::test]
async fn a_network_that_is_blocked_while_its_socket_is_open_is_not_answered_any_more() {
    let bench = hosted("[server]\ntrusted_proxies = [\"127.0.0.1\"]\nblocked = []").await;
    let from = [("x-forwarded-for", "203.0.113.9")];
    let mut chat = bench.socket("/chat", &from).await.unwrap();
    let mut raw = bench.socket("/raw", &from).await.unwrap();
    let text = std::fs::read_to_string(&bench.config_path).unwrap();
    let text = text.replace("blocked = []", "blocked = [\"203.0.113.9\"]");
    std::fs::write(&bench.config_path, text).unwrap();
    bench.app.reload().await.unwrap();
    let message = "{\"id\":\"m1\",\"mtype\":\"chat\",\"content\":\"hi\"}";
    chat.send(Message::text(message)).await.unwrap();
    assert_eq!(frame(&mut chat).await["type"], "hello");
    let refused = frame(&mut chat).await;
    assert_eq!(
        (&refused["id"], &refused["code"]),
        (&"m1".into(), &"forbidden_address".into())
    );
    raw.send(Message::text("hi")).await.unwrap();
    let Some(Ok(Message::Close(Some(close)))) = raw.next().await else {
        panic!("it was answered");
    };
    assert!(close.reason.starts_with("forbidden_address"), "{}", close.reason);
    match bench.socket("/chat", &from).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn past_the_work_under_way_messages_are_refused_until_one_ends() {
    let bench = hosted("[overload]\nin_flight = 1").await;
    let mut socket = bench.socket("/chat", &[]).await.unwrap();
    socket
        .send(Message::text(
            "{\"id\":\"m1\",\"mtype\":\"gate\",\"content\":\"\"}",
        ))
        .await
        .unwrap();
    while frame(&mut socket).await["type"] != "chunk" {}
    let refused = post(&bench, "chat").await;
    assert_eq!(refused.status(), 503);
    assert!(!header(&refused, "retry-after").is_empty());
    assert_eq!(json(refused).await["error"]["code"], "overloaded");
    for always in ["/health/live", "/health/ready", "/metrics", "/v1/sessions"] {
        assert_eq!(get(&bench, always).await.status(), 200, "{always}");
    }
    bench.gate.notify_one();
    while frame(&mut socket).await["type"] != "done" {}
    assert_eq!(post(&bench, "chat").await.status(), 200);
    assert_eq!(bench.app.shed.in_flight(), 0);
    let metrics = text(get(&bench, "/metrics").await).await;
    assert!(
        metrics.contains("segue_shed_total{reason=\"in_flight\"} 1"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_late_refuses_new_work_and_never_probes_nor_what_ends_work() {
    let bench = hosted("[overload]\ndelay = \"100ms\"\ninterval = \"1s\"").await;
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(1)).await;
        bench.app.shed.observe(Duration::from_millis(101));
    }
    let mut refused = 0;
    for _ in 0..20 {
        let response = get(&bench, "/v1/sessions").await;
        if response.status() == 503 {
            assert_eq!(json(response).await["error"]["code"], "overloaded");
            refused += 1;
        }
        for always in ["/health/live", "/health/ready", "/metrics"] {
            assert_eq!(get(&bench, always).await.status(), 200, "{always}");
        }
        let client = bench.public();
        let erase = client.ask("DELETE", "/v1/sessions/none", &[], Body::empty());
        assert_eq!(erase.await.status(), 404, "what ends work");
    }
    assert_eq!(refused, 18, "nine of ten");
    let metrics = text(get(&bench, "/metrics").await).await;
    assert!(
        metrics.contains("segue_shed_total{reason=\"delay\"} 18"),
        "{metrics}"
    );
}

// X20, X21
#[tokio::test]
async fn while_a_required_breaker_is_not_closed_answers_say_so_and_when_to_come_back() {
    let config = "[health]\nrequired = [\"handler.echo\"]\n[resilience.handler.echo]\nbreaker = true\nreset_timeout = \"42s\"";
    let bench = hosted(config).await;
    let calm = get(&bench, "/v1/sessions").await;
    assert_eq!(
        (header(&calm, "x-circuit-state"), header(&calm, "retry-after")),
        ("", "")
    );
    let guard = bench.app.guards.get("handler", "echo");
    for _ in 0..5 {
        guard.try_admit().unwrap().failed(None);
    }
    let response = get(&bench, "/v1/sessions").await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        (
            header(&response, "x-circuit-state"),
            header(&response, "retry-after")
        ),
        ("open", "42")
    );
    let refused = post(&bench, "chat").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(
        (
            header(&refused, "x-circuit-state"),
            header(&refused, "retry-after")
        ),
        ("open", "42")
    );
    let error = json(refused).await;
    assert_eq!(
        (&error["error"]["code"], &error["error"]["circuit_state"]),
        (&"circuit_open".into(), &"open".into())
    );
    for quiet in ["/", "/health/live", "/metrics", "/openapi.json"] {
        assert_eq!(
            header(&get(&bench, quiet).await, "x-circuit-state"),
            "",
            "{quiet}"
        );
    }
    guard.breaker().reset();
    assert_eq!(header(&get(&bench, "/v1/sessions").await, "x-circuit-state"), "");
}

// X20
#[tokio::test]
async fn a_breaker_that_is_not_required_is_told_of_by_what_it_refuses_alone() {
    let bench = hosted("[resilience.handler.echo]\nbreaker = true").await;
    let guard = bench.app.guards.get("handler", "echo");
    for _ in 0..5 {
        guard.try_admit().unwrap().failed(None);
    }
    assert_eq!(header(&get(&bench, "/v1/sessions").await, "x-circuit-state"), "");
    assert_eq!(header(&post(&bench, "chat").await, "x-circuit-state"), "open");
}

// X18, X19
#[tokio::test]
async fn the_bulkhead_that_the_configuration_names_is_shown() {
    let config = "[server]\nprovisioning = \"handler.gate\"\n[resilience.handler.gate]\nconcurrency = 10";
    let bench = hosted(config).await;
    let shown = async || {
        let response = get(&bench, "/v1/sessions").await;
        let read = |name| header(&response, name).parse::<u32>().unwrap();
        (
            read("x-ratelimit-provisioning-limit"),
            read("x-ratelimit-provisioning-remaining"),
        )
    };
    assert_eq!(shown().await, (10, 10));
    let guard = bench.app.guards.get("handler", "gate");
    let held: Vec<_> = (0..10).map(|_| guard.try_admit().unwrap()).collect();
    assert_eq!(shown().await, (10, 0));
    drop(held);
    assert_eq!(shown().await, (10, 10));
    let without = hosted("").await;
    assert_eq!(
        header(
            &get(&without, "/v1/sessions").await,
            "x-ratelimit-provisioning-limit"
        ),
        ""
    );
}

// O23
#[tokio::test]
async fn no_answer_can_be_framed_sniffed_or_made_to_load_anything() {
    let bench = hosted("").await;
    for path in [
        "/",
        "/v1/sessions",
        "/metrics",
        "/health/live",
        "/openapi.json",
        "/nowhere",
        "/chat",
    ] {
        let response = get(&bench, path).await;
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "x-frame-options"), "DENY", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        let policy = header(&response, "content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
    }
    let page = get(&bench, "/").await;
    assert!(header(&page, "content-security-policy").contains("script-src 'sha256-"));
}
