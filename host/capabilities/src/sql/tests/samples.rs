//! Examples of a column are the ones met most, and never take long.

use super::*;

async fn samples(store: &Arc<Store>, table: &str, column: &str, limit: usize) -> Result<Vec<Value>, Error> {
    store
        .samples(asker(), table.to_owned(), column.to_owned(), limit)
        .await
}

#[tokio::test]
async fn the_most_frequent_come_first_and_nothing_is_none() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    let cities = samples(&store, "people", "city", 10).await.unwrap();
    assert_eq!(cities, [text("Lima"), text("Oslo"), text("Rome")]);
    assert_eq!(
        samples(&store, "PEOPLE", "City", 1).await.unwrap(),
        [text("Lima")]
    );
    assert_eq!(
        samples(&store, "odd \"name", "select", 5).await.unwrap(),
        [text("x")]
    );
    assert_eq!(samples(&store, "odd \"name", "a b", 5).await.unwrap(), []);
    assert_eq!(samples(&store, "orders", "person", 100).await.unwrap().len(), 8);
    assert_eq!(samples(&store, "orders", "id", 1000).await.unwrap().len(), 100);
    assert_eq!(samples(&store, "richest", "name", 3).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    for (table, column, words) in [
        ("person", "city", "no such table: person"),
        ("people", "town", "no such column: people.town"),
        ("people\" --", "city", "no such table"),
        ("sqlite_schema", "sql", "no such table"),
        ("notes", "note", "no such table"),
        ("pragma_database_list", "file", "no such table"),
    ] {
        let error = samples(&store, table, column, 5).await.unwrap_err();
        assert_eq!(error.code(), "query_invalid");
        assert!(error.to_string().starts_with(words), "{error}");
    }
}

#[tokio::test]
async fn long_texts_are_cut_between_characters() {
    let shop = Shop::new();
    shop.write(&format!("UPDATE people SET note = '{}'", "ñ".repeat(5000)));
    let store = shop.open(shop.settings());
    let notes = samples(&store, "people", "note", 5).await.unwrap();
    assert_eq!(notes, [Value::Text("ñ".repeat(100))]);
}

#[tokio::test]
async fn they_follow_what_is_written() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    assert_eq!(
        samples(&store, "people", "city", 1).await.unwrap(),
        [text("Lima")]
    );
    shop.write("UPDATE people SET city = 'Bonn'");
    assert_eq!(
        samples(&store, "people", "city", 5).await.unwrap(),
        [text("Bonn")]
    );
}

#[tokio::test]
async fn a_view_that_never_ends_has_none() {
    let shop = Shop::new();
    shop.write(
        "CREATE VIEW slow AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0;
         CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i % 2 AS i FROM n",
    );
    let store = shop.open(shop.settings());
    assert_eq!(samples(&store, "slow", "i", 5).await.unwrap(), []);
    let two = samples(&store, "endless", "i", 5).await.unwrap();
    assert_eq!(two.len(), 2);
}
