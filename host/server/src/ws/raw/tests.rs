//! A client that leaves takes its call with it, however it leaves and whatever
//! it sent ahead; one that stays is answered in order.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::edge::testing::{Bench, bench, text};

const CONFIG: &str = "\
[[endpoint]]
path = \"/gate\"
handler = \"gate\"
[[endpoint]]
path = \"/echo\"
handler = \"echo\"
";

async fn open(bench: &Bench, path: &str) -> WebSocketStream<TcpStream> {
    bench.socket(path, &[]).await.unwrap()
}

/// Waits for the call to be counted as one whose client has left.
async fn gone(bench: &Bench) {
    let counted = "segue_messages_total{mtype=\"raw\",outcome=\"client_gone\"} 1";
    let wait = async {
        while !text(bench.public().get("/metrics").await).await.contains(counted) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait)
        .await
        .expect("the call goes on without its client");
}

/// The handler has begun, and waits for what never comes.
async fn waiting(bench: &Bench) -> WebSocketStream<TcpStream> {
    let mut socket = open(bench, "/gate").await;
    socket.send(Message::text("go")).await.unwrap();
    let begun = socket.next().await.unwrap().unwrap();
    assert_eq!(begun, Message::text("begun "));
    socket
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_call() {
    let bench = bench(CONFIG).await;
    let socket = waiting(&bench).await;
    drop(socket);
    gone(&bench).await;
}

#[tokio::test]
async fn a_client_that_closes_ends_its_call_and_what_it_sent_ahead_is_not_answered() {
    let bench = bench(CONFIG).await;
    let mut socket = waiting(&bench).await;
    for ahead in ["two", "three"] {
        socket.send(Message::text(ahead)).await.unwrap();
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(frame)) = socket.next().await {
        assert!(frame.is_close(), "{frame:?}");
    }
    gone(&bench).await;
    let metrics = text(bench.public().get("/metrics").await).await;
    assert!(
        metrics.contains("segue_messages_received_total{mtype=\"raw\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_is_sent_ahead_is_answered_in_order() {
    let bench = bench(CONFIG).await;
    let mut socket = open(&bench, "/echo").await;
    for n in 0..300 {
        socket.send(Message::text(n.to_string())).await.unwrap();
    }
    for n in 0..300 {
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::text(n.to_string()));
    }
}
