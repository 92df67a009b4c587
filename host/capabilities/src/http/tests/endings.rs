//! However a request ends, its connection ends with it, and the plugin is told
//! which end it was. The server's own log proves the first.

use super::server::{Seen, Server};
use super::*;

fn started(
    egress: &Arc<Egress>,
    uri: &str,
    body: RequestBody,
    over: &CancellationToken,
) -> tokio::task::JoinHandle<Result<Response<Received>, Failure>> {
    let (origin, request) = request(uri, body);
    let caller = Caller::new("plugin", over.clone());
    tokio::spawn(egress.send(&origin, request, Timeouts::default(), &caller))
}

#[tokio::test]
async fn dropping_the_request_closes_the_connection() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.linger().await;
    })
    .await;
    let egress = egress(local());
    let running = started(
        &egress,
        &server.uri("api.test"),
        empty(),
        &CancellationToken::new(),
    );
    server.head().await;
    running.abort();
    server.saw(&Seen::Closed).await;
    assert_eq!(egress.in_flight(), 0);
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .await;
        peer.linger().await;
    })
    .await;
    let egress = egress(local());
    let mut answer = get(&egress, &server.uri("api.test")).await.unwrap();
    let piece = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(piece.into_data().unwrap(), "one");
    drop(answer);
    server.saw(&Seen::Closed).await;
    assert_eq!(egress.in_flight(), 0);
}

/// A call that ends while it writes leaves a broken request, not a short one.
#[tokio::test]
async fn a_body_that_ends_with_its_call_does_not_seem_whole() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.until("0\r\n\r\n").await;
    })
    .await;
    let over = CancellationToken::new();
    let (writer, body) = written();
    let running = started(&egress(local()), &server.uri("api.test"), body, &over);
    server.head().await;
    writer.send(Bytes::from_static(b"half")).await.unwrap();
    assert_eq!(server.next().await, Seen::Bytes(String::from("4\r\nhalf\r\n")));
    over.cancel();
    drop(writer);
    assert_eq!(server.next().await, Seen::Bytes(String::new()));
    assert_eq!(running.await.unwrap().err(), Some(Failure::Abandoned));
}

#[tokio::test]
async fn a_server_that_answers_early_is_heard() {
    let server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nlong")
            .await;
        peer.linger().await;
    })
    .await;
    let (writer, body) = written();
    let answer = send(&egress(local()), &server.uri("api.test"), body)
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(text(answer).await.unwrap(), "long");
    drop(writer);
}

#[tokio::test]
async fn each_way_to_fail_is_told_apart() {
    let table = [
        ("", Failure::Terminated),
        ("HTTP/1.1 200 OK\r\ncontent-le", Failure::Terminated),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            Failure::Upgraded,
        ),
    ];
    for (answer, failure) in table {
        let server = Server::start(move |mut peer| async move {
            peer.head().await;
            peer.write(answer).await;
        })
        .await;
        let got = get(&egress(local()), &server.uri("api.test")).await;
        assert_eq!(got.err(), Some(failure), "{answer:?}");
    }
    for garbage in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\u{1}\u{2}\u{3}\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
    ] {
        let server = Server::start(move |mut peer| async move {
            peer.head().await;
            peer.write(garbage).await;
            peer.linger().await;
        })
        .await;
        let got = get(&egress(local()), &server.uri("api.test")).await.unwrap_err();
        assert!(matches!(got, Failure::Protocol(_)), "{garbage:?}: {got:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_not_taken_for_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let server = Server::start(move |mut peer| async move {
            peer.head().await;
            peer.write(answer).await;
        })
        .await;
        let got = get(&egress(local()), &server.uri("api.test")).await.unwrap();
        assert_eq!(text(got).await, Err(Failure::Incomplete), "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_as_refused() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let got = get(&egress(local()), &format!("http://{address}/")).await;
    assert_eq!(got.err(), Some(Failure::Refused));
}
