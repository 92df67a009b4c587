//! The HTTP side: messages as JSON and as events, who may talk to the host, how
//! long it waits, and what it says of itself.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::net::SocketAddr;

use reqwest::Method;
use segue_tests::{Bed, Connect, Http, Process, Site, SseEvent, component, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn bed() -> Bed {
    Site::builder().standard().start().await
}

async fn bed_with(config: &str) -> Bed {
    Site::builder().standard().config(config).start().await
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
    assert!(answer["version"].as_str().expect("a version").starts_with("sha256:"), "{answer}");
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
        assert_eq!((found, &answer["error"]["code"]), (status, &json!(code)), "{body}: {answer}");
        assert!(answer["error"]["message"].is_string() && answer["error"]["retryable"].is_boolean(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_as_events_that_are_numbered_frames() {
    let bed = bed().await;
    let events = bed.http().stream(&message("do", "slow 3 0")).await.collect().await;
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
        (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
    };
    let (first, again, other) = (ask("traceparent").await, ask("traceparent").await, ask("attempt").await);
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
    let rest = http.stream_request(request().header("last-event-id", &last)).await.collect().await;
    let all: Vec<SseEvent> = seen.into_iter().chain(rest).filter(|event| event.event != "accepted").collect();
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
    assert_eq!((status, &answer["session"]), (200, &json!(chat.session())), "{answer}");
    chat.until("done").await;

    let page = http.get_ok(&format!("/v1/sessions/{}/messages", chat.session())).await;
    let contents: Vec<&str> = page["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|turn| turn["content"].as_str())
        .collect();
    assert_eq!(contents, ["by socket", "by socket", "by HTTP", "by HTTP"], "{page}");
    let sessions = http.get_ok("/v1/sessions").await;
    assert!(sessions.to_string().contains(chat.session()), "{sessions}");
    assert_eq!(http.get("/v1/sessions/nobody/messages").await.0, 404);
    let body = json!({"mtype": "chat", "content": "x", "session": "nobody"});
    let (status, answer) = http.post("/v1/messages", &body).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("session_unknown")));
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
        contents.extend(turns.iter().filter(|turn| turn["role"] == "user").map(|turn| turn["content"].clone()));
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(contents, ["0", "1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_or_origin_is_refused_everywhere() {
    let bed = bed_with("[server]\nhosts = [\"chat.example.com\"]\norigins = [\"https://app.example.com\"]").await;
    for http in [bed.http(), bed.admin()] {
        for path in ["/", "/health/live", "/plugins", "/v1/sessions"] {
            let request = http.request(Method::GET, path).header("host", "evil.example");
            assert_eq!(http.send(request).await.status(), 403, "{path}");
            let request = http.request(Method::GET, path).header("origin", "https://evil.example");
            assert_eq!(http.send(request).await.status(), 403, "{path}");
        }
    }
    for path in ["/chat", "/echo"] {
        let evil = Connect::default().header("origin", "https://evil.example");
        assert_eq!(evil.refused(bed.addr(), path).await, 403);
        let evil = Connect::default().header("host", "evil.example");
        assert_eq!(evil.refused(bed.addr(), path).await, 403);
        let allowed = Connect::default().header("origin", "https://app.example.com");
        allowed.socket(bed.addr(), path).await.expect("an allowed origin");
        let allowed = Connect::default().header("host", "chat.example.com");
        allowed.socket(bed.addr(), path).await.expect("an allowed host");
    }
    let http = bed.http();
    let request = http.request(Method::GET, "/health/live").header("host", "evil.example");
    let denial: Value = http.send(request).await.json().await.expect("JSON");
    assert_eq!(denial["error"]["code"], "forbidden_host");
    assert!(denial["error"]["message"].as_str().expect("a message").contains("hosts = "), "{denial}");
}

/// Writes raw bytes and reads what comes back until the host closes.
async fn exchange(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut tcp = TcpStream::connect(addr).await.expect("a connection");
    // The host may answer and close before all of it is written.
    let _ = tcp.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = within("the host to close", tcp.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_left_half_sent_is_closed() {
    let bed = bed_with("[server]\nheader_timeout = \"300ms\"\nbody_timeout = \"300ms\"").await;
    for addr in [bed.addr(), bed.host.admin_addr()] {
        exchange(addr, b"GET /health/live HTTP/1.1\r\nHost: local").await;
        exchange(addr, b"").await;
    }
    let head = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let half = format!("{head}Content-Length: 100\r\n\r\n{{\"mtype\":");
    let answer = exchange(bed.addr(), half.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"mty\r\n");
    let answer = exchange(bed.addr(), chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_over_64_kib_are_refused() {
    let bed = bed().await;
    let request = |bytes: usize| {
        let line = format!("X-Long: {}\r\n", "x".repeat(bytes));
        format!("GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{line}\r\n")
    };
    let fits = exchange(bed.addr(), request(60 * 1024).as_bytes()).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
    let over = exchange(bed.addr(), request(66 * 1024).as_bytes()).await;
    assert!(over.starts_with("HTTP/1.1 431"), "{over}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused() {
    let bed = bed_with("[server]\nmax_frame = \"64 KiB\"").await;
    let (status, answer) = bed.http().post("/v1/messages", &message("chat", &"x".repeat(65 * 1024))).await;
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("too_large")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_in_json() {
    let bed = bed().await;
    let http = bed.http();
    let (status, answer) = http.get("/no/such/path").await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("not_found")));
    let (status, answer) = http.get("/v1/messages").await;
    assert_eq!((status, &answer["error"]["code"]), (405, &json!("method_not_allowed")));
    let request = http.request(Method::POST, "/v1/messages").header("content-type", "text/plain").body("hi");
    assert_eq!(http.send(request).await.status(), 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_lists_what_is_served() {
    let bed = bed().await;
    let http = bed.http();
    let document = http.get_ok("/openapi.json").await;
    let paths = document["paths"].as_object().expect("paths");
    for path in [
        "/chat",
        "/v1/messages",
        "/v1/sessions",
        "/v1/sessions/{id}/messages",
        "/v1/sessions/{id}",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    ] {
        assert!(paths.contains_key(path), "{path} is not listed");
    }
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let session = bed.chat().await.session().to_owned();
            let asked = path.replace("{id}", &session);
            let status = http.send(http.request(method.clone(), &asked)).await.status().as_u16();
            assert!(!matches!(status, 404 | 405 | 500), "{method} {path} answers {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_is_never_better_than_the_truth() {
    let mut bed = Site::builder()
        .plugin("echo")
        .config("[[route]]\nhandler = \"echo\"\n[[endpoint]]\npath = \"/late\"\nhandler = \"late\"")
        .start()
        .await;
    let http = bed.http();
    assert_eq!(http.get("/health/live").await.0, 200);
    let (status, answer) = http.get("/health/ready").await;
    assert_eq!(status, 503, "a plugin that an endpoint names is missing: {answer}");
    bed.drop_by_rename("late.wasm", &component("misbehave"));
    bed.loaded("late").await;
    assert_eq!(http.get("/health/ready").await.0, 200);
    // A refused version beside one that serves changes nothing; one that
    // stands alone counts as settled, and the answer names it.
    bed.drop_by_rename("late.wasm", b"rubbish");
    bed.refused("late").await;
    assert_eq!(http.get("/health/ready").await.0, 200);
    for alias in ["/health/readiness", "/health/liveness"] {
        assert_eq!(http.get(alias).await.0, 200, "{alias}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_metric_label_takes_a_clients_text() {
    let bed = bed().await;
    let http = bed.http();
    let mut chat = bed.chat().await;
    for number in 0..50 {
        let reply = chat.ask(&format!("m{number}"), &format!("made-up-{number}"), "x").await;
        assert_eq!(reply.error_code(), "no_route");
        http.get(&format!("/made-up-{number}")).await;
        http.get(&format!("/v1/sessions/made-up-{number}/messages")).await;
        let method = Method::from_bytes(format!("MADEUP{number}").as_bytes()).expect("a method");
        http.send(http.request(method, "/chat")).await;
    }
    chat.ask("last", "chat", "x").await;
    let metrics = http.get_ok("/metrics").await;
    let metrics = metrics.as_str().expect("text");
    assert!(!metrics.to_lowercase().contains("made-up") && !metrics.contains("MADEUP"), "{metrics}");
    assert!(metrics.contains("segue_messages_received_total{mtype=\"other\"} 50"), "{metrics}");
    assert!(metrics.contains("segue_messages_total{mtype=\"chat\",outcome=\"ok\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_wants_its_token_and_the_public_one_has_no_admin() {
    let bed = bed().await;
    let (admin, public) = (bed.admin(), bed.http());
    for path in ["/plugins", "/plugins/echo", "/sessions", "/config"] {
        let (status, answer) = admin.anonymous().get(path).await;
        assert_eq!((status, &answer["error"]["code"]), (401, &json!("unauthorized")), "{path}");
        let wrong = Http::new(bed.host.admin_addr(), Some("wrong".to_owned()));
        assert_eq!(wrong.get(path).await.0, 401, "{path}");
        assert_eq!(admin.get(path).await.0, 200, "{path}");
        assert_eq!(public.get(path).await.0, 404, "{path}");
    }
    assert_eq!(admin.get("/plugins/nobody").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_shows_the_config_without_its_secrets() {
    let site = Site::builder().standard().build();
    std::fs::write(site.root().join("token"), "a-token-of-my-own").expect("a token");
    let text = std::fs::read_to_string(site.config_path()).expect("the config");
    let text = text.replace("[admin]", "[admin]\ntoken = \"file:token\"");
    std::fs::write(site.config_path(), text).expect("the config");
    let bed = Bed::start(site).await;
    let admin = Http::new(bed.host.admin_addr(), Some("a-token-of-my-own".to_owned()));
    let config = admin.get_ok("/config").await.to_string();
    assert!(config.contains("max_in_flight") && !config.contains("a-token-of-my-own"), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_what_is_hot_and_refuses_the_rest() {
    let bed = bed().await;
    let admin = bed.admin();
    let mut chat = bed.chat().await;
    assert_eq!(chat.ask("m1", "new", "x").await.error_code(), "no_route");

    let config = std::fs::read_to_string(bed.config_path()).expect("the config");
    let route = "\n[[route]]\nmatch = { mtype = \"new\" }\nhandler = \"echo\"\n";
    std::fs::write(bed.config_path(), format!("{config}{route}")).expect("the config");
    let (status, answer) = admin.post("/reload", &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(chat.ask("m2", "new", "x").await.text, "x");

    let broken = format!("{config}\n[[route]]\nhandler = 7\n");
    std::fs::write(bed.config_path(), broken).expect("the config");
    let (status, answer) = admin.post("/reload", &json!({})).await;
    assert!((400..500).contains(&status), "{status}: {answer}");
    assert_eq!(chat.ask("m3", "new", "x").await.text, "x", "the one in force stays");

    let moved = format!("{config}{route}").replace("guest_threads = 2", "guest_threads = 1");
    std::fs::write(bed.config_path(), moved).expect("the config");
    let (status, answer) = admin.post("/reload", &json!({})).await;
    assert!((400..500).contains(&status), "{status}: {answer}");
    assert!(answer.to_string().contains("restart"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_connection_limit_a_client_is_told_to_come_back() {
    let bed = bed_with("[server]\nmax_connections = 3").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(bed.chat().await);
    }
    assert_eq!(Connect::default().refused(bed.addr(), "/chat").await, 503);
    let http = bed.http();
    let response = http.send(http.request(Method::GET, "/v1/sessions")).await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    // Probes are answered all the same, and truly.
    assert_eq!(bed.http().get("/health/live").await.0, 200);
    held.pop().expect("a socket").close().await;
    segue_tests::eventually("a place to be free", || async {
        Connect::default().socket(bed.addr(), "/chat").await.ok().map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_the_client_is_the_handlers() {
    let bed = bed().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let body = json!({"mtype": "do", "content": "traceparent", "traceparent": parent});
    let (_, answer) = bed.http().post("/v1/messages", &body).await;
    let said = answer["content"].as_str().expect("text");
    assert!(said.contains(trace) && said != parent, "{said}");

    let http = bed.http();
    let request = http
        .request(Method::POST, "/v1/messages")
        .header("accept", "application/json")
        .header("traceparent", &parent)
        .json(&message("do", "traceparent"));
    let answer: Value = http.send(request).await.json().await.expect("JSON");
    assert!(answer["content"].as_str().expect("text").contains(trace), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_trace_in_the_log() {
    let site = Site::builder().standard().build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let body = json!({
        "mtype": "do",
        "content": "log 1",
        "traceparent": format!("00-{trace}-00f067aa0ba902b7-01"),
    });
    let http = Http::new(public, None);
    segue_tests::eventually("the message to be answered", || async {
        (http.post("/v1/messages", &body).await.0 == 200).then_some(())
    })
    .await;
    for message in ["record 0 of 1", "message ended"] {
        let line = host.line(message, |line| line.field("message").contains(message)).await;
        assert_eq!(line.field("trace_id"), trace, "{}", line.text);
    }
}
