//! A client that reads too slowly: the outbox stays bounded, and what that
//! costs is what `[outbox] on_full` says, told in full.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use segue_tests::{Bed, Chat, Event, Http, Site, eventually};
use serde_json::json;

/// More than the kernel buffers for a loopback connection.
const REPLY: usize = 32 << 20;
const CHUNK: usize = 64 << 10;

async fn bed(on_full: &str) -> Bed {
    let outbox = format!("[outbox]\nsize = 64\nbytes = \"1 MiB\"\nwait = \"5ms\"\non_full = \"{on_full}\"");
    Site::builder()
        .standard()
        .config(&outbox)
        .sidecar(
            "misbehave",
            &format!("[limits]\nreply = {REPLY}\ndeadline = \"5m\""),
        )
        .start()
        .await
}

/// A client that asked for more than fits anywhere, and does not read.
async fn deaf(bed: &Bed) -> Chat {
    let mut chat = bed.chat().await;
    chat.message("m1", "do", "flood-bytes").await;
    chat.expect("accepted").await;
    chat
}

async fn finished(http: &Http) {
    eventually("the flood to end", || async {
        let ended = http
            .metric("segue_messages_total{mtype=\"do\",outcome=\"reply_too_large\"}")
            .await;
        (ended > 0.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_full_close_closes_and_loses_nothing() {
    let bed = bed("close").await;
    let mut chat = deaf(&bed).await;
    let http = bed.http();
    eventually("the host to close the socket", || async {
        (http.metric("segue_connections").await == 0.0).then_some(())
    })
    .await;

    let mut text = 0;
    let mut last = loop {
        match chat.event().await {
            Event::Frame(frame) => text += frame["content"].as_str().map_or(0, str::len),
            Event::Closed(code) => break code,
        }
    };
    // The close frame itself may not have found its way through a full socket.
    assert!(matches!(last, Some(4001) | None), "{last:?}");

    // However often it takes: each time the client goes on where it stood.
    let error = 'all: loop {
        chat = chat.comeback().open(bed.addr()).await;
        assert_eq!(chat.hello["recovered"], true, "{}", chat.hello);
        last = loop {
            match chat.event().await {
                Event::Frame(frame) if frame["type"] == "error" => break 'all frame,
                Event::Frame(frame) => text += frame["content"].as_str().map_or(0, str::len),
                Event::Closed(code) => break code,
            }
        };
        assert!(matches!(last, Some(4001) | None), "{last:?}");
    };
    assert_eq!(error["code"], "reply_too_large", "{error}");
    assert_eq!(text, REPLY, "every byte up to the limit");
}

/// Reads to the final frame; how many frames came, how many were told dropped.
async fn count(chat: &mut Chat) -> (u64, u64) {
    chat.allow_gaps();
    let (mut came, mut dropped) = (1, 0);
    loop {
        let frame = chat.frame().await;
        came += 1;
        dropped += frame["dropped"].as_u64().unwrap_or(0);
        if frame["type"] == "error" {
            assert_eq!(frame["code"], "reply_too_large", "{frame}");
            return (came, dropped);
        }
    }
}

async fn dropping(on_full: &str) {
    let bed = bed(on_full).await;
    let mut chat = deaf(&bed).await;
    let http = bed.http();
    finished(&http).await;
    let (came, dropped) = count(&mut chat).await;
    assert!(dropped > 0, "nothing was dropped");
    assert_eq!(
        came + dropped,
        chat.seq,
        "every number is either here or told dropped"
    );
    assert!(came < (REPLY / CHUNK) as u64);
    let counted = http.metric("segue_frames_dropped_total").await;
    assert_eq!(counted, dropped as f64);

    let (session, epoch) = (chat.session().to_owned(), chat.epoch().to_owned());
    chat.vanish();
    let again = segue_tests::Connect::default()
        .resume(&session, &epoch, 1)
        .open(bed.addr())
        .await;
    assert_eq!(again.hello["recovered"], false, "frames after 1 were dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_full_drop_newest_counts_what_it_drops() {
    dropping("drop_newest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_full_drop_oldest_counts_what_it_drops() {
    dropping("drop_oldest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_client_holds_up_nobody_else() {
    let bed = bed("close").await;
    let mut deaf_ones = Vec::new();
    for _ in 0..10 {
        deaf_ones.push(deaf(&bed).await);
    }
    let mut chat = bed.chat().await;
    for number in 0..50 {
        let id = format!("m{number}");
        assert_eq!(chat.ask(&id, "chat", &id).await.text, id);
    }
    for mut deaf in deaf_ones {
        deaf.send(json!({"type": "cancel", "id": "m1"})).await;
    }
}
