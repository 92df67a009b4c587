//! Guards that a database of a native test behaves as one of the host's: what is
//! not granted is denied with the line to add, and what is wrong with a statement
//! is told where its rows are read.

use segue_sdk::prelude::*;
use segue_sdk::sql::{self, Records, Value};
use segue_sdk::test::{Call, FakeDatabase, call};

fn numbers(many: i64) -> Records {
    (0..many).fold(Records::new(["n"]), |records, n| records.row([n.into()]))
}

#[test]
fn what_is_not_granted_is_denied_with_the_line_to_add() {
    let run = call(
        |_, reply| {
            assert!(sql::databases().is_empty());
            let codes = [
                sql::query("shop", "SELECT 1", &[]).map(drop),
                sql::check("shop", "SELECT 1"),
                sql::tables("shop").map(drop),
                sql::dialect("shop").map(drop),
                sql::samples("shop", "a", "b", 1).map(drop),
            ];
            for denied in codes {
                let error = denied.unwrap_err();
                assert_eq!(error.code(), Error::CAPABILITY_DENIED);
                assert!(error.message().contains(r#"sql = ["shop"]"#), "{error}");
            }
            reply.send("denied")
        },
        "",
    );
    assert_eq!(run.text(), "denied");
}

#[test]
fn rows_come_in_batches_to_their_end() {
    let shop = FakeDatabase::new().on("SELECT n FROM numbers", numbers(250));
    let ask = |_: Message, reply: &mut Reply| {
        let all = sql::query("shop", "SELECT n\n  FROM numbers;", &[])?;
        assert_eq!(all.columns()?, ["n"]);
        let read: Vec<Vec<Value>> = all.collect::<Result<_>>()?;
        assert_eq!(read, numbers(250).rows);

        let mut rows = sql::query("shop", "SELECT n FROM numbers", &[])?;
        assert_eq!(rows.batch(7)?.len(), 7);
        assert_eq!(rows.next().transpose()?, Some(vec![7.into()]));
        // What the iteration read ahead comes before anything else.
        assert_eq!(rows.batch(2)?, [[8.into()], [9.into()]]);
        let rest = rows.all()?;
        assert_eq!((rest.len(), rest.value(0, 0)), (240, Some(&10.into())));
        reply.send("read")
    };
    let run = Call::text("").database("shop", shop.clone()).run(ask);
    assert_eq!(run.text(), "read", "{:?}", run.result);
    assert_eq!(shop.queries().len(), 2);
}

#[test]
fn a_bound_of_rows_is_told_at_the_end() {
    let shop = FakeDatabase::new().limit_rows(3).on("SELECT n", numbers(5));
    let run = Call::text("").database("shop", shop).run(|_, reply| {
        let mut rows = sql::query("shop", "SELECT n", &[])?;
        assert_eq!(rows.batch(10)?.len(), 3);
        assert!(!rows.truncated());
        assert!(rows.batch(10)?.is_empty() && rows.truncated());
        let records = sql::query("shop", "SELECT n", &[])?.all()?;
        assert!(records.truncated);
        reply.data(&records)
    });
    let expected = serde_json::json!({ "columns": ["n"], "rows": [[0], [1], [2]], "truncated": true });
    assert_eq!(run.data(), [&expected]);
}

#[test]
fn what_is_wrong_is_told_where_rows_are_read() {
    let wrong = Error::new(Error::QUERY_INVALID, "no such column: nmae");
    let shop = FakeDatabase::new().fails("SELECT nmae", wrong.clone());
    let run = Call::text("").database("shop", shop).run(move |_, reply| {
        let mut rows = sql::query("shop", "SELECT nmae", &[])?;
        assert_eq!(rows.columns(), Err(wrong.clone()));
        assert_eq!(rows.next(), Some(Err(wrong.clone())));
        assert_eq!(rows.next(), None);
        assert_eq!(sql::check("shop", "SELECT nmae"), Err(wrong));
        assert_eq!(sql::check("shop", "SELECT 1"), Ok(()));
        let unknown = sql::query("shop", "SELECT 1", &[])?.all().unwrap_err();
        assert!(unknown.message().contains("SELECT 1"), "{unknown}");
        reply.send("told")
    });
    assert_eq!(run.text(), "told");
}

#[test]
fn tables_are_declared_as_in_sql() {
    let shop = FakeDatabase::new()
        .view("totals", &["total NUMERIC(10,2)"])
        .table(
            "lines",
            &[
                "order_id INTEGER NOT NULL PRIMARY KEY REFERENCES orders(id)",
                "product INTEGER PRIMARY KEY REFERENCES products",
                "note",
            ],
        )
        .samples("lines", "note", ["gift", "fragile", "late"]);
    let run = Call::text("").database("shop", shop).run(|_, reply| {
        let tables = sql::tables("shop")?;
        let [lines, totals] = tables.as_slice() else {
            panic!("{tables:?}");
        };
        assert!(totals.is_view && totals.columns[0].decl_type == "NUMERIC(10,2)");
        let columns: Vec<_> = lines.columns.iter().collect();
        assert!(columns[0].not_null && columns[0].decl_type == "INTEGER");
        assert_eq!((columns[0].primary_key, columns[1].primary_key), (1, 2));
        assert_eq!((columns[2].decl_type.as_str(), columns[2].primary_key), ("", 0));
        let keys: Vec<_> = lines.foreign_keys.iter().collect();
        assert_eq!(
            (keys[0].table.as_str(), &*keys[0].references),
            ("orders", &["id".into()][..])
        );
        assert_eq!(
            (keys[1].table.as_str(), &*keys[1].references),
            ("products", &["product".into()][..])
        );
        assert_eq!(
            sql::samples("shop", "lines", "note", 2)?,
            ["gift".into(), "fragile".into()]
        );
        let unknown = sql::samples("shop", "lines", "none", 2).unwrap_err();
        assert_eq!(unknown.code(), Error::QUERY_INVALID);
        reply.send(sql::dialect("shop")?)
    });
    assert_eq!(run.text(), "sqlite", "{:?}", run.result);
}

#[test]
fn a_closure_answers_what_has_no_script() {
    let shop = FakeDatabase::new().answer_with(|sql, params| match params {
        [Value::Text(name)] => Ok(Records::new(["said"]).row([format!("{name}: {sql}").into()])),
        _ => Err(Error::new(Error::QUERY_INVALID, "wrong number of parameters")),
    });
    let run = Call::text("").database("shop", shop).run(|_, reply| {
        let said = sql::query("shop", "SELECT ?1", &["Ada".into()])?.all()?;
        assert!(sql::query("shop", "SELECT ?1", &[])?.all().is_err());
        reply.send(said.value(0, 0).and_then(Value::as_str).unwrap_or_default())
    });
    assert_eq!(run.text(), "Ada: SELECT ?1");
}
