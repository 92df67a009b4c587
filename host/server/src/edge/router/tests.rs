//! Nobody gets in who should not, and nothing leaves in a form of its own.

use axum::body::Body;
use http::StatusCode;
use segue_protocol::ErrorCode;

use crate::admin::token;
use crate::drain::Phase;
use crate::edge::testing::{Bench, Client, bench, json, text};

const CONFIG: &str = r#"
[server]
hosts = ["chat.example.com"]
origins = ["https://app.example.com"]
max_frame = "1 KiB"

[[route]]
match = { mtype = "chat" }
handler = "echo"

[[endpoint]]
path = "/raw/echo"
handler = "echo"
"#;

fn admin(bench: &Bench) -> (Client, String) {
    let token = token::prepare(&bench.app.snapshot().config).unwrap();
    let bearer = format!("Bearer {}", token.expose());
    (Client(super::admin(bench.app.clone(), token)), bearer)
}

#[tokio::test]
async fn an_unknown_host_is_refused_on_every_path() {
    let bench = bench(CONFIG).await;
    let public = bench.public();
    for path in [
        "/",
        "/chat",
        "/raw/echo",
        "/v1/sessions",
        "/health/live",
        "/metrics",
        "/nowhere",
    ] {
        let response = public
            .ask("GET", path, &[("host", "evil.example")], Body::empty())
            .await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        let error = json(response).await;
        assert_eq!(error["error"]["code"], "forbidden_host", "{path}");
        assert!(
            error["error"]["message"]
                .as_str()
                .unwrap()
                .contains("hosts = [\"evil.example\"]")
        );
    }
    let allowed = public
        .ask(
            "GET",
            "/health/live",
            &[("host", "chat.example.com:8443")],
            Body::empty(),
        )
        .await;
    assert_eq!(allowed.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_foreign_page_opens_no_socket_and_sends_no_message() {
    let bench = bench(CONFIG).await;
    let public = bench.public();
    let upgrade = [
        ("origin", "https://evil.example"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for path in ["/chat", "/raw/echo"] {
        let response = public.ask("GET", path, &upgrade, Body::empty()).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(json(response).await["error"]["code"], "forbidden_origin");
    }
    let headers = [("origin", "null"), ("content-type", "application/json")];
    let response = public
        .ask(
            "POST",
            "/v1/messages",
            &headers,
            "{\"mtype\":\"chat\",\"content\":\"hi\"}",
        )
        .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(bench.app.sessions.len(), 0);
}

#[tokio::test]
async fn an_allowed_page_may_read_answers_of_v1_and_of_nothing_else() {
    let bench = bench(CONFIG).await;
    let public = bench.public();
    let page = ("origin", "https://app.example.com");
    let preflight = [
        page,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let response = public
        .ask("OPTIONS", "/v1/messages", &preflight, Body::empty())
        .await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert!(
        response.headers()["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("content-type")
    );
    assert!(
        response.headers()["access-control-allow-methods"]
            .to_str()
            .unwrap()
            .contains("POST")
    );

    let response = public.ask("GET", "/v1/sessions", &[page], Body::empty()).await;
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert_eq!(response.headers()["vary"], "origin");
    let response = public.ask("GET", "/metrics", &[page], Body::empty()).await;
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    let own = public
        .ask(
            "GET",
            "/v1/sessions",
            &[("origin", "http://127.0.0.1:8000")],
            Body::empty(),
        )
        .await;
    assert!(!own.headers().contains_key("access-control-allow-origin"));
    let refused = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    let response = public
        .ask("OPTIONS", "/v1/messages", &refused, Body::empty())
        .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn every_error_is_json_with_its_code() {
    let bench = bench(CONFIG).await;
    let public = bench.public();
    let large = "x".repeat(2000);
    let cases = [
        ("GET", "/nowhere", "", "", 404, ErrorCode::NotFound),
        ("PUT", "/v1/messages", "", "", 405, ErrorCode::MethodNotAllowed),
        (
            "GET",
            "/v1/sessions/none/messages",
            "",
            "",
            404,
            ErrorCode::SessionUnknown,
        ),
        (
            "GET",
            "/v1/sessions?limit=many",
            "",
            "",
            400,
            ErrorCode::InvalidMessage,
        ),
        (
            "POST",
            "/v1/messages",
            "text/plain",
            "{}",
            415,
            ErrorCode::UnsupportedMediaType,
        ),
        (
            "POST",
            "/v1/messages",
            "application/json",
            "{",
            400,
            ErrorCode::InvalidMessage,
        ),
        (
            "POST",
            "/v1/messages",
            "application/json",
            &large,
            413,
            ErrorCode::TooLarge,
        ),
    ];
    for (method, path, kind, body, status, code) in cases {
        let headers: &[(&str, &str)] = if kind.is_empty() {
            &[]
        } else {
            &[("content-type", kind)]
        };
        let response = public.ask(method, path, headers, body.to_owned()).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/json",
            "{method} {path}"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(
            json(response).await["error"]["code"],
            code.as_str(),
            "{method} {path}"
        );
    }
    // A socket that does not ask to become one.
    for path in ["/chat", "/raw/echo"] {
        let response = public.get(path).await;
        assert!(response.status().is_client_error(), "{path}");
        assert!(json(response).await["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn endpoints_are_those_of_the_configuration_as_it_is_now() {
    let bench = bench(CONFIG).await;
    let public = bench.public();
    assert_ne!(public.get("/raw/echo").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(public.get("/raw/other").await.status(), StatusCode::NOT_FOUND);
    let moved = std::fs::read_to_string(&bench.config_path)
        .unwrap()
        .replace("/raw/echo", "/raw/other");
    std::fs::write(&bench.config_path, moved).unwrap();
    bench.app.reload().await.unwrap();
    assert_eq!(public.get("/raw/echo").await.status(), StatusCode::NOT_FOUND);
    assert_ne!(public.get("/raw/other").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn no_metric_takes_a_clients_text() {
    let bench = bench(CONFIG).await;
    let public = bench.public();
    public.get("/v1/sessions/s3cret-session/messages").await;
    public.get("/s3cret-path").await;
    public.get("/raw/echo").await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    public
        .ask(
            "POST",
            "/v1/messages",
            &headers,
            "{\"mtype\":\"s3cret-type\",\"content\":\"x\"}",
        )
        .await;
    let response = public.get("/metrics").await;
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = text(response).await;
    assert!(!text.contains("s3cret"), "{text}");
    assert!(
        text.contains("route=\"/v1/sessions/{id}/messages\",status=\"404\"} 1"),
        "{text}"
    );
    assert!(text.contains("route=\"other\""));
    assert!(text.contains("route=\"/raw/echo\""));
    assert!(text.contains("segue_messages_received_total{mtype=\"other\"} 1"));
    assert!(text.contains("segue_instances 2"));
}

#[tokio::test]
async fn ready_is_never_better_than_the_truth() {
    let bench = bench(&CONFIG.replace(
        "handler = \"echo\"\n\n[[endpoint]]",
        "handler = \"absent\"\n\n[[endpoint]]",
    ))
    .await;
    let public = bench.public();
    bench.app.runtime.scanned().await;
    for path in ["/health/ready", "/health/readiness"] {
        let response = public.get(path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        let body = json(response).await;
        assert_eq!(body["status"], "not_ready");
        assert_eq!(
            body["checks"],
            serde_json::json!({
                "plugin_folder": true, "plugins": false, "indexes": true, "required": true, "serving": true
            })
        );
        assert_eq!(
            body["plugins"],
            serde_json::json!({ "absent": "missing", "echo": "loaded" })
        );
    }
    for path in ["/health/live", "/health/liveness"] {
        assert_eq!(
            json(public.get(path).await).await,
            serde_json::json!({ "status": "alive" })
        );
    }
}

#[tokio::test]
async fn ready_fails_as_soon_as_the_host_is_leaving_and_live_does_not() {
    let bench = bench(CONFIG).await;
    let public = bench.public();
    bench.app.runtime.scanned().await;
    let ready = public.get("/health/ready").await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(json(ready).await["status"], "ready");
    bench.app.drain.enter(Phase::Leaving);
    assert_eq!(
        public.get("/health/ready").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(public.get("/health/live").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_refused_plugin_is_named_and_keeps_nobody_from_being_ready() {
    let bench = bench("[[route]]\nmatch = { mtype = \"chat\" }\nhandler = \"broken\"").await;
    let folder = bench.app.snapshot().config.plugins.dir.clone();
    std::fs::write(folder.join("broken.wasm"), "this is no component").unwrap();
    bench.app.runtime.rescan().await;
    let public = bench.public();
    let response = public.get("/health/ready").await;
    let body = json(response).await;
    assert_eq!(body["plugins"]["broken"], "refused", "{body}");
    assert_eq!(body["status"], "ready");
    let listed = json(public.get("/v1/plugins").await).await;
    assert_eq!(listed["plugins"][0]["name"], "broken");
    assert_eq!(listed["plugins"][0]["state"], "refused");
    assert!(listed["plugins"][0]["error"]["message"].is_string());
}

#[tokio::test]
async fn the_admin_listener_wants_its_token_on_every_path() {
    let bench = bench(CONFIG).await;
    let (admin, bearer) = admin(&bench);
    for path in [
        "/plugins",
        "/plugins/echo",
        "/plugins/echo/promote",
        "/backends",
        "/sessions",
        "/config",
        "/reload",
        "/nowhere",
    ] {
        for authorization in ["", "Bearer", "Bearer wrong", "Basic Zm9v"] {
            let response = admin
                .ask("GET", path, &[("authorization", authorization)], Body::empty())
                .await;
            assert_eq!(
                response.status(),
                StatusCode::UNAUTHORIZED,
                "{path} {authorization}"
            );
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            assert_eq!(json(response).await["error"]["code"], "unauthorized");
        }
    }
    let with = |host: &'static str| [("authorization", bearer.clone()), ("host", host.to_owned())];
    let ask = async |method: &str, path: &str, host: &'static str| {
        let headers = with(host);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        admin.ask(method, path, &headers, Body::empty()).await
    };
    assert_eq!(
        ask("GET", "/plugins", "evil.example").await.status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        json(ask("GET", "/plugins", "localhost:8001").await).await,
        serde_json::json!({ "plugins": [] })
    );
    assert_eq!(
        ask("GET", "/plugins/none", "localhost").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask("GET", "/nowhere", "localhost").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(json(ask("GET", "/sessions", "localhost").await).await["total"], 0);
    let config = json(ask("GET", "/config", "localhost").await).await;
    assert_eq!(config["server"]["hosts"][0], "chat.example.com");
}

#[tokio::test]
async fn a_reload_says_what_it_did_or_why_not() {
    let bench = bench(CONFIG).await;
    let (admin, bearer) = admin(&bench);
    let authorization = [("authorization", bearer.as_str())];
    let reload = || admin.ask("POST", "/reload", &authorization, Body::empty());
    let done = json(reload().await).await;
    assert_eq!(done["config"], "reloaded", "{done}");
    std::fs::write(&bench.config_path, "[server]\nlisten = 5\n").unwrap();
    let response = reload().await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(text(response).await.contains("listen"));
    assert_eq!(bench.app.snapshot().config.server.max_frame, 1024);
}

#[tokio::test]
async fn past_the_connection_limit_probes_are_answered_and_nothing_else() {
    let bench = bench(CONFIG).await;
    bench.app.runtime.scanned().await;
    let spare = Client(super::spare(bench.app.clone()));
    assert_eq!(spare.get("/health/live").await.status(), StatusCode::OK);
    assert_eq!(spare.get("/health/ready").await.status(), StatusCode::OK);
    for path in ["/", "/chat", "/v1/sessions", "/plugins"] {
        let response = spare.get(path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(json(response).await["error"]["code"], "connection_limit");
    }
}
