//! The client's half of the bargain: nothing shown twice, nothing sent twice
//! under another name, no claim better than the truth.

use super::*;

fn conversation() -> Conversation {
    Conversation::new(Manner {
        mtype: "chat".into(),
        rag_sql: false,
        rag_doc: false,
    })
}

fn hear(talk: &mut Conversation, frame: &str) -> Vec<Event> {
    talk.on_frame(&Frame::parse(frame).unwrap(), Instant::now())
}

fn hello(talk: &mut Conversation, session: &str, epoch: &str, recovered: bool, seq: u64) -> Continuity {
    let frame = json!({"type": "hello", "session": session, "epoch": epoch, "recovered": recovered, "seq": seq, "max_frame": 1024});
    match hear(talk, &frame.to_string()).first() {
        Some(Event::Connected(continuity)) => *continuity,
        other => panic!("{other:?}"),
    }
}

fn say(talk: &mut Conversation, id: &str) {
    talk.compose(id.into(), format!("content of {id}"), Instant::now())
        .unwrap();
}

/// The ids of what goes out, `cancel` marked.
fn sent(talk: &mut Conversation) -> Vec<String> {
    let frames = talk.outgoing();
    let read = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let name = |frame: Value| match frame["type"].as_str() {
        Some("cancel") => format!("cancel {}", frame["id"].as_str().unwrap()),
        _ => frame["id"].as_str().unwrap().to_owned(),
    };
    frames.iter().map(read).map(name).collect()
}

/// A session "S" in epoch "E" with m1 accepted as number 1.
fn running() -> Conversation {
    let mut talk = conversation();
    hello(&mut talk, "S", "E", false, 0);
    say(&mut talk, "m1");
    assert_eq!(sent(&mut talk), ["m1"]);
    hear(&mut talk, r#"{"type":"accepted","seq":1,"id":"m1"}"#);
    talk
}

#[test]
fn nothing_goes_out_before_hello_and_each_message_once_after() {
    let mut talk = conversation();
    say(&mut talk, "m1");
    assert!(talk.outgoing().is_empty());
    assert_eq!(talk.resume(), None);
    assert_eq!(hello(&mut talk, "S", "E", false, 0), Continuity::New);
    say(&mut talk, "m2");
    assert_eq!(sent(&mut talk), ["m1", "m2"]);
    assert!(talk.outgoing().is_empty());
}

#[test]
fn a_repeated_number_is_heard_once() {
    let mut talk = running();
    let chunk = r#"{"type":"chunk","seq":2,"id":"m1","handler":"chat","content":"a"}"#;
    assert_eq!(hear(&mut talk, chunk), [Event::Text("a".into())]);
    assert_eq!(hear(&mut talk, chunk), []);
    assert_eq!(talk.resume().unwrap().after, 2);
}

#[test]
fn after_a_whole_resume_the_unconfirmed_waits_until_all_is_caught_up() {
    let mut talk = running();
    say(&mut talk, "m2");
    assert_eq!(sent(&mut talk), ["m2"]);
    talk.disconnected();
    say(&mut talk, "m3");
    assert!(talk.outgoing().is_empty());

    assert_eq!(hello(&mut talk, "S", "E", true, 3), Continuity::Whole);
    assert!(talk.outgoing().is_empty(), "two frames are still to come");
    hear(&mut talk, r#"{"type":"chunk","seq":2,"id":"m1","content":"x"}"#);
    hear(&mut talk, r#"{"type":"accepted","seq":3,"id":"m2"}"#);
    assert_eq!(sent(&mut talk), ["m3"], "m1 and m2 are known to have arrived");
}

#[test]
fn what_nobody_confirmed_goes_out_again_under_its_id_and_in_order() {
    let mut talk = running();
    say(&mut talk, "m2");
    sent(&mut talk);
    talk.disconnected();
    say(&mut talk, "m3");
    hello(&mut talk, "S", "E", true, 1);
    assert_eq!(sent(&mut talk), ["m2", "m3"]);
}

#[test]
fn with_gaps_running_answers_are_asked_for_again_and_retold_whole() {
    let mut talk = running();
    hear(
        &mut talk,
        r#"{"type":"chunk","seq":2,"id":"m1","handler":"chat","content":"one "}"#,
    );
    talk.disconnected();
    assert_eq!(hello(&mut talk, "S", "E", false, 9), Continuity::Gaps);
    assert_eq!(sent(&mut talk), ["m1"]);
    let told = hear(
        &mut talk,
        r#"{"type":"accepted","seq":10,"id":"m1","duplicate":true}"#,
    );
    assert_eq!(told, [], "hello has told of the gap");
    let again = hear(
        &mut talk,
        r#"{"type":"chunk","seq":11,"id":"m1","handler":"chat","content":"one two","replayed":true}"#,
    );
    assert_eq!(again, [Event::Again("one two".into())]);
    let end = hear(
        &mut talk,
        r#"{"type":"done","seq":12,"id":"m1","parts":[],"ms":1.0,"replayed":true}"#,
    );
    assert!(
        matches!(
            end.as_slice(),
            [Event::Done {
                gap: false,
                seq: 12,
                ..
            }]
        ),
        "{end:?}"
    );
}

#[test]
fn a_gap_that_stays_is_told_at_the_end() {
    let mut talk = running();
    assert_eq!(
        hear(
            &mut talk,
            r#"{"type":"status","seq":5,"id":"m1","text":"x","dropped":3}"#
        )
        .first(),
        Some(&Event::Dropped(3))
    );
    let end = hear(&mut talk, r#"{"type":"done","seq":6,"id":"m1","parts":[]}"#);
    assert!(
        matches!(end.as_slice(), [Event::Done { gap: true, .. }]),
        "{end:?}"
    );
}

#[test]
fn another_epoch_numbers_from_one_and_is_never_whole() {
    let mut talk = running();
    talk.disconnected();
    assert_eq!(hello(&mut talk, "S", "E2", true, 1), Continuity::Gaps);
    assert_eq!(talk.resume().unwrap().after, 0);
    assert_eq!(sent(&mut talk), ["m1"]);
    assert_eq!(
        hear(&mut talk, r#"{"type":"chunk","seq":1,"id":"m1","content":"a"}"#),
        [Event::Text("a".into())]
    );
}

#[test]
fn in_another_session_only_what_never_left_is_sent() {
    let mut talk = running();
    say(&mut talk, "m2");
    sent(&mut talk);
    talk.disconnected();
    say(&mut talk, "m3");
    let hello = r#"{"type":"hello","session":"T","epoch":"F","recovered":false,"seq":0}"#;
    let events = hear(&mut talk, hello);
    assert_eq!(events.first(), Some(&Event::Connected(Continuity::Forgotten)));
    let failed = events
        .iter()
        .filter(|e| matches!(e, Event::Failed(f) if f.code == "unconfirmed" && f.retryable));
    assert_eq!(failed.count(), 2);
    assert_eq!(sent(&mut talk), ["m3"]);
}

#[test]
fn ids_that_the_host_has_forgotten_are_not_sent_again() {
    let mut talk = conversation();
    hello(&mut talk, "S", "E", false, 0);
    say(&mut talk, "old");
    sent(&mut talk);
    talk.disconnected();
    let hello = Frame::parse(
        r#"{"type":"hello","session":"S","epoch":"E","recovered":true,"seq":0,"id_window_ms":1000}"#,
    )
    .unwrap();
    let events = talk.on_frame(&hello, Instant::now() + Duration::from_secs(2));
    assert!(matches!(events.as_slice(), [_, Event::Failed(_)]), "{events:?}");
    assert!(talk.outgoing().is_empty());
}

#[test]
fn cancel_reaches_the_host_once_a_connection_and_the_unsent_is_gone_at_once() {
    let mut talk = running();
    assert_eq!(talk.cancel(), Some(vec![]));
    assert_eq!(sent(&mut talk), ["cancel m1"]);
    assert!(talk.outgoing().is_empty());
    talk.disconnected();
    say(&mut talk, "m2");
    assert_eq!(talk.cancel(), Some(vec![]), "m2 never left, but is told after m1");
    assert_eq!(talk.cancel(), None, "both are being cancelled already");
    hello(&mut talk, "S", "E", true, 1);
    assert_eq!(sent(&mut talk), ["cancel m1"]);
    let end = hear(
        &mut talk,
        r#"{"type":"error","seq":2,"id":"m1","code":"cancelled","message":"","final":true}"#,
    );
    assert!(
        matches!(end.as_slice(), [Event::Failed(_), Event::Failed(_)]),
        "{end:?}"
    );
    assert_eq!(talk.waiting(), 0);
}

#[test]
fn answers_that_interleave_are_told_one_after_the_other() {
    let mut talk = running();
    say(&mut talk, "m2");
    sent(&mut talk);
    hear(&mut talk, r#"{"type":"accepted","seq":2,"id":"m2"}"#);
    assert_eq!(
        hear(
            &mut talk,
            r#"{"type":"chunk","seq":3,"id":"m2","content":"second"}"#
        ),
        []
    );
    assert_eq!(
        hear(
            &mut talk,
            r#"{"type":"chunk","seq":4,"id":"m1","content":"first"}"#
        ),
        [Event::Text("first".into())]
    );
    assert_eq!(
        hear(&mut talk, r#"{"type":"done","seq":5,"id":"m2","parts":[]}"#),
        []
    );
    let told = hear(&mut talk, r#"{"type":"done","seq":6,"id":"m1","parts":[]}"#);
    assert!(
        matches!(
            told.as_slice(),
            [Event::Done { .. }, Event::Text(_), Event::Done { .. }]
        ),
        "{told:?}"
    );
}

#[test]
fn acknowledgements_come_every_twenty_frames_or_when_idle() {
    let mut talk = running();
    assert!(talk.owes_ack());
    assert_eq!(talk.acknowledgement(false), None);
    for seq in 2..=20 {
        hear(
            &mut talk,
            &format!(r#"{{"type":"chunk","seq":{seq},"id":"m1","content":"x"}}"#),
        );
    }
    assert_eq!(talk.acknowledgement(false).unwrap(), r#"{"seq":20,"type":"ack"}"#);
    assert_eq!(talk.acknowledgement(true), None);
    hear(&mut talk, r#"{"type":"chunk","seq":21,"id":"m1","content":"x"}"#);
    assert!(talk.acknowledgement(true).is_some());
}

#[test]
fn a_new_version_is_told_once() {
    let mut talk = conversation();
    hello(&mut talk, "S", "E", false, 0);
    let mut answer = |n: u64, version: &str| {
        talk.compose(format!("m{n}"), "x".into(), Instant::now()).unwrap();
        talk.outgoing();
        let done = json!({"type": "done", "seq": n, "id": format!("m{n}"), "parts": [{"handler": "chat", "version": version, "ok": true}]});
        let events = hear(&mut talk, &done.to_string());
        events.iter().any(|e| matches!(e, Event::Swapped { .. }))
    };
    assert!(!answer(1, "sha256:aa"));
    assert!(!answer(2, "sha256:aa"));
    assert!(answer(3, "sha256:bb"));
    assert!(!answer(4, "sha256:bb"));
}

#[test]
fn errors_end_a_message_only_when_final() {
    let mut talk = running();
    let part = hear(
        &mut talk,
        r#"{"type":"error","seq":2,"id":"m1","handler":"a","code":"x","message":"y","final":false}"#,
    );
    assert!(matches!(part.as_slice(), [Event::PartFailed { .. }]));
    assert_eq!(talk.waiting(), 1);
    let last = hear(
        &mut talk,
        r#"{"type":"error","seq":3,"id":"m1","code":"handler_failed","handler_code":"mine","message":"y","final":true}"#,
    );
    assert!(
        matches!(last.as_slice(), [Event::Failed(f)] if f.code == "handler_failed: mine"),
        "{last:?}"
    );
    assert_eq!(talk.waiting(), 0);
}

#[test]
fn bounds_hold() {
    let mut talk = conversation();
    hello(&mut talk, "S", "E", false, 0);
    let long = talk.compose("m".into(), "x".repeat(2_000), Instant::now());
    assert_eq!(long.unwrap_err().code, "too_large");
    for n in 0..MAX_WAITING {
        say(&mut talk, &format!("m{n}"));
    }
    assert_eq!(
        talk.compose("more".into(), "x".into(), Instant::now())
            .unwrap_err()
            .code,
        "session_busy"
    );
}

#[test]
fn citations_are_told_below_the_answer_once_and_without_those_of_a_void_one() {
    let mut talk = running();
    let citation = |seq: u64, n: u64| {
        let data = json!({"kind": "citation", "n": n, "document": "a.md", "quote": "q"});
        json!({"type": "data", "seq": seq, "id": "m1", "handler": "doc", "data": data}).to_string()
    };
    assert_eq!(hear(&mut talk, &citation(2, 7)), []);
    let restart = r#"{"type":"restart","seq":3,"id":"m1","handler":"doc"}"#;
    assert_eq!(hear(&mut talk, restart), []);
    assert_eq!(hear(&mut talk, &citation(4, 1)), []);
    assert_eq!(hear(&mut talk, &citation(5, 1)), []);
    // Found, and not referred to.
    assert_eq!(hear(&mut talk, &citation(6, 2)), []);
    let rows = r#"{"type":"data","seq":7,"id":"m1","handler":"sql","data":{"kind":"sql"}}"#;
    assert!(matches!(hear(&mut talk, rows)[..], [Event::Data { .. }]));
    hear(
        &mut talk,
        r#"{"type":"chunk","seq":8,"id":"m1","handler":"doc","content":"two [1]"}"#,
    );
    let end = hear(
        &mut talk,
        r#"{"type":"done","seq":9,"id":"m1","parts":[],"ms":1}"#,
    );
    let told = |data: &Value| data["n"] == 1;
    assert!(
        matches!(&end[..], [Event::Data { data, .. }, Event::Done { .. }] if told(data)),
        "{end:?}"
    );
}
