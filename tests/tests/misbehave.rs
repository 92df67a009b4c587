//! A plugin, however bad, ends in an error of its own, holds up nobody else,
//! and leaves nothing behind: not memory, not threads.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use segue_tests::{Bed, Chat, Connect, Http, Process, Site, SiteBuilder, component, eventually, within};
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
            .config(&format!(
                "[[route]]\nmatch = {{ mtype = \"{name}\" }}\nhandler = \"{name}\"\n"
            ));
    }
    site
}

async fn bed() -> Bed {
    site().start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misdeed_ends_in_its_own_code_and_the_session_goes_on() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    for (name, command, _, code) in MISDEEDS {
        let reply = chat.ask(name, name, command).await;
        assert_eq!(reply.error_code(), code, "{name}: {}", reply.last);
        assert_eq!(reply.last["final"], true);
        let message = reply.last["message"].as_str().expect("a message");
        assert!(
            !message.contains("wasm backtrace"),
            "the host's insides: {message}"
        );
        let after = format!("after {name}");
        assert_eq!(chat.ask(&after, "chat", &after).await.text, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_a_trap_or_a_limit_arrives() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    assert_eq!(chat.ask("m1", "traps", "trap-mid").await.text, "one two ");
    assert_eq!(chat.ask("m2", "floods", "flood").await.text, "x".repeat(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_ignores_a_refusal_is_not_believed() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    let reply = chat.ask("m1", "floods", "ignore-errors").await;
    assert_eq!(reply.error_code(), "too_many_chunks");
    assert_eq!(reply.text, "x".repeat(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_past_its_bytes_is_cut_where_the_limit_stands() {
    let bed = site()
        .sidecar("misbehave", "[limits]\nreply = \"1 MiB\"\n")
        .start()
        .await;
    let mut chat = bed.chat().await;
    let reply = chat.ask("m1", "do", "flood-bytes").await;
    assert_eq!(reply.error_code(), "reply_too_large");
    assert_eq!(reply.text.len(), 1 << 20);
    assert_eq!(
        chat.ask("m2", "do", "big 1048577").await.error_code(),
        "reply_too_large"
    );
    assert_eq!(chat.ask("m3", "do", "big 1048576").await.text.len(), 1 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_ways_to_fail_have_codes_of_their_own() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    for (command, code) in [
        ("panic", "handler_trapped"),
        ("exit 0", "handler_trapped"),
        ("exit 1", "handler_trapped"),
        ("error out_of_stock", "handler_failed"),
        ("error no_route", "no_route"),
        ("retryable overloaded 1500", "overloaded"),
    ] {
        let reply = chat.ask(command, "do", command).await;
        assert_eq!(reply.error_code(), code, "{command}: {}", reply.last);
    }
    let own = chat.ask("own", "do", "error out_of_stock").await;
    assert_eq!(own.last["handler_code"], "out_of_stock");
    assert_eq!(own.last["retryable"], false);
    let later = chat.ask("later", "do", "retryable out_of_stock 1500").await;
    assert_eq!(
        (&later.last["retryable"], &later.last["retry_after_ms"]),
        (&json!(true), &json!(1500))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_what_computes_and_what_sleeps() {
    let bed = site()
        .sidecar("misbehave", "[limits]\ndeadline = \"200ms\"\n")
        .start()
        .await;
    let mut chat = bed.chat().await;
    for command in ["loop", "sleep 600000", "slow 1000000 1"] {
        let began = Instant::now();
        let reply = chat.ask(command, "do", command).await;
        assert_eq!(reply.error_code(), "deadline_exceeded", "{command}");
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(200),
            "{command} ended after {took:?}"
        );
        assert!(took < Duration::from_secs(5), "{command} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn past_its_share_a_plugin_is_overloaded_and_the_others_are_not() {
    let bed = site()
        .config("[runtime]\ninstances = 20\nper_plugin = 4")
        .start()
        .await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut chat = bed.chat().await;
        chat.message("m1", "do", "slow 1000000 20").await;
        chat.until("chunk").await;
        held.push(chat);
    }
    let mut chat = bed.chat().await;
    let refused = chat.ask("m1", "do", "anything").await;
    assert_eq!(refused.error_code(), "overloaded");
    assert_eq!(refused.last["retryable"], true);
    assert_eq!(chat.ask("m2", "chat", "on").await.text, "on");
    for mut chat in held {
        chat.send(json!({"type": "cancel", "id": "m1"})).await;
        assert_eq!(chat.until("error").await["code"], "cancelled");
    }
    assert_eq!(chat.ask("m3", "do", "free again").await.text, "free again");
}

const OF_EACH: usize = 1_000;
/// Sockets at a time, so at most so many calls at a time.
const AT_ONCE: usize = 20;
/// Few slots, since a slot keeps what it held last resident, up to 2 MiB of
/// memory and its stack.
const SLOTS: &str = "[runtime]\ninstances = 32\nper_plugin = 32";
/// How much resident memory may differ after a thousand of each. Seven thousand
/// of anything would be more: a leaked task with its buffers holds 4 KiB, a
/// leaked instance at least 64.
const SLACK_KIB: u64 = 16 * 1024;
/// Which slots a round touches is a matter of chance, so the first ones may
/// still fill some. What leaks, leaks in every round.
const ROUNDS: usize = 4;
/// Blocking threads come and go with the work at hand.
const SLACK_THREADS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_of_each_hold_up_nobody_and_leave_nothing_behind() {
    let site = site().config(SLOTS).build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;

    all(public, OF_EACH / 4).await;
    settled(public).await;
    for round in 1..=ROUNDS {
        let before = host.usage();
        a_thousand_of_each(public).await;
        settled(public).await;
        let after = host.usage();
        eprintln!("round {round}: {before:?} -> {after:?}");
        assert!(after.threads <= before.threads + SLACK_THREADS, "threads grew");
        if after.resident_kib < before.resident_kib + SLACK_KIB {
            return;
        }
    }
    panic!("memory grew in each of {ROUNDS} rounds");
}

/// All of it, while somebody else chats on.
async fn a_thousand_of_each(addr: SocketAddr) {
    let stop = Arc::new(AtomicBool::new(false));
    let bystander = tokio::spawn(bystander(addr, stop.clone()));
    all(addr, OF_EACH).await;
    stop.store(true, Ordering::Relaxed);
    let (answers, slowest) = within("the bystander", bystander)
        .await
        .expect("a bystander that saw nothing");
    eprintln!("{answers} answers meanwhile, the slowest took {slowest:?}");
    assert!(answers > 100, "only {answers} answers meanwhile");
    assert!(slowest < Duration::from_secs(3), "an answer took {slowest:?}");
}

async fn ready(addr: SocketAddr) {
    let http = Http::new(addr, None);
    eventually("the host to be ready", || async {
        (http.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
}

/// Nothing runs any more and every socket is let go.
async fn settled(addr: SocketAddr) {
    let http = Http::new(addr, None);
    eventually("the host to be idle", || async {
        let idle = http.metric("segue_instances_in_use").await == 0.0
            && http.metric("segue_connections").await == 0.0;
        idle.then_some(())
    })
    .await;
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
