//! What can be reached, and what cannot whatever a plugin writes.

use std::process::Command;
use std::sync::Mutex;

use super::server::{Seen, Server};
use super::*;

/// The request that arrives is the one that was asked for, under the origin's own
/// name.
#[tokio::test]
async fn a_request_goes_to_the_origin_that_was_asked_for() {
    let mut server = Server::answering("hello").await;
    let (port, egress) = (server.address.port(), egress(local()));
    let (origin, mut request) = request(&format!("http://API.test.:{port}/a/../b?c=%2F"), empty());
    request
        .headers_mut()
        .insert("host", "elsewhere.example".parse().unwrap());
    request.headers_mut().insert("x-own", "1".parse().unwrap());
    let answer = egress
        .send(&origin, request, Timeouts::default(), &caller())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(text(answer).await.unwrap(), "hello");
    let head = server.head().await;
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("GET /a/../b?c=%2F HTTP/1.1"));
    let mut rest: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    rest.sort_unstable();
    assert_eq!(rest, [format!("host: api.test:{port}").as_str(), "x-own: 1"]);
}

/// Not by name, not by any way to write an address.
#[tokio::test]
async fn a_private_address_is_not_reached() {
    let mut server = Server::answering("secret").await;
    let public_only = egress(settings::Egress::default());
    let hosts = [
        "api.test",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1]",
        "[::]",
        "[64:ff9b::127.0.0.1]",
        "0.0.0.0",
        "0",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
    ];
    for host in hosts {
        let refused = get(&public_only, &server.uri(host)).await;
        assert!(
            matches!(refused, Err(Failure::Prohibited(_))),
            "{host}: {refused:?}"
        );
    }
    assert_eq!(server.unread(), []);
}

#[tokio::test]
async fn the_system_s_own_names_are_checked_alike() {
    let mut server = Server::answering("secret").await;
    let system = Egress::new(
        settings::Egress::default(),
        Guards::permissive(),
        Handle::current(),
    );
    let refused = get(&system, &server.uri("localhost")).await;
    assert!(matches!(refused, Err(Failure::Prohibited(_))), "{refused:?}");
    assert_eq!(server.unread(), []);
    let allowed = system.update(local());
    assert_eq!(
        text(get(&allowed, &server.uri("localhost")).await.unwrap())
            .await
            .unwrap(),
        "secret"
    );
}

/// An allowed network opens the literal forms of its addresses too.
#[tokio::test]
async fn an_allowed_address_is_reached_in_any_form() {
    let server = Server::answering("hello").await;
    let egress = egress(local());
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let answer = get(&egress, &server.uri(host)).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "hello", "{host}");
    }
}

/// A name that turns elsewhere between two look-ups gains nothing: the address
/// that was checked is the one that is connected to, and each connection is
/// checked anew.
#[tokio::test]
async fn a_name_that_turns_inwards_is_not_followed() {
    let mut open = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            .await;
    })
    .await;
    let port = open.address.port();
    let mut inner = Server::on(&format!("127.0.0.2:{port}"), |mut peer| async move {
        peer.linger().await
    })
    .await;
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let only_one = settings::Egress {
        allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
        ..settings::Egress::default()
    };
    let egress = resolving(only_one, move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        let last = if *count == 1 { 1 } else { 2 };
        Ok(vec![[127, 0, 0, last].into()])
    });
    let uri = open.uri("rebind.test");
    assert_eq!(text(get(&egress, &uri).await.unwrap()).await.unwrap(), "ok");
    assert_eq!(*asked.lock().unwrap(), 1);
    let refused = get(&egress, &uri).await.unwrap_err();
    assert!(matches!(refused, Failure::Prohibited(_)), "{refused:?}");
    assert_eq!(*asked.lock().unwrap(), 2);
    assert_eq!(
        open.unread()
            .iter()
            .filter(|seen| **seen == Seen::Connected)
            .count(),
        1
    );
    assert_eq!(inner.unread(), []);
}

/// One private address among public ones is left out, wherever it stands.
#[tokio::test]
async fn only_the_addresses_that_pass_are_tried() {
    let mut open = Server::answering("open").await;
    let port = open.address.port();
    let mut inner = Server::on(&format!("127.0.0.2:{port}"), |mut peer| async move {
        peer.linger().await
    })
    .await;
    let only_one = settings::Egress {
        allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
        ..settings::Egress::default()
    };
    let mixed = [
        "127.0.0.2",
        "::ffff:127.0.0.2",
        "169.254.169.254",
        "127.0.0.1",
        "fd00::1",
    ];
    let egress = resolving(only_one, move |_| {
        Ok(mixed.iter().map(|ip| ip.parse().unwrap()).collect())
    });
    assert_eq!(
        text(get(&egress, &open.uri("mixed.test")).await.unwrap())
            .await
            .unwrap(),
        "open"
    );
    assert_eq!(open.next().await, Seen::Connected);
    assert_eq!(inner.unread(), []);
}

/// An address that does not answer does not hide one that does.
#[tokio::test]
async fn the_next_address_is_tried_when_one_fails() {
    let server = Server::answering("second").await;
    let egress = resolving(local(), |_| {
        Ok(vec![[127, 0, 0, 3].into(), [127, 0, 0, 1].into()])
    });
    assert_eq!(
        text(get(&egress, &server.uri("two.test")).await.unwrap())
            .await
            .unwrap(),
        "second"
    );
}

/// A redirect is an answer. Whoever follows it asks again, and is checked again.
#[tokio::test]
async fn redirects_are_left_to_the_guest() {
    let mut target = Server::answering("target").await;
    let location = target.uri("127.0.0.1");
    let server = Server::start(move |mut peer| {
        let location = location.clone();
        async move {
            peer.head().await;
            peer.write(&format!(
                "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
            peer.linger().await;
        }
    })
    .await;
    let answer = get(&egress(local()), &server.uri("api.test")).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], target.uri("127.0.0.1").as_str());
    assert_eq!(target.unread(), []);
}

/// The environment names proxies to a child of this very test, which sends past
/// them.
#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let mut proxy = Server::answering("proxy").await;
    let address = format!("http://{}", proxy.address);
    let child = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for name in [
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
        ] {
            command.env(name, &address);
        }
        command.env_remove("no_proxy").env_remove("NO_PROXY");
        command
            .arg("a_request_goes_to_the_origin_that_was_asked_for")
            .output()
    });
    let output = child.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(proxy.unread(), []);
}

#[tokio::test]
async fn a_tunnel_cannot_be_asked_for() {
    let mut server = Server::answering("never").await;
    let (origin, mut request) = request(&server.uri("api.test"), empty());
    *request.method_mut() = Method::CONNECT;
    let refused = egress(local())
        .send(&origin, request, Timeouts::default(), &caller())
        .await;
    assert_eq!(refused.err(), Some(Failure::Method(String::from("CONNECT"))));
    assert_eq!(server.unread(), []);
}

#[tokio::test]
async fn a_name_without_an_address_is_said_to_have_none() {
    let none = resolving(local(), |_| Ok(Vec::new()));
    let failure = get(&none, "http://none.test/").await.unwrap_err();
    assert!(matches!(failure, Failure::Resolve { .. }), "{failure:?}");
    let broken = resolving(local(), |_| Err(io::Error::other("the resolver is away")));
    let failure = get(&broken, "http://none.test/").await.unwrap_err();
    assert!(failure.to_string().contains("the resolver is away"), "{failure}");
}
