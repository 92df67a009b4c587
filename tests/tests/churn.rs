//! Everything at once: clients that vanish and come back at any moment, cancel
//! at any moment, while handlers are swapped. Nothing is lost, nothing is said
//! twice, every message has one end.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use segue_tests::{Chat, Event, Site, component, stamped, within};
use serde_json::{Value, json};

const CLIENTS: u64 = 20;
const MESSAGES: u64 = 20;
const WORDS: usize = 6;

/// A small generator, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        // Numerical Recipes' constants; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What came for one message, replays aside.
#[derive(Default)]
struct Heard {
    accepted: usize,
    text: String,
    ends: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_during_swaps_lose_and_repeat_nothing() {
    let guest = component("stamp");
    let mut bed = Site::builder()
        .plugin_as("stamp", &stamped(&guest, "first"))
        .config("[[route]]\nmatch = { mtype = \"stamp\" }\nhandler = \"stamp\"")
        .start()
        .await;
    let addr = bed.addr();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(come_and_go(addr, number));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let swaps = tokio::spawn(async move {
        let mut number = 0;
        while !stopped.load(Ordering::Relaxed) {
            let sidecar = format!("[settings]\nstamp = \"v{number}\"\n");
            bed.drop_by_rename("stamp.toml", sidecar.as_bytes());
            bed.loaded("stamp").await;
            number += 1;
        }
        number
    });
    while let Some(client) = within("the clients", clients.join_next()).await {
        client.expect("a client that saw nothing wrong");
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = within("the last swap", swaps).await.expect("swaps");
    assert!(swaps > 1, "{swaps} swaps");
}

async fn come_and_go(addr: std::net::SocketAddr, number: u64) {
    let mut dice = Dice(number);
    let mut chat = Chat::connect(addr).await;
    let session = chat.session().to_owned();
    let mut heard: BTreeMap<String, Heard> = BTreeMap::new();
    for message in 0..MESSAGES {
        let id = format!("m{message}");
        let content: Vec<String> = (0..WORDS)
            .map(|word| format!("{number}-{message}-{word}"))
            .collect();
        let send = json!({"id": id, "mtype": "stamp", "content": content.join(" ")});
        let mut sent = false;
        while heard.get(&id).is_none_or(|heard| heard.ends == 0) {
            if !sent && heard.get(&id).is_none_or(|heard| heard.accepted == 0) {
                // It may be on its way already: the same id is no new message.
                chat.send(send.clone()).await;
                sent = true;
            }
            if dice.throw(4) == 0 {
                let comeback = chat.comeback();
                chat.vanish();
                chat = comeback.open(addr).await;
                assert_eq!(chat.session(), session);
                assert_eq!(chat.hello["recovered"], true, "{}", chat.hello);
                sent = false;
                continue;
            }
            match chat.event().await {
                Event::Frame(frame) => hear(&mut heard, &frame),
                Event::Closed(code) => panic!("closed with {code:?}"),
            }
        }
        let words: Vec<&str> = heard[&id].text.split_whitespace().collect();
        let words: Vec<&str> = words
            .iter()
            .map(|word| word.split_once(':').expect("STAMP:WORD").1)
            .collect();
        assert_eq!(words, content, "{id} of client {number}");
    }
    for (id, heard) in heard {
        assert_eq!(
            heard.ends, 1,
            "{id} of client {number} ended {} times",
            heard.ends
        );
    }
}

fn hear(heard: &mut BTreeMap<String, Heard>, frame: &Value) {
    let Some(id) = frame["id"].as_str() else { return };
    let heard = heard.entry(id.to_owned()).or_default();
    let first_time = frame["replayed"] != true;
    match frame["type"].as_str().expect("a type") {
        "accepted" => heard.accepted += 1,
        "chunk" if first_time => heard.text.push_str(frame["content"].as_str().expect("text")),
        "done" if first_time => heard.ends += 1,
        "chunk" | "done" => {}
        other => panic!("{other}: {frame}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_at_any_moment_leaves_one_end() {
    let bed = Site::builder().standard().start().await;
    let mut dice = Dice(1);
    let mut chat = bed.chat().await;
    let (mut cancelled, mut done) = (0, 0);
    for number in 0..100 {
        let id = format!("m{number}");
        chat.message(&id, "do", "slow 4 1").await;
        for _ in 0..dice.throw(7) {
            let frame = chat.frame().await;
            if frame["type"] == "done" {
                break;
            }
        }
        chat.send(json!({"type": "cancel", "id": id})).await;
        chat.message(&format!("after-{number}"), "chat", "on").await;
        let mut ends = Vec::new();
        loop {
            let frame = chat.frame().await;
            let last = matches!(frame["type"].as_str(), Some("done" | "error"));
            if last && frame["id"] == format!("after-{number}") {
                break;
            }
            if last && frame["id"] == id {
                ends.push(frame);
            }
        }
        match ends.as_slice() {
            // It had come before the cancel.
            [] => done += 1,
            [end] if end["type"] == "done" => done += 1,
            [end] => {
                assert_eq!(end["code"], "cancelled", "{end}");
                cancelled += 1;
            }
            several => panic!("{several:?}"),
        }
    }
    assert!(cancelled > 10 && done > 10, "{cancelled} cancelled, {done} done");
}
