//! The handler as the host calls it, on a real database behind the SDK's fakes.

use std::rc::Rc;

use segue_sdk::sql::{Column, ForeignKey, Table};
use segue_sdk::test::{Call, FakeDatabase, FakeModel, Run, Sent};
use segue_sdk::{Error, sql};

use super::database::Sqlite;
use super::shop::shop;
use crate::sql_rag;

/// A real database in the place of the host's.
pub(super) fn granted(db: Sqlite) -> FakeDatabase {
    let mut fake = FakeDatabase::new();
    for table in &db.schema.tables {
        let column = |column: &crate::schema::Column| Column {
            name: column.name.clone(),
            decl_type: column.declared.clone(),
            not_null: false,
            primary_key: column.primary,
        };
        let key = |key: &crate::schema::Reference| ForeignKey {
            columns: key.columns.clone(),
            table: key.table.clone(),
            references: key.to.clone(),
        };
        fake = fake.declared(Table {
            name: table.name.clone(),
            is_view: table.view,
            columns: table.columns.iter().map(column).collect(),
            foreign_keys: table.references.iter().map(key).collect(),
        });
    }
    let db = Rc::new(db);
    let checked = Rc::clone(&db);
    fake.answer_with(move |sql, params| db.records(sql, params))
        .check_with(move |sql| {
            if sql.contains(';') || !(sql.starts_with("SELECT") || sql.starts_with("WITH")) {
                return Err(Error::new("query_forbidden", "only one SELECT"));
            }
            let prepared = checked.connection.prepare(sql).map(|_| ());
            prepared.map_err(|error| Error::new("query_invalid", error.to_string()))
        })
}

fn ask(question: &str) -> Run {
    Call::text(question)
        .database("shop", granted(shop()))
        .run(sql_rag)
}

#[test]
fn sends_the_statement_the_rows_and_a_sentence() {
    let run = ask("customers in Lisbon");
    let [
        Sent::Status(first),
        Sent::Status(second),
        Sent::Data(data),
        Sent::Chunk(text),
    ] = &*run.sent
    else {
        panic!("{:?}", run.sent);
    };
    assert_eq!((&**first, &**second), ("reading the schema", "asking shop"));
    assert_eq!(data["kind"], "sql");
    assert_eq!(data["database"], "shop");
    assert_eq!(data["params"], serde_json::json!(["Lisbon"]));
    assert!(
        data["sql"]
            .as_str()
            .unwrap()
            .ends_with("WHERE customers.city = ?1 ORDER BY customers.id")
    );
    assert_eq!(data["columns"][1], "name");
    assert_eq!(data["rows"][1][1], "Duarte Reis");
    assert_eq!(data["truncated"], false);
    assert_eq!(text, "2 customers where city is Lisbon: Ana Lopes, Duarte Reis.");
    assert!(run.result.is_ok());
}

#[test]
fn declines_without_data() {
    let run = ask("which customers are unhappy");
    assert!(run.data().is_empty());
    assert!(
        run.text()
            .starts_with("I cannot read that question without a model"),
        "{}",
        run.text()
    );
    assert!(run.result.is_ok());
}

#[test]
fn a_model_that_does_not_generate_is_none() {
    let call = Call::text("how many customers are there").database("shop", granted(shop()));
    let run = call.model("offline", FakeModel::offline()).run(sql_rag);
    assert_eq!(run.text(), "There are 5 customers.");
}

#[test]
fn shows_so_many_rows_and_says_of_how_many() {
    let call = Call::text("list the orders")
        .database("shop", granted(shop()))
        .setting("max_rows", 3);
    let run = call.run(sql_rag);
    assert_eq!(run.data()[0]["rows"].as_array().unwrap().len(), 3);
    assert_eq!(run.data()[0]["truncated"], true);
    assert_eq!(
        run.text(),
        "8 orders: 1, 2, 3, 4, 5, 6, 7, 8. The table has the first 3."
    );
    let call = Call::text("list the orders").database("shop", granted(shop()).limit_rows(4));
    let text = call.run(sql_rag).text();
    assert!(
        text.ends_with("There are more rows than the database gives at once."),
        "{text}"
    );
}

#[test]
fn chooses_the_database() {
    let tiny = || {
        granted(Sqlite::from_script(
            "CREATE TABLE cats (id INTEGER PRIMARY KEY); INSERT INTO cats VALUES (1);",
        ))
    };
    let both = || {
        Call::text("how many cats are there")
            .database("shop", granted(shop()))
            .database("pets", tiny())
    };
    let run = both().run(sql_rag);
    let error = run.result.unwrap_err();
    assert_eq!(error.code(), "invalid_argument");
    assert!(error.message().contains("shop, pets"), "{error}");
    assert_eq!(
        both().meta("database", "pets").run(sql_rag).text(),
        "There is 1 cat."
    );
    assert_eq!(
        both().setting("database", "pets").run(sql_rag).text(),
        "There is 1 cat."
    );
    // The operator's word stands.
    let pinned = both()
        .setting("database", "shop")
        .meta("database", "pets")
        .run(sql_rag);
    assert!(pinned.text().starts_with("I cannot read"), "{}", pinned.text());
    let stranger = both().meta("database", "payroll").run(sql_rag);
    assert_eq!(stranger.result.unwrap_err().code(), "capability_denied");
    let none = Call::text("how many cats are there")
        .run(sql_rag)
        .result
        .unwrap_err();
    assert_eq!(none.code(), "capability_denied");
    assert!(none.message().contains("[grants]"), "{none}");
}

#[test]
fn the_operators_own_words_are_known() {
    let call = || Call::text("how many punters are there").database("shop", granted(shop()));
    assert!(call().run(sql_rag).text().starts_with("I cannot read"));
    let synonyms = serde_json::json!({"punter": "customers", "takings": "orders.total"});
    let run = call().setting("synonyms", synonyms.clone()).run(sql_rag);
    assert_eq!(run.text(), "There are 5 customers.");
    let call = Call::text("sum of takings by status").database("shop", granted(shop()));
    let run = call.setting("synonyms", synonyms).run(sql_rag);
    assert_eq!(run.data()[0]["rows"][0][0], "delivered");
}

#[test]
fn wrong_settings_are_told_to_the_log() {
    for (key, value) in [
        ("max_rows", "many"),
        ("max_rows", "0"),
        ("summarise", "perhaps"),
        ("synonyms", "[1]"),
    ] {
        let call = Call::text("how many customers")
            .database("shop", granted(shop()))
            .setting(key, value);
        let error = call.run(sql_rag).result.unwrap_err();
        assert_eq!(error.code(), "handler_failed");
        assert!(error.detail().unwrap().contains(key), "{error}");
    }
}

#[test]
fn a_failure_of_the_database_is_passed_on() {
    let slow = || Err(Error::new("query_timeout", "interrupted after 5 s").retryable());
    let lookup = granted(shop()).answer_with(move |_, _| slow());
    let run = Call::text("customers in Lisbon")
        .database("shop", lookup)
        .run(sql_rag);
    let error = run.result.unwrap_err();
    assert_eq!(error.code(), "query_timeout");
    assert!(error.is_retryable());
    // The values were found, the answer took too long.
    let db = shop();
    let database = granted(shop()).answer_with(move |sql, params| {
        if sql.starts_with("SELECT COUNT") {
            slow()
        } else {
            db.records(sql, params)
        }
    });
    let run = Call::text("how many customers are in Lisbon")
        .database("shop", database)
        .run(sql_rag);
    assert!(run.data().is_empty());
    assert_eq!(run.result.unwrap_err().code(), "query_timeout");
}

#[test]
fn an_empty_database_is_told_of() {
    let run = Call::text("how many customers")
        .database("shop", FakeDatabase::new())
        .run(sql_rag);
    assert!(
        run.text().ends_with("The database has no tables."),
        "{}",
        run.text()
    );
}

#[test]
fn asks_the_database_little() {
    let database = granted(shop());
    let run = Call::text("top 3 categories by revenue in 2023")
        .database("shop", database.clone())
        .run(sql_rag);
    assert!(run.result.is_ok());
    // For the values, for the dates, for the answer.
    assert_eq!(database.queries().len(), 3);
    let all: Vec<_> = database
        .queries()
        .into_iter()
        .map(|query| query.sql.len())
        .collect();
    assert!(all.iter().all(|bytes| *bytes < 16 << 10), "{all:?}");
    let _: &[sql::Value] = &database.queries()[2].params;
}
