//! What a database holds is told as its owner declared it, and anew when that
//! changes.

use super::*;

fn column(name: &str, declared: &str, not_null: bool, primary_key: u32) -> Column {
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        not_null,
        primary_key,
    }
}

async fn tables(store: &Arc<Store>) -> Arc<[Table]> {
    store.tables(asker()).await.unwrap()
}

#[tokio::test]
async fn tables_and_views_are_told_and_what_sqlite_keeps_is_not() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    let tables = tables(&store).await;
    let names: Vec<_> = tables
        .iter()
        .map(|table| (table.name.as_str(), table.is_view))
        .collect();
    let expected = [
        ("odd \"name", false),
        ("orders", false),
        ("people", false),
        // Neither a view of what is gone nor one that does more than read.
        ("richest", true),
    ];
    assert_eq!(names, expected);
    assert_eq!(
        tables[2].columns,
        [
            column("id", "INTEGER", false, 1),
            column("name", "TEXT", true, 0),
            column("city", "TEXT", false, 0),
            column("note", "TEXT", false, 0),
        ]
    );
    assert_eq!(tables[0].columns[1], column("a b", "BLOB", false, 0));
    assert_eq!(tables[3].columns.len(), 2);
}

#[tokio::test]
async fn foreign_keys_are_told_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let sqlite = Connection::open(&path).unwrap();
    sqlite
        .execute_batch(
            "CREATE TABLE Album (ArtistId INTEGER, Title TEXT, Year, PRIMARY KEY (Title, ArtistId));
             CREATE TABLE Artist (Id INTEGER PRIMARY KEY, Code UNIQUE);
             CREATE TABLE Track (
                 artist REFERENCES artist,
                 code REFERENCES Artist (CODE),
                 gone REFERENCES nowhere,
                 away REFERENCES nowhere (x),
                 title, performer,
                 FOREIGN KEY (title, performer) REFERENCES album,
                 FOREIGN KEY (performer) REFERENCES album);",
        )
        .unwrap();
    let settings = [(String::from("keys"), Database::at(path))].into();
    let databases = Databases::new(settings, &no_caches(), Guards::permissive(), Handle::current());
    let tables = tables(databases.get("keys").unwrap()).await;
    let key = |columns: &[&str], table: &str, references: &[&str]| ForeignKey {
        columns: columns.iter().map(ToString::to_string).collect(),
        table: table.to_owned(),
        references: references.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        tables[2].foreign_keys,
        [
            key(&["artist"], "Artist", &["Id"]),
            key(&["code"], "Artist", &["Code"]),
            key(&["away"], "nowhere", &["x"]),
            key(&["title", "performer"], "Album", &["Title", "ArtistId"]),
        ]
    );
}

#[tokio::test]
async fn what_is_known_is_kept_until_the_file_changes() {
    let shop = Shop::new();
    let store = shop.open(shop.settings());
    let first = tables(&store).await;
    assert!(Arc::ptr_eq(&first, &tables(&store).await));
    shop.write("INSERT INTO people (name) VALUES ('new')");
    assert!(Arc::ptr_eq(&first, &tables(&store).await));
    shop.write("ALTER TABLE people ADD COLUMN age INTEGER");
    assert_eq!(tables(&store).await[2].columns.len(), 5);
    let other = Shop::new();
    other.write("DROP TABLE orders");
    std::fs::rename(&other.path, &shop.path).unwrap();
    assert!(tables(&store).await.iter().all(|table| table.name != "orders"));
}

#[tokio::test]
async fn what_the_host_asks_waits_for_its_turn_like_a_query() {
    let shop = Shop::new();
    let store = shop.open(Database {
        connections: 1,
        queue: 0,
        ..shop.settings()
    });
    let mut rows = run(
        &store,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    )
    .unwrap();
    rows.columns().await.unwrap();
    assert_eq!(store.tables(asker()).await.unwrap_err().code(), "overloaded");
}
