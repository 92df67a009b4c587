//! What a session promises: numbers, order, ids, bounds.

use std::sync::Arc;
use std::time::Duration;

use segue_protocol::{ErrorCode, Incoming, RequestError, ServerFrame};
use tokio::time::timeout;

use super::*;
use crate::config::OnFull;

const RULES: Rules = Rules {
    max_in_flight: 1,
    queue: 2,
    id_window: Duration::from_secs(3600),
    id_max: 3,
    history_bytes: 1 << 20,
};

fn bounds(on_full: OnFull) -> Bounds {
    Bounds {
        frames: 8,
        bytes: 1 << 20,
        wait: Duration::from_millis(100),
        on_full,
    }
}

fn status(text: &str) -> ServerFrame {
    ServerFrame::Status {
        id: "m".into(),
        handler: "h".into(),
        text: text.into(),
    }
}

fn chunk(content: &str) -> ServerFrame {
    ServerFrame::Chunk {
        id: "m".into(),
        handler: "h".into(),
        content: content.into(),
        replayed: false,
    }
}

fn message(id: &str, content: &str) -> Incoming {
    Incoming {
        id: Some(id.into()),
        mtype: "chat".into(),
        content: content.into(),
        rag_sql: false,
        rag_doc: false,
        meta: serde_json::Map::new(),
        traceparent: None,
    }
}

fn session() -> Arc<Session> {
    Sessions::default().open(10).unwrap()
}

fn done() -> End {
    End::Done {
        parts: Vec::new().into(),
        ms: 1.0,
    }
}

fn kinds(reader: &mut Reader) -> Vec<(u64, &'static str)> {
    std::iter::from_fn(|| reader.try_next())
        .map(|f| (f.seq, f.frame.kind()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn numbers_rise_by_one_and_can_be_read_again() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    for _ in 0..5 {
        outbox.push(&bounds, status("x")).await;
    }
    let mut first = outbox.reader(0);
    assert_eq!(first.next().await.seq, 1);
    assert_eq!(first.next().await.seq, 2);
    drop(first);
    assert!(outbox.covers(1));
    let mut again = outbox.reader(1);
    assert_eq!(
        kinds(&mut again).iter().map(|k| k.0).collect::<Vec<_>>(),
        [2, 3, 4, 5]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_read_makes_room_and_then_is_truly_gone() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    let mut reader = outbox.reader(0);
    for n in 1..=20 {
        outbox.push(&bounds, status("x")).await;
        assert_eq!(reader.next().await.seq, n);
    }
    assert!(!outbox.covers(0) && !outbox.covers(11) && outbox.covers(12) && outbox.covers(20));
    assert!(!outbox.covers(21), "a number that was never given");
}

#[tokio::test(start_paused = true)]
async fn acknowledged_frames_are_let_go_but_never_unread_ones() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    for _ in 0..4 {
        outbox.push(&bounds, status("x")).await;
    }
    let mut reader = outbox.reader(0);
    reader.next().await;
    outbox.ack(100);
    assert!(outbox.covers(1) && !outbox.covers(0));
    assert_eq!(reader.next().await.seq, 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_reader_a_full_outbox_parks_the_sender_until_one_comes() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    for _ in 0..8 {
        outbox.push(&bounds, status("x")).await;
    }
    let parked = {
        let outbox = outbox.clone();
        tokio::spawn(async move { outbox.push(&bounds, status("ninth")).await })
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!parked.is_finished());
    let mut reader = outbox.reader(0);
    for n in 1..=9 {
        assert_eq!(reader.next().await.seq, n);
    }
    parked.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_to_close_and_nothing_is_lost() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    let reader = outbox.reader(0);
    let pusher = {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            for _ in 0..12 {
                outbox.push(&bounds, status("x")).await;
            }
        })
    };
    timeout(Duration::from_secs(1), reader.patience().lost())
        .await
        .expect("told to close");
    drop(reader);
    let mut reader = outbox.reader(0);
    for n in 1..=12 {
        assert_eq!(reader.next().await.seq, n);
    }
    pusher.await.unwrap();
    assert_eq!(outbox.dropped_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_readers_the_slow_one_loses_nothing_and_is_the_one_told() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    let slow = outbox.reader(0);
    let mut fast = outbox.reader(0);
    let pusher = {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                outbox.push(&bounds, status("x")).await;
            }
        })
    };
    for n in 1..=8 {
        assert_eq!(fast.next().await.seq, n);
    }
    assert!(
        timeout(Duration::from_millis(50), fast.next()).await.is_err(),
        "held up"
    );
    assert!(outbox.covers(0), "nothing was taken from under the slow one");
    timeout(Duration::from_secs(1), slow.patience().lost())
        .await
        .expect("told to close");
    for n in 9..=20 {
        assert_eq!(fast.next().await.seq, n);
    }
    assert!(
        timeout(Duration::from_secs(1), fast.patience().lost())
            .await
            .is_err()
    );
    pusher.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropping_policies_leave_a_gap_a_mark_and_a_truthful_cover() {
    for (policy, kept) in [
        (OnFull::DropNewest, [1, 2, 3, 4, 5, 6, 7, 8]),
        (OnFull::DropOldest, [3, 4, 5, 6, 7, 8, 9, 10]),
    ] {
        let outbox = Arc::new(Outbox::default());
        let bounds = bounds(policy);
        let mut dropped = 0;
        for _ in 0..10 {
            dropped += outbox.push(&bounds, status("x")).await;
        }
        assert_eq!((dropped, outbox.dropped_total()), (2, 2));
        let mut reader = outbox.reader(0);
        assert_eq!(
            kinds(&mut reader).iter().map(|k| k.0).collect::<Vec<_>>(),
            kept,
            "{policy:?}"
        );
        assert!(!outbox.covers(0), "{policy:?}: recovered would be a lie");
        if policy == OnFull::DropNewest {
            outbox.push(&bounds, status("after")).await;
            let after = reader.next().await;
            assert_eq!((after.seq, after.dropped), (11, 2));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_was_waited_for_in_vain_is_not_waited_for_again_until_it_reads() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::DropNewest);
    let mut reader = outbox.reader(0);
    let began = tokio::time::Instant::now();
    for _ in 0..50 {
        outbox.push(&bounds, status("x")).await;
    }
    assert_eq!(began.elapsed(), bounds.wait, "once, not 42 times");
    reader.next().await;
    reader.next().await;
    outbox.push(&bounds, status("fits again")).await;
    outbox.push(&bounds, status("is waited for again")).await;
    assert_eq!(began.elapsed(), 2 * bounds.wait);
}

#[tokio::test(start_paused = true)]
async fn unread_chunks_are_joined_before_anything_waits() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    for n in 0..1000 {
        outbox.push(&bounds, chunk(&format!("{n} "))).await;
    }
    let mut reader = outbox.reader(0);
    let mut text = String::new();
    while let Some(frame) = reader.try_next() {
        let ServerFrame::Chunk { content, .. } = &frame.frame else {
            panic!()
        };
        text.push_str(content);
    }
    assert_eq!(text, (0..1000).map(|n| format!("{n} ")).collect::<String>());
}

#[tokio::test(start_paused = true)]
async fn the_last_frame_of_a_message_finds_room_in_a_full_outbox() {
    let session = session();
    let bounds = bounds(OnFull::DropOldest);
    let Taken::New(exchange) = session.take(message("a", "x"), &RULES, &bounds).unwrap() else {
        panic!()
    };
    session.start_next(&RULES).unwrap();
    for _ in 0..30 {
        session.outbox.push(&bounds, status("x")).await;
    }
    session.end(&exchange, done(), &RULES, &bounds);
    for _ in 0..30 {
        session.outbox.push(&bounds, status("x")).await;
    }
    let mut reader = session.outbox.reader(0);
    assert!(kinds(&mut reader).iter().any(|k| k.1 == "done"));
}

#[tokio::test]
async fn messages_start_in_order_and_the_queue_is_bounded() {
    let session = session();
    let bounds = bounds(OnFull::Close);
    let Taken::New(a) = session.take(message("a", "1"), &RULES, &bounds).unwrap() else {
        panic!()
    };
    assert_eq!(session.start_next(&RULES).unwrap().id, a.id);
    session.take(message("b", "2"), &RULES, &bounds).unwrap();
    session.take(message("c", "3"), &RULES, &bounds).unwrap();
    assert!(session.start_next(&RULES).is_none(), "one at a time");
    let busy = session.take(message("d", "4"), &RULES, &bounds).unwrap_err();
    assert_eq!((busy.code, busy.retryable), (ErrorCode::SessionBusy, true));
    session.end(&a, done(), &RULES, &bounds);
    assert_eq!(&*session.start_next(&RULES).unwrap().id, "b");
}

#[tokio::test]
async fn an_id_attaches_replays_or_conflicts() {
    let session = session();
    let bounds = bounds(OnFull::Close);
    let Taken::New(a) = session.take(message("a", "1"), &RULES, &bounds).unwrap() else {
        panic!()
    };
    assert!(matches!(
        session.take(message("a", "1"), &RULES, &bounds),
        Ok(Taken::Running(_))
    ));
    let other = session.take(message("a", "other"), &RULES, &bounds).unwrap_err();
    assert_eq!(other.code, ErrorCode::IdConflict);
    session.start_next(&RULES).unwrap();
    a.record().parts.push(PartRecord {
        handler: "h".into(),
        version: None,
        content: "the answer".into(),
        data: Vec::new(),
        error: None,
    });
    session.end(&a, done(), &RULES, &bounds);
    let Taken::Finished(again) = session.take(message("a", "1"), &RULES, &bounds).unwrap() else {
        panic!()
    };
    let replay = again.replay();
    assert_eq!(
        replay.iter().map(ServerFrame::kind).collect::<Vec<_>>(),
        ["chunk", "done"]
    );
}

#[tokio::test]
async fn an_id_asks_again_after_a_failure_that_may_pass() {
    for (code, again) in [(ErrorCode::Overloaded, true), (ErrorCode::HandlerTrapped, false)] {
        let session = session();
        let bounds = bounds(OnFull::Close);
        let Taken::New(a) = session.take(message("a", "1"), &RULES, &bounds).unwrap() else {
            panic!()
        };
        session.start_next(&RULES).unwrap();
        session.end(&a, End::Failed(RequestError::new(code, "no")), &RULES, &bounds);
        let taken = session.take(message("a", "1"), &RULES, &bounds).unwrap();
        assert_eq!(matches!(taken, Taken::New(_)), again, "{code:?}");
        assert_eq!(session.message_count(), 1);
    }
}

#[tokio::test]
async fn a_cancel_ends_a_message_in_exactly_one_final_frame() {
    let session = session();
    let bounds = bounds(OnFull::Close);
    let Taken::New(a) = session.take(message("a", "1"), &RULES, &bounds).unwrap() else {
        panic!()
    };
    session.start_next(&RULES).unwrap();
    session.take(message("b", "2"), &RULES, &bounds).unwrap();
    assert!(
        session.cancel("b", &RULES, &bounds),
        "one that waits ends at once"
    );
    assert!(session.cancel("a", &RULES, &bounds));
    assert!(a.cancel.is_cancelled());
    session.end(&a, done(), &RULES, &bounds);
    assert!(
        session.cancel("a", &RULES, &bounds),
        "one that is over stays as it is"
    );
    assert!(!session.cancel("never", &RULES, &bounds));
    let mut reader = session.outbox.reader(0);
    let finals = std::iter::from_fn(|| reader.try_next())
        .filter(|f| f.frame.is_final())
        .count();
    assert_eq!(finals, 2);
    assert!(session.is_idle());
}

#[tokio::test]
async fn what_is_remembered_is_bounded_and_the_latest_stays() {
    let session = session();
    let bounds = bounds(OnFull::DropOldest);
    for n in 0..10 {
        let id = format!("m{n}");
        let Taken::New(exchange) = session.take(message(&id, "x"), &RULES, &bounds).unwrap() else {
            panic!()
        };
        session.start_next(&RULES).unwrap();
        session.end(&exchange, done(), &RULES, &bounds);
    }
    let kept: Vec<_> = session.exchanges().iter().map(|e| e.id.to_string()).collect();
    assert_eq!(kept, ["m7", "m8", "m9"]);
    let small = Rules {
        history_bytes: 1,
        ..RULES
    };
    let Taken::New(last) = session.take(message("last", "x"), &small, &bounds).unwrap() else {
        panic!()
    };
    session.start_next(&small).unwrap();
    session.end(&last, done(), &small, &bounds);
    assert_eq!(session.message_count(), 1);
}

#[tokio::test]
async fn a_newer_socket_takes_over_and_an_old_one_does_not_detach_it() {
    let session = session();
    let first = session.attach();
    let second = session.attach();
    assert_eq!(*first.signal.borrow(), Signal::TakenOver);
    drop(first);
    assert!(session.is_attached());
    drop(second);
    assert!(!session.is_attached());
}

#[tokio::test]
async fn past_the_bound_the_longest_deserted_session_makes_room() {
    let sessions = Sessions::default();
    let old = sessions.open(2).unwrap().id.clone();
    let visited = sessions.open(2).unwrap();
    let socket = visited.attach();
    sessions.open(2).unwrap();
    assert!(sessions.get(&old).is_none() && sessions.get(&visited.id).is_some());
    let all: Vec<_> = sessions.snapshot();
    let _sockets: Vec<_> = all.iter().map(|s| s.attach()).collect();
    assert_eq!(sessions.open(2).unwrap_err(), SessionLimit);
    drop(socket);
}

#[tokio::test]
async fn a_session_that_was_just_found_is_not_taken_from_under_its_finder() {
    let sessions = Sessions::default();
    let found = sessions.open(1).unwrap();
    assert_eq!(sessions.open(1).unwrap_err(), SessionLimit);
    drop(found);
    sessions.open(1).unwrap();
}

#[tokio::test]
async fn a_socket_that_comes_to_an_erased_session_is_told_so() {
    let sessions = Sessions::default();
    let session = sessions.open(1).unwrap();
    assert!(sessions.erase(&session.id));
    assert_eq!(*session.attach().signal.borrow(), Signal::Erased);
}

#[tokio::test]
async fn what_is_remembered_is_bounded_while_an_older_message_still_runs() {
    let session = session();
    let bounds = bounds(OnFull::DropOldest);
    let rules = Rules {
        max_in_flight: 2,
        ..RULES
    };
    session.take(message("long", "x"), &rules, &bounds).unwrap();
    session.start_next(&rules).unwrap();
    for n in 0..10 {
        let id = format!("m{n}");
        session.take(message(&id, "x"), &rules, &bounds).unwrap();
        let exchange = session.start_next(&rules).unwrap();
        session.end(&exchange, done(), &rules, &bounds);
    }
    let kept: Vec<_> = session.exchanges().iter().map(|e| e.id.to_string()).collect();
    assert_eq!(kept, ["long", "m8", "m9"]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_goes_on_when_the_slow_reader_is_given_up() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::Close);
    let _slow = outbox.reader(0);
    for _ in 0..bounds.frames {
        outbox.push(&bounds, status("x")).await;
    }
    let room = outbox.room(&bounds);
    let push = outbox.push(&bounds, status("x"));
    tokio::select! {
        () = room => {}
        _ = push => panic!("nobody has read"),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("nobody woke it"),
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_dropping_policy_frames_that_are_never_dropped_are_bounded_too() {
    let outbox = Arc::new(Outbox::default());
    let bounds = bounds(OnFull::DropNewest);
    let mut reader = outbox.reader(0);
    let mut taken = 0;
    while timeout(Duration::from_secs(1), outbox.room(&bounds))
        .await
        .is_ok()
    {
        let accepted = ServerFrame::Accepted {
            id: "m".into(),
            duplicate: true,
        };
        outbox.push_now(&bounds, accepted);
        taken += 1;
        assert!(taken <= 2 * bounds.frames, "a client that floods and never reads");
    }
    reader.next().await;
    reader.next().await;
    timeout(Duration::from_secs(1), outbox.room(&bounds))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_read_through_any_number_of_frames_about_other_messages() {
    let session = session();
    let bounds = bounds(OnFull::Close);
    let mut reply = session.read_reply(0);
    let writing = async {
        for _ in 0..10 * bounds.frames {
            session.outbox.push(&bounds, status("of another")).await;
        }
        let End::Done { parts, ms } = done() else { panic!() };
        session.outbox.push_now(
            &bounds,
            ServerFrame::Done {
                id: "mine".into(),
                parts,
                ms,
                replayed: false,
            },
        );
    };
    let (frame, ()) = tokio::join!(timeout(Duration::from_secs(1), reply.next_of("mine")), writing);
    assert!(frame.unwrap().unwrap().frame.is_final());

    // What is let go of before its turn is told.
    let mut late = session.read_reply(0);
    assert!(late.next_of("mine").await.is_none());
}
