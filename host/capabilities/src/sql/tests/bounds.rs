//! Every bound stops what reaches it, and only that.

use tokio::sync::oneshot;

use super::*;

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
const COUNTING: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";

#[tokio::test]
async fn rows_past_the_bound_are_left_out_and_that_is_said() {
    let shop = Shop::new();
    let settings = Database {
        max_rows: 7,
        ..shop.settings()
    };
    let store = shop.open(settings);
    let (rows, truncated) = all(run(&store, COUNTING).unwrap()).await.unwrap();
    assert_eq!((rows.len(), truncated), (7, true));
    let seven = format!("{COUNTING} LIMIT 7");
    let (rows, truncated) = all(run(&store, &seven).unwrap()).await.unwrap();
    assert_eq!((rows.len(), truncated), (7, false));
}

#[tokio::test]
async fn rows_that_may_be_given_are_given_even_if_the_next_one_never_comes() {
    let shop = Shop::new();
    let settings = Database {
        max_rows: 3,
        timeout: Duration::from_millis(300),
        ..shop.settings()
    };
    let store = shop.open(settings);
    let (rows, truncated) = all(run(&store, &format!("{COUNTING} WHERE i < 4")).unwrap())
        .await
        .unwrap();
    assert_eq!((rows.len(), truncated), (3, true));
}

#[tokio::test]
async fn bytes_past_the_bound_are_left_out_and_that_is_said() {
    let shop = Shop::new();
    let settings = Database {
        max_bytes: 10_000,
        ..shop.settings()
    };
    let store = shop.open(settings);
    let wide = format!("SELECT printf('%.*c', 992, 'x') FROM ({COUNTING} LIMIT 11)");
    let (rows, truncated) = all(run(&store, &wide).unwrap()).await.unwrap();
    assert_eq!((rows.len(), truncated), (10, true));
    let (rows, truncated) = all(run(&store, "SELECT printf('%.*c', 20000, 'x')").unwrap())
        .await
        .unwrap();
    assert_eq!((rows.len(), truncated), (0, true));
}

#[tokio::test]
async fn what_is_read_in_parts_is_the_same_as_at_once() {
    let shop = Shop::new();
    let settings = Database {
        max_rows: 5000,
        ..shop.settings()
    };
    let store = shop.open(settings);
    let sql = format!("{COUNTING} LIMIT 5000");
    let mut rows = run(&store, &sql).unwrap();
    assert_eq!(rows.columns().await.unwrap(), ["i"]);
    let mut expected = 1;
    for size in [1, 0, 999, 3, 2000, 500].into_iter().cycle() {
        let part = rows.next(size).await.unwrap();
        assert!(part.len() <= size.clamp(1, ROWS_AT_ONCE));
        if part.is_empty() {
            break;
        }
        for row in part {
            assert_eq!(row, [Value::Integer(expected)]);
            expected += 1;
        }
    }
    assert_eq!(expected, 5001);
    assert!(!rows.truncated());
    assert!(rows.next(1).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_time_of_the_database_and_that_of_the_call_both_end_a_query() {
    let shop = Shop::new();
    let short = Database {
        timeout: Duration::from_millis(50),
        ..shop.settings()
    };
    let store = shop.open(short);
    assert_eq!(ask(&store, ENDLESS).await.unwrap_err().code(), "query_timeout");

    let store = shop.open(shop.settings());
    let hurried = Asker {
        until: Instant::now() + Duration::from_millis(50),
        ..asker()
    };
    let rows = store.run(hurried, ENDLESS.to_owned(), vec![]).unwrap();
    assert_eq!(all(rows).await.unwrap_err().code(), "query_timeout");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_meets_the_deadline_and_frees_the_connection() {
    let shop = Shop::new();
    let settings = Database {
        max_rows: 1_000_000,
        max_bytes: 1 << 30,
        timeout: Duration::from_millis(300),
        connections: 1,
        ..shop.settings()
    };
    let store = shop.open(settings);
    let mut idle = run(&store, COUNTING).unwrap();
    assert_eq!(idle.columns().await.unwrap(), ["i"]);
    // The next one gets the only connection once the first has lost it.
    while let Err(error) = ask(&store, "SELECT 1").await {
        assert_eq!(error.code(), "query_timeout");
    }
    let error = loop {
        match idle.next(1000).await {
            Ok(rows) => assert!(!rows.is_empty()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), "query_timeout");
    assert_eq!(ask(&store, "SELECT 1").await.unwrap().len(), 1);
}

/// Counts a large table many times; each count is one instruction of SQLite.
fn counts(shop: &Shop) -> String {
    shop.write(
        "CREATE TABLE big (a); INSERT INTO big WITH RECURSIVE n(i) AS
         (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i FROM n",
    );
    let counts = vec!["(SELECT count(*) FROM big)"; 90].join(" + ");
    format!("SELECT {counts}")
}

#[tokio::test]
async fn what_a_plugin_leaves_unread_is_bounded_and_hinders_no_other() {
    let shop = Shop::new();
    let store = shop.open(Database {
        max_bytes: 1 << 40,
        ..shop.settings()
    });
    let large = format!("SELECT printf('%.*c', 900000, 'x') FROM ({COUNTING} LIMIT 5)");
    let mut unread: Vec<_> = (0..20).map(|_| run(&store, &large).unwrap()).collect();
    // All but a few connections are kept by queries that wait for room.
    unread[0].columns().await.unwrap();
    let other = Asker {
        plugin: String::from("other"),
        ..asker()
    };
    let rows = store.run(other, large, vec![]).unwrap();
    assert_eq!(all(rows).await.unwrap().0.len(), 5);
    // Reading makes room for the rest.
    for rows in unread {
        assert_eq!(all(rows).await.unwrap().0.len(), 5);
    }
}

#[tokio::test]
async fn dropping_a_query_interrupts_it() {
    let shop = Shop::new();
    let counts = counts(&shop);
    let settings = Database {
        connections: 1,
        timeout: Duration::from_secs(600),
        ..shop.settings()
    };
    let store = shop.open(settings);
    let pattern = "a".repeat(900);
    let like = format!(
        "SELECT printf('%.*c', 1000000, 'a') LIKE '%{pattern}b%' FROM orders a, orders b, orders c, orders d"
    );
    // In many instructions, in few that take long, in one that takes minutes,
    // and while it waits for its reader.
    for sql in [ENDLESS, counts.as_str(), like.as_str(), COUNTING] {
        let mut running = run(&store, sql).unwrap();
        running.columns().await.unwrap();
        drop(running);
        // It gets the connection once the other one has ended.
        assert_eq!(ask(&store, "SELECT 1").await.unwrap().len(), 1, "{sql}");
    }
}

#[tokio::test]
async fn a_count_of_a_whole_table_is_interrupted_too() {
    let shop = Shop::new();
    let counts = counts(&shop);
    let settings = Database {
        timeout: Duration::from_millis(1),
        ..shop.settings()
    };
    let store = shop.open(settings);
    assert_eq!(ask(&store, &counts).await.unwrap_err().code(), "query_timeout");
}

#[tokio::test]
async fn as_many_run_and_wait_as_may_and_the_next_is_told_at_once() {
    let shop = Shop::new();
    let settings = Database {
        connections: 1,
        queue: 1,
        timeout: Duration::from_secs(600),
        ..shop.settings()
    };
    let store = shop.open(settings);
    let mut first = run(&store, COUNTING).unwrap();
    first.columns().await.unwrap();
    let (sender, second) = oneshot::channel();
    let waiting = Arc::clone(&store);
    let mut second_rows = run(&waiting, "SELECT 2").unwrap();
    tokio::spawn(async move {
        let _ = sender.send(second_rows.next(1).await);
    });
    // Either of the two that wait is the one too many; the other gets its turn.
    let third = loop {
        let third = run(&store, "SELECT 3").unwrap();
        let third = tokio::time::timeout(Duration::from_millis(20), all(third)).await;
        if let Ok(third) = third {
            break third;
        }
    };
    assert_eq!(third.unwrap_err().code(), "overloaded");
    drop(first);
    assert_eq!(second.await.unwrap().unwrap(), [[Value::Integer(2)]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_all_get_their_own_rows() {
    let shop = Shop::new();
    let store = shop.open(Database {
        queue: 200,
        ..shop.settings()
    });
    let ask = |plugin: i64| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let asker = Asker {
                plugin: format!("plugin-{}", plugin % 7),
                ..asker()
            };
            let sql = format!(
                "SELECT sum(total), {plugin} FROM orders WHERE person <= {}",
                plugin % 8 + 1
            );
            all(store.run(asker, sql, vec![]).unwrap()).await.unwrap().0
        })
    };
    let asked: Vec<_> = (0..150).map(ask).collect();
    for (plugin, rows) in (0..).zip(asked) {
        assert_eq!(rows.await.unwrap()[0][1], Value::Integer(plugin));
    }
}

#[tokio::test]
async fn waiting_counts_as_time() {
    let shop = Shop::new();
    let settings = Database {
        connections: 1,
        timeout: Duration::from_secs(600),
        ..shop.settings()
    };
    let store = shop.open(settings);
    let mut first = run(&store, COUNTING).unwrap();
    first.columns().await.unwrap();
    let hurried = Asker {
        until: Instant::now() + Duration::from_millis(50),
        ..asker()
    };
    let rows = store.run(hurried, String::from("SELECT 1"), vec![]).unwrap();
    assert_eq!(all(rows).await.unwrap_err().code(), "query_timeout");
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_never_begins() {
    let shop = Shop::new();
    let settings = Database {
        connections: 1,
        queue: 2,
        timeout: Duration::from_secs(600),
        ..shop.settings()
    };
    let store = shop.open(settings);
    let mut first = run(&store, COUNTING).unwrap();
    first.columns().await.unwrap();
    for _ in 0..100 {
        drop(run(&store, ENDLESS).unwrap());
    }
    drop(first);
    loop {
        match ask(&store, "SELECT 1").await {
            Ok(rows) => break assert_eq!(rows.len(), 1),
            Err(error) => assert_eq!(error.code(), "overloaded"),
        }
    }
}

#[tokio::test]
async fn temporary_files_are_bounded() {
    let shop = Shop::new();
    let mut store = Store::new(
        String::from("shop"),
        shop.settings(),
        Guards::permissive().get("sql", "shop"),
        Handle::current(),
    );
    store.scratch_max_bytes = 8 << 20;
    let store = Arc::new(store);
    let sorted = format!("SELECT printf('%.*c', 100000, 'x') || i AS x FROM ({COUNTING}) ORDER BY x");
    let error = ask(&store, &sorted).await.unwrap_err();
    match cfg!(target_os = "linux") {
        true => assert!(error.to_string().contains("256 MiB of rows"), "{error}"),
        false => assert_eq!(error.code(), "query_timeout"),
    }
    assert_eq!(ask(&store, "SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_longer_statement_holds_shorter_values_so_that_all_it_holds_is_bounded() {
    let shop = Shop::new();
    let store = shop.open(Database {
        max_bytes: 1 << 30,
        ..shop.settings()
    });
    let value = |count: usize| {
        let columns = vec!["?1 || 'x'"; count].join(", ");
        store.run(
            asker(),
            format!("SELECT {columns}"),
            vec![Value::Text("x".repeat(900_000))],
        )
    };
    assert_eq!(all(value(3).unwrap()).await.unwrap().0.len(), 1);
    let error = all(value(1500).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("too big"), "{error}");
}

#[tokio::test]
async fn names_of_columns_are_cut() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    let long = format!("SELECT '{}'", "ñ".repeat(20_000));
    let mut rows = run(&store, &long).unwrap();
    let columns = rows.columns().await.unwrap();
    assert!(columns[0].len() <= 256 && columns[0].starts_with("'ñ"));
}
