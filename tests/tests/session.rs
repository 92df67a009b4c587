//! Sessions outlive their sockets: what was missed is sent again, in order and
//! once; ids, order, cancel and bounds hold as the design says.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use segue_tests::{Bed, Chat, Connect, Site};
use serde_json::{Value, json};

async fn bed() -> Bed {
    Site::builder().standard().start().await
}

async fn bed_with(config: &str) -> Bed {
    Site::builder().standard().config(config).start().await
}

/// A client that has seen the first chunk of `slow 8 50`, message `m1`, and is
/// gone again; what it saw of the reply.
async fn interrupted(bed: &Bed) -> (Connect, String) {
    let mut chat = bed.chat().await;
    chat.ask("m0", "chat", "before").await;
    chat.message("m1", "do", "slow 8 50").await;
    let first = chat.until("chunk").await;
    let comeback = chat.comeback();
    chat.vanish();
    (comeback, first["content"].as_str().expect("text").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_in_the_query_brings_what_was_missed_and_nothing_else() {
    let bed = bed().await;
    let (comeback, first) = interrupted(&bed).await;
    let mut chat = comeback.open(bed.addr()).await;
    assert_eq!(chat.hello["recovered"], true, "{}", chat.hello);
    // The numbers follow on what the first socket saw: `Chat` checks that.
    let rest = chat.reply("m1").await;
    assert_eq!(first + &rest.text, "0 1 2 3 4 5 6 7 ");
    chat.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_as_first_frame_brings_what_was_missed() {
    let bed = bed_with("[session]\nresume_wait = \"10s\"").await;
    let mut old = Chat::silent(Connect::default(), bed.addr(), "/chat").await;
    // Anything but a resume, sent first, ends the wait for one.
    old.message("m1", "do", "slow 8 50").await;
    old.hello().await;
    let first = old.until("chunk").await;
    let (session, epoch, after) = (old.session().to_owned(), old.epoch().to_owned(), old.seq);
    old.vanish();

    let mut chat = Chat::silent(Connect::default(), bed.addr(), "/chat").await;
    chat.seq = after;
    chat.send(json!({"type": "resume", "session": session, "epoch": epoch, "after": after}))
        .await;
    let hello = chat.hello().await;
    assert_eq!(
        (&hello["recovered"], &hello["session"]),
        (&json!(true), &json!(session))
    );
    let rest = chat.reply("m1").await;
    assert_eq!(
        first["content"].as_str().expect("text").to_owned() + &rest.text,
        "0 1 2 3 4 5 6 7 "
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_resume_on_an_unused_session_is_honoured_with_a_second_hello() {
    let bed = bed_with("[session]\nresume_wait = \"0s\"").await;
    let mut old = bed.chat().await;
    old.ask("m1", "chat", "one").await;
    let (session, epoch, seq) = (old.session().to_owned(), old.epoch().to_owned(), old.seq);
    old.vanish();

    let mut chat = bed.chat().await;
    assert_ne!(chat.session(), session);
    chat.send(json!({"type": "resume", "session": session, "epoch": epoch, "after": 1}))
        .await;
    chat.seq = 1;
    let hello = chat.hello().await;
    assert_eq!(
        (&hello["recovered"], &hello["session"]),
        (&json!(true), &json!(session))
    );
    assert_eq!(chat.reply("m1").await.text, "one");
    assert_eq!(chat.seq, seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_taken_before_the_socket_died_is_answered_without_it() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.message("m1", "do", "slow 3 30").await;
    chat.message("m2", "chat", "second").await;
    chat.until("accepted").await;
    chat.until("accepted").await;
    let comeback = chat.comeback();
    chat.vanish();
    let mut chat = comeback.open(bed.addr()).await;
    assert_eq!(chat.hello["recovered"], true);
    let mut text = String::new();
    for _ in 0..2 {
        loop {
            let frame = chat.frame().await;
            text.push_str(frame["content"].as_str().unwrap_or_default());
            if frame["type"] == "done" {
                break;
            }
        }
    }
    assert!(text.ends_with("2 second"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_epoch_is_not_recovered_and_says_which_one_holds() {
    let bed = bed().await;
    let mut old = bed.chat().await;
    old.ask("m1", "chat", "one").await;
    let (session, epoch) = (old.session().to_owned(), old.epoch().to_owned());
    old.close().await;
    let mut chat = Connect::default()
        .resume(&session, "another", 2)
        .open(bed.addr())
        .await;
    assert_eq!(chat.hello["recovered"], false);
    assert_eq!(chat.session(), session);
    assert_eq!(chat.epoch(), epoch);
    // Numbers of another epoch say nothing about this one: all of it comes again.
    assert_eq!(chat.reply("m1").await.text, "one");
    assert_eq!(chat.ask("m2", "chat", "two").await.text, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_session_is_told_so_and_a_fresh_one_follows() {
    let bed = bed().await;
    let connect = Connect::default().resume("0123456789abcdef0123456789abcdef", "e", 5);
    let mut chat = Chat::silent(connect, bed.addr(), "/chat").await;
    let error = chat.expect("error").await;
    assert_eq!(error["code"], "session_unknown");
    assert_eq!(error.get("seq"), None);
    let hello = chat.hello().await;
    assert_eq!(hello["recovered"], false);
    assert_eq!(hello["seq"], 0);
    assert_eq!(chat.ask("m1", "chat", "on").await.text, "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_the_outbox_let_go_of_make_recovered_false() {
    let bed = bed_with("[outbox]\nsize = 16").await;
    let mut chat = bed.chat().await;
    for number in 0..10 {
        chat.ask(&format!("m{number}"), "chat", "x").await;
    }
    let (session, epoch, seq) = (chat.session().to_owned(), chat.epoch().to_owned(), chat.seq);
    chat.vanish();
    let again = Connect::default()
        .resume(&session, &epoch, seq - 3)
        .open(bed.addr())
        .await;
    assert_eq!(again.hello["recovered"], true);
    again.vanish();
    let again = Connect::default()
        .resume(&session, &epoch, 1)
        .open(bed.addr())
        .await;
    assert_eq!(again.hello["recovered"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_not_kept() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.ask("m1", "chat", "one").await;
    chat.ask("m2", "chat", "two").await;
    let (session, epoch) = (chat.session().to_owned(), chat.epoch().to_owned());
    chat.send(json!({"type": "ack", "seq": 3})).await;
    // The answer to the next message proves that the ack was read.
    chat.ask("m3", "chat", "three").await;
    chat.vanish();
    let all = Connect::default()
        .resume(&session, &epoch, 3)
        .open(bed.addr())
        .await;
    assert_eq!(
        all.hello["recovered"], true,
        "frame 3 was acknowledged, 4 is kept"
    );
    all.vanish();
    let earlier = Connect::default()
        .resume(&session, &epoch, 2)
        .open(bed.addr())
        .await;
    assert_eq!(earlier.hello["recovered"], false, "frame 3 is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_socket_takes_the_session_over() {
    let bed = bed().await;
    let mut old = bed.chat().await;
    old.message("m1", "do", "slow 20 50").await;
    old.until("chunk").await;
    let mut new = old.comeback().open(bed.addr()).await;
    assert_eq!(new.hello["recovered"], true);
    assert_eq!(old.closed().await, Some(4500));
    new.until("done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_while_it_runs_attaches_to_the_reply() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.message("m1", "do", "slow 8 50").await;
    chat.until("chunk").await;
    chat.message("m1", "do", "slow 8 50").await;
    let rest = chat.reply("m1").await;
    let again = rest.of("accepted");
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["duplicate"], true);
    assert_eq!(rest.text, "1 2 3 4 5 6 7 ", "the handler ran once");
    chat.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_after_its_end_replays_the_reply() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    let first = chat.ask("m1", "do", "slow 3 0").await;
    assert_eq!(first.of("accepted")[0].get("duplicate"), None);
    let again = chat.ask("m1", "do", "slow 3 0").await;
    assert_eq!(again.of("accepted")[0]["duplicate"], true);
    assert_eq!(again.text, first.text);
    assert_eq!(again.last["replayed"], true);
    assert_eq!(again.version(), first.version());
    assert!(again.of("chunk").iter().all(|chunk| chunk["replayed"] == true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_reply_is_replayed_as_it_failed() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    let first = chat.ask("m1", "do", "trap-mid").await;
    let again = chat.ask("m1", "do", "trap-mid").await;
    assert_eq!(again.text, "one two ");
    assert_eq!(again.error_code(), first.error_code());
    assert_eq!(again.last["replayed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_with_other_content_is_a_conflict() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.ask("m1", "chat", "one").await;
    for other in [
        json!({"id": "m1", "mtype": "chat", "content": "two"}),
        json!({"id": "m1", "mtype": "do", "content": "one"}),
        json!({"id": "m1", "mtype": "chat", "content": "one", "rag_sql": true}),
        json!({"id": "m1", "mtype": "chat", "content": "one", "meta": {"a": 1}}),
    ] {
        chat.send(other).await;
        let error = chat.expect("error").await;
        assert_eq!(error["code"], "id_conflict");
        assert_eq!(error["id"], "m1");
        assert_eq!(error["retryable"], false);
    }
    assert_eq!(chat.ask("m2", "chat", "two").await.text, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_past_the_window_are_forgotten() {
    let bed = bed_with("[session]\nid_max = 2").await;
    let mut chat = bed.chat().await;
    assert_eq!(chat.hello["id_max"], 2);
    for id in ["m1", "m2", "m3"] {
        chat.ask(id, "chat", id).await;
    }
    let known = chat.ask("m3", "chat", "m3").await;
    assert_eq!(known.last["replayed"], true);
    let forgotten = chat.ask("m1", "chat", "something else").await;
    assert_eq!(forgotten.text, "something else");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_sent_at_once_are_answered_one_after_the_other() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    for number in 0..20 {
        chat.message(&format!("m{number}"), "do", "slow 3 0").await;
    }
    let mut order = Vec::new();
    let mut running = None;
    while order.len() < 20 {
        let frame = chat.frame().await;
        let id = frame["id"].as_str().expect("an id").to_owned();
        match frame["type"].as_str().expect("a type") {
            "accepted" => {}
            "chunk" => assert_eq!(*running.get_or_insert(id.clone()), id, "two at a time"),
            "done" => {
                running = None;
                order.push(id);
            }
            other => panic!("{other}: {frame}"),
        }
    }
    let sent: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    assert_eq!(order, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_messages_run_at_once_as_the_session_allows() {
    let bed = bed_with("[session]\nmax_in_flight = 3").await;
    let mut chat = bed.chat().await;
    for number in 0..4 {
        chat.message(&format!("m{number}"), "do", "slow 1000000 20").await;
    }
    let mut begun = std::collections::BTreeSet::new();
    while begun.len() < 3 {
        begun.insert(
            chat.until("chunk").await["id"]
                .as_str()
                .expect("an id")
                .to_owned(),
        );
    }
    assert!(!begun.contains("m3"), "{begun:?}");
    chat.send(json!({"type": "cancel", "id": "m1"})).await;
    assert_eq!(chat.until("error").await["id"], "m1");
    while chat.until("chunk").await["id"] != "m3" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn past_its_queue_a_session_is_busy_and_says_when_to_come_back() {
    let bed = bed_with("[session]\nqueue = 2").await;
    let mut chat = bed.chat().await;
    chat.message("m1", "do", "slow 1000000 20").await;
    chat.until("chunk").await;
    for id in ["m2", "m3", "m4"] {
        chat.message(id, "chat", id).await;
    }
    let error = chat.until("error").await;
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("session_busy"), &json!("m4"))
    );
    assert_eq!(error["retryable"], true);
    assert!(error["retry_after_ms"].is_u64(), "{error}");
    chat.send(json!({"type": "cancel", "id": "m1"})).await;
    chat.until("error").await;
    assert_eq!(chat.reply("m2").await.text, "m2");
    assert_eq!(chat.reply("m3").await.text, "m3");
    // The refused id was never taken, so it may be tried again.
    assert_eq!(chat.ask("m4", "chat", "m4").await.text, "m4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_message_ends_in_exactly_one_final_frame() {
    let bed = bed().await;
    for (number, command) in ["slow 1000000 20", "sleep 600000", "loop", "flood"]
        .into_iter()
        .enumerate()
    {
        let mut chat = bed.chat().await;
        let id = format!("m{number}");
        chat.message(&id, "do", command).await;
        chat.until("accepted").await;
        for _ in 0..3 {
            chat.send(json!({"type": "cancel", "id": id})).await;
        }
        let error = chat.until("error").await;
        assert_eq!(
            (&error["code"], &error["id"]),
            (&json!("cancelled"), &json!(id)),
            "{command}"
        );
        assert_eq!(error["final"], true);
        // Later cancels may be told that there is nothing to cancel, no more.
        chat.message("next", "chat", "on").await;
        loop {
            let frame = chat.frame().await;
            assert!(
                frame["id"] != json!(id) || frame["code"] == "message_unknown",
                "{frame}"
            );
            if frame["type"] == "done" {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_cancelled_while_it_waits_never_starts() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.message("m1", "do", "slow 1000000 20").await;
    chat.message("m2", "chat", "never").await;
    chat.message("m3", "chat", "third").await;
    chat.until("chunk").await;
    chat.send(json!({"type": "cancel", "id": "m2"})).await;
    let error = chat.until("error").await;
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("cancelled"), &json!("m2"))
    );
    chat.send(json!({"type": "cancel", "id": "m1"})).await;
    assert_eq!(chat.until("error").await["id"], "m1");
    assert_eq!(chat.reply("m3").await.text, "third");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_message_cannot_be_cancelled() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.send(json!({"type": "cancel", "id": "nobody"})).await;
    let error = chat.expect("error").await;
    assert_eq!(error["code"], "message_unknown");
    assert_eq!(chat.ask("m1", "chat", "on").await.text, "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_no_route_is_told_so() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    let reply = chat.ask("m1", "weather", "x").await;
    assert_eq!(reply.error_code(), "no_route");
    assert_eq!(chat.ask("m2", "chat", "on").await.text, "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_of_a_reply_names_message_and_handler() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    for command in ["slow 2 0", "data", "status"] {
        let reply = chat.ask(command, "do", command).await;
        for frame in &reply.frames {
            let kind = frame["type"].as_str().expect("a type");
            if matches!(kind, "chunk" | "data" | "status") {
                assert_eq!(frame["handler"], "misbehave", "{frame}");
            }
        }
        let part = &reply.last["parts"][0];
        assert_eq!(
            (&part["handler"], &part["ok"]),
            (&json!("misbehave"), &json!(true))
        );
        assert_eq!(part["version"], reply.last["version"]);
        assert!(
            part["usage"].is_object() && reply.last["ms"].is_number(),
            "{part}"
        );
        assert!(reply.version().starts_with("sha256:"), "{}", reply.version());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_past_its_time_is_unknown() {
    let bed = bed_with("[session]\nttl = \"1s\"").await;
    let mut chat = bed.chat().await;
    chat.ask("m1", "chat", "one").await;
    let comeback = chat.comeback();
    let session = chat.session().to_owned();
    chat.close().await;
    let admin = bed.admin();
    segue_tests::eventually("the session to be forgotten", || async {
        let listed: Value = admin.get_ok("/sessions").await;
        (!listed.to_string().contains(&session)).then_some(())
    })
    .await;
    let mut chat = Chat::silent(comeback, bed.addr(), "/chat").await;
    assert_eq!(chat.expect("error").await["code"], "session_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_session_is_closed_and_gone() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.ask("m1", "chat", "secret").await;
    chat.message("m2", "do", "slow 1000000 20").await;
    chat.until("chunk").await;
    let path = format!("/v1/sessions/{}", chat.session());
    let http = bed.http();
    let erased = http.send(http.request(reqwest::Method::DELETE, &path)).await;
    assert!(erased.status().is_success(), "{}", erased.status());
    let comeback = chat.comeback();
    assert_eq!(chat.closed().await, Some(4501));
    let mut chat = Chat::silent(comeback, bed.addr(), "/chat").await;
    assert_eq!(chat.expect("error").await["code"], "session_unknown");
    assert_eq!(http.get(&format!("{path}/messages")).await.0, 404);
}
