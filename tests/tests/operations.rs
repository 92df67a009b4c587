//! What the host tells its operators, and what it lets them change: health,
//! metrics, logs, the API document, the admin listener.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use reqwest::Method;
use segue_tests::{Bed, Http, Process, Site, component, eventually};
use serde_json::{Value, json};

async fn bed() -> Bed {
    Site::builder().standard().start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_lists_what_is_served() {
    let bed = Site::builder()
        .standard()
        .file("docs/a.md", "# A\n\nSome words.\n")
        .config("[search.docs]\npath = \"docs\"\nserve = true\n")
        .start()
        .await;
    eventually("the index to be read", async || {
        let (status, _) = bed.http().get("/health/ready").await;
        (status == 200).then_some(())
    })
    .await;
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
            let asked = path
                .replace("{id}", &session)
                .replace("{index}", "docs")
                .replace("{path}", "a.md")
                .replace("{*path}", "a.md");
            let status = http
                .send(http.request(method.clone(), &asked))
                .await
                .status()
                .as_u16();
            assert!(
                !matches!(status, 404 | 405 | 500),
                "{method} {path} answers {status}"
            );
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
    assert_eq!(
        status, 503,
        "a plugin that an endpoint names is missing: {answer}"
    );
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
        let reply = chat
            .ask(&format!("m{number}"), &format!("made-up-{number}"), "x")
            .await;
        assert_eq!(reply.error_code(), "no_route");
        http.get(&format!("/made-up-{number}")).await;
        http.get(&format!("/v1/sessions/made-up-{number}/messages")).await;
        let method = Method::from_bytes(format!("MADEUP{number}").as_bytes()).expect("a method");
        http.send(http.request(method, "/chat")).await;
    }
    chat.ask("last", "chat", "x").await;
    let metrics = http.get_ok("/metrics").await;
    let metrics = metrics.as_str().expect("text");
    assert!(
        !metrics.to_lowercase().contains("made-up") && !metrics.contains("MADEUP"),
        "{metrics}"
    );
    assert!(
        metrics.contains("segue_messages_received_total{mtype=\"other\"} 50"),
        "{metrics}"
    );
    assert!(
        metrics.contains("segue_messages_total{mtype=\"chat\",outcome=\"ok\"} 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_wants_its_token_and_the_public_one_has_no_admin() {
    let bed = bed().await;
    let (admin, public) = (bed.admin(), bed.http());
    for path in ["/plugins", "/plugins/echo", "/sessions", "/config"] {
        let (status, answer) = admin.anonymous().get(path).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (401, &json!("unauthorized")),
            "{path}"
        );
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
    assert!(
        config.contains("max_in_flight") && !config.contains("a-token-of-my-own"),
        "{config}"
    );
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
    assert_eq!(
        chat.ask("m3", "new", "x").await.text,
        "x",
        "the one in force stays"
    );

    let moved = format!("{config}{route}").replace("guest_threads = 2", "guest_threads = 1");
    std::fs::write(bed.config_path(), moved).expect("the config");
    let (status, answer) = admin.post("/reload", &json!({})).await;
    assert!((400..500).contains(&status), "{status}: {answer}");
    assert!(answer.to_string().contains("restart"), "{answer}");
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
        .json(&json!({"mtype": "do", "content": "traceparent"}));
    let answer: Value = http.send(request).await.json().await.expect("JSON");
    assert!(
        answer["content"].as_str().expect("text").contains(trace),
        "{answer}"
    );
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
    eventually("the message to be answered", || async {
        (http.post("/v1/messages", &body).await.0 == 200).then_some(())
    })
    .await;
    for message in ["record 0 of 1", "message ended"] {
        let line = host
            .line(message, |line| line.field("message").contains(message))
            .await;
        assert_eq!(line.field("trace_id"), trace, "{}", line.text);
    }
}
