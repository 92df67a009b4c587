//! Real databases, where they are at hand: what people ask of them is answered.

use super::*;

fn at_hand(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(file);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {file} is not beside the repository");
    None
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::from("NULL"),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

/// Asks each question, and for the first row of its answer; then for examples
/// of every column there is.
async fn answers(path: PathBuf, questions: &[(&str, &[&str])]) {
    let settings = [(String::from("real"), Database::at(path))].into();
    let databases = Databases::new(settings, &no_caches(), Guards::permissive(), Handle::current());
    let store = databases.get("real").unwrap();
    for (sql, first) in questions {
        store.check(asker(), sql.to_string()).await.unwrap();
        let rows = ask(store, sql).await.unwrap();
        let values = rows.first().map(|row| row.iter().map(shown).collect::<Vec<_>>());
        let expected: Vec<String> = first.iter().map(ToString::to_string).collect();
        assert_eq!(values, Some(expected), "{sql}");
    }
    for table in store.tables(asker()).await.unwrap().iter() {
        for column in &table.columns {
            let (table, column) = (table.name.clone(), column.name.clone());
            store.samples(asker(), table, column, 5).await.unwrap();
        }
    }
}

#[tokio::test]
async fn chinook() {
    let Some(path) = at_hand("chinook.sqlite") else {
        return;
    };
    let questions: [(&str, &[&str]); 6] = [
        ("SELECT count(*) FROM Customer", &["59"]),
        (
            "SELECT ar.Name, count(*) AS n FROM Artist ar JOIN Album al ON al.ArtistId = ar.ArtistId
             JOIN Track t ON t.AlbumId = al.AlbumId GROUP BY ar.ArtistId ORDER BY n DESC LIMIT 5",
            &["Iron Maiden", "213"],
        ),
        (
            "SELECT BillingCountry, round(sum(Total), 2) AS total FROM Invoice GROUP BY 1 ORDER BY total DESC",
            &["USA", "523.06"],
        ),
        (
            "SELECT Title FROM Album WHERE ArtistId = (SELECT ArtistId FROM Artist WHERE Name LIKE 'ac/dc') ORDER BY 1",
            &["For Those About To Rock We Salute You"],
        ),
        (
            "WITH monthly AS (SELECT strftime('%Y-%m', InvoiceDate) AS month, sum(Total) AS total FROM Invoice GROUP BY 1)
             SELECT month, total > lag(total) OVER (ORDER BY month) FROM monthly ORDER BY month",
            &["2021-01", "NULL"],
        ),
        (
            "SELECT FirstName || ' ' || LastName FROM Customer WHERE Country = 'Brazil' ORDER BY LastName",
            &["Roberto Almeida"],
        ),
    ];
    answers(path, &questions).await;
}

#[tokio::test]
async fn northwind() {
    let Some(path) = at_hand("northwind.sql") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("northwind.db");
    let sqlite = Connection::open(&made).unwrap();
    sqlite.execute_batch("PRAGMA synchronous = OFF").unwrap();
    sqlite
        .execute_batch(&std::fs::read_to_string(path).unwrap())
        .unwrap();
    let views = "SELECT name FROM sqlite_schema WHERE type = 'view'";
    let mut statement = sqlite.prepare(views).unwrap();
    let views: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!views.is_empty());
    drop(statement);
    drop(sqlite);
    let questions: [(&str, &[&str]); 2] = [
        ("SELECT count(*) FROM [Order Details]", &["2155"]),
        (
            "SELECT CompanyName FROM Customers ORDER BY 1",
            &["Alfreds Futterkiste"],
        ),
    ];
    answers(made.clone(), &questions).await;
    let settings = [(String::from("northwind"), Database::at(made))].into();
    let databases = Databases::new(settings, &no_caches(), Guards::permissive(), Handle::current());
    let store = databases.get("northwind").unwrap();
    for view in views {
        ask(store, &format!("SELECT * FROM [{view}]")).await.unwrap();
    }
}
