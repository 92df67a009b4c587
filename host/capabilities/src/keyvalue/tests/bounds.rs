//! Every bound, and what happens past it.

use super::super::buckets::{BATCH_MAX_BYTES, BATCH_MAX_KEYS, KEY_MAX_BYTES, VALUE_MAX_BYTES};
use super::*;

fn bounded(folder: &TempDir, max_keys: u64, max_bytes: u64) -> KeyValue {
    KeyValue {
        max_keys,
        max_bytes,
        ..file(folder)
    }
}

#[tokio::test]
async fn keys_and_values_have_a_greatest_length() {
    let folder = folder();
    let bucket = buckets(file(&folder)).bucket("p", "notes");
    let longest = "k".repeat(KEY_MAX_BYTES);
    bucket
        .set(longest.clone(), vec![0; VALUE_MAX_BYTES])
        .await
        .unwrap();
    let read = bucket.get(longest.clone()).await.unwrap().unwrap();
    assert_eq!(read.len(), VALUE_MAX_BYTES);
    let too_long = format!("{longest}k");
    let fault = Fault::KeyTooLong {
        bytes: KEY_MAX_BYTES + 1,
        max: KEY_MAX_BYTES,
    };
    assert_eq!(bucket.get(too_long.clone()).await, Err(fault.clone()));
    assert_eq!(bucket.exists(too_long.clone()).await, Err(fault.clone()));
    assert_eq!(bucket.delete(too_long.clone()).await, Err(fault.clone()));
    assert_eq!(bucket.increment(too_long.clone(), 1).await, Err(fault.clone()));
    assert_eq!(bucket.set(too_long.clone(), Vec::new()).await, Err(fault.clone()));
    assert_eq!(bucket.get_many(vec![too_long]).await, Err(fault));
    let refused = bucket.set(key("a"), vec![0; VALUE_MAX_BYTES + 1]).await;
    assert!(matches!(refused, Err(Fault::ValueTooLong { .. })), "{refused:?}");
    assert_eq!(keys(&bucket).await, [longest]);
}

#[tokio::test]
async fn batches_have_a_greatest_size() {
    let folder = folder();
    let bucket = buckets(file(&folder)).bucket("p", "notes");
    let many: Vec<_> = (0..=BATCH_MAX_KEYS).map(|number| number.to_string()).collect();
    let fault = Fault::TooManyKeys {
        keys: BATCH_MAX_KEYS + 1,
        max: BATCH_MAX_KEYS,
    };
    assert_eq!(bucket.get_many(many.clone()).await, Err(fault.clone()));
    assert_eq!(bucket.delete_many(many.clone()).await, Err(fault.clone()));
    let pairs = many.iter().map(|name| (name.clone(), Vec::new()));
    assert_eq!(bucket.set_many(pairs.collect()).await, Err(fault));
    let big = vec![0; VALUE_MAX_BYTES];
    let count = BATCH_MAX_BYTES / VALUE_MAX_BYTES;
    let heavy: Vec<_> = (0..count)
        .map(|number| (number.to_string(), big.clone()))
        .collect();
    let too_long = Err(Fault::BatchTooLong { max: BATCH_MAX_BYTES });
    assert_eq!(bucket.set_many(heavy.clone()).await, too_long);
    for pair in heavy {
        bucket.set(pair.0, pair.1).await.unwrap();
    }
    let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(bucket.get_many(names.clone()).await.unwrap().len(), count);
    bucket.set(key("more"), vec![1]).await.unwrap();
    let one_more = names.into_iter().chain([key("more")]).collect();
    assert_eq!(
        bucket.get_many(one_more).await.err(),
        Some(Fault::BatchTooLong { max: BATCH_MAX_BYTES })
    );
}

/// Counted exactly: over deletes, overwrites and refusals, for each owner apart.
#[tokio::test]
async fn a_bucket_holds_as_much_as_allowed_and_not_one_more() {
    let folder = folder();
    let buckets = buckets(bounded(&folder, 3, 20));
    let bucket = buckets.bucket("p", "notes");
    for name in ["a", "b", "c"] {
        bucket.set(key(name), vec![0; 4]).await.unwrap();
    }
    let too_many = Err(Fault::TooManyInBucket { max: 3 });
    let too_long = Err(Fault::BucketTooLong { max: 20 });
    assert_eq!(bucket.set(key("d"), Vec::new()).await, too_many);
    assert_eq!(
        bucket.increment(key("d"), 1).await,
        Err(Fault::TooManyInBucket { max: 3 })
    );
    assert_eq!(bucket.set(key("a"), vec![0; 10]).await, too_long);
    bucket.set(key("a"), vec![0; 9]).await.unwrap();
    assert_eq!(bucket.set(key("b"), vec![0; 5]).await, too_long);
    bucket.delete(key("c")).await.unwrap();
    bucket.set(key("b"), vec![0; 9]).await.unwrap();
    assert_eq!(bucket.set(key("c"), Vec::new()).await, too_long);
    bucket.delete(key("a")).await.unwrap();
    bucket.delete(key("a")).await.unwrap();
    bucket.set(key("c"), vec![0; 9]).await.unwrap();
    for (plugin, name) in [("p", "other"), ("q", "notes")] {
        buckets
            .bucket(plugin, name)
            .set(key("a"), vec![0; 19])
            .await
            .unwrap();
    }
}

/// However many write at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_bound_holds_among_many_writers() {
    let folder = folder();
    let buckets = buckets(bounded(&folder, 50, 1 << 20));
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let bucket = buckets.bucket("p", "notes");
        tasks.spawn(async move { bucket.set(format!("{number}"), vec![1]).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 50);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(()) | Err(Fault::TooManyInBucket { .. })))
    );
    assert_eq!(keys(&buckets.bucket("p", "notes")).await.len(), 50);
}

/// Lowered bounds delete nothing; they let a bucket shrink and not grow.
#[tokio::test]
async fn lowered_bounds_are_grown_into_by_shrinking() {
    let folder = folder();
    let wide = buckets(bounded(&folder, 10, 100));
    let bucket = wide.bucket("p", "notes");
    for name in ["a", "b", "c"] {
        bucket.set(key(name), vec![0; 9]).await.unwrap();
    }
    assert!(Arc::ptr_eq(&wide, &wide.update(bounded(&folder, 10, 100))));
    let narrow = wide.update(bounded(&folder, 1, 10)).bucket("p", "notes");
    assert_eq!(keys(&narrow).await, ["a", "b", "c"]);
    assert_eq!(
        narrow.set(key("a"), vec![0; 10]).await,
        Err(Fault::BucketTooLong { max: 10 })
    );
    narrow.set(key("a"), vec![0; 8]).await.unwrap();
    assert_eq!(
        narrow.set(key("d"), Vec::new()).await,
        Err(Fault::TooManyInBucket { max: 1 })
    );
    narrow
        .delete_many(vec![key("a"), key("b"), key("c")])
        .await
        .unwrap();
    narrow.set(key("d"), vec![0; 9]).await.unwrap();
}

/// Past the queue the answer comes at once, and says what became of the write:
/// what was answered well is there, what was refused is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_refuses_and_forgets_nothing() {
    let folder = folder();
    let settings = file(&folder);
    let buckets = buckets(settings.clone());
    buckets.check().await.unwrap();
    // Whoever holds the file's own lock keeps the writer waiting.
    let holding = rusqlite::Connection::open(&settings.path).unwrap();
    holding.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..2000 {
        let bucket = buckets.bucket("p", "notes");
        tasks.spawn(async move { (number, bucket.set(format!("{number}"), vec![1]).await) });
    }
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    let first = tasks.join_next().await.unwrap().unwrap();
    assert_eq!(first.1, Err(Fault::Busy));
    holding.execute_batch("COMMIT").unwrap();
    for (number, result) in [first].into_iter().chain(tasks.join_all().await) {
        match result {
            Ok(()) => stored.push(number),
            Err(fault) => {
                assert_eq!(fault, Fault::Busy);
                refused.push(number);
            }
        }
    }
    assert!(
        stored.len() >= 1024 && !refused.is_empty(),
        "{} {}",
        stored.len(),
        refused.len()
    );
    let bucket = buckets.bucket("p", "notes");
    for (numbers, there) in [(stored, true), (refused, false)] {
        for number in numbers {
            assert_eq!(bucket.exists(format!("{number}")).await, Ok(there), "{number}");
        }
    }
}
