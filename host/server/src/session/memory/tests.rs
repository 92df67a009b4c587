//! What plugins keep is replaced by one call at a time and goes with the
//! session; the history is what was said and is over.

use std::sync::Arc;
use std::time::Duration;

use segue_protocol::{ErrorCode, Incoming, RequestError};

use super::*;
use crate::config::OnFull;
use crate::session::{Bounds, End, PartRecord, Rules, Sessions, Taken};

const RULES: Rules = Rules {
    max_in_flight: 8,
    queue: 8,
    id_window: Duration::from_secs(3600),
    id_max: 100,
    history_bytes: 1 << 20,
};
const BOUNDS: Bounds = Bounds {
    frames: 100,
    bytes: 1 << 20,
    wait: Duration::ZERO,
    on_full: OnFull::Close,
};

fn part(content: &str, failed: bool) -> PartRecord {
    PartRecord {
        handler: "h".into(),
        version: None,
        content: content.to_owned(),
        data: Vec::new(),
        error: failed.then(|| RequestError::new(ErrorCode::HandlerTrapped, "crashed")),
    }
}

fn begin(session: &Session, id: &str, content: &str) -> Arc<Exchange> {
    let message = Incoming {
        id: Some(id.into()),
        mtype: "chat".into(),
        content: content.into(),
        rag_sql: false,
        rag_doc: false,
        meta: serde_json::Map::new(),
        traceparent: None,
    };
    let Taken::New(exchange) = session.take(message, &RULES, &BOUNDS).unwrap() else {
        panic!("the id is new");
    };
    session.start_next(&RULES).unwrap();
    exchange
}

fn end(session: &Session, exchange: &Exchange, parts: Vec<PartRecord>) {
    let end = match parts.iter().find(|part| part.error.is_none()) {
        Some(_) => End::Done {
            parts: Arc::new([]),
            ms: 1.0,
        },
        None => End::Failed(RequestError::new(ErrorCode::HandlerTrapped, "crashed")),
    };
    exchange.record().parts = parts;
    session.end(exchange, end, &RULES, &BOUNDS);
}

#[test]
fn calls_at_the_same_time_lose_nothing_of_each_other() {
    const THREADS: u64 = 8;
    const TURNS: u64 = 200;
    let session = Sessions::default().open(1).unwrap();
    let count = |entry: &Option<Entry>| match entry {
        Some(entry) => u64::from_le_bytes(entry.value.as_slice().try_into().unwrap()),
        None => 0,
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    loop {
                        let before = session.get("p", "count").unwrap();
                        let next = (count(&before) + 1).to_le_bytes().to_vec();
                        let expected = before.map(|entry| entry.version);
                        match session.swap("p", "count", Some(next), expected) {
                            Ok(_) => break,
                            Err(error) => assert_eq!(error, SessionError::Conflict),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(count(&session.get("p", "count").unwrap()), THREADS * TURNS);
    assert_eq!(session.get("q", "count"), Ok(None), "each plugin has its own");
}

#[test]
fn the_history_is_what_is_over_in_order_and_as_much_as_was_asked_for() {
    let session = Sessions::default().open(1).unwrap();
    let first = begin(&session, "1", "one?");
    let second = begin(&session, "2", "two?");
    let third = begin(&session, "3", "three?");
    begin(&session, "4", "runs");
    end(&session, &second, vec![part("half a wo", true)]);
    end(
        &session,
        &third,
        vec![part("lost", true), part("three", false), part("!", false)],
    );
    end(&session, &first, vec![part("one", false)]);
    let turn = |id: &str, user: &str, reply: &str| Turn {
        id: id.to_owned(),
        user: user.to_owned(),
        reply: reply.to_owned(),
    };
    let all = [
        turn("1", "one?", "one"),
        turn("2", "two?", "half a wo"),
        turn("3", "three?", "three\n\n!"),
    ];
    assert_eq!(session.recent(1_000), all);
    assert_eq!(session.recent(2), all[1..]);
    assert!(session.recent(0).is_empty());
}

#[test]
fn an_erased_session_keeps_nothing_and_tells_nothing() {
    let sessions = Sessions::default();
    let session = sessions.open(1).unwrap();
    session.swap("p", "k", Some(vec![1]), None).unwrap();
    let exchange = begin(&session, "1", "secret");
    end(&session, &exchange, vec![part("answer", false)]);
    assert!(sessions.erase(&session.id));
    // A call that has not ended yet still holds it.
    assert_eq!(session.get("p", "k"), Err(SessionError::Erased));
    assert_eq!(
        session.swap("p", "k", Some(vec![2]), None),
        Err(SessionError::Erased)
    );
    assert!(session.recent(10).is_empty());
}
