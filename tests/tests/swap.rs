//! A swap loses no message, duplicates none, closes no socket, and every reply
//! is wholly of one version.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use segue_runtime::{PluginEvent, VersionState};
use segue_tests::{Bed, Chat, Site, component, eventually, stamped, within};
use serde_json::{Value, json};

const CONNECTIONS: usize = 100;
const SWAPS: usize = 50;
/// How often each connection sends.
const PACE: Duration = Duration::from_millis(250);
/// One chunk a word, so that a reply takes several sends.
const WORDS: usize = 8;

/// What one connection saw: the replies it counted, and for each version the
/// stamps that its chunks carried.
#[derive(Default)]
struct Seen {
    replies: usize,
    stamps: BTreeMap<String, BTreeSet<String>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_swaps_under_load_lose_duplicate_reorder_and_close_nothing() {
    let guest = component("stamp");
    let mut bed = Site::builder()
        .plugin_as("stamp", &stamped(&guest, "first"))
        .config("[[route]]\nmatch = { mtype = \"stamp\" }\nhandler = \"stamp\"")
        .start()
        .await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..CONNECTIONS {
        let chat = bed.chat().await;
        load.spawn(converse(chat, number, stop.clone()));
    }

    let mut versions = Vec::new();
    for number in 0..SWAPS {
        swap(&bed, &guest, number);
        versions.push(bed.loaded("stamp").await);
    }
    stop.store(true, Ordering::Relaxed);

    let mut total = Seen::default();
    while let Some(seen) = within("a connection to finish", load.join_next()).await {
        let seen = seen.expect("a connection that saw nothing wrong");
        total.replies += seen.replies;
        for (version, stamps) in seen.stamps {
            total.stamps.entry(version).or_default().extend(stamps);
        }
    }
    for (version, stamps) in &total.stamps {
        assert_eq!(stamps.len(), 1, "{version} answered as {stamps:?}");
    }
    assert!(
        total.replies > CONNECTIONS * 2,
        "{} replies are no load",
        total.replies
    );
    assert!(
        total.stamps.len() > SWAPS / 4,
        "hardly any swap met a message: {:?}",
        total.stamps
    );
    only_the_last_version_is_left(&bed, versions.last().expect("a version")).await;
}

/// In turn: another component by rename, by copy; another stamp in the sidecar
/// by rename, by copy; no sidecar any more.
fn swap(bed: &Bed, guest: &[u8], number: usize) {
    let component = stamped(guest, &format!("built-in-{number}"));
    let sidecar = format!("[settings]\nstamp = \"sidecar-{number}\"\n");
    match number % 5 {
        0 => bed.drop_by_rename("stamp.wasm", &component),
        1 => bed.drop_by_copy("stamp.wasm", &component),
        2 => bed.drop_by_rename("stamp.toml", sidecar.as_bytes()),
        3 => bed.drop_by_copy("stamp.toml", sidecar.as_bytes()),
        _ => fs::remove_file(bed.plugin_path("stamp.toml")).expect("removing the sidecar"),
    }
}

/// One connection under constant load. [`Chat`] checks the numbers of all
/// frames, `reply` that no other message's frames come between.
async fn converse(mut chat: Chat, connection: usize, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut pace = tokio::time::interval(PACE);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let id = format!("m{}", seen.replies);
        let words: Vec<String> = (0..WORDS)
            .map(|word| format!("{connection}-{id}-{word}"))
            .collect();
        let reply = chat.ask(&id, "stamp", &words.join(" ")).await;
        let stamp = whole(&reply.text, &words);
        assert_eq!(reply.of("accepted").len(), 1);
        assert_eq!(reply.of("chunk").len(), WORDS);
        assert_eq!(reply.last["type"], "done", "in {}", reply.last);
        seen.stamps
            .entry(reply.version().to_owned())
            .or_default()
            .insert(stamp);
        seen.replies += 1;
    }
    chat.close().await;
    seen
}

/// Checks that each word came back once, in order, under one stamp.
fn whole(text: &str, words: &[String]) -> String {
    let answered: Vec<(&str, &str)> = text
        .split_whitespace()
        .map(|piece| piece.split_once(':').expect("STAMP:WORD"))
        .collect();
    let found: Vec<&str> = answered.iter().map(|(_, word)| *word).collect();
    assert_eq!(found, words, "words were lost, repeated or moved");
    let stamps: BTreeSet<&str> = answered.iter().map(|(stamp, _)| *stamp).collect();
    assert_eq!(stamps.len(), 1, "one reply of several versions: {text}");
    answered[0].0.to_owned()
}

async fn only_the_last_version_is_left(bed: &Bed, last: &str) {
    eventually("the old generations to be freed", || async {
        let status = bed.host.runtime().plugin("stamp").expect("the plugin");
        let held = status
            .versions
            .iter()
            .filter(|version| version.state != VersionState::Freed);
        let held: Vec<&str> = held.map(|version| version.version.as_str()).collect();
        (held == [last]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_on_the_version_it_began_on_and_frees_it_with_its_end() {
    let guest = component("misbehave");
    let mut bed = Site::builder()
        .plugin_as("slow", &guest)
        .config("[[route]]\nmatch = { mtype = \"do\" }\nhandler = \"slow\"")
        .start()
        .await;
    let first = bed
        .host
        .runtime()
        .plugin("slow")
        .expect("slow")
        .version
        .expect("a version");

    let mut old = bed.chat().await;
    old.message("m1", "do", "slow 1000000 20").await;
    old.until("chunk").await;
    bed.drop_by_rename("slow.toml", b"[settings]\nanother = true\n");
    let second = bed.loaded("slow").await;
    assert_ne!(first, second);

    let mut new = bed.chat().await;
    let reply = new.ask("m1", "do", "setting another").await;
    assert_eq!((reply.text.as_str(), reply.version()), ("true", second.as_str()));

    // The old call still runs, on its own version, and the admin API says so.
    old.until("chunk").await;
    let status = bed.admin().get_ok("/plugins/slow").await;
    assert_eq!(in_flight(&status, &first), Some(1), "{status}");

    old.send(json!({"type": "cancel", "id": "m1"})).await;
    assert_eq!(old.until("error").await["code"], "cancelled");
    let freed =
        |event: &PluginEvent| matches!(event, PluginEvent::Freed { version, .. } if *version == first);
    bed.event("the old version to be freed", freed).await;
    let status = bed.admin().get_ok("/plugins/slow").await;
    assert_eq!(in_flight(&status, &first), None, "{status}");
}

/// Calls on a version that is still held; `None` once it is freed.
fn in_flight(status: &Value, version: &str) -> Option<u64> {
    let versions = status["versions"].as_array().expect("versions");
    let held = |found: &&Value| found["version"] == version && found["state"] != "freed";
    versions.iter().find(held)?["in_flight"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_plugin_finishes_its_calls_and_takes_no_new_ones() {
    let mut bed = Site::builder().standard().start().await;
    let mut chat = bed.chat().await;
    chat.message("m1", "do", "slow 10 50").await;
    chat.until("chunk").await;
    fs::remove_file(bed.plugin_path("misbehave.wasm")).expect("removing the plugin");
    bed.removed("misbehave").await;

    let mut other = bed.chat().await;
    let refused = other.ask("m1", "do", "anything").await;
    assert_eq!(refused.error_code(), "handler_unavailable");
    assert_eq!(refused.last["retryable"], true);

    let done = chat.until("done").await;
    assert_eq!(done["id"], "m1");
    bed.drop_by_rename("misbehave.wasm", &component("misbehave"));
    bed.loaded("misbehave").await;
    assert_eq!(other.ask("m2", "do", "back").await.text, "back");
}
