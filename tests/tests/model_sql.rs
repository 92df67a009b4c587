//! SQL that a model writes, through `sql-rag` and the whole host: what the
//! database refuses is repaired at most twice, in the database's own words, and
//! nothing that a model writes does more than read.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fs;

use segue_tests::{Act, Bed, Reply, Site, Upstream};
use serde_json::{Value, json};

const SHOP: &str = "
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL);
    INSERT INTO products VALUES (1, 'green tea', 3.5), (2, 'black tea', 2.5), (3, 'cup', 9.0);";

const GOOD: &str = "SELECT count(*) FROM products";

async fn bed(upstream: &Upstream) -> Bed {
    let base_url = upstream.base_url();
    Site::builder()
        .database("shop.db", SHOP)
        .plugin("sql-rag")
        .sidecar("sql-rag", "[grants]\nsql = [\"shop\"]\nllm = [\"main\"]\n")
        .config(&format!(
            r#"
            [plugins.max_grants]
            sql = ["shop"]
            llm = ["main"]

            [sql.shop]
            url = "sqlite:shop.db"

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"
            first_token_timeout = "500ms"
            idle_timeout = "500ms"

            [resilience.llm]
            breaker = false

            [[route]]
            handler = "sql-rag"
            "#
        ))
        .start()
        .await
}

/// What came of a question to which the model answers one after the other.
async fn asked(answers: &[&str]) -> (Bed, Upstream, Reply) {
    let upstream = Upstream::start().await;
    for answer in answers {
        upstream.script([Act::say(answer), Act::usage(100, 10)]);
    }
    let bed = bed(&upstream).await;
    let mut chat = bed.chat().await;
    let reply = chat.ask("m1", "chat", "How many products are there?").await;
    (bed, upstream, reply)
}

fn rows(reply: &Reply) -> Option<Value> {
    let data = reply.of("data").into_iter().map(|frame| &frame["data"]);
    let mut queries = data.filter(|data| data["kind"] == "sql");
    queries.next().map(|data| data["rows"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_statement_is_run_with_whatever_prose_around_it() {
    for answer in [
        GOOD,
        "```sql\nSELECT count(*) FROM products;\n```",
        "Sure! Here is the query:\n\n```sql\nSELECT count(*) FROM products\n```\n\nIt counts all products.",
        "The query is `SELECT count(*) FROM products`.",
    ] {
        let (_bed, upstream, reply) = asked(&[answer]).await;
        assert_eq!(reply.last["type"], "done", "{answer}: {}", reply.last);
        assert_eq!(rows(&reply), Some(json!([[3]])), "{answer}");
        assert!(reply.text.contains('3'), "{}", reply.text);
        assert_eq!(upstream.requests().len(), 1);
        let meters = &reply.last["parts"][0]["usage"]["meters"];
        assert_eq!(meters["llm.input_tokens"], 100, "{}", reply.last);
        assert_eq!(meters["llm.output_tokens"], 10);
        let told = upstream.requests()[0].body.to_string();
        assert!(told.contains("products") && told.contains("price"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_is_repaired_in_its_own_words() {
    for (bad, words) in [
        ("SELECT nmae FROM products", "no such column: nmae"),
        ("SELECT count(* FROM products", "syntax error"),
        ("SELECT count(*) FROM prodcts", "no such table: prodcts"),
        ("DELETE FROM products", ""),
        ("UPDATE products SET price = 0", ""),
        ("DROP TABLE products", ""),
        ("SELECT 1; DELETE FROM products", ""),
        ("SELECT 1; SELECT 2", ""),
        ("PRAGMA table_info(products)", ""),
        ("ATTACH 'other.db' AS other", ""),
        ("I do not know.", ""),
    ] {
        let (bed, upstream, reply) = asked(&[bad, GOOD]).await;
        assert_eq!(reply.last["type"], "done", "{bad}: {}", reply.last);
        assert_eq!(rows(&reply), Some(json!([[3]])), "{bad}");
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2, "{bad}");
        let told = requests[1].body.to_string();
        assert!(told.contains(words), "{bad}: {told}");
        let database = rusqlite::Connection::open(bed.root().join("shop.db")).unwrap();
        let count: i64 = database.query_row(GOOD, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 3, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_two_repairs_the_message_ends_in_the_databases_error() {
    for (bad, code) in [
        ("SELECT nmae FROM products", "query_invalid"),
        ("DELETE FROM products", "query_forbidden"),
        ("SELECT 1; SELECT 2", "query_invalid"),
    ] {
        let (bed, upstream, reply) = asked(&[bad, bad, bad, GOOD]).await;
        assert_eq!(reply.last["type"], "error", "{bad}");
        assert_eq!(reply.error_code(), code, "{bad}: {}", reply.last);
        assert_eq!(rows(&reply), None, "{bad}");
        assert_eq!(upstream.requests().len(), 3, "{bad}");
        let left = fs::read(bed.root().join("shop.db")).unwrap();
        assert!(!left.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_ends_the_message_in_its_own_code() {
    for (act, code) in [
        (Act::status(500, "broken"), "upstream_unavailable"),
        (Act::rate_limited(7), "upstream_rate_limited"),
        (Act::status(401, "wrong key"), "upstream_rejected"),
        (Act::garbage(), "upstream_failed"),
        (Act::Hang, "upstream_timeout"),
    ] {
        let upstream = Upstream::start().await;
        upstream.script([act]);
        let bed = bed(&upstream).await;
        let mut chat = bed.chat().await;
        let reply = chat.ask("m1", "chat", "How many products are there?").await;
        assert_eq!(reply.error_code(), code, "{}", reply.last);
        if code == "upstream_rate_limited" {
            assert_eq!(reply.last["retry_after_ms"], 7_000, "{}", reply.last);
        }
        assert_eq!(upstream.requests().len(), 1);
    }
}
