//! The measure lets through what people and models write, and nothing that
//! grows without bound.

use super::*;

fn pieces(sql: &str) -> u64 {
    Plan::of(&tokens::read(sql)).pieces()
}

/// `SELECT x+x AS x FROM (SELECT x+x AS x FROM (...))`.
fn nested(levels: usize, column: &str) -> String {
    let inner = String::from("(SELECT a AS x FROM t)");
    (0..levels).fold(inner, |inner, _| format!("(SELECT {column} AS x FROM {inner})"))
}

/// The same as a chain of common table expressions, first or last one first.
fn chained(levels: usize, column: &str, reversed: bool) -> String {
    let link = |at: usize| format!("C{at}(x) AS NOT MATERIALIZED (SELECT {column} FROM c{})", at - 1);
    let mut links: Vec<String> = (1..=levels).map(link).collect();
    links.insert(0, String::from("c0 AS (SELECT a AS x FROM t)"));
    if reversed {
        links.reverse();
    }
    format!("WITH {} SELECT x FROM \"c{levels}\"", links.join(", "))
}

#[test]
fn doubling_is_seen_however_it_is_written() {
    for column in [
        "x+x",
        "max(x, x)",
        "CASE WHEN x THEN x END",
        "x IS DISTINCT FROM x",
        "x/* from */|| \"x\"",
        "[x] -- ,\n + `x`",
        "(SELECT x + x)",
        "t.x ESCAPE x",
        "x BETWEEN 1 AND x",
        "1 IN (x, x)",
        "count(*) FILTER (WHERE x > x)",
        "sum(x) OVER (PARTITION BY x ORDER BY x)",
    ] {
        let all = [
            format!("SELECT * FROM {}", nested(24, column)),
            chained(24, column, false),
            chained(24, column, true),
        ];
        for sql in all {
            assert!(check(&sql).is_err(), "{sql}: {}", pieces(&sql));
        }
    }
}

#[test]
fn a_chain_of_aliases_in_correlated_queries_is_seen() {
    let inner = (1..25).rev().fold(String::from("1"), |inner, at| {
        let before = at - 1;
        format!("(SELECT y{before} + y{before} AS y{at} FROM t WHERE {inner})")
    });
    assert!(check(&format!("SELECT a AS y0 FROM t WHERE {inner}")).is_err());
}

#[test]
fn common_table_expressions_that_double_are_seen() {
    let links = (1..25).fold(String::from("WITH c0 AS (SELECT 1 AS x)"), |links, at| {
        let before = at - 1;
        format!("{links}, c{at} AS (SELECT x FROM c{before} UNION ALL SELECT x FROM c{before})")
    });
    assert!(check(&format!("{links} SELECT x FROM c24")).is_err());
}

#[test]
fn a_name_is_the_same_however_it_is_quoted_and_whatever_hides_it() {
    let links = (1..25)
        .rev()
        .fold(String::from("WITH x AS (SELECT 1)"), |links, at| {
            let before = at - 1;
            format!("{links}, \"c\"\"{at}\" AS (SELECT x + x AS x FROM [C\"{before}])")
        });
    let links = format!("{links}, 'c\"0' AS (SELECT a AS x FROM t)");
    assert!(check(&format!("{links} SELECT x FROM `c\"24`")).is_err());
    let hidden: Vec<String> = (0..25)
        .map(|at| format!("`c\"{at}` AS (SELECT 1 AS x)"))
        .collect();
    let hidden = hidden.join(", ");
    assert!(
        check(&format!(
            "{links} SELECT x, (WITH {hidden} SELECT 1) FROM `c\"24`"
        ))
        .is_err()
    );
}

#[test]
fn stars_and_ordinals_are_counted_as_what_they_stand_for() {
    let wide = chained(12, "x+x", false).replace("SELECT x FROM", "SELECT x, x, x, x, x, x FROM");
    check(&wide).unwrap();
    let stars = (0..12).fold(format!("({wide})"), |inner, at| {
        format!("(WITH s{at} AS NOT MATERIALIZED {inner} SELECT * FROM s{at} a, s{at} b)")
    });
    assert!(check(&format!("SELECT 1 FROM {stars}")).is_err());
    let ordinals = vec!["1"; 500].join(", ");
    assert!(check(&format!("{} ORDER BY {ordinals}", chained(12, "x+x", false))).is_err());
}

#[test]
fn windows_that_are_named_are_counted_as_often_as_they_are_used() {
    let uses = vec!["sum(a) OVER w"; 450].join(", ");
    let keys = vec!["a"; 5000].join(", ");
    let sql = format!("SELECT {uses} FROM t WINDOW w AS (PARTITION BY {keys})");
    assert!(check(&sql).is_err());
    check("SELECT sum(a) OVER w, avg(a) OVER w, max(a) OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY c, d)")
        .unwrap();
}

#[test]
fn a_common_table_expression_may_bear_the_name_of_a_column() {
    check(
        "WITH orders AS (SELECT o.customer, customer AS c, max(customer, 1) FROM o WHERE customer > 0),
         customer AS (SELECT * FROM orders JOIN o ON orders.customer = o.id)
         SELECT customer FROM orders, customer",
    )
    .unwrap();
    check("WITH a AS (WITH a AS (SELECT b FROM t) SELECT b FROM a) SELECT b FROM a").unwrap();
}

#[test]
fn links_that_lead_nowhere_hide_no_chain() {
    // Each link also names a later one, in a scope where that is another.
    let links: Vec<String> = (1..30)
        .map(|at| {
            let (before, after) = (at - 1, at + 1);
            format!(
                "c{at} AS (SELECT x + x AS x FROM c{before} WHERE (WITH c{after} AS (SELECT 1) SELECT 1 FROM c{after}))"
            )
        })
        .collect();
    let links = links.join(", ");
    let sql = format!("WITH c0 AS (SELECT a AS x FROM t), {links} SELECT 1 FROM c2, c4, c8, c29");
    assert!(check(&sql).is_err());
}

#[test]
fn what_stands_beside_each_other_adds_up_and_does_not_multiply() {
    let arms: Vec<String> = (0..90)
        .map(|at| format!("SELECT first || ' ' || last AS name, sum(total * {at}) AS total FROM t"))
        .collect();
    check(&arms.join(" UNION ALL ")).unwrap();
    let values: Vec<String> = (0..90)
        .map(|at| format!("(SELECT max(a + b + c) FROM t WHERE a > {at} AND b < c)"))
        .collect();
    check(&format!("SELECT {}", values.join(", "))).unwrap();
}

#[test]
fn a_long_analysis_is_far_from_the_bound() {
    let sql = "
        WITH RECURSIVE days(day) AS (SELECT date('2013-01-01') UNION ALL SELECT date(day, '+1 day') FROM days WHERE day < '2013-12-31'),
        spent AS (SELECT CustomerId, sum(Total) AS spent, count(*) AS n FROM Invoice GROUP BY CustomerId),
        people AS (SELECT c.CustomerId, c.FirstName || ' ' || c.LastName AS name, c.Country AS country, s.spent, s.n
                   FROM Customer c JOIN spent s ON s.CustomerId = c.CustomerId),
        countries AS (SELECT country, avg(spent) AS mean, max(spent) AS top FROM people GROUP BY country),
        bands AS (SELECT p.name, p.country, p.spent, k.mean, CASE WHEN p.spent > k.mean * 1.2 THEN 'high'
                  WHEN p.spent < k.mean * 0.8 THEN 'low' ELSE 'mid' END AS band
                  FROM people p JOIN countries k ON k.country = p.country)
        SELECT band, country, count(*) AS k, round(avg(spent - mean), 2) AS diff,
               row_number() OVER (PARTITION BY band ORDER BY avg(spent - mean) DESC) AS place
        FROM bands GROUP BY band, country HAVING count(*) > 1 ORDER BY band, place LIMIT 50";
    check(sql).unwrap();
    assert!(pieces(sql) < PIECES_MAX / 100, "{}", pieces(sql));
}

#[test]
fn a_hundred_selects_are_enough() {
    let sql = vec!["SELECT 1"; 101].join(" UNION ALL ");
    assert!(check(&sql).unwrap_err().contains("101 SELECTs"));
}

#[test]
fn whatever_is_written_is_measured_without_harm() {
    for sql in [
        "",
        "'",
        "\"",
        "[",
        "`",
        "/*",
        "--",
        "(",
        ")",
        "))))",
        "((((",
        "SELECT",
        "SELECT (",
        ") SELECT",
        "x'",
        "AS (",
        "a AS (SELECT",
        ",,,",
        "$",
        "?",
        "1e",
        ".",
        "..5",
        "é\u{a0}ß",
        "SELECT 'é",
        "\u{0}",
    ] {
        let _ = check(sql);
    }
    let _ = check(&"(".repeat(60_000));
    let _ = check(&"SELECT (".repeat(90));
}
