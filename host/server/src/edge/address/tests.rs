//! Nobody is somewhere else by saying so, and who is blocked stays out.

use axum::body::Body;
use http::HeaderValue;

use super::*;
use crate::edge::testing::{Bench, bench, json};

fn server(trusted: &str, forwarded: &str) -> Server {
    let text = format!("[server]\ntrusted_proxies = [{trusted}]\nforwarded = \"{forwarded}\"");
    let dir = std::path::Path::new("/srv/segue");
    let config = crate::config::parse(&text, dir, &std::collections::BTreeMap::new());
    config.unwrap().server
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// Who it is, behind a proxy at 10.0.0.1 that is trusted like all of 10/8.
fn xff(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
    let server = server("\"10.0.0.0/8\", \"2001:db8:1::/48\"", "x-forwarded-for");
    client("10.0.0.1".parse().unwrap(), &headers(&lines), &server).to_string()
}

fn forwarded(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
    let server = server("\"10.0.0.0/8\"", "forwarded");
    client("::ffff:10.0.0.1".parse().unwrap(), &headers(&lines), &server).to_string()
}

#[test]
fn without_a_trusted_proxy_the_peer_is_the_client_whatever_it_says() {
    let said = headers(&[("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4")]);
    for (trusted, peer, client_is) in [
        ("", "203.0.113.9", "203.0.113.9"),
        ("\"10.0.0.0/8\"", "203.0.113.9", "203.0.113.9"),
        ("", "::ffff:203.0.113.9", "203.0.113.9"),
        ("", "2001:db8::9", "2001:db8::9"),
    ] {
        let found = client(peer.parse().unwrap(), &said, &server(trusted, "x-forwarded-for"));
        assert_eq!(found.to_string(), client_is);
    }
}

#[test]
fn behind_trusted_proxies_it_is_the_last_one_that_is_not_of_them() {
    assert_eq!(xff(&["203.0.113.9"]), "203.0.113.9");
    assert_eq!(xff(&["203.0.113.9, 10.2.2.2"]), "203.0.113.9");
    // What a client writes itself stands further left.
    assert_eq!(
        xff(&["127.0.0.1, 10.9.9.9, 203.0.113.9, 10.2.2.2"]),
        "203.0.113.9"
    );
    // Several headers are one list.
    assert_eq!(
        xff(&["127.0.0.1", "203.0.113.9", "10.2.2.2, 10.3.3.3"]),
        "203.0.113.9"
    );
    assert_eq!(xff(&[]), "10.0.0.1");
    assert_eq!(xff(&["10.7.7.7, 10.2.2.2"]), "10.7.7.7", "all of them trusted");
}

#[test]
fn addresses_may_have_ports_brackets_and_be_mapped() {
    for (written, found) in [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:DB8::9]:4711", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("203.0.113.9, 2001:db8:1::7", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.2.2.2", "203.0.113.9"),
    ] {
        assert_eq!(xff(&[written]), found, "{written}");
    }
}

#[test]
fn garbage_is_as_far_as_anybody_is_believed() {
    for garbage in [
        "unknown",
        "203.0.113.999",
        "203.0.113.9:port",
        "203.0.113.9:70000",
        "203.0.113.9:+80",
        "[2001:db8::9",
        "[203.0.113.9]",
        "fe80::1%eth0",
        "localhost",
        "",
        "\u{fffd}",
    ] {
        assert_eq!(xff(&[garbage]), "10.0.0.1", "{garbage}");
        assert_eq!(
            xff(&[&format!("203.0.113.9, {garbage}, 10.2.2.2")]),
            "10.2.2.2",
            "{garbage}"
        );
        assert_eq!(
            xff(&[&format!("{garbage}, 203.0.113.9")]),
            "203.0.113.9",
            "left of the client: {garbage}"
        );
    }
    let long = vec!["10.1.1.1"; 1_000].join(", ");
    assert_eq!(xff(&[&format!("203.0.113.9, {long}")]), "10.1.1.1");
}

#[test]
fn forwarded_is_read_as_its_standard_has_it() {
    for (written, found) in [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=\"203.0.113.9:4711\"", "203.0.113.9"),
        ("for=\"[2001:db8::9]:4711\"", "2001:db8::9"),
        ("proto=https;for=203.0.113.9;by=10.0.0.1;host=\"a,b\"", "10.0.0.1"),
        (
            "for=127.0.0.1, for=203.0.113.9;proto=http, for=10.2.2.2",
            "203.0.113.9",
        ),
        ("for=unknown", "10.0.0.1"),
        ("for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
        ("for=203.0.113.9;for=127.0.0.1", "10.0.0.1"),
        // A quote that a client leaves open swallows nothing.
        ("for=\"127.0.0.1, for=203.0.113.9", "203.0.113.9"),
        ("for=127.0.0.1;x=\", for=203.0.113.9;proto=https", "203.0.113.9"),
    ] {
        assert_eq!(forwarded(&[written]), found, "{written}");
    }
    assert_eq!(forwarded(&["for=\"", "for=203.0.113.9"]), "203.0.113.9");
}

#[test]
fn only_the_header_that_the_proxy_writes_is_believed() {
    let said = headers(&[
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=198.51.100.7"),
    ]);
    let peer = "10.0.0.1".parse().unwrap();
    let by = |header| client(peer, &said, &server("\"10.0.0.1\"", header)).to_string();
    assert_eq!(by("x-forwarded-for"), "203.0.113.9");
    assert_eq!(by("forwarded"), "198.51.100.7");
}

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

async fn ask(bench: &Bench, path: &str, from: &str) -> axum::response::Response {
    let mut headers = vec![("x-forwarded-for", from)];
    if path == "/chat" || path == "/raw/echo" {
        headers.extend(UPGRADE);
    }
    bench.public().ask("GET", path, &headers, Body::empty()).await
}

// O9
#[tokio::test]
async fn a_blocked_network_is_refused_on_every_path_and_that_is_hot() {
    let config = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\nblocked = [\"203.0.113.0/24\", \"2001:db8::/32\"]\n\
        [[endpoint]]\npath = \"/raw/echo\"\nhandler = \"echo\"";
    let bench = bench(config).await;
    for path in [
        "/",
        "/chat",
        "/raw/echo",
        "/v1/sessions",
        "/health/live",
        "/nowhere",
    ] {
        for from in ["203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1, 127.0.0.1"] {
            let response = ask(&bench, path, from).await;
            assert_eq!(response.status(), 403, "{path} {from}");
            assert_eq!(json(response).await["error"]["code"], "forbidden_address");
        }
        let allowed = ask(&bench, path, "203.0.113.9, 198.51.100.7").await;
        assert_ne!(allowed.status(), 403, "{path}");
    }
    let text = std::fs::read_to_string(&bench.config_path).unwrap();
    std::fs::write(&bench.config_path, text.replace("203.0.113.0/24", "198.51.100.7")).unwrap();
    bench.app.reload().await.unwrap();
    assert_eq!(ask(&bench, "/v1/sessions", "203.0.113.9").await.status(), 200);
    assert_eq!(ask(&bench, "/v1/sessions", "198.51.100.7").await.status(), 403);
}
