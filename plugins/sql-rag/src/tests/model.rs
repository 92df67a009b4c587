//! A scripted model in front of a real database.

use segue_sdk::Error;
use segue_sdk::test::{Call, FakeModel, Run};

use super::handler::granted;
use super::shop::shop;
use crate::sql_rag;

fn call(question: &str, model: &FakeModel) -> Call {
    Call::text(question)
        .database("shop", granted(shop()))
        .model("main", model.clone())
}

fn ask(question: &str, model: &FakeModel) -> Run {
    call(question, model).run(sql_rag)
}

#[test]
fn the_model_writes_the_statement() {
    let sql = "SELECT count(*) AS customers FROM customers";
    let model = FakeModel::saying([format!("Here you are:\n```sql\n{sql};\n```\nIt counts them.")]);
    let run = ask("how many people buy from us, roughly?", &model);
    assert_eq!(run.data()[0]["sql"], sql);
    assert_eq!(run.data()[0]["params"], serde_json::json!([]));
    assert_eq!(run.data()[0]["rows"], serde_json::json!([[5]]));
    assert_eq!(run.text(), "customers: 5.");
    assert_eq!(
        run.statuses(),
        ["reading the schema", "asking main for SQL", "asking shop"]
    );
    assert_eq!(model.asked()[0].temperature, Some(0.0));
    assert_eq!(
        model.asked()[0].last_user(),
        "how many people buy from us, roughly?"
    );
}

#[test]
fn it_is_told_the_part_of_the_schema_that_matters() {
    let model = FakeModel::saying(["SELECT 1 AS one"]);
    let database = granted(shop()).samples("customers", "city", ["Lisbon", "Rome"]);
    let call = Call::text("which customers from Lisbon bought lamps?").database("shop", database);
    assert!(call.model("main", model.clone()).run(sql_rag).result.is_ok());
    let system = model.asked()[0].system();
    assert!(
        system.contains("table customers(\n  id INTEGER PRIMARY KEY\n"),
        "{system}"
    );
    assert!(
        system.contains("city TEXT -- such as 'Lisbon', 'Rome'"),
        "{system}"
    );
    assert!(system.contains("customers.city = 'Lisbon'"), "{system}");
    assert!(!system.contains("table reviews"), "{system}");

    // Tables that only join what the words touch are there too; where no word
    // touches any, all are.
    for (question, tables) in [
        (
            "what do customers think of which products",
            &["customers", "products", "reviews"][..],
        ),
        (
            "how is it going",
            &["customers", "products", "reviews", "orders", "order_items"],
        ),
    ] {
        let model = FakeModel::saying(["SELECT 1 AS one"]);
        ask(question, &model);
        let system = model.asked()[0].system();
        for table in tables {
            assert!(
                system.contains(&format!("table {table}(")),
                "{question}: {system}"
            );
        }
    }
}

#[test]
fn it_repairs_from_the_databases_own_words() {
    let model = FakeModel::saying([
        "SELECT nmae FROM customers",
        "```sql\nSELECT name FROM customers WHERE id = 1\n```",
    ]);
    let run = ask("who is the first customer?", &model);
    assert_eq!(run.text(), "name: Ana Lopes.");
    let asked = model.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[1].last_user().contains("no such column: nmae"),
        "{}",
        asked[1].last_user()
    );
    assert!(asked[1].text().contains("SELECT nmae FROM customers"));
    assert_eq!(run.data().len(), 1);
}

#[test]
fn after_two_repairs_it_gives_up_in_the_databases_error() {
    let model = FakeModel::answering(|_| Ok("SELECT nmae FROM customers".into()));
    let run = ask("who is the first customer?", &model);
    assert_eq!(model.asked().len(), 3);
    assert!(run.data().is_empty() && run.text().is_empty());
    let error = run.result.unwrap_err();
    assert_eq!(error.code(), "query_invalid");
    assert!(error.message().contains("no such column: nmae"), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn writes_and_second_statements_are_refused() {
    for wrong in [
        "DELETE FROM customers",
        "SELECT 1; DROP TABLE customers",
        "```sql\nUPDATE products SET price = 0\n```",
    ] {
        let model = FakeModel::answering(move |_| Ok(wrong.into()));
        let run = ask("tidy up", &model);
        assert_eq!(model.asked().len(), 3);
        assert_eq!(run.result.unwrap_err().code(), "query_forbidden", "{wrong}");
    }
    let model = FakeModel::saying(["DELETE FROM customers", "SELECT count(*) AS n FROM customers"]);
    assert_eq!(ask("tidy up", &model).text(), "n: 5.");
}

#[test]
fn prose_without_a_statement_is_repaired_too() {
    let model = FakeModel::saying(["I would count them.", "SELECT count(*) AS n FROM orders"]);
    assert_eq!(ask("how many orders?", &model).text(), "n: 8.");
    let model = FakeModel::answering(|_| Ok("I would rather not.".into()));
    assert_eq!(
        ask("how many orders?", &model).result.unwrap_err().code(),
        "query_invalid"
    );
}

#[test]
fn it_may_say_that_the_database_cannot_tell() {
    let model = FakeModel::saying(["NONE: there is no weather here"]);
    let run = ask("what is the weather in Lisbon?", &model);
    assert_eq!(
        run.text(),
        "The database does not hold what it takes to answer that."
    );
    assert!(run.data().is_empty() && run.result.is_ok());
}

#[test]
fn a_failing_model_is_passed_on() {
    let limited = Error::new("upstream_rate_limited", "too many requests").retryable();
    let run = ask("how many orders?", &FakeModel::default().then_fails(limited));
    assert_eq!(run.result.unwrap_err().code(), "upstream_rate_limited");
    let cut = Error::new("upstream_failed", "cut off");
    let run = ask(
        "how many orders?",
        &FakeModel::default().then_breaks("SELECT count(*) FROM", cut),
    );
    assert!(run.data().is_empty());
    assert_eq!(run.result.unwrap_err().code(), "upstream_failed");
}

#[test]
fn a_failing_database_is_no_fault_of_the_models() {
    let database = granted(shop()).answer_with(|_, _| Err(Error::new("query_timeout", "too long")));
    let model = FakeModel::saying(["SELECT 1 AS one"]);
    let call = Call::text("how many orders?")
        .database("shop", database)
        .model("main", model.clone());
    assert_eq!(call.run(sql_rag).result.unwrap_err().code(), "query_timeout");
    assert_eq!(model.asked().len(), 1);
}

#[test]
fn it_words_the_answer_only_if_told_to() {
    let sql = "SELECT name, price FROM products ORDER BY price DESC LIMIT 2";
    let run = ask("dearest things?", &FakeModel::saying([sql]));
    assert_eq!(run.text(), "2 rows: Oak Table (420), Reading Chair (199).");
    let model = FakeModel::saying([sql, "The Oak Table, at 420."]);
    let run = call("dearest things?", &model)
        .setting("summarise", true)
        .run(sql_rag);
    assert_eq!(run.text(), "The Oak Table, at 420.");
    assert_eq!(run.data().len(), 1);
    assert_eq!(
        model.asked()[1].material(),
        [("rows", "name | price\nOak Table | 420\nReading Chair | 199")]
    );
    // There is nothing to word where there is no row.
    let model = FakeModel::saying(["SELECT name FROM products WHERE price > 1000"]);
    let run = call("anything above 1000?", &model)
        .setting("summarise", true)
        .run(sql_rag);
    assert_eq!(run.text(), "Nothing matches.");
}

#[test]
fn which_model_is_plain() {
    let question = || Call::text("how many orders?").database("shop", granted(shop()));
    let says = |text: &str| FakeModel::saying([text]);
    let one = says("SELECT 1 AS one");
    let run = question()
        .model("offline", FakeModel::offline())
        .model("main", one)
        .run(sql_rag);
    assert_eq!(run.text(), "one: 1.");
    let two = || {
        question()
            .model("a", says("SELECT 1 AS one"))
            .model("b", says("SELECT 2 AS two"))
    };
    assert_eq!(two().setting("model", "b").run(sql_rag).text(), "two: 2.");
    assert!(
        two()
            .run(sql_rag)
            .result
            .unwrap_err()
            .detail()
            .unwrap()
            .contains("[settings] model")
    );
    let run = two().setting("model", "c").run(sql_rag);
    assert_eq!(run.result.unwrap_err().code(), "capability_denied");
}

#[test]
fn a_question_has_bounds() {
    for question in ["  ", &"why ".repeat(4000)] {
        let run = ask(question, &FakeModel::saying(["SELECT 1"]));
        assert_eq!(run.result.unwrap_err().code(), "invalid_argument");
    }
}
