//! Nothing is waited for without end. The clock is stopped once the sockets are
//! where they have to be, and then jumps from timer to timer.

use std::time::Duration;

use tokio::time::Instant;

use super::server::Server;
use super::*;

const CONNECT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(30);

/// How long `waiting` takes by a clock that jumps.
async fn timed<T>(waiting: impl Future<Output = T>) -> (T, Duration) {
    tokio::time::pause();
    let since = Instant::now();
    (waiting.await, since.elapsed())
}

fn about(elapsed: Duration, wanted: Duration) -> bool {
    elapsed.abs_diff(wanted) < Duration::from_millis(500)
}

#[tokio::test]
async fn a_name_that_does_not_resolve_in_time() {
    let never: Resolver = Arc::new(|_| Box::pin(std::future::pending()));
    let egress = with(local(), never, Err(String::new()));
    let (got, elapsed) = timed(get(&egress, "http://api.test/")).await;
    assert_eq!(got.err(), Some(Failure::ResolveTimeout(String::from("api.test"))));
    assert!(about(elapsed, CONNECT), "{elapsed:?}");
}

#[tokio::test]
async fn a_guest_may_ask_for_less_but_not_for_more() {
    let never: Resolver = Arc::new(|_| Box::pin(std::future::pending()));
    let egress = with(local(), never, Err(String::new()));
    for (asked, wanted) in [(1, 1), (600, 5)] {
        let (origin, request) = request("http://api.test/", empty());
        let asked = Timeouts {
            connect: Some(Duration::from_secs(asked)),
            ..Timeouts::default()
        };
        let sending = egress.send(&origin, request, asked, &caller());
        let (got, elapsed) = timed(sending).await;
        tokio::time::resume();
        got.unwrap_err();
        assert!(about(elapsed, Duration::from_secs(wanted)), "{elapsed:?}");
    }
}

/// A server that hears the request and says nothing.
#[tokio::test]
async fn an_answer_that_does_not_begin() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.linger().await;
    })
    .await;
    let (egress, uri) = (egress(local()), server.uri("api.test"));
    let running = tokio::spawn(async move { get(&egress, &uri).await });
    server.head().await;
    let (got, elapsed) = timed(running).await;
    assert_eq!(got.unwrap().err(), Some(Failure::ReadTimeout));
    assert!(about(elapsed, LONG), "{elapsed:?}");
}

/// A guest that writes half of its body and forgets about it.
#[tokio::test]
async fn a_request_that_does_not_go_on() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.until("0\r\n\r\n").await;
    })
    .await;
    let (egress, uri) = (egress(local()), server.uri("api.test"));
    let (writer, body) = written();
    let running = tokio::spawn(async move { send(&egress, &uri, body).await });
    server.head().await;
    writer.send(Bytes::from_static(b"half")).await.unwrap();
    server.next().await;
    let (got, elapsed) = timed(running).await;
    assert_eq!(got.unwrap().err(), Some(Failure::WriteTimeout));
    assert!(about(elapsed, LONG), "{elapsed:?}");
}

/// A server that begins its answer and stops.
#[tokio::test]
async fn an_answer_that_does_not_go_on() {
    let server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await;
        peer.linger().await;
    })
    .await;
    let egress = egress(local());
    let mut answer = get(&egress, &server.uri("api.test")).await.unwrap();
    let piece = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(piece.into_data().unwrap(), "half");
    let (got, elapsed) = timed(answer.body_mut().frame()).await;
    assert_eq!(got.unwrap().unwrap_err(), Failure::ReadTimeout);
    assert!(about(elapsed, LONG), "{elapsed:?}");
    assert!(answer.body_mut().frame().await.is_none());
    assert_eq!(egress.in_flight(), 0);
}

/// Only the other side's pauses count: a guest may take its time between two
/// pieces.
#[tokio::test]
async fn a_guest_that_reads_slowly_is_no_fault_of_the_server() {
    let server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .await;
        peer.write("3\r\ntwo\r\n0\r\n\r\n").await;
        peer.linger().await;
    })
    .await;
    let egress = egress(local());
    let mut answer = get(&egress, &server.uri("api.test")).await.unwrap();
    answer.body_mut().frame().await.unwrap().unwrap();
    tokio::time::pause();
    tokio::time::advance(LONG * 4).await;
    tokio::time::resume();
    assert_eq!(text(answer).await.unwrap(), "two");
}

/// A server that takes the connection and never says a word of TLS.
#[tokio::test]
async fn a_handshake_that_does_not_come() {
    let mut server = Server::start(|mut peer| async move {
        peer.bytes().await;
        peer.linger().await;
    })
    .await;
    let tls = super::tls::client_config(&super::tls::Authority::new());
    let egress = with(local(), super::connect_here(), Ok(tls));
    let uri = server.uri("api.test").replace("http:", "https:");
    let running = tokio::spawn(async move { get(&egress, &uri).await });
    // The client's first words have come.
    server.next().await;
    server.next().await;
    let (got, elapsed) = timed(running).await;
    assert_eq!(got.unwrap().err(), Some(Failure::ConnectTimeout));
    assert!(about(elapsed, CONNECT), "{elapsed:?}");
}
