//! Databases at the bounds of what is looked at: what is asked of them keeps
//! within a host's bounds of a statement, which `Sqlite` has as well.

use super::database::Sqlite;

#[test]
fn many_columns_and_many_words_take_several_statements() {
    let mut script = String::new();
    for table in 0..60 {
        let columns: Vec<String> = (0..8)
            .map(|column| format!("c{column} TEXT, d{column}_at TEXT, is_e{column} BOOL"))
            .collect();
        script.push_str(&format!(
            "CREATE TABLE t{table} (id INTEGER PRIMARY KEY, {});",
            columns.join(", ")
        ));
    }
    script.push_str("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO things VALUES (1, 'Gadget'), (2, 'Tool');");
    let db = Sqlite::from_script(&script);
    assert_eq!(db.ask("how many things are there").rows[0][0], 2.into());
    let long: Vec<String> = (0..58).map(|word| format!("word{word}")).collect();
    assert!(db.understand(&long.join(" ")).is_err());
}

#[test]
fn keys_of_several_columns_join_by_all_of_them() {
    let db = Sqlite::from_script(
        "CREATE TABLE rooms (hotel INTEGER, number INTEGER, kind TEXT, price REAL, PRIMARY KEY (hotel, number));
         CREATE TABLE stays (id INTEGER PRIMARY KEY, hotel INTEGER, room INTEGER, nights INTEGER,
             FOREIGN KEY (hotel, room) REFERENCES rooms (hotel, number));
         INSERT INTO rooms VALUES (1, 1, 'single', 50), (1, 2, 'suite', 200), (2, 1, 'suite', 180), (2, 2, 'single', 40);
         INSERT INTO stays VALUES (1, 1, 2, 3), (2, 2, 1, 1), (3, 2, 1, 2), (4, 1, 1, 5);",
    );
    db.same(
        "VALUES ('suite', 3), ('single', 1)",
        &["kind", "stays"],
        &["number of stays by kind", "stays per room kind"],
    );
    db.same("VALUES (3), (1), (2)", &["nights"], &["stays in suite rooms"]);
    db.same(
        "VALUES (1, 2), (2, 1)",
        &["hotel", "number"],
        &["rooms with stays of less than 5 nights"],
    );
    // The rows of such a table cannot be counted across a join.
    db.declines(&["number of rooms by nights"]);
}

#[test]
fn tables_and_columns_of_odd_names_are_quoted() {
    let db = Sqlite::from_script(
        "CREATE TABLE \"order\" (\"group\" INTEGER PRIMARY KEY, \"the name\" TEXT, \"a\"\"b total\" REAL);
         INSERT INTO \"order\" VALUES (1, 'x', 2.5), (2, 'y', 3.5);",
    );
    assert_eq!(db.ask("how many orders are there").rows[0][0], 2.into());
    db.same(
        "VALUES (2)",
        &["group"],
        &["the largest order", "orders with the name y"],
    );
}

#[test]
fn columns_that_say_yes_or_no() {
    let db = Sqlite::from_script(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, is_active BOOLEAN, verified TEXT, blocked INTEGER);
         INSERT INTO users VALUES (1, 'Ana', 1, 'yes', 0), (2, 'Ben', 0, 'no', 0), (3, 'Eva', 1, 'no', 0);",
    );
    db.same(
        "VALUES ('Ana'), ('Eva')",
        &["name"],
        &["active users", "which users are active?"],
    );
    db.same(
        "VALUES (1)",
        &["users"],
        &["how many verified users are there", "how many users are verified"],
    );
    assert_eq!(
        db.told("how many users are blocked"),
        "There are no users where blocked is set."
    );
}

#[test]
fn dates_that_are_no_iso_dates_are_not_read() {
    let script = |day: &str| {
        format!(
            "CREATE TABLE sales (id INTEGER PRIMARY KEY, sold_at TEXT, total REAL); INSERT INTO sales VALUES (1, '{day}', 5);"
        )
    };
    let iso = Sqlite::from_script(&script("2024-02-29T10:00:00Z"));
    for question in [
        "sales in 2024",
        "sales in February 2024",
        "sales on 2024-02-29",
        "sales since 2024-02-29",
        "sales until 2024",
    ] {
        assert_eq!(iso.ask(question).len(), 1, "{question}");
    }
    for question in [
        "sales before 2024-02-29",
        "sales after 2024-02-29",
        "sales in March 2024",
    ] {
        assert!(iso.ask(question).is_empty(), "{question}");
    }
    Sqlite::from_script(&script("29/02/2024")).declines(&["sales in 2024", "sales per month"]);
}
