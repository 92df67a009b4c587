//! Every bound of `[http]`, and what happens past it.

use super::super::caller::CALL_MAX;
use super::server::{Seen, Server};
use super::*;

fn bounded(max_request: u64, max_response: u64) -> settings::Egress {
    settings::Egress {
        max_request,
        max_response,
        ..local()
    }
}

/// A length that is announced is judged before anything is sent.
#[tokio::test]
async fn a_request_announced_too_long_is_not_sent() {
    let mut server = Server::answering("never").await;
    let egress = egress(bounded(4, 100));
    let (origin, mut request) = request(&server.uri("api.test"), full("hello"));
    request
        .headers_mut()
        .insert("content-length", "5".parse().unwrap());
    let refused = egress
        .send(&origin, request, Timeouts::default(), &caller())
        .await;
    assert_eq!(refused.err(), Some(Failure::RequestTooLarge(4)));
    assert_eq!(server.unread(), []);
    assert_eq!(egress.in_flight(), 0);
}

/// One that turns out too long is broken off, so that what arrived can not be
/// taken for all of it.
#[tokio::test]
async fn a_request_that_grows_too_long_is_broken_off() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.until("0\r\n\r\n").await;
    })
    .await;
    let egress = egress(bounded(8, 100));
    let (writer, body) = written();
    let uri = server.uri("api.test");
    let writing = async {
        writer.send(Bytes::from_static(b"12345678")).await.unwrap();
        writer.send(Bytes::from_static(b"9")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(send(&egress, &uri, body), writing);
    assert_eq!(answer.err(), Some(Failure::RequestTooLarge(8)));
    server.head().await;
    assert_eq!(
        server.next().await,
        Seen::Bytes(String::from("8\r\n12345678\r\n"))
    );
    assert_eq!(server.next().await, Seen::Bytes(String::new()));
}

#[tokio::test]
async fn a_request_as_long_as_allowed_passes() {
    let server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.until("hello").await;
        peer.answer("1234").await;
    })
    .await;
    let answer = send(&egress(bounded(5, 4)), &server.uri("api.test"), full("hello")).await;
    assert_eq!(text(answer.unwrap()).await.unwrap(), "1234");
}

#[tokio::test]
async fn an_answer_announced_too_long_is_not_read() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
        peer.linger().await;
    })
    .await;
    let egress = egress(bounded(4, 4));
    let refused = get(&egress, &server.uri("api.test")).await;
    assert_eq!(refused.err(), Some(Failure::ResponseTooLarge(4)));
    server.saw(&Seen::Closed).await;
    assert_eq!(egress.in_flight(), 0);
}

#[tokio::test]
async fn an_answer_that_grows_too_long_is_cut_off() {
    let mut server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n1234\r\n1\r\n5\r\n")
            .await;
        peer.linger().await;
    })
    .await;
    let egress = egress(bounded(4, 4));
    let answer = get(&egress, &server.uri("api.test")).await.unwrap();
    assert_eq!(text(answer).await, Err(Failure::ResponseTooLarge(4)));
    server.saw(&Seen::Closed).await;
    assert_eq!(egress.in_flight(), 0);
}

/// What an answer to HEAD announces does not come.
#[tokio::test]
async fn the_length_told_by_head_is_no_body() {
    let server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            .await;
        peer.linger().await;
    })
    .await;
    let (origin, mut request) = request(&server.uri("api.test"), empty());
    *request.method_mut() = Method::HEAD;
    let answer = egress(bounded(4, 4))
        .send(&origin, request, Timeouts::default(), &caller())
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-length"], "1000000");
    assert_eq!(text(answer).await.unwrap(), "");
}

#[tokio::test]
async fn a_head_without_end_is_not_waited_for() {
    let server = Server::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\n").await;
        let line = format!("x-more: {}\r\n", "y".repeat(4000));
        for _ in 0..30 {
            peer.write(&line).await;
        }
        peer.linger().await;
    })
    .await;
    let failure = get(&egress(local()), &server.uri("api.test")).await.unwrap_err();
    assert_eq!(failure, Failure::HeadTooLarge);
}

/// Room is taken from the request to the end of its answer.
#[tokio::test]
async fn one_request_too_many_is_refused_at_once() {
    let server = Server::answering("hello").await;
    let uri = server.uri("api.test");
    let one = settings::Egress {
        max_in_flight: 1,
        ..local()
    };
    let egress = egress(one);
    let first = get(&egress, &uri).await.unwrap();
    assert_eq!(egress.in_flight(), 1);
    assert_eq!(get(&egress, &uri).await.err(), Some(Failure::Busy(1)));
    text(first).await.unwrap();
    let second = get(&egress, &uri).await.unwrap();
    drop(second);
    text(get(&egress, &uri).await.unwrap()).await.unwrap();
    assert_eq!(egress.in_flight(), 0);
}

async fn get_as(caller: &Caller, egress: &Arc<Egress>, uri: &str) -> Result<Response<Received>, Failure> {
    let (origin, request) = request(uri, empty());
    egress.send(&origin, request, Timeouts::default(), caller).await
}

/// Told in the code of `wasi:http` for it.
fn is_told_as_full(failure: Failure) -> bool {
    matches!(
        wasmtime_wasi_http::Error::from(failure),
        wasmtime_wasi_http::Error::ConnectionLimitReached
    )
}

#[tokio::test]
async fn one_plugin_leaves_half_of_the_room_to_the_others() {
    let server = Server::answering("hello").await;
    let uri = server.uri("api.test");
    let egress = egress(settings::Egress {
        max_in_flight: 4,
        ..local()
    });
    let calls = || Caller::new("greedy", CancellationToken::new());
    let first = get_as(&calls(), &egress, &uri).await.unwrap();
    let second = get_as(&calls(), &egress, &uri).await.unwrap();
    let refused = get_as(&calls(), &egress, &uri).await.unwrap_err();
    assert_eq!(refused, Failure::PluginBusy(2));
    assert!(is_told_as_full(refused));
    let modest = Caller::new("modest", CancellationToken::new());
    text(get_as(&modest, &egress, &uri).await.unwrap()).await.unwrap();
    drop(first);
    text(get_as(&calls(), &egress, &uri).await.unwrap())
        .await
        .unwrap();
    drop(second);
    assert_eq!(egress.in_flight(), 0);
}

#[tokio::test]
async fn one_call_leaves_room_to_the_others_of_its_plugin() {
    let server = Server::answering("hello").await;
    let uri = server.uri("api.test");
    let egress = egress(local());
    let (greedy, modest) = (caller(), caller());
    let mut open = Vec::new();
    for _ in 0..CALL_MAX {
        open.push(get_as(&greedy, &egress, &uri).await.unwrap());
    }
    let refused = get_as(&greedy, &egress, &uri).await.unwrap_err();
    assert_eq!(refused, Failure::CallBusy(CALL_MAX));
    assert!(is_told_as_full(refused));
    text(get_as(&modest, &egress, &uri).await.unwrap()).await.unwrap();
    open.pop();
    text(get_as(&greedy, &egress, &uri).await.unwrap()).await.unwrap();
}

/// What is open under the old settings counts under the new ones, and what did
/// not change stays as it is.
#[tokio::test]
async fn other_settings_keep_what_is_open_in_view() {
    let server = Server::answering("hello").await;
    let before = egress(local());
    assert!(Arc::ptr_eq(&before, &before.update(local())));
    let open = get(&before, &server.uri("api.test")).await.unwrap();
    let after = before.update(settings::Egress {
        max_in_flight: 1,
        ..local()
    });
    assert_eq!(
        get(&after, &server.uri("api.test")).await.err(),
        Some(Failure::Busy(1))
    );
    drop(open);
    let narrowed = after.update(settings::Egress::default());
    let refused = get(&narrowed, &server.uri("api.test")).await.unwrap_err();
    assert!(matches!(refused, Failure::Prohibited(_)), "{refused:?}");
}
