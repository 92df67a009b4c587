//! Takes the SQL out of what a model says. Prose around it is dropped; what the
//! SQL does is for the database to judge, so a second statement stays where it is
//! and is refused.

/// What a model answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Sql(String),
    /// It says that the database does not hold the answer.
    Cannot,
    Nothing,
}

/// Words that a statement begins with.
const VERBS: &[&str] = &[
    "select", "with", "insert", "update", "delete", "replace", "create", "drop", "alter", "attach", "detach",
    "pragma", "vacuum", "explain", "values", "begin", "reindex", "analyze",
];

pub(super) fn extract(text: &str) -> Answer {
    let mut rest = text;
    while let Some((_, fenced)) = rest.split_once("```") {
        let (block, after) = fenced.split_once("```").unwrap_or((fenced, ""));
        // The first line is the language, if it is one word.
        let block = match block.split_once('\n') {
            Some((first, body)) if first.trim().chars().all(char::is_alphanumeric) && !is_verb(first) => body,
            _ => block,
        };
        if begins(block.trim()) {
            return Answer::Sql(trimmed(block));
        }
        rest = after;
    }
    if let Some(sql) = in_prose(text) {
        return Answer::Sql(sql);
    }
    let first = text
        .trim_start()
        .split(|letter: char| !letter.is_alphanumeric())
        .next()
        .unwrap_or_default();
    if first == "NONE" {
        Answer::Cannot
    } else {
        Answer::Nothing
    }
}

/// A statement on a line of its own, or in capitals within one, up to its end.
fn in_prose(text: &str) -> Option<String> {
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches([' ', '\t', '`', '>']);
        let start = from + (line.len() - bare.len());
        from += line.len();
        let inside = if begins(bare) {
            Some(0)
        } else {
            bare.find("SELECT ")
        };
        let Some(statement) = inside.and_then(|inside| text.get(start + inside..)) else {
            continue;
        };
        return Some(cut(statement));
    }
    None
}

/// Up to where prose begins again: behind an empty line, a backtick, or a
/// semicolon that no further statement follows.
fn cut(statement: &str) -> String {
    let end = ["\n\n", "\r\n\r\n", "`"]
        .iter()
        .filter_map(|mark| statement.find(mark))
        .min();
    let statement = statement
        .get(..end.unwrap_or(statement.len()))
        .unwrap_or(statement);
    match statement.split_once(';') {
        Some((first, rest)) if !begins(rest.trim()) => trimmed(first),
        _ => trimmed(statement),
    }
}

fn trimmed(sql: &str) -> String {
    sql.trim().trim_end_matches(';').trim_end().to_string()
}

/// Whether a text begins like a statement. "With this you see" does not.
fn begins(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let Some(first) = words.next().filter(|first| is_verb(first)) else {
        return false;
    };
    let head = text.chars().take(200).collect::<String>().to_ascii_lowercase();
    match &*first.to_ascii_lowercase() {
        "with" => {
            head.contains(" as (")
                || head.contains(" as materialized")
                || head.contains(" as not")
                || head.contains(" as\n")
        }
        _ => words.next().is_some(),
    }
}

fn is_verb(word: &str) -> bool {
    VERBS.iter().any(|verb| word.trim().eq_ignore_ascii_case(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> String {
        match extract(text) {
            Answer::Sql(sql) => sql,
            other => panic!("{other:?}: {text}"),
        }
    }

    #[test]
    fn prose_around_a_statement_is_dropped() {
        for text in [
            "SELECT 1",
            "SELECT 1;",
            "```sql\nSELECT 1;\n```",
            "Here it is:\n```\nSELECT 1\n```\nIt counts nothing. With this you see one.",
            "Sure! The query is:\n\nSELECT 1;\n\nIt gives one.",
            "SELECT 1; This gives one.",
            "The query is `SELECT 1`.",
            "```SELECT 1```",
            "> SELECT 1",
            "```text\nno\n```\n```sql\nSELECT 1\n```",
        ] {
            assert_eq!(sql(text), "SELECT 1", "{text}");
        }
        let with = "WITH a AS (SELECT 1)\nSELECT * FROM a";
        assert_eq!(sql(&format!("With pleasure.\n{with}")), with);
    }

    #[test]
    fn what_is_to_be_refused_is_kept_whole() {
        assert_eq!(sql("SELECT 1; DROP TABLE a;"), "SELECT 1; DROP TABLE a");
        assert_eq!(sql("```sql\nDELETE FROM a\n```"), "DELETE FROM a");
        assert_eq!(sql("DELETE FROM a"), "DELETE FROM a");
    }

    #[test]
    fn no_statement_is_no_statement() {
        assert_eq!(extract("NONE: it has no weather"), Answer::Cannot);
        for text in [
            "",
            "I cannot select that.",
            "With this database nothing can be said.",
            "```\nhello\n```",
            "NONETHELESS",
            "```",
        ] {
            assert_eq!(extract(text), Answer::Nothing, "{text}");
        }
    }
}
