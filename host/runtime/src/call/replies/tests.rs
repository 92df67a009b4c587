//! The order of pieces and sources, and every way in which a source ends before
//! its time. Time is tokio's paused clock where it matters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream;

use super::*;
use crate::spec::Usage;

struct Rig {
    replies: Replies,
    items: mpsc::Sender<Item>,
    guest: oneshot::Sender<GuestEnd>,
    tenure: Arc<Tenure>,
    cancel: CancellationToken,
}

fn rig() -> Rig {
    rig_with(Limits::default())
}

fn rig_with(limits: Limits) -> Rig {
    let (items, received) = mpsc::channel(8);
    let (guest, guest_ends) = oneshot::channel();
    let cancel = CancellationToken::new();
    let bounds = Bounds {
        kind: EndpointKind::Message,
        limits,
        deadline: Duration::from_secs(5),
        until: tokio::time::Instant::now().into_std() + Duration::from_secs(5),
        cancel: cancel.clone(),
        stop: CancellationToken::new(),
    };
    let tenure = Arc::new(Tenure::new(Arc::new(tokio::sync::Semaphore::new(1))));
    Rig {
        replies: Replies::new(received, guest_ends, bounds, Arc::clone(&tenure)),
        tenure,
        items,
        guest,
        cancel,
    }
}

fn chunk(text: &str) -> Item {
    Item::Reply(Reply::Chunk(text.into()))
}

fn source(texts: &[&str]) -> Item {
    let texts: Vec<_> = texts.iter().map(|text| Ok(text.to_string())).collect();
    Item::Source(Box::pin(stream::iter(texts)))
}

/// A source that never says anything, and tells when it is dropped.
fn silent() -> (Item, Arc<AtomicBool>) {
    struct Told(Arc<AtomicBool>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let told = Told(dropped.clone());
    let source = stream::poll_fn(move |_| {
        let _held = &told;
        std::task::Poll::Pending
    });
    (Item::Source(Box::pin(source)), dropped)
}

fn ended(result: Result<(), CallError>) -> GuestEnd {
    GuestEnd {
        outcome: Outcome {
            result,
            usage: Usage::default(),
        },
        handed_over: true,
    }
}

async fn texts(replies: &mut Replies) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(reply) = replies.next().await {
        match reply {
            Reply::Chunk(text) => texts.push(text),
            other => panic!("unexpected {other:?}"),
        }
    }
    texts
}

#[tokio::test]
async fn a_source_speaks_in_its_place_also_after_the_guest_has_returned() {
    let mut rig = rig();
    for item in [chunk("a"), source(&["b", "c"]), chunk("d"), source(&["e"])] {
        rig.items.send(item).await.ok().unwrap();
    }
    rig.guest.send(ended(Ok(()))).ok().unwrap();
    drop(rig.items);
    assert_eq!(texts(&mut rig.replies).await, ["a", "b", "c", "d", "e"]);
    let outcome = rig.replies.finish().await;
    assert_eq!(outcome.result, Ok(()));
    // The guest's own pieces are counted where it sends them.
    assert_eq!((outcome.usage.chunks, outcome.usage.reply_bytes), (3, 3));
}

#[tokio::test]
async fn a_source_that_fails_ends_the_message_and_the_guest() {
    let mut rig = rig();
    let error = HandlerError {
        code: "upstream_failed".into(),
        ..HandlerError::default()
    };
    let failing = stream::iter([Ok(String::from("a")), Err(error.clone())]);
    rig.items
        .send(Item::Source(Box::pin(failing)))
        .await
        .ok()
        .unwrap();
    rig.items.send(chunk("never")).await.ok().unwrap();
    assert_eq!(texts(&mut rig.replies).await, ["a"]);
    assert!(rig.cancel.is_cancelled());
    rig.guest.send(ended(Err(CallError::Cancelled))).ok().unwrap();
    drop(rig.items);
    let outcome = rig.replies.finish().await;
    assert_eq!(outcome.result, Err(CallError::Handler(error)));
}

#[tokio::test]
async fn a_guest_that_fails_afterwards_stops_its_source() {
    let mut rig = rig();
    let (item, dropped) = silent();
    rig.items.send(item).await.ok().unwrap();
    rig.items.send(chunk("last")).await.ok().unwrap();
    rig.guest.send(ended(Err(CallError::EmptyReply))).ok().unwrap();
    drop(rig.items);
    assert_eq!(texts(&mut rig.replies).await, ["last"]);
    assert!(dropped.load(Ordering::Relaxed));
    assert_eq!(rig.replies.finish().await.result, Err(CallError::EmptyReply));
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_ends_with_the_deadline_or_the_cancellation() {
    for cancelled in [false, true] {
        let mut rig = rig();
        let (item, dropped) = silent();
        rig.items.send(item).await.ok().unwrap();
        rig.guest.send(ended(Ok(()))).ok().unwrap();
        drop(rig.items);
        if cancelled {
            rig.cancel.cancel();
        }
        assert!(rig.replies.next().await.is_none());
        assert!(dropped.load(Ordering::Relaxed));
        let deadline = Duration::from_secs(5);
        let expected = match cancelled {
            true => CallError::Cancelled,
            false => CallError::DeadlineExceeded { deadline },
        };
        assert_eq!(rig.replies.finish().await.result, Err(expected));
    }
}

#[tokio::test]
async fn the_limits_hold_over_what_is_sent_and_what_is_forwarded() {
    let limits = Limits {
        reply_bytes: 4,
        ..Limits::default()
    };
    let mut rig = rig_with(limits);
    for item in [chunk("ab"), source(&["cd", "e"]), chunk("never")] {
        rig.items.send(item).await.ok().unwrap();
    }
    assert_eq!(texts(&mut rig.replies).await, ["ab", "cd"]);
    rig.guest.send(ended(Ok(()))).ok().unwrap();
    drop(rig.items);
    let outcome = rig.replies.finish().await;
    assert_eq!(outcome.result, Err(CallError::ReplyTooLarge { limit_bytes: 4 }));
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_source() {
    let mut rig = rig();
    let (item, dropped) = silent();
    rig.items.send(source(&["a"])).await.ok().unwrap();
    rig.items.send(item).await.ok().unwrap();
    rig.guest.send(ended(Ok(()))).ok().unwrap();
    assert_eq!(rig.replies.next().await, Some(Reply::Chunk("a".into())));
    // Now the silent one is awaited; giving up on that loses nothing.
    assert!(futures_util::poll!(std::pin::pin!(rig.replies.next())).is_pending());
    rig.replies.close();
    assert!(dropped.load(Ordering::Relaxed));
    assert!(rig.replies.next().await.is_none());
    drop(rig.items);
    assert_eq!(rig.replies.finish().await.result, Err(CallError::ClientGone));
}

#[tokio::test]
async fn a_source_without_a_word_is_an_empty_reply() {
    let mut rig = rig();
    rig.items.send(source(&[])).await.ok().unwrap();
    rig.guest.send(ended(Ok(()))).ok().unwrap();
    drop(rig.items);
    assert!(texts(&mut rig.replies).await.is_empty());
    assert_eq!(rig.replies.finish().await.result, Err(CallError::EmptyReply));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_always_has_a_piece_still_ends_by_the_deadline() {
    let limits = Limits {
        chunks: u32::MAX,
        reply_bytes: u64::MAX,
        ..Limits::default()
    };
    let mut rig = rig_with(limits);
    rig.replies.bounds.until = Instant::now() + Duration::from_millis(20);
    let endless = stream::repeat_with(|| Ok(String::from("x")));
    rig.items
        .send(Item::Source(Box::pin(endless)))
        .await
        .ok()
        .unwrap();
    rig.guest.send(ended(Ok(()))).ok().unwrap();
    while rig.replies.next().await.is_some() {}
    drop(rig.items);
    let result = rig.replies.finish().await.result;
    assert!(matches!(result, Err(CallError::DeadlineExceeded { .. })));
}

#[tokio::test]
async fn a_call_that_a_source_ends_is_counted_when_it_ends_and_as_it_ends() {
    let mut first = rig();
    let error = HandlerError {
        code: "upstream_failed".into(),
        ..HandlerError::default()
    };
    let failing = stream::iter([Err(error)]);
    first
        .items
        .send(Item::Source(Box::pin(failing)))
        .await
        .ok()
        .unwrap();
    first.guest.send(ended(Ok(()))).ok().unwrap();
    drop(first.items);
    assert!(first.replies.next().await.is_none());
    assert!(first.tenure.read("p").calls.is_empty());
    first.replies.finish().await;
    assert_eq!(first.tenure.read("p").calls, [("handler_failed", 1)]);

    let second = rig();
    second.guest.send(ended(Ok(()))).ok().unwrap();
    drop(second.replies);
    assert_eq!(second.tenure.read("p").calls, [("cancelled", 1)]);
}
