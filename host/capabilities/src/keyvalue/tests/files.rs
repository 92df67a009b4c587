//! The file: what it survives, and what is said when it cannot be used.

use std::fs;
use std::time::Duration;

use super::*;

async fn words(buckets: &Arc<Buckets>) -> String {
    let bucket = buckets.bucket("p", "notes");
    let results = [
        bucket.get(key("a")).await.map(drop),
        bucket.set(key("a"), vec![1]).await,
        bucket.keys(None).await.map(drop),
    ];
    for result in results {
        let fault = result.unwrap_err();
        assert!(matches!(fault, Fault::Unavailable(_)), "{fault:?}");
        assert!(fault.to_string().starts_with("store_unavailable"), "{fault}");
        assert!(
            !fault.to_string().contains('/'),
            "a guest learns of a path: {fault}"
        );
    }
    let state = buckets.state();
    assert!(!state.ready);
    state.detail
}

/// Lets the time pass for which a broken file is left alone.
async fn later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = folder();
    let first = buckets(file(&folder));
    assert!(first.state().ready);
    assert!(!file(&folder).path.exists());
    first.bucket("p", "notes").set(key("a"), vec![1]).await.unwrap();
    drop(first);
    let second = buckets(file(&folder)).bucket("p", "notes");
    assert_eq!(second.get(key("a")).await, Ok(Some(vec![1])));
}

/// A write that returned is in the file, though nobody has closed it: this is
/// what a killed host leaves behind.
#[tokio::test]
async fn what_was_written_outlives_a_host_that_is_killed() {
    let (folder, copy) = (folder(), folder());
    let bucket = buckets(file(&folder)).bucket("p", "notes");
    bucket.set(key("a"), vec![1]).await.unwrap();
    assert_eq!(bucket.increment(key("n"), 5).await, Ok(5));
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        // The rest belongs to processes that run.
        if entry.file_name() == "keyvalue.db" || entry.file_name() == "keyvalue.db-wal" {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let left = buckets(file(&copy)).bucket("p", "notes");
    assert_eq!(left.get(key("a")).await, Ok(Some(vec![1])));
    assert_eq!(left.increment(key("n"), 1).await, Ok(6));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_machine_may_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    let bucket = buckets(file(&folder)).bucket("p", "notes");
    bucket.set(key("a"), vec![1]).await.unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn two_hosts_cannot_share_a_file() {
    let folder = folder();
    let first = buckets(file(&folder));
    first.check().await.unwrap();
    let second = buckets(file(&folder));
    let detail = words(&second).await;
    assert!(
        detail.contains("in use") && detail.contains("`[keyvalue] path`"),
        "{detail}"
    );
    drop(first);
    later().await;
    // Whoever only asks for readiness learns of it too.
    second.check().await.unwrap();
    assert!(second.state().ready);
    second.bucket("p", "notes").set(key("a"), vec![1]).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let folder = folder();
    let settings = KeyValue::at(folder.path().join("state/keyvalue.db"));
    let buckets = buckets(settings);
    let detail = words(&buckets).await;
    assert!(detail.contains("state is not there: create it"), "{detail}");
    fs::create_dir(folder.path().join("state")).unwrap();
    later().await;
    buckets.bucket("p", "notes").set(key("a"), vec![1]).await.unwrap();
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_named() {
    let folder = folder();
    fs::create_dir(folder.path().join("keyvalue.db")).unwrap();
    let detail = words(&buckets(file(&folder))).await;
    assert!(detail.contains("keyvalue.db cannot be used"), "{detail}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let settings = KeyValue::at(Path::new("/proc/keyvalue.db").to_path_buf());
    let detail = words(&buckets(settings)).await;
    assert!(
        detail.contains("/proc/keyvalue.db.lock cannot be written"),
        "{detail}"
    );
}

/// What is no database of ours is left exactly as it is, and taken up again once
/// it is gone.
#[tokio::test]
async fn a_file_of_something_else_is_not_touched() {
    let folder = folder();
    let path = file(&folder).path;
    fs::write(&path, "These are the minutes of the meeting. ".repeat(100)).unwrap();
    let before = fs::read(&path).unwrap();
    let buckets = buckets(file(&folder));
    let detail = words(&buckets).await;
    assert!(detail.contains("file is not a database"), "{detail}");
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(&path).unwrap();
    later().await;
    buckets.bucket("p", "notes").set(key("a"), vec![1]).await.unwrap();
    assert!(buckets.state().ready);
}

#[tokio::test]
async fn a_database_of_something_else_is_not_written_to() {
    let folder = folder();
    let other = rusqlite::Connection::open(file(&folder).path).unwrap();
    other.execute_batch("CREATE TABLE bucket (x)").unwrap();
    let detail = words(&buckets(file(&folder))).await;
    assert!(detail.contains("is a database of something else"), "{detail}");
    let tables: i64 = other
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_file_of_a_later_version_is_not_written_to() {
    let folder = folder();
    let first = buckets(file(&folder));
    first.check().await.unwrap();
    drop(first);
    let newer = rusqlite::Connection::open(file(&folder).path).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    let detail = words(&buckets(file(&folder))).await;
    assert!(detail.contains("another version of this host"), "{detail}");
}

/// A file that is damaged inside costs errors, whichever part is met, and works
/// again when it is replaced.
#[tokio::test]
async fn a_damaged_file_costs_errors_and_nothing_else() {
    let folder = folder();
    let path = file(&folder).path;
    let first = buckets(file(&folder));
    for number in 0..50 {
        let bucket = first.bucket("p", "notes");
        bucket.set(number.to_string(), vec![7; 3000]).await.unwrap();
    }
    drop(first);
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    // All but the first page, which says what the file is.
    damaged[4096..].fill(0x5a);
    fs::write(&path, &damaged).unwrap();
    let second = buckets(file(&folder));
    let bucket = second.bucket("p", "notes");
    for number in 0..50 {
        let fault = bucket.get(number.to_string()).await.unwrap_err();
        assert!(matches!(fault, Fault::Unavailable(_)), "{fault:?}");
    }
    assert!(bucket.set(key("new"), vec![1]).await.is_err());
    assert!(!second.state().ready);
    fs::write(&path, &whole).unwrap();
    later().await;
    assert_eq!(bucket.get(key("7")).await, Ok(Some(vec![7; 3000])));
    assert!(second.state().ready);
}

/// Naming another file leads there; what runs goes on with the old one.
#[tokio::test]
async fn another_file_is_another_store() {
    let (here, there) = (folder(), folder());
    let before = buckets(file(&here));
    before.bucket("p", "notes").set(key("a"), vec![1]).await.unwrap();
    let after = before.update(file(&there));
    assert_eq!(after.bucket("p", "notes").get(key("a")).await, Ok(None));
    assert_eq!(before.bucket("p", "notes").get(key("a")).await, Ok(Some(vec![1])));
}
