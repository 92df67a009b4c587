//! Whatever a guest does, its call ends in an outcome of its own kind, and
//! other calls do not notice.

use std::time::{Duration, Instant};

use segue_runtime::{CallError, HandlerError, Reply, Scope};

use crate::guest;
use crate::host::{Host, joined, message, raw, until, within};

#[tokio::test]
async fn a_reply_arrives_in_order_and_is_counted() {
    let host = Host::start(&[("echo", guest::echo()), ("many", guest::repeats("ab", 100))]).await;
    assert_eq!(host.ask("echo", "hällo").await, "hällo");
    let (replies, outcome) = host.call("many", message("")).await;
    assert_eq!(replies.len(), 100);
    assert_eq!(outcome.result, Ok(()));
    assert_eq!((outcome.usage.chunks, outcome.usage.reply_bytes), (100, 200));
    assert!(outcome.usage.memory_peak_bytes >= 2 * 65_536);

    let stats = host.runtime.stats();
    assert_eq!(stats.instances_in_use, 0);
    assert_eq!(stats.plugins[1].calls, [("ok", 1)]);
    let send = &stats.host_calls[0];
    assert_eq!((send.function, send.ok, send.bytes), ("reply.send", 101, 206));
}

#[tokio::test]
async fn each_call_has_a_fresh_instance() {
    let counting = guest::handler(
        "(global $n (mut i32) (i32.const 0))
         (data (i32.const 4096) \"first\")",
        "(if (global.get $n) (then (unreachable)))
         (global.set $n (i32.const 1))
         (drop (call $say (i32.const 4096) (i32.const 5)))
         (i32.store8 (i32.const 4096) (i32.const 63))
         (call $ok)",
    );
    let host = Host::start(&[("counting", counting)]).await;
    for _ in 0..40 {
        assert_eq!(host.ask("counting", "").await, "first");
    }
}

#[tokio::test]
async fn a_guest_that_spins_ends_at_its_deadline_and_others_go_on() {
    let host = Host::start_with(&[("spin", guest::spins()), ("echo", guest::echo())], |settings| {
        settings.guest_threads = 2
    })
    .await;
    let spin = host.generation("spin");
    let spinning: Vec<_> = (0..4).map(|_| host.runtime.call(&spin, within(2_000))).collect();
    for _ in 0..10 {
        assert_eq!(host.ask("echo", "still here").await, "still here");
    }
    assert_eq!(spin.in_flight(), 4, "the others had to wait for those that spin");
    for call in spinning {
        let outcome = call.finish().await;
        let deadline = Duration::from_secs(2);
        assert_eq!(outcome.result, Err(CallError::DeadlineExceeded { deadline }));
        let ms = outcome.usage.ms;
        assert!((2_000.0..3_000.0).contains(&ms), "{ms}");
    }
}

#[tokio::test]
async fn a_plugins_own_deadline_is_never_lengthened() {
    let host = Host::start(&[("spin", guest::spins())]).await;
    host.put("spin.toml", "[limits]\ndeadline = \"50ms\"\n").await;
    let deadline = Duration::from_millis(50);
    let error = host.fails("spin", within(60_000)).await;
    assert_eq!(error, CallError::DeadlineExceeded { deadline });
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once_even_while_the_guest_spins() {
    let host = Host::start(&[("spin", guest::spins())]).await;
    let spec = message("");
    let cancel = spec.cancel.clone();
    let call = host.runtime.call(&host.generation("spin"), spec);
    let started = Instant::now();
    cancel.cancel();
    assert_eq!(call.finish().await.result, Err(CallError::Cancelled));
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(host.runtime.stats().plugins[0].calls, [("cancelled", 1)]);
}

#[tokio::test]
async fn dropping_a_call_ends_it_and_gives_back_what_it_held() {
    let host = Host::start(&[("spin", guest::spins())]).await;
    let generation = host.generation("spin");
    let call = host.runtime.call(&generation, message(""));
    assert_eq!(generation.in_flight(), 1);
    drop(call);
    until(|| generation.in_flight() == 0).await;
    assert_eq!(host.runtime.stats().instances_in_use, 0);
}

#[tokio::test]
async fn a_parked_call_keeps_its_deadline() {
    let host = Host::start(&[("many", guest::repeats("ab", 100))]).await;
    let generation = host.generation("many");
    let mut call = host.runtime.call(&generation, within(100));
    assert_eq!(call.next().await, Some(Reply::Chunk("ab".into())));
    // Not read any further, it is parked until it is over.
    until(|| generation.in_flight() == 0).await;
    let outcome = call.finish().await;
    let deadline = Duration::from_millis(100);
    assert_eq!(outcome.result, Err(CallError::DeadlineExceeded { deadline }));
    assert!(
        (4..=6).contains(&outcome.usage.chunks),
        "{}",
        outcome.usage.chunks
    );
}

#[tokio::test]
async fn traps_are_told_apart() {
    let traps = guest::handler(
        "(data (i32.const 4096) \"before\")",
        "(drop (call $say (i32.const 4096) (i32.const 6))) (unreachable)",
    );
    let recurses = guest::handler(
        "(func $deeper (param i64) (result i64)
           (i64.add (call $deeper (local.get 0)) (i64.const 1)))",
        "(drop (call $deeper (i64.const 1))) (call $ok)",
    );
    let wild = guest::handler("", "(i32.load (i32.const -4))");
    let host = Host::start(&[("recurses", recurses), ("traps", traps), ("wild", wild)]).await;

    let (replies, outcome) = host.call("traps", message("")).await;
    assert_eq!(joined(&replies), "before");
    let error = outcome.result.unwrap_err();
    assert_eq!(error.code(), "handler_trapped");
    assert_eq!(
        error.to_string(),
        "the handler trapped: wasm `unreachable` instruction executed"
    );
    assert_eq!(
        host.fails("recurses", message("")).await,
        CallError::StackExhausted
    );
    let wild = host.fails("wild", message("")).await;
    assert!(wild.to_string().contains("out of bounds memory access"), "{wild}");
}

#[tokio::test]
async fn memory_is_bounded_over_all_memories() {
    let grows = "(loop $again
        (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))";
    let traps = guest::handler("", &format!("{grows} (unreachable)"));
    let copes = guest::handler(
        "(data (i32.const 4096) \"coped\")",
        &format!("{grows} (drop (call $say (i32.const 4096) (i32.const 5))) (call $ok)"),
    );
    // Each of the two stays below the limit; the sum does not.
    let second = guest::handler(
        "(memory $second 1)",
        "(drop (memory.grow $second (i32.const 600)))
         (if (i32.eq (i32.const -1) (memory.grow (i32.const 600))) (then (unreachable)))
         (call $ok)",
    );
    let host = Host::start(&[("copes", copes), ("second", second), ("traps", traps)]).await;

    let limit_bytes = 64 << 20;
    let exceeded = CallError::MemoryExceeded { limit_bytes };
    let (_, outcome) = host.call("traps", message("")).await;
    assert_eq!(outcome.result, Err(exceeded.clone()));
    assert!(outcome.usage.memory_peak_bytes <= limit_bytes);
    assert!(outcome.usage.memory_peak_bytes > limit_bytes - (2 << 20));
    assert_eq!(host.ask("copes", "").await, "coped");
    assert_eq!(host.fails("second", message("")).await, exceeded);
}

#[tokio::test]
async fn a_reply_limit_decides_the_outcome_whatever_the_guest_returns() {
    let floods = guest::repeats("ab", u32::MAX);
    let ignores = guest::handler(
        "(data (i32.const 4096) \"ab\")",
        "(loop $again (drop (call $say (i32.const 4096) (i32.const 2))) (br $again))
         (unreachable)",
    );
    let host = Host::start(&[("floods", floods.clone()), ("ignores", ignores)]).await;
    let chunks = "[limits]\nchunks = 10\n";
    host.put("ignores.toml", chunks).await;
    host.put("floods.toml", chunks).await;
    let (replies, outcome) = host.call("floods", message("")).await;
    assert_eq!(replies.len(), 10);
    assert_eq!(outcome.result, Err(CallError::TooManyChunks { limit: 10 }));
    let error = host.fails("ignores", message("")).await;
    assert_eq!(error, CallError::TooManyChunks { limit: 10 });

    host.put("floods.toml", "[limits]\nreply = \"1 KiB\"\n").await;
    let (replies, outcome) = host.call("floods", message("")).await;
    assert_eq!(joined(&replies).len(), 1024);
    assert_eq!(
        outcome.result,
        Err(CallError::ReplyTooLarge { limit_bytes: 1024 })
    );
}

#[tokio::test]
async fn a_chunk_larger_than_the_reply_may_be_is_refused_not_fatal() {
    let big = guest::handler(
        "(data (i32.const 4096) \"small\")",
        "(drop (memory.grow (i32.const 400)))
         (if (i32.eqz (call $say (i32.const 0) (i32.const 20000000))) (then (unreachable)))
         ;; The code of the error, as a reply of its own, comes too late.
         (drop (call $say (i32.load (i32.const 16)) (i32.load (i32.const 20))))
         (call $ok)",
    );
    let host = Host::start(&[("big", big)]).await;
    let (replies, outcome) = host.call("big", message("")).await;
    assert_eq!(replies, []);
    let limit_bytes = 16 << 20;
    assert_eq!(outcome.result, Err(CallError::ReplyTooLarge { limit_bytes }));
}

#[tokio::test]
async fn silence_is_an_answer_only_on_raw_endpoints() {
    let silent = guest::handler("", "(call $ok)");
    let host = Host::start(&[("silent", silent)]).await;
    assert_eq!(host.fails("silent", message("")).await, CallError::EmptyReply);
    let (_, outcome) = host.call("silent", raw("")).await;
    assert_eq!(outcome.result, Ok(()));
}

#[tokio::test]
async fn a_handlers_own_error_is_passed_on() {
    let fails = guest::handler(
        "(data (i32.const 4096) \"shop_closed\")",
        "(call $fail (i32.const 4096) (i32.const 11))",
    );
    let host = Host::start(&[("fails", fails)]).await;
    let expected = HandlerError {
        code: String::from("shop_closed"),
        message: String::from("shop_closed"),
        retryable: true,
        retry_after_ms: Some(1500),
    };
    let error = host.fails("fails", message("")).await;
    assert_eq!(error.code(), "handler_failed");
    assert_eq!(error, CallError::Handler(expected));
}

#[tokio::test]
async fn after_the_client_left_sends_fail_and_the_guest_may_finish() {
    let host = Host::start(&[("many", guest::repeats("ab", 100))]).await;
    let mut call = host.runtime.call(&host.generation("many"), raw(""));
    assert!(call.next().await.is_some());
    call.close_replies();
    let outcome = call.finish().await;
    assert_eq!(outcome.result, Err(CallError::ClientGone));
    assert!(outcome.usage.chunks < 10);
}

#[tokio::test]
async fn calls_past_a_bound_are_refused_at_once() {
    let parks = guest::repeats("ab", 100);
    let host = Host::start_with(&[("one", parks.clone()), ("two", parks)], |settings| {
        settings.instances = 3;
        settings.per_plugin = 2;
    })
    .await;
    let overloaded = |scope| Err(CallError::Overloaded { scope });
    let (one, two) = (host.generation("one"), host.generation("two"));
    let first = host.runtime.call(&one, message(""));
    let second = host.runtime.call(&one, message(""));
    let refused = host.runtime.call(&one, message("")).finish().await;
    assert_eq!(refused.result, overloaded(Scope::Plugin));
    let third = host.runtime.call(&two, message(""));
    let mut refused = host.runtime.call(&two, message(""));
    assert_eq!(refused.next().await, None);
    assert_eq!(refused.finish().await.result, overloaded(Scope::Host));
    assert_eq!(host.runtime.stats().instances_in_use, 3);
    for call in [first, second, third] {
        assert_eq!(call.finish().await.result, Ok(()));
    }
    assert_eq!(host.runtime.stats().instances_in_use, 0);
    // What the pool gave out is whole again.
    for _ in 0..10 {
        let (_, outcome) = host.call("one", message("")).await;
        assert_eq!(outcome.result, Ok(()));
    }
}

#[tokio::test]
async fn the_pool_never_runs_out_underneath_an_admitted_call() {
    // One that weighs three: three memories.
    let heavy = guest::handler(
        "(memory 1) (memory 1) (data (i32.const 4096) \"ab\")",
        "(drop (call $say (i32.const 4096) (i32.const 2))) (call $ok)",
    );
    let host = Host::start_with(&[("heavy", heavy), ("light", guest::echo())], |settings| {
        settings.instances = 8;
        settings.per_plugin = 8;
    })
    .await;
    let (heavy, light) = (host.generation("heavy"), host.generation("light"));
    let mut calls = Vec::new();
    for turn in 0..600 {
        let generation = if turn % 3 == 0 { &heavy } else { &light };
        calls.push(host.runtime.call(generation, message("ab")));
    }
    let mut ended_well = 0;
    for call in calls {
        match call.finish().await.result {
            Ok(()) => ended_well += 1,
            Err(error) => assert_eq!(error.code(), "overloaded"),
        }
    }
    assert!(ended_well >= 4, "{ended_well}");
}

#[tokio::test]
async fn settings_and_meta_are_handed_out_as_text() {
    let tells = guest::handler(
        "(data (i32.const 4096) \"greeting\")
         (func $tell (drop (call $say (i32.load (i32.const 32)) (i32.load (i32.const 36)))))",
        "(if (call $setting (i32.const 4096) (i32.const 8)) (then (call $tell)))
         (if (call $meta (i32.const 4096) (i32.const 8)) (then (call $tell)))
         (if (call $meta (i32.const 4096) (i32.const 3)) (then (unreachable)))
         (call $ok)",
    );
    let host = Host::start(&[("tells", tells)]).await;
    host.put("tells.toml", "[settings]\ngreeting = [1, \"a\"]\n")
        .await;
    let mut spec = message("");
    let meta = serde_json::json!({"greeting": "hi"});
    spec.context.meta = std::sync::Arc::new(meta.as_object().unwrap().clone());
    let (replies, outcome) = host.call("tells", spec).await;
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(joined(&replies), "[1,\"a\"]hi");
}

#[tokio::test]
async fn stopping_ends_every_call() {
    let host = Host::start(&[("spin", guest::spins())]).await;
    let call = host.runtime.call(&host.generation("spin"), message(""));
    host.runtime.stop().await;
    assert_eq!(host.runtime.stats().instances_in_use, 0);
    assert_eq!(call.finish().await.result, Err(CallError::Cancelled));
}
