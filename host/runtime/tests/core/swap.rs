//! A swap is atomic, disturbs no call that runs, and leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use segue_runtime::{PluginEvent, PluginState, Reply, VersionState};
use tokio::sync::broadcast::Receiver;

use crate::guest;
use crate::host::{Host, joined, message, until};

async fn freed(events: &mut Receiver<PluginEvent>) -> (String, String) {
    let wait = async {
        loop {
            if let PluginEvent::Freed { name, version } = events.recv().await.unwrap() {
                return (name, version);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap()
}

#[tokio::test]
async fn a_call_ends_on_the_version_it_began_on_which_is_then_freed() {
    let host = Host::start(&[("p", guest::repeats("one ", 50))]).await;
    let mut events = host.runtime.events();
    let old = host.generation("p");
    let old_version = String::from(old.version());
    let mut running = host.runtime.call(&old, message(""));
    assert_eq!(running.next().await, Some(Reply::Chunk("one ".into())));

    host.put("p.wasm", guest::says("two")).await;
    assert_eq!(host.ask("p", "").await, "two");
    let status = host.runtime.plugin("p").unwrap();
    assert_eq!(status.in_flight, 1);
    let states: Vec<_> = status.versions.iter().map(|v| (v.state, v.in_flight)).collect();
    assert_eq!(states, [(VersionState::Draining, 1), (VersionState::Active, 0)]);

    let weak = Arc::downgrade(&old);
    drop(old);
    assert!(weak.upgrade().is_some(), "the running call holds it");
    let mut replies = Vec::new();
    while let Some(reply) = running.next().await {
        replies.push(reply);
    }
    assert_eq!(joined(&replies), "one ".repeat(49));
    assert_eq!(running.finish().await.result, Ok(()));
    assert_eq!(freed(&mut events).await, (String::from("p"), old_version));
    assert!(weak.upgrade().is_none());
    let status = host.runtime.plugin("p").unwrap();
    assert_eq!(status.versions[0].state, VersionState::Freed);
}

#[tokio::test]
async fn no_call_fails_or_sees_two_versions_while_versions_change() {
    let host = Host::start_with(&[("p", guest::repeats("0", 8))], |settings| {
        settings.instances = 64;
        settings.per_plugin = 64;
    })
    .await;
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (runtime, done) = (host.runtime.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut calls = 0;
                while !done.load(Ordering::Relaxed) {
                    let generation = runtime.generation("p").unwrap();
                    let mut call = runtime.call(&generation, message(""));
                    let mut text = String::new();
                    while let Some(reply) = call.next().await {
                        text.push_str(&joined(&[reply]));
                    }
                    assert_eq!(call.finish().await.result, Ok(()));
                    assert_eq!(text.len(), 8);
                    let first = &text[..1];
                    assert_eq!(text, first.repeat(8));
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    for n in 1..=12 {
        let text = (n % 10).to_string();
        host.put("p.wasm", guest::repeats(&text, 8)).await;
        assert_eq!(host.ask("p", "").await, text.repeat(8));
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    // 12 versions went by; none but the last is still in memory.
    let status = host.runtime.plugin("p").unwrap();
    let live: Vec<_> = status
        .versions
        .iter()
        .filter(|v| v.state != VersionState::Freed)
        .collect();
    assert_eq!(live.len(), 1, "{live:?}");
    assert_eq!(host.runtime.stats().plugins[0].loaded, 13);
}

#[tokio::test]
async fn settings_alone_make_a_new_version_and_the_same_again_makes_none() {
    let host = Host::start(&[("p", guest::says("hi"))]).await;
    let first = host.generation("p");
    host.put("p.wasm", guest::says("hi")).await;
    assert!(Arc::ptr_eq(&first, &host.generation("p")));
    host.put("p.toml", "[settings]\na = 1\n").await;
    let second = host.generation("p");
    assert_ne!(first.version(), second.version());
    assert_eq!(second.settings()["a"], 1);
    host.delete("p.toml").await;
    assert_eq!(host.generation("p").version(), first.version());
    // The bytes were compiled once.
    assert_eq!(host.runtime.stats().plugins[0].loaded, 3);
}

#[tokio::test]
async fn a_removed_plugin_is_forgotten_with_its_last_call() {
    let host = Host::start(&[("p", guest::repeats("ab", 50))]).await;
    let mut events = host.runtime.events();
    let mut running = host.runtime.call(&host.generation("p"), message(""));
    assert!(running.next().await.is_some());
    host.delete("p.wasm").await;
    until(|| host.runtime.generation("p").is_none()).await;
    let status = host.runtime.plugin("p").unwrap();
    assert_eq!((status.state, status.in_flight), (PluginState::Removed, 1));
    assert_eq!(running.finish().await.result, Ok(()));
    freed(&mut events).await;
    until(|| host.runtime.plugin("p").is_none()).await;
}
