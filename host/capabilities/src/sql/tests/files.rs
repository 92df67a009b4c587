//! The file may be missing, broken, locked, written or replaced; what is read is
//! always what lies at the path now.

use super::*;

async fn count(store: &Arc<Store>) -> Result<i64, Error> {
    match ask(store, "SELECT count(*) FROM people").await?.as_slice() {
        [row] => match row.as_slice() {
            [Value::Integer(count)] => Ok(*count),
            row => panic!("{row:?}"),
        },
        rows => panic!("{rows:?}"),
    }
}

fn code(result: Result<i64, Error>) -> &'static str {
    result.unwrap_err().code()
}

#[tokio::test]
async fn a_file_that_is_not_there_comes_back() {
    let shop = Shop::new();
    let away = shop.folder.path().join("away.db");
    std::fs::rename(&shop.path, &away).unwrap();
    let store = shop.open(shop.settings());
    let error = count(&store).await.unwrap_err();
    assert_eq!(error.code(), "store_unavailable");
    assert!(!error.to_string().contains("shop.db"), "{error}");
    std::fs::rename(&away, &shop.path).unwrap();
    assert_eq!(count(&store).await, Ok(8));
    std::fs::rename(&shop.path, &away).unwrap();
    assert_eq!(code(count(&store).await), "store_unavailable");
    assert!(!shop.path.exists(), "a file was made");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_unavailable_until_it_is_one() {
    let shop = Shop::new();
    let good = std::fs::read(&shop.path).unwrap();
    for broken in [
        b"not a database, but long enough to look like one ".repeat(100),
        good[..5000].to_vec(),
    ] {
        std::fs::write(&shop.path, broken).unwrap();
        let store = shop.open(shop.settings());
        assert_eq!(code(count(&store).await), "store_unavailable");
        std::fs::write(&shop.path, &good).unwrap();
        assert_eq!(count(&store).await, Ok(8));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_not_a_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::new();
    for path in [
        folder.path().to_path_buf(),
        PathBuf::from("/dev/zero"),
        PathBuf::from("file:x.db?mode=memory"),
    ] {
        let store = shop.open(Database {
            path,
            ..shop.settings()
        });
        assert_eq!(code(count(&store).await), "store_unavailable");
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_is_read_anew() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    assert_eq!(count(&store).await, Ok(8));
    let other = Shop::new();
    other.write("DELETE FROM people WHERE id > 2; ALTER TABLE people ADD COLUMN age");
    std::fs::rename(&other.path, &shop.path).unwrap();
    assert_eq!(count(&store).await, Ok(2));
    assert_eq!(ask(&store, "SELECT age FROM people").await.unwrap().len(), 2);
    // And written over in place.
    let third = Shop::new();
    third.write("DELETE FROM people");
    std::fs::copy(&third.path, &shop.path).unwrap();
    assert_eq!(count(&store).await, Ok(0));
}

#[tokio::test]
async fn what_others_write_is_read_at_once() {
    for mode in ["DELETE", "WAL"] {
        let shop = Shop::new();
        let writer = writer(&shop.path);
        let set: String = writer
            .query_row(&format!("PRAGMA journal_mode = {mode}"), [], |row| row.get(0))
            .unwrap();
        assert!(set.eq_ignore_ascii_case(mode));
        let store = shop.open(shop.settings());
        for before in 8..40 {
            assert_eq!(count(&store).await, Ok(before), "{mode}");
            writer
                .execute_batch("INSERT INTO people (name) VALUES ('new')")
                .unwrap();
        }
        writer
            .execute_batch("CREATE TABLE fresh AS SELECT 1 AS a")
            .unwrap();
        assert_eq!(ask(&store, "SELECT a FROM fresh").await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_limits_of_a_statement_do_not_count_for_the_schema() {
    let shop = Shop::new();
    let many = vec!["a = 1"; 150].join(" OR ");
    shop.write(&format!("CREATE TABLE first (a CHECK ({many}))"));
    let store = shop.open(shop.settings());
    assert_eq!(ask(&store, "SELECT * FROM first").await, Ok(vec![]));
    shop.write(&format!("CREATE TABLE second (a CHECK ({many}))"));
    assert_eq!(ask(&store, "SELECT * FROM second").await, Ok(vec![]));
    assert_eq!(store.tables(asker()).await.unwrap().len(), 6);
}

#[tokio::test]
async fn with_a_write_ahead_log_a_writer_is_no_hindrance() {
    let shop = Shop::new();
    let writer = writer(&shop.path);
    writer
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    writer
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM people")
        .unwrap();
    let store = shop.open(shop.settings());
    assert_eq!(count(&store).await, Ok(8));
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&store).await, Ok(0));
}

#[tokio::test]
async fn a_locked_file_is_waited_for_and_then_unavailable() {
    let shop = Shop::new();
    let writer = writer(&shop.path);
    let store = shop.open(Database {
        timeout: Duration::from_millis(200),
        ..shop.settings()
    });
    assert_eq!(count(&store).await, Ok(8));
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = count(&store).await.unwrap_err();
    assert!(error.to_string().contains("it is being written"), "{error}");

    let patient = shop.open(shop.settings());
    let mut rows = run(&patient, "SELECT count(*) FROM people").unwrap();
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(rows.next(1).await.unwrap(), [[Value::Integer(8)]]);
}

#[tokio::test]
async fn state_tells_what_is_so() {
    let shop = Shop::new();
    let gone = shop.folder.path().join("gone.db");
    let settings = [
        (String::from("gone"), Database::at(gone.clone())),
        (String::from("shop"), shop.settings()),
    ];
    let databases = Databases::new(
        settings.clone().into(),
        &no_caches(),
        Guards::permissive(),
        Handle::current(),
    );
    let state = loop {
        let state = databases.state();
        if state[1].ready && state[0].detail.contains("gone.db") {
            break state;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((state[0].ready, state[1].detail.as_str()), (false, ""));
    std::fs::copy(&shop.path, &gone).unwrap();
    while !databases.state()[0].ready {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_update_carries_over_what_is_as_before() {
    let shop = Shop::new();
    let named = |name: &str| (name.to_owned(), shop.settings());
    let databases = Databases::new(
        [named("a"), named("b")].into(),
        &no_caches(),
        Guards::permissive(),
        Handle::current(),
    );
    let changed = Database {
        max_rows: 1,
        ..shop.settings()
    };
    let update = databases.update(
        [named("a"), (String::from("b"), changed), named("c")].into(),
        &no_caches(),
    );
    assert!(Arc::ptr_eq(databases.get("a").unwrap(), update.get("a").unwrap()));
    assert!(!Arc::ptr_eq(
        databases.get("b").unwrap(),
        update.get("b").unwrap()
    ));
    assert_eq!(ask(update.get("c").unwrap(), "SELECT 1").await.unwrap().len(), 1);
    let error = update.get("d").unwrap_err();
    assert_eq!(error.code(), "store_unavailable");
}
