use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

const TABLES: [&str; 5] = ["customers", "products", "orders", "order_items", "reviews"];

struct File {
    _folder: tempfile::TempDir,
    shop: Connection,
}

fn shop() -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    super::write(&path).unwrap();
    File {
        shop: Connection::open(path).unwrap(),
        _folder: folder,
    }
}

impl File {
    fn number(&self, sql: &str) -> i64 {
        self.shop.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// FNV-1a over every value of every row, in order.
    fn digest(&self) -> u64 {
        let mut text = String::new();
        for table in TABLES {
            let mut all = self
                .shop
                .prepare(&format!("SELECT * FROM {table} ORDER BY id"))
                .unwrap();
            let columns = all.column_count();
            let mut rows = all.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..columns {
                    match row.get_ref(column).unwrap() {
                        ValueRef::Text(value) => text.push_str(std::str::from_utf8(value).unwrap()),
                        value => write!(text, "{value:?}").unwrap(),
                    }
                    text.push('|');
                }
            }
        }
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

#[test]
fn every_run_makes_the_same_rows() {
    // A new number is in order when the generator was changed on purpose.
    assert_eq!(shop().digest(), 4_382_231_223_171_529_084);
}

#[test]
fn rows_are_tens_of_thousands() {
    let file = shop();
    let counts = TABLES.map(|table| file.number(&format!("SELECT count(*) FROM {table}")));
    assert_eq!(counts, [3000, 400, 10_000, 23_865, 5149]);
}

#[test]
fn totals_are_exactly_the_sum_of_the_items() {
    let wrong = "SELECT count(*) FROM orders WHERE total IS NOT
        (SELECT sum(quantity * unit_price) FROM order_items WHERE order_id = orders.id)";
    assert_eq!(shop().number(wrong), 0);
}

#[test]
fn what_refers_to_something_finds_it() {
    let file = shop();
    let mut broken = file.shop.prepare("PRAGMA foreign_key_check").unwrap();
    assert!(!broken.exists([]).unwrap());
    let keys = "SELECT count(*) FROM pragma_table_list AS t, pragma_foreign_key_list(t.name)";
    assert_eq!(file.number(keys), 5);
}

#[test]
fn nothing_happens_before_its_time() {
    let file = shop();
    for wrong in [
        "SELECT count(*) FROM orders JOIN customers ON customers.id = customer_id WHERE ordered_at < created_at",
        "SELECT count(*) FROM reviews WHERE NOT EXISTS
            (SELECT 1 FROM orders JOIN order_items ON order_id = orders.id
             WHERE orders.customer_id = reviews.customer_id AND order_items.product_id = reviews.product_id
               AND status = 'delivered' AND ordered_at < created_at)",
        "SELECT count(*) FROM orders WHERE ordered_at NOT BETWEEN '2023-01-01' AND '2025-12-31'",
        "SELECT count(*) FROM reviews WHERE created_at NOT BETWEEN '2023-01-01' AND '2025-12-31'",
    ] {
        assert_eq!(file.number(wrong), 0, "{wrong}");
    }
}

#[test]
fn it_looks_like_a_shop() {
    let file = shop();
    for (claim, sql) in [
        (
            "it grows",
            "SELECT sum(ordered_at >= '2025') > sum(ordered_at < '2024') FROM orders",
        ),
        (
            "December is the best month",
            "SELECT strftime('%m', ordered_at) = '12' FROM orders GROUP BY strftime('%m', ordered_at)
             ORDER BY count(*) DESC LIMIT 1",
        ),
        (
            "one product in ten makes a third of what is sold",
            "SELECT 3 * sum(n) > (SELECT sum(quantity) FROM order_items) FROM
             (SELECT sum(quantity) AS n FROM order_items GROUP BY product_id ORDER BY n DESC LIMIT 40)",
        ),
        (
            "some have never bought",
            "SELECT count(*) > (SELECT count(DISTINCT customer_id) FROM orders) FROM customers",
        ),
        (
            "most parcels arrive",
            "SELECT avg(status = 'delivered') > 0.8 FROM orders",
        ),
        (
            "all that can happen does",
            "SELECT count(DISTINCT status) = 5 FROM orders",
        ),
        (
            "opinions differ",
            "SELECT count(DISTINCT rating) = 5 AND avg(rating) > 3 FROM reviews",
        ),
        (
            "some only give stars",
            "SELECT count(*) > count(comment) FROM reviews",
        ),
        ("something is sold out", "SELECT min(stock) = 0 FROM products"),
        (
            "a city lies in one country",
            "SELECT max(n) = 1 FROM (SELECT count(DISTINCT country) AS n FROM customers GROUP BY city)",
        ),
    ] {
        assert_eq!(file.number(sql), 1, "{claim}");
    }
}
