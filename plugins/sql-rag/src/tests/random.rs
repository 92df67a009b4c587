//! Whatever is asked, what comes of it is one statement that the database runs.

use super::database::Sqlite;
use super::shop::shop;

/// Pieces of questions, as likely to fit together as not.
const PIECES: &[&str] = &[
    "how many",
    "number of",
    "top 3",
    "the cheapest",
    "the most expensive",
    "average",
    "total",
    "list",
    "which",
    "what is the",
    "customers",
    "orders",
    "products",
    "reviews",
    "order items",
    "categories",
    "countries",
    "customer",
    "order",
    "product",
    "price",
    "rating",
    "total",
    "stock",
    "name",
    "email",
    "city",
    "status",
    "quantity",
    "created",
    "month",
    "year",
    "revenue",
    "by",
    "per",
    "for each",
    "of",
    "from",
    "in",
    "with",
    "and",
    "or",
    "who",
    "that",
    "are",
    "is",
    "have",
    "has",
    "the",
    "their",
    ",",
    "Lisbon",
    "Portugal",
    "Ana Lopes",
    "Desk Lamp",
    "cancelled",
    "Furniture",
    "2023",
    "5",
    "100",
    "$50",
    "order 3",
    "more than",
    "at least",
    "between 10 and 100",
    "in 2023",
    "since 2023-06",
    "the most",
    "the fewest",
    "highest",
    "cheaper than",
    "bought",
    "sold",
    "did",
    "spent the most",
    "best selling",
    "sorted by",
    "alphabetically",
    "descending",
    "different",
    "units sold",
    "starting with",
    "'s",
    "not",
    "first",
    "last 2",
    "newest first",
    "monthly",
    "does",
    "placed",
    "how much",
];

/// A number from the last one (Knuth's MMIX).
fn next(seed: &mut u64) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap()
}

fn run(db: &Sqlite, rounds: usize, seed: u64) -> usize {
    let mut seed = seed;
    let mut read = 0;
    for _ in 0..rounds {
        let count = 2 + next(&mut seed) % 7;
        let pieces: Vec<&str> = (0..count)
            .map(|_| PIECES[next(&mut seed) % PIECES.len()])
            .collect();
        let question = pieces.join(" ");
        let Ok(query) = db.understand(&question) else {
            continue;
        };
        read += 1;
        let records = db.records(&query.sql, &query.params);
        let records = records.unwrap_or_else(|error| panic!("{question}: {error}"));
        assert!(
            query.sql.starts_with("SELECT ") && !query.sql.contains(';'),
            "{question}"
        );
        assert!(!crate::say::told(&query, &records, 50).is_empty());
    }
    read
}

#[test]
fn every_statement_runs() {
    let read = run(&shop(), 1500, 1);
    assert!(read > 15, "{read}");
}
