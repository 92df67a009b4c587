//! Questions to a database through `sql-rag`: without a model it gives the right
//! rows or says that it cannot read the question; with one it repairs what the
//! database refuses, and nothing that a model writes does more than read.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use segue_tests::{Bed, Chat, Reply, Site};
use serde_json::{Value, json};

/// What must be understood, and by hand the SQL whose rows are the right ones.
const READ: [(&str, &str); 12] = [
    ("How many customers are there?", "SELECT count(*) FROM Customer"),
    (
        "top five artists by number of tracks",
        "SELECT ar.Name, count(*) AS n FROM Artist ar JOIN Album al ON al.ArtistId = ar.ArtistId
         JOIN Track t ON t.AlbumId = al.AlbumId GROUP BY ar.ArtistId ORDER BY n DESC, ar.Name LIMIT 5",
    ),
    (
        "total of invoices by country",
        "SELECT BillingCountry, sum(Total) FROM Invoice GROUP BY BillingCountry",
    ),
    (
        "albums by AC/DC",
        "SELECT al.Title FROM Album al JOIN Artist ar ON ar.ArtistId = al.ArtistId WHERE ar.Name = 'AC/DC'",
    ),
    (
        "average track length per genre",
        "SELECT g.Name, avg(t.Milliseconds) FROM Genre g JOIN Track t ON t.GenreId = g.GenreId
         GROUP BY g.GenreId",
    ),
    (
        "customers from Brazil",
        "SELECT FirstName, LastName FROM Customer WHERE Country = 'Brazil'",
    ),
    (
        "the most expensive invoice",
        "SELECT InvoiceId, Total FROM Invoice ORDER BY Total DESC LIMIT 1",
    ),
    (
        "number of customers by country",
        "SELECT Country, count(*) FROM Customer GROUP BY Country",
    ),
    (
        "How many tracks are there in the genre Rock?",
        "SELECT count(*) FROM Track t JOIN Genre g ON g.GenreId = t.GenreId WHERE g.Name = 'Rock'",
    ),
    (
        "What is the total of all invoices?",
        "SELECT sum(Total) FROM Invoice",
    ),
    ("list the employees", "SELECT FirstName, LastName FROM Employee"),
    (
        "the longest track",
        "SELECT Name, Milliseconds FROM Track ORDER BY Milliseconds DESC LIMIT 1",
    ),
];

/// What must not be guessed at.
const DECLINED: [&str; 14] = [
    "Why are sales falling?",
    "Which customers are unhappy?",
    "What is the weather in Brazil?",
    "delete all customers",
    "customers who never bought jazz",
    "compare Brazil and Canada by growth",
    "How many customers will we have next year?",
    "Tell me a joke about invoices",
    "What percentage of tracks is rock?",
    "Is AC/DC better than U2?",
    "artists similar to AC/DC",
    "What should I listen to tonight?",
    "customers except those from Brazil",
    "How do I change the price of a track?",
];

const CONFIG: &str = r#"
    [plugins.max_grants]
    sql = ["music"]

    [[route]]
    handler = "sql-rag"

    [sql.music]
    url = "sqlite:music.sqlite"
"#;

fn chinook() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/chinook.sqlite");
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: shared/data/chinook.sqlite is not here");
    None
}

async fn music(database: &Path) -> Bed {
    Site::builder()
        .file("music.sqlite", std::fs::read(database).unwrap())
        .config(CONFIG)
        .plugin("sql-rag")
        .sidecar("sql-rag", "[grants]\nsql = [\"music\"]\n")
        .start()
        .await
}

fn evidence(reply: &Reply) -> Option<Value> {
    let data = reply.of("data");
    data.first().map(|frame| frame["data"].clone())
}

/// A row as a sorted list of texts, numbers rounded: the order and the names of
/// columns are a matter of taste, the values are not.
fn normal(row: impl IntoIterator<Item = Value>) -> Vec<String> {
    row.into_iter()
        .map(|value| match value.as_f64() {
            Some(number) => format!("{number:.2}"),
            None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        })
        .collect()
}

fn right_rows(database: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = database.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        found.push(normal((0..columns).map(
            |column| match row.get_ref(column).unwrap() {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                ValueRef::Blob(_) => json!("blob"),
            },
        )));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_questions_get_the_right_rows_without_a_model() {
    let Some(path) = chinook() else { return };
    let bed = music(&path).await;
    let database = Connection::open(&path).unwrap();
    let mut chat = bed.chat().await;
    for (question, sql) in READ {
        let reply = chat.ask(question, "chat", question).await;
        assert_eq!(reply.last["type"], "done", "{question}: {}", reply.last);
        let data = evidence(&reply).unwrap_or_else(|| panic!("{question}: {}", reply.text));
        assert_eq!(
            (&data["kind"], &data["database"]),
            (&json!("sql"), &json!("music"))
        );
        let rows: Vec<Vec<String>> = data["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| normal(row.as_array().unwrap().clone()))
            .collect();
        let right = right_rows(&database, sql);
        assert_eq!(rows.len(), right.len(), "{question}: {data}");
        for wanted in &right {
            let found = rows
                .iter()
                .any(|row| wanted.iter().all(|value| row.contains(value)));
            assert!(found, "{question}: no row with {wanted:?} in {data}");
        }
        assert!(!reply.text.trim().is_empty(), "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_declined_and_not_guessed_at() {
    let Some(path) = chinook() else { return };
    let bed = music(&path).await;
    let mut chat = bed.chat().await;
    for question in DECLINED {
        let reply = chat.ask(question, "chat", question).await;
        assert_eq!(reply.last["type"], "done", "{question}: {}", reply.last);
        assert!(evidence(&reply).is_none(), "{question}: {:?}", evidence(&reply));
        let declines = "I cannot read that question without a model";
        assert!(reply.text.contains(declines), "{question}: {}", reply.text);
    }
}

/// The chat that the tests with a model speak to; here so that both kinds share
/// one shape of answer.
async fn asked(chat: &mut Chat, id: &str, question: &str) -> (Reply, Option<Value>) {
    let reply = chat.ask(id, "chat", question).await;
    let data = evidence(&reply);
    (reply, data)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_never_becomes_part_of_the_statement() {
    let shop = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
        INSERT INTO customers VALUES (1, 'Robert''); DROP TABLE customers;--', 'Lisbon'),
            (2, 'Ada', 'O''Fallon');";
    let bed = Site::builder()
        .database("music.sqlite", shop)
        .config(CONFIG)
        .plugin("sql-rag")
        .sidecar("sql-rag", "[grants]\nsql = [\"music\"]\n")
        .start()
        .await;
    let mut chat = bed.chat().await;
    let (_, data) = asked(&mut chat, "m1", "customers from O'Fallon").await;
    let data = data.expect("rows");
    assert_eq!(data["params"], json!(["O'Fallon"]), "{data}");
    assert!(!data["sql"].as_str().unwrap().contains("Fallon"), "{data}");
    assert!(data["rows"].to_string().contains("Ada"), "{data}");
    let (_, data) = asked(&mut chat, "m2", "how many customers are there").await;
    assert_eq!(data.expect("rows")["rows"], json!([[2]]));
}
