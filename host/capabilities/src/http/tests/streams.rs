//! Bodies pass through piece by piece, connections are used again, and neither
//! needs a guest thread that can do I/O.

use super::server::{Seen, Server};
use super::*;

/// The first piece arrives while the second is not written yet, either way.
#[tokio::test]
async fn both_bodies_are_streamed() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.until("0\r\n\r\n").await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .await;
        // Goes on when it hears from the reader, by a second request's connection.
        peer.bytes().await;
    })
    .await;
    let egress = egress(local());
    let (writer, body) = written();
    let uri = server.uri("api.test");
    let sending = send(&egress, &uri, body);
    let writing = async {
        assert!(server.head().await.contains("transfer-encoding: chunked"));
        writer.send(Bytes::from_static(b"first")).await.unwrap();
        assert_eq!(server.next().await, Seen::Bytes(String::from("5\r\nfirst\r\n")));
        writer.send(Bytes::from_static(b"second")).await.unwrap();
        assert_eq!(server.next().await, Seen::Bytes(String::from("6\r\nsecond\r\n")));
        drop(writer);
        assert_eq!(server.next().await, Seen::Bytes(String::from("0\r\n\r\n")));
    };
    let (answer, ()) = tokio::join!(sending, writing);
    let mut body = answer.unwrap().into_body();
    let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(piece, "one");
}

#[tokio::test]
async fn a_body_of_known_length_is_sent_as_such() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.until("hello").await;
        peer.answer("thanks").await;
        peer.linger().await;
    })
    .await;
    let answer = send(&egress(local()), &server.uri("api.test"), full("hello"))
        .await
        .unwrap();
    assert_eq!(text(answer).await.unwrap(), "thanks");
    assert!(server.head().await.contains("content-length: 5"));
}

/// A connection that was used to its end serves the next request to its origin,
/// and to no other.
#[tokio::test]
async fn a_connection_is_used_again_by_its_own_origin() {
    let mut server = Server::answering("hello").await;
    let egress = egress(local());
    for _ in 0..3 {
        let answer = get(&egress, &server.uri("api.test")).await.unwrap();
        text(answer).await.unwrap();
        // The connection goes back by tasks of its own.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    text(get(&egress, &server.uri("other.test")).await.unwrap())
        .await
        .unwrap();
    let seen = server.unread();
    let count = |wanted: fn(&Seen) -> bool| seen.iter().filter(|seen| wanted(seen)).count();
    assert_eq!(count(|seen| matches!(seen, Seen::Head(_))), 4);
    assert_eq!(count(|seen| *seen == Seen::Connected), 2);
}

/// Guests run where nothing but timers turns; sockets are the host's.
#[test]
fn a_guest_s_runtime_needs_no_io() {
    let host = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let guests = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (server, egress) = host.block_on(async { (Server::answering("hello").await, egress(local())) });
    let uri = server.uri("api.test");
    let answered = guests.block_on(async { text(get(&egress, &uri).await?).await });
    assert_eq!(answered.unwrap(), "hello");
}
