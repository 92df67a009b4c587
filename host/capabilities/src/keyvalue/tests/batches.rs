//! Several keys in one step.

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::super::rows::{self, Bounds, Owner, TABLES};
use super::super::writer::{self, Change, Job};
use super::*;

#[tokio::test]
async fn a_batch_is_read_in_the_order_it_was_asked_for() {
    let folder = folder();
    let bucket = buckets(file(&folder)).bucket("p", "notes");
    let pairs = [("a", 1), ("b", 2), ("a", 3)].map(|(name, value)| (key(name), vec![value]));
    bucket.set_many(pairs.to_vec()).await.unwrap();
    let asked = ["b", "none", "a", "b"].map(key).to_vec();
    let found = bucket.get_many(asked).await.unwrap();
    let b = Some((key("b"), vec![2]));
    assert_eq!(found, [b.clone(), None, Some((key("a"), vec![3])), b]);
    bucket.delete_many(vec![key("b"), key("none")]).await.unwrap();
    assert_eq!(keys(&bucket).await, ["a"]);
    bucket.set_many(Vec::new()).await.unwrap();
    assert_eq!(bucket.get_many(Vec::new()).await, Ok(Vec::new()));
}

/// A batch that goes past a bound leaves nothing behind.
#[tokio::test]
async fn a_batch_happens_as_a_whole_or_not_at_all() {
    let folder = folder();
    let settings = KeyValue {
        max_keys: 3,
        ..file(&folder)
    };
    let bucket = buckets(settings).bucket("p", "notes");
    bucket.set(key("a"), vec![1]).await.unwrap();
    let pairs = ["a", "b", "c", "d"].map(|name| (key(name), vec![2]));
    let refused = bucket.set_many(pairs.to_vec()).await;
    assert_eq!(refused, Err(Fault::TooManyInBucket { max: 3 }));
    assert_eq!(keys(&bucket).await, ["a"]);
    assert_eq!(bucket.get(key("a")).await, Ok(Some(vec![1])));
    bucket.set_many(pairs[..3].to_vec()).await.unwrap();
    assert_eq!(keys(&bucket).await, ["a", "b", "c"]);
}

/// Who reads two keys that are always written together never sees them apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_is_read_from_one_moment() {
    let folder = folder();
    let buckets = buckets(file(&folder));
    let writing = {
        let bucket = buckets.bucket("p", "pair");
        tokio::spawn(async move {
            for round in 0..100 {
                let pairs = ["a", "b"].map(|name| (key(name), vec![round]));
                bucket.set_many(pairs.to_vec()).await.unwrap();
            }
        })
    };
    let bucket = buckets.bucket("p", "pair");
    let mut last = 0;
    while last < 99 {
        let found = bucket.get_many(vec![key("a"), key("b")]).await.unwrap();
        let values: Vec<_> = found
            .into_iter()
            .map(|pair| pair.map(|(_, value)| value))
            .collect();
        assert_eq!(values[0], values[1]);
        let round = values[0].as_ref().map_or(0, |value| value[0]);
        assert!(round >= last, "{round} after {last}");
        last = round;
    }
    writing.await.unwrap();
}

/// Changes of a group stand alone: one that is refused hurts no other, and one
/// whose caller has left is not made.
#[test]
fn a_group_of_changes_is_no_batch() {
    let owner = Owner {
        plugin: key("p"),
        bucket: key("notes"),
    };
    let room = Arc::new(Semaphore::new(100));
    let (sender, queue) = mpsc::channel(10);
    let send = |change| {
        let (done, result) = oneshot::channel();
        let job = Job {
            owner: owner.clone(),
            bounds: Bounds { keys: 2, bytes: 100 },
            change,
            done,
            _room: Arc::clone(&room).try_acquire_many_owned(1).unwrap(),
        };
        sender.try_send(job).unwrap();
        result
    };
    let set = |names: &[&str]| Change::Set(names.iter().map(|name| (key(name), vec![1])).collect());
    let first = send(set(&["a"]));
    let refused = send(set(&["b", "c"]));
    drop(send(set(&["left"])));
    let summed = send(Change::Increment {
        key: key("n"),
        delta: 7,
    });
    let full = send(set(&["d"]));
    drop(sender);
    let path = "file:keyvalue-group?mode=memory&cache=shared";
    let shared = rusqlite::Connection::open(path).unwrap();
    shared.execute_batch(TABLES).unwrap();
    writer::run(rusqlite::Connection::open(path).unwrap(), queue);
    let result = |mut result: oneshot::Receiver<_>| result.try_recv().unwrap();
    assert!(matches!(result(first), Ok(0)));
    assert!(matches!(
        result(refused),
        Err(writer::NotDone::Refused(Fault::TooManyInBucket { max: 2 }))
    ));
    assert!(matches!(result(summed), Ok(7)));
    assert!(matches!(
        result(full),
        Err(writer::NotDone::Refused(Fault::TooManyInBucket { max: 2 }))
    ));
    let (keys, _) = rows::page(&shared, &owner, 0).unwrap();
    assert_eq!(keys, ["a", "n"]);
    assert_eq!(room.available_permits(), 100);
}
