//! Whatever a plugin sends as a statement, it is answered with rows or a code,
//! and nothing has changed afterwards.

use super::super::corpus::attempts;
use super::*;

/// Long enough that what should end by itself does, and what should not is seen
/// to be stopped.
fn settings(shop: &Shop, expected: &str) -> Database {
    let timeout = match expected {
        "query_timeout" => Duration::from_millis(300),
        _ => Duration::from_secs(120),
    };
    Database {
        timeout,
        ..shop.settings()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_gets_its_code_and_changes_nothing() {
    let attempts = attempts();
    assert!(attempts.len() > 250);
    let shop = Shop::new();
    let secret = Connection::open(shop.folder.path().join("other.db")).unwrap();
    secret
        .execute_batch("CREATE TABLE secrets (a); INSERT INTO secrets VALUES ('x')")
        .unwrap();
    drop(secret);
    let before = contents(shop.folder.path());
    let (quick, patient) = (
        shop.open(settings(&shop, "query_timeout")),
        shop.open(settings(&shop, "ok")),
    );
    let mut wrong = Vec::new();
    for (expected, sql) in &attempts {
        let store = if *expected == "query_timeout" {
            &quick
        } else {
            &patient
        };
        let shown: String = sql.chars().take(150).collect();
        let (got, message) = match ask(store, sql).await {
            Ok(_) => ("ok", String::new()),
            Err(error) => (error.code(), error.to_string()),
        };
        assert!(!message.contains("shop.db"), "{shown}: {message}");
        if got != *expected {
            wrong.push(format!("{expected}, not {got} | {shown} | {message}"));
        }
    }
    assert!(wrong.is_empty(), "{:#?}", wrong);
    assert_eq!(contents(shop.folder.path()), before);
}

#[tokio::test]
async fn what_is_compiled_only_gets_the_same_code() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    for (expected, sql) in attempts() {
        let checked = store.check(asker(), sql.clone()).await;
        let shown: String = sql.chars().take(150).collect();
        match (expected, checked) {
            ("ok" | "query_timeout", checked) => assert_eq!(checked, Ok(()), "{shown}"),
            ("query_forbidden", Err(error)) => assert_eq!(error.code(), expected, "{shown}"),
            ("query_forbidden", Ok(())) => panic!("{shown}"),
            // Some are seen to be wrong only when they run, or get no values.
            (_, checked) => assert_ne!(
                checked.err().map(|error| error.code()),
                Some("query_forbidden"),
                "{shown}"
            ),
        }
    }
}

#[tokio::test]
async fn a_value_never_becomes_part_of_the_statement() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    let hostile = text("'; DROP TABLE people; --");
    let sql = String::from("SELECT ?1, typeof(?2), ?3, ?4, ?5, count(*) FROM people WHERE name <> ?1");
    let params = vec![
        hostile.clone(),
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(0.5),
        Value::Blob(vec![0, 255]),
    ];
    let (rows, _) = all(store.run(asker(), sql, params).unwrap()).await.unwrap();
    let expected = [
        hostile,
        text("null"),
        Value::Integer(i64::MIN),
        Value::Real(0.5),
        Value::Blob(vec![0, 255]),
        Value::Integer(8),
    ];
    assert_eq!(rows, [expected]);
}

#[tokio::test]
async fn parameters_are_as_many_as_the_statement_has_and_no_larger_than_may_be() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    let run = |sql: &str, params| store.run(asker(), sql.to_owned(), params);
    for (sql, count) in [
        ("SELECT ?1, ?2", 1),
        ("SELECT ?2", 1),
        ("SELECT 1", 1),
        ("SELECT :a, :a", 2),
    ] {
        let rows = run(sql, vec![Value::Null; count]).unwrap();
        let error = all(rows).await.unwrap_err();
        assert_eq!(error.code(), "query_invalid", "{sql}");
        assert!(error.to_string().contains("parameters"), "{error}");
    }
    for refused in [
        run("SELECT 1", vec![Value::Null; 1001]),
        run("SELECT ?1", vec![Value::Text("x".repeat(1 << 20))]),
        run(&format!("SELECT 1 {}", " ".repeat(64 << 10)), vec![]),
    ] {
        assert_eq!(refused.unwrap_err().code(), "invalid_argument");
    }
    let most = run("SELECT ?1000", vec![Value::Integer(1); 1000]).unwrap();
    assert_eq!(all(most).await.unwrap().0, [[Value::Integer(1)]]);
}

#[tokio::test]
async fn the_databases_own_words_say_what_is_wrong_and_where() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    for (sql, words) in [
        ("SELECT nme FROM people", "no such column: nme, at byte 7"),
        ("SELECT * FORM people", "near \"FORM\": syntax error, at byte 9"),
        ("SELECT * FROM person", "no such table: person"),
        ("SELECT sqrt2(4)", "no such function: sqrt2"),
        (
            "SELECT count(name, city) FROM people",
            "wrong number of arguments to function count()",
        ),
        (
            "DELETE FROM people",
            "a query may only read, and this one would delete from `people`",
        ),
        (
            "PRAGMA user_version",
            "a query may only read, and this one would use the pragma `user_version`",
        ),
        (
            "SELECT load_extension('x')",
            "the function `load_extension` is not for plugins",
        ),
        (
            "SELECT 1; SELECT 2",
            "a query is one statement: leave out what follows the `;`",
        ),
        (
            "SELECT * FROM notes",
            "`notes` is a virtual table, and these are not for plugins",
        ),
    ] {
        let error = ask(&store, sql).await.unwrap_err().to_string();
        assert!(error.starts_with(words), "{sql}: {error}");
    }
    let long = format!("SELECT * FROM {}", "x".repeat(60_000));
    assert!(ask(&store, &long).await.unwrap_err().to_string().len() < 1100);
}
