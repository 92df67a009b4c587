//! Queries that are answered from a cache.

use super::*;
use crate::cache::{CacheState, settings};

/// A database that answers from a cache, and the cache.
struct Bench {
    shop: Shop,
    store: Arc<Store>,
    caches: Arc<Caches>,
}

fn bench(change: impl FnOnce(&mut Database)) -> Bench {
    let shop = Shop::new();
    let named = |name: &str| (name.to_owned(), settings::Cache::default());
    let caches = Caches::new([named("answers")].into(), Guards::permissive(), Handle::current());
    let mut settings = Database {
        cache: Some(String::from("answers")),
        ..shop.settings()
    };
    change(&mut settings);
    let settings = [(String::from("shop"), settings)].into();
    let databases = Databases::new(settings, &caches, Guards::permissive(), Handle::current());
    let store = Arc::clone(databases.get("shop").unwrap());
    Bench { shop, store, caches }
}

impl Bench {
    fn state(&self) -> CacheState {
        self.caches.state().remove(0)
    }

    async fn count(&self) -> Value {
        let rows = ask(&self.store, "SELECT count(*) FROM people").await.unwrap();
        rows[0][0].clone()
    }
}

// O19: the cache of query results.
#[tokio::test]
async fn a_query_is_answered_from_the_cache_until_it_is_invalidated() {
    let bench = bench(|_| {});
    let before = bench.count().await;
    bench.shop.write("DELETE FROM people");
    assert_eq!(bench.count().await, before);
    let cache = bench.caches.get("answers").unwrap();
    cache.invalidate_tag("sql.shop").await;
    assert_eq!(bench.count().await, Value::Integer(0));
    let state = bench.state();
    assert_eq!((state.hits, state.misses), (1, 2), "{state:?}");
}

#[tokio::test]
async fn rows_columns_and_values_are_the_same_from_the_cache() {
    let bench = bench(|_| {});
    let sql = "SELECT ?1 AS a, 1.5 AS b, NULL, x'00ff', 'tea', -7 UNION ALL \
               SELECT value, 9e999, 2, 3, 4, 5 FROM generate";
    let sql = sql.replace(
        "FROM generate",
        "FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 700) \
         SELECT value FROM n)",
    );
    let run = || bench.store.run(asker(), sql.clone(), vec![text("x")]).unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut rows = run();
        let columns = rows.columns().await.unwrap().to_vec();
        answers.push((columns, all(rows).await.unwrap()));
    }
    let live = Bench {
        store: bench.shop.open(bench.shop.settings()),
        ..bench
    };
    let mut rows = live.store.run(asker(), sql, vec![text("x")]).unwrap();
    let columns = rows.columns().await.unwrap().to_vec();
    let expected = (columns, all(rows).await.unwrap());
    assert_eq!(answers, [expected.clone(), expected]);
    assert_eq!(live.state().hits, 1);
}

// B6
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_ask_the_same_cost_one_query() {
    let bench = bench(|_| {});
    let asks: Vec<_> = (0..100)
        .map(|_| {
            let store = Arc::clone(&bench.store);
            tokio::spawn(async move { ask(&store, "SELECT count(*) FROM people").await })
        })
        .collect();
    for each in asks {
        each.await.unwrap().unwrap();
    }
    let state = bench.state();
    assert_eq!((state.misses, state.hits + state.joined), (1, 99), "{state:?}");
}

#[tokio::test]
async fn what_differs_in_statement_values_or_plugin_is_not_the_same() {
    let bench = bench(|_| {});
    let run = async |plugin: &str, sql: &str, params: Vec<Value>| {
        let asker = Asker {
            plugin: plugin.to_owned(),
            ..asker()
        };
        all(bench.store.run(asker, sql.to_owned(), params).unwrap())
            .await
            .unwrap()
    };
    run("p", "SELECT ?1", vec![Value::Integer(1)]).await;
    for (plugin, sql, params) in [
        ("q", "SELECT ?1", vec![Value::Integer(1)]),
        ("p", "SELECT ?1 ", vec![Value::Integer(1)]),
        ("p", "SELECT ?1", vec![Value::Integer(2)]),
        ("p", "SELECT ?1", vec![text("1")]),
        ("p", "SELECT ?1", vec![Value::Real(1.0)]),
    ] {
        run(plugin, sql, params).await;
    }
    assert_eq!(bench.state().misses, 6);
    run("p", "SELECT ?1", vec![Value::Integer(1)]).await;
    assert_eq!(bench.state().hits, 1);
}

#[tokio::test]
async fn a_failure_and_a_part_of_an_answer_are_not_kept() {
    let bench = bench(|settings| settings.max_rows = 2);
    for _ in 0..2 {
        let failed = ask(&bench.store, "SELECT nothing").await.unwrap_err();
        assert_eq!(failed.code(), "query_invalid");
        let (rows, truncated) = all(run(&bench.store, "SELECT * FROM people").unwrap())
            .await
            .unwrap();
        assert_eq!((rows.len(), truncated), (2, true));
    }
    let state = bench.state();
    assert_eq!((state.misses, state.entries), (4, 0), "{state:?}");
}

/// Each has a deadline of its own, and the query goes on for the others.
#[tokio::test]
async fn who_has_no_time_left_is_told_so_alone() {
    let bench = bench(|_| {});
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n";
    let hasty = Asker {
        until: Instant::now() + Duration::from_millis(20),
        ..asker()
    };
    let hasty = bench.store.run(hasty, sql.to_owned(), Vec::new()).unwrap();
    let patient = run(&bench.store, sql).unwrap();
    let (hasty, patient) = tokio::join!(all(hasty), all(patient));
    assert_eq!(hasty.unwrap_err().code(), "query_timeout");
    assert_eq!(patient.unwrap().0, [[Value::Integer(2_000_000)]]);
    assert_eq!(bench.state().misses, 1);
}
