//! Who may talk to the host, how long it waits for them, and how much it takes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::net::SocketAddr;

use reqwest::Method;
use segue_tests::{Bed, Connect, Site, eventually, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn bed() -> Bed {
    Site::builder().standard().start().await
}

async fn bed_with(config: &str) -> Bed {
    Site::builder().standard().config(config).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_or_origin_is_refused_everywhere() {
    let bed =
        bed_with("[server]\nhosts = [\"chat.example.com\"]\norigins = [\"https://app.example.com\"]").await;
    for http in [bed.http(), bed.admin()] {
        for path in ["/", "/health/live", "/plugins", "/v1/sessions"] {
            let request = http.request(Method::GET, path).header("host", "evil.example");
            assert_eq!(http.send(request).await.status(), 403, "{path}");
            let request = http
                .request(Method::GET, path)
                .header("origin", "https://evil.example");
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
    let request = http
        .request(Method::GET, "/health/live")
        .header("host", "evil.example");
    let denial: Value = http.send(request).await.json().await.expect("JSON");
    assert_eq!(denial["error"]["code"], "forbidden_host");
    assert!(
        denial["error"]["message"]
            .as_str()
            .expect("a message")
            .contains("hosts = "),
        "{denial}"
    );
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
    let (status, answer) = bed
        .http()
        .post(
            "/v1/messages",
            &json!({"mtype": "chat", "content": "x".repeat(65 * 1024)}),
        )
        .await;
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("too_large")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_in_json() {
    let bed = bed().await;
    let http = bed.http();
    let (status, answer) = http.get("/no/such/path").await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("not_found")));
    let (status, answer) = http.get("/v1/messages").await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (405, &json!("method_not_allowed"))
    );
    let request = http
        .request(Method::POST, "/v1/messages")
        .header("content-type", "text/plain")
        .body("hi");
    assert_eq!(http.send(request).await.status(), 415);
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
    eventually("a place to be free", || async {
        Connect::default()
            .socket(bed.addr(), "/chat")
            .await
            .ok()
            .map(drop)
    })
    .await;
}
