//! What is made again answers as what SQLite has built in, and in time.

use super::*;

/// Two connections: as SQLite is, and with the functions in place.
fn both() -> (Connection, Connection) {
    let built_in = Connection::open_in_memory().unwrap();
    let ours = Connection::open_in_memory().unwrap();
    let watch = Arc::new(Watch::default());
    replace_slow_ones(&ours, &watch, 1 << 20).unwrap();
    (built_in, ours)
}

fn ask(sqlite: &Connection, expression: &str) -> Result<rusqlite::types::Value, String> {
    sqlite
        .query_row(&format!("SELECT {expression}"), [], |row| row.get(0))
        .map_err(|error| error.to_string())
}

#[test]
fn they_answer_as_the_built_in_ones() {
    let (built_in, ours) = both();
    let values = [
        "NULL",
        "''",
        "'a'",
        "'abc'",
        "'ABCabc'",
        "'%'",
        "'a%'",
        "'_b%'",
        "'aaab'",
        "'ñandú'",
        "'n'",
        "'ú'",
        "0",
        "-12",
        "1.5",
        "1.0",
        "0.1",
        "100.0",
        "1e20",
        "-1e-7",
        "123456789.125",
        "x'6162'",
        "x'62'",
        "x''",
        "'[a-c]*'",
        "'*[0-9]'",
        "'2%'",
        "'%.5'",
        "'  a '",
        "9223372036854775807",
        "1e999",
    ];
    for a in values {
        for b in values {
            for expression in [
                format!("{a} LIKE {b}"),
                format!("{a} NOT LIKE {b}"),
                format!("{a} GLOB {b}"),
                format!("instr({a}, {b})"),
                format!("trim({a}, {b})"),
                format!("ltrim({a}, {b})"),
                format!("rtrim({a}, {b})"),
                format!("replace({a}, {b}, 'xy')"),
                format!("replace({a}, 'b', {b})"),
                format!("{a} LIKE {b} ESCAPE '%'"),
                format!("'a_%' LIKE {a} ESCAPE {b}"),
            ] {
                let (theirs, ours) = (ask(&built_in, &expression), ask(&ours, &expression));
                match (theirs, ours) {
                    (Ok(theirs), Ok(ours)) => {
                        assert_eq!(text_of(&theirs), text_of(&ours), "{expression}");
                    }
                    (Err(_), Err(_)) => {}
                    (theirs, ours) => panic!("{expression}: {theirs:?} {ours:?}"),
                }
            }
        }
    }
}

fn text_of(value: &rusqlite::types::Value) -> String {
    match value {
        rusqlite::types::Value::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        rusqlite::types::Value::Text(text) => text.clone(),
        rusqlite::types::Value::Real(real) => super::real(*real),
        value => format!("{value:?}")
            .trim_start_matches("Integer(")
            .trim_end_matches(')')
            .to_owned(),
    }
}

#[test]
fn a_pattern_is_not_kept_for_another_one() {
    let (built_in, ours) = both();
    let rows = "(SELECT 'a%' AS p, 'abc' AS t, '!' AS e UNION ALL SELECT '%c', 'abd', 'x' UNION ALL SELECT 'x%', '%', 'x')";
    for expression in [
        format!("(SELECT group_concat(t LIKE p) FROM {rows})"),
        format!("(SELECT group_concat(t LIKE 'a%') FROM {rows})"),
        format!("(SELECT group_concat('%' LIKE 'x%' ESCAPE e) FROM {rows})"),
        format!("(SELECT group_concat(t GLOB p || '*') FROM {rows})"),
    ] {
        assert_eq!(
            ask(&built_in, &expression),
            ask(&ours, &expression),
            "{expression}"
        );
    }
}

#[test]
fn long_texts_take_the_sum_of_their_lengths() {
    let (_, ours) = both();
    let long = "(SELECT printf('%.*c', 1000000, 'a'))";
    let wanted = "(SELECT printf('%.*c', 500000, 'a') || 'b')";
    // Built in, each of them takes minutes.
    assert_eq!(
        ask(&ours, &format!("instr({long}, {wanted})")),
        Ok(rusqlite::types::Value::Integer(0))
    );
    let blob = format!("instr(CAST({long} AS BLOB), CAST({wanted} AS BLOB))");
    assert_eq!(ask(&ours, &blob), Ok(rusqlite::types::Value::Integer(0)));
    let same = format!("length(replace({long}, {wanted}, 'c'))");
    assert_eq!(ask(&ours, &same), Ok(rusqlite::types::Value::Integer(1_000_000)));
    let empty = format!("trim({long}, {wanted})");
    assert_eq!(
        ask(&ours, &empty),
        Ok(rusqlite::types::Value::Text(String::new()))
    );
}

#[test]
fn a_replacement_is_no_longer_than_a_value_may_be() {
    let (_, ours) = both();
    let long = "(SELECT printf('%.*c', 1000000, 'a'))";
    let error = ask(&ours, &format!("replace({long}, 'a', {long})")).unwrap_err();
    assert!(error.contains("too big"), "{error}");
}

#[test]
fn bytes_are_found_wherever_they_are() {
    for (within, wanted, at) in [
        ("aabaabaaab", "aabaaa", Some(3)),
        ("abcabcabd", "abcabd", Some(3)),
        ("aaaa", "aaaaa", None),
        ("", "a", None),
        ("a", "", Some(0)),
        ("ab", "b", Some(1)),
    ] {
        assert_eq!(
            find(within.as_bytes(), wanted.as_bytes()),
            at,
            "{within} {wanted}"
        );
    }
}
