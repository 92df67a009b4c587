use super::database::*;
use crate::link::Database as _;
#[test]
#[ignore]
fn probe() {
    let which = std::env::var("DB").unwrap_or("chinook".into());
    let db = match &*which {
        "northwind" => northwind(),
        "shop" => Some(super::shop::shop()),
        "demo" => Some(Sqlite::new(
            rusqlite::Connection::open("/work/main/target/demo/shop.db").unwrap(),
        )),
        _ => chinook(),
    }
    .unwrap();
    for question in std::fs::read_to_string(std::env::var("QS").unwrap())
        .unwrap()
        .lines()
    {
        if question.trim().is_empty() {
            continue;
        }

        let t = std::time::Instant::now();
        let u = db.understand(question);
        println!("TIME {:?}", t.elapsed());
        match u {
            Ok(query) => {
                let rows = db.query(&query.sql, &query.params);
                println!(
                    "Q {question}\n   {} {:?}",
                    query.sql.chars().take(420).collect::<String>(),
                    query.params
                );
                match rows {
                    Ok(rows) => {
                        println!(
                            "   {} rows: {:?}",
                            rows.len(),
                            rows.iter().take(2).collect::<Vec<_>>()
                        );
                        let mut r = segue_sdk::sql::Records::new(["x"]);
                        r.rows = rows;
                        println!("   SAYS {}", crate::say::told(&query, &r, 50));
                    }
                    Err(e) => println!("   FAILED {e}"),
                }
            }
            Err(unread) => println!(
                "Q {question}\n   UNREAD {}",
                crate::say::declined(&unread, &db.schema)
            ),
        }
    }
}
