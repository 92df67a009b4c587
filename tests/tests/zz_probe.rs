//! A plugin, however bad, ends in an error of its own, holds up nobody else,
//! and leaves nothing behind: not memory, not threads.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use segue_tests::{Bed, Chat, Connect, Http, Process, Site, SiteBuilder, Usage, component, eventually, within};
use serde_json::json;

/// Plugin name (and message type), what it is told to do, the limits it has,
/// the code it ends in.
const MISDEEDS: [(&str, &str, &str, &str); 6] = [
    ("loops", "loop", "deadline = \"40ms\"", "deadline_exceeded"),
    ("hoards", "allocate", "memory = \"4 MiB\"", "memory_exceeded"),
    ("recurses", "recurse", "", "stack_exhausted"),
    ("traps", "trap-mid", "", "handler_trapped"),
    ("floods", "flood", "chunks = 200", "too_many_chunks"),
    ("says-nothing", "silent", "", "empty_reply"),
];

fn site() -> SiteBuilder {
    let guest = component("misbehave");
    let mut site = Site::builder().standard();
    for (name, _, limits, _) in MISDEEDS {
        site = site
            .plugin_as(name, &guest)
            .sidecar(name, &format!("[limits]\n{limits}\n"))
            .config(&format!("[[route]]\nmatch = {{ mtype = \"{name}\" }}\nhandler = \"{name}\"\n"));
    }
    site
}

async fn bed() -> Bed {
    site().start().await
}

const OF_EACH: usize = 1_000;
/// Sockets at a time, so at most so many calls at a time.
const AT_ONCE: usize = 20;
const SLOTS: &str = "[runtime]\ninstances = 32\nper_plugin = 32";
/// How much resident memory may differ after a thousand of each, once pools
/// and buffers have been filled by the warm-up. What a thousand of anything
/// would leave behind is more: one leaked instance holds at least 64 KiB, one
/// leaked task with its buffers 4 KiB, and there are seven thousand of them.
const SLACK_KIB: u64 = 24 * 1024;
/// Blocking threads come and go with the work at hand.
const SLACK_THREADS: u64 = 4;


#[tokio::test(flavor = "multi_thread")]
async fn probe() {
    let site = site().config(SLOTS).build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    for _ in 0..6 {
        for (name, command, _, code) in MISDEEDS {
            let before = host.usage().resident_kib;
            one(public, 1000, name, command, code).await;
            settled(public).await;
            eprintln!("{name}: {before} -> {} threads {}", host.usage().resident_kib, host.usage().threads);
        }
        let before = host.usage().resident_kib;
        deserted(public, 1000).await;
        settled(public).await;
        eprintln!("deserted: {before} -> {}", host.usage().resident_kib);
    }
}

async fn one(addr: SocketAddr, count: usize, name: &'static str, command: &'static str, code: &'static str) {
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            running.spawn(async move {
                let mut chat = Chat::connect(addr).await;
                for number in 0..count / AT_ONCE {
                    let reply = chat.ask(&format!("m{number}"), name, command).await;
                    assert_eq!(reply.error_code(), code, "{name}: {}", reply.last);
                }
                let path = format!("/v1/sessions/{}", chat.session());
                let http = Http::new(addr, None);
                assert_eq!(http.send(http.request(Method::DELETE, &path)).await.status(), 204);
                assert_eq!(chat.closed().await, Some(4501));
            });
        }
        while let Some(done) = within(name, running.join_next()).await {
            done.expect("every misdeed to end as it should");
        }
}
async fn ready(addr: SocketAddr) {
    let http = Http::new(addr, None);
    eventually("the host to be ready", || async { (http.get("/health/ready").await.0 == 200).then_some(()) }).await;
}

/// Nothing runs any more and every socket is let go.
async fn settled(addr: SocketAddr) {
    let http = Http::new(addr, None);
    eventually("the host to be idle", || async {
        let idle = http.metric("segue_instances_in_use").await == 0.0 && http.metric("segue_connections").await == 0.0;
        idle.then_some(())
    })
    .await;
}

fn flat(before: Usage, after: Usage) {
    assert!(
        after.resident_kib < before.resident_kib + SLACK_KIB,
        "memory grew from {} KiB to {} KiB",
        before.resident_kib,
        after.resident_kib
    );
    assert!(
        after.threads <= before.threads + SLACK_THREADS,
        "threads grew from {} to {}",
        before.threads,
        after.threads
    );
}

/// `count` of each misdeed, [`AT_ONCE`] at a time.
async fn all(addr: SocketAddr, count: usize) {
    for (name, command, _, code) in MISDEEDS {
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            running.spawn(async move {
                let mut chat = Chat::connect(addr).await;
                for number in 0..count / AT_ONCE {
                    let reply = chat.ask(&format!("m{number}"), name, command).await;
                    assert_eq!(reply.error_code(), code, "{name}: {}", reply.last);
                }
                // What a session keeps for a client that comes back is no leak.
                let path = format!("/v1/sessions/{}", chat.session());
                let http = Http::new(addr, None);
                assert_eq!(http.send(http.request(Method::DELETE, &path)).await.status(), 204);
                assert_eq!(chat.closed().await, Some(4501));
            });
        }
        while let Some(done) = within(name, running.join_next()).await {
            done.expect("every misdeed to end as it should");
        }
    }
    deserted(addr, count).await;
}

/// Starts a handler that sends for ever, and leaves. The calls deserted before
/// may not have noticed yet; while there is no room, it tries again.
async fn desert(addr: SocketAddr) {
    eventually("room for one more call", || async {
        let mut raw = Chat::silent(Connect::default(), addr, "/do").await;
        raw.send_text("slow 1000000 1").await;
        let begun = raw.text_frame().await?;
        assert_eq!(begun, "0 ");
        raw.vanish();
        Some(())
    })
    .await;
}

/// The client of a raw endpoint leaves while the handler sends.
async fn deserted(addr: SocketAddr, count: usize) {
    let http = Http::new(addr, None);
    const ENDED: &str = "segue_messages_total{mtype=\"raw\",outcome=\"client_gone\"}";
    let before = http.metric(ENDED).await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE / 2 {
        running.spawn(async move {
            for _ in 0..count / (AT_ONCE / 2) {
                desert(addr).await;
            }
        });
    }
    while let Some(done) = within("deserted handlers", running.join_next()).await {
        done.expect("a first frame each");
    }
    eventually("every deserted handler to end as client_gone", || async {
        (http.metric(ENDED).await - before >= count as f64).then_some(())
    })
    .await;
}

/// Chats on until told to stop; how often it was answered, and the longest that
/// took.
async fn bystander(addr: SocketAddr, stop: Arc<AtomicBool>) -> (usize, Duration) {
    let mut chat = Chat::connect(addr).await;
    let (mut answers, mut slowest) = (0, Duration::ZERO);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let began = Instant::now();
        let text = format!("message {answers}");
        assert_eq!(chat.ask(&text, "chat", &text).await.text, text);
        slowest = slowest.max(began.elapsed());
        answers += 1;
    }
    chat.close().await;
    (answers, slowest)
}
