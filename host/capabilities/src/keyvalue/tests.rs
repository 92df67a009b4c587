//! The engine on real files.

mod batches;
mod bounds;
mod files;

use std::path::Path;
use std::sync::Arc;

use segue_resilience::Guards;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::buckets::{Bucket, Buckets};
use super::fault::Fault;
use super::settings::KeyValue;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &TempDir) -> KeyValue {
    KeyValue::at(folder.path().join("keyvalue.db"))
}

fn buckets(settings: KeyValue) -> Arc<Buckets> {
    Buckets::new(settings, &Guards::permissive(), Handle::current())
}

fn key(text: &str) -> String {
    String::from(text)
}

async fn keys(bucket: &Bucket) -> Vec<String> {
    bucket.keys(None).await.unwrap().0
}

/// What is written is read, by whoever reads after it returned.
#[tokio::test]
async fn a_value_is_kept_until_it_is_deleted() {
    let folder = folder();
    let bucket = buckets(file(&folder)).bucket("p", "notes");
    assert_eq!(bucket.get(key("a")).await, Ok(None));
    assert_eq!(bucket.exists(key("a")).await, Ok(false));
    bucket.delete(key("a")).await.unwrap();
    for value in [vec![], vec![0, 255, 0], b"text".to_vec()] {
        bucket.set(key("a"), value.clone()).await.unwrap();
        assert_eq!(bucket.get(key("a")).await, Ok(Some(value)));
        assert_eq!(bucket.exists(key("a")).await, Ok(true));
    }
    for odd in ["", "a\0b", "ä", "' OR 1 --"] {
        bucket.set(key(odd), odd.as_bytes().to_vec()).await.unwrap();
        assert_eq!(
            bucket.get(key(odd)).await,
            Ok(Some(odd.as_bytes().to_vec())),
            "{odd:?}"
        );
    }
    assert_eq!(keys(&bucket).await, ["a", "", "a\0b", "ä", "' OR 1 --"]);
    bucket.delete(key("a")).await.unwrap();
    assert_eq!(bucket.get(key("a")).await, Ok(None));
    assert_eq!(keys(&bucket).await, ["", "a\0b", "ä", "' OR 1 --"]);
}

/// Each plugin has keys of its own in every bucket, however names are chosen.
#[tokio::test]
async fn no_plugin_sees_anothers_keys() {
    let folder = folder();
    let buckets = buckets(file(&folder));
    let owners = [
        ("p", "b"),
        ("q", "b"),
        ("p", "c"),
        ("p/b", "c"),
        ("p", "b/c"),
        ("P", "b"),
        ("p", ""),
    ];
    for (plugin, name) in owners {
        let own = format!("{plugin} {name}");
        let bucket = buckets.bucket(plugin, name);
        assert_eq!(bucket.get(key("k")).await, Ok(None), "{own}");
        bucket.set(key("k"), own.clone().into_bytes()).await.unwrap();
        bucket.set(own.clone(), Vec::new()).await.unwrap();
    }
    for (plugin, name) in owners {
        let own = format!("{plugin} {name}");
        let bucket = buckets.bucket(plugin, name);
        assert_eq!(bucket.get(key("k")).await, Ok(Some(own.clone().into_bytes())));
        assert_eq!(keys(&bucket).await, [key("k"), own.clone()]);
        assert_eq!(bucket.keys(Some(1)).await, Ok((vec![own], None)));
    }
    buckets.bucket("p", "b").delete(key("k")).await.unwrap();
    assert_eq!(buckets.bucket("q", "b").exists(key("k")).await, Ok(true));
}

/// Nothing is lost between reading a number and writing the sum.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_from_many_tasks_add_up() {
    let folder = folder();
    let buckets = buckets(file(&folder));
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let bucket = buckets.bucket("p", "numbers");
        tasks.spawn(async move {
            for _ in 0..25 {
                bucket.increment(key("sum"), task).await.unwrap();
                bucket.increment(key("count"), 1).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let bucket = buckets.bucket("p", "numbers");
    let number =
        async |name| u64::from_le_bytes(bucket.get(key(name)).await.unwrap().unwrap().try_into().unwrap());
    assert_eq!(number("count").await, 32 * 25);
    assert_eq!(number("sum").await, (0..32).sum::<u64>() * 25);
}

#[tokio::test]
async fn what_is_no_number_is_not_added_to() {
    let folder = folder();
    let bucket = buckets(file(&folder)).bucket("p", "numbers");
    bucket.set(key("text"), b"7".to_vec()).await.unwrap();
    let refused = bucket.increment(key("text"), 1).await;
    assert_eq!(refused, Err(Fault::NotANumber { bytes: 1 }));
    assert_eq!(bucket.increment(key("n"), u64::MAX).await, Ok(u64::MAX));
    assert_eq!(bucket.increment(key("n"), 0).await, Ok(u64::MAX));
    assert_eq!(bucket.increment(key("n"), 1).await, Err(Fault::Overflow));
    assert_eq!(bucket.get(key("n")).await, Ok(Some(vec![255; 8])));
    bucket
        .set(key("little-endian"), vec![2, 1, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    assert_eq!(bucket.increment(key("little-endian"), 1).await, Ok(0x0103));
}

/// Keys that are there all along come in exactly one page.
#[tokio::test]
async fn pages_of_keys_neither_miss_nor_repeat() {
    let folder = folder();
    let bucket = buckets(file(&folder)).bucket("p", "many");
    let name = |number: usize| format!("{:05}", (number * 7919) % 100_000);
    for start in (0..2500).step_by(500) {
        let pairs = (start..start + 500).map(|number| (name(number), Vec::new()));
        bucket.set_many(pairs.collect()).await.unwrap();
    }
    let (first, cursor) = bucket.keys(None).await.unwrap();
    assert_eq!(first, (0..1000).map(name).collect::<Vec<_>>());
    // Gone and come meanwhile, the last key of the page among them.
    bucket
        .delete_many(vec![name(0), name(999), name(1000)])
        .await
        .unwrap();
    bucket.set(key("late"), Vec::new()).await.unwrap();
    bucket.set(name(500), vec![1]).await.unwrap();
    let (second, cursor) = bucket.keys(cursor).await.unwrap();
    assert_eq!(second, (1001..2001).map(name).collect::<Vec<_>>());
    let (third, cursor) = bucket.keys(cursor).await.unwrap();
    assert_eq!(third.len(), 500);
    assert_eq!(third.last().map(String::as_str), Some("late"));
    assert_eq!(cursor, None);
    for beyond in [1 << 40, u64::MAX] {
        assert_eq!(bucket.keys(Some(beyond)).await, Ok((Vec::new(), None)));
    }
}

/// Guests run on threads that have no I/O of their own.
#[test]
fn a_guest_s_runtime_needs_no_io() {
    let folder = folder();
    let host = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let guests = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let bucket =
        Buckets::new(file(&folder), &Guards::permissive(), host.handle().clone()).bucket("p", "notes");
    guests.block_on(async {
        bucket.set(key("a"), vec![1]).await.unwrap();
        assert_eq!(bucket.get(key("a")).await, Ok(Some(vec![1])));
    });
}
