//! The attempts of `corpus.txt`, written out, and the database they are made
//! on. Tests elsewhere may include this file.

/// Makes the database.
pub const FIXTURE: &str = include_str!("corpus.sql");

/// The code that is expected, `ok` for rows, and the statement.
pub fn attempts() -> Vec<(&'static str, String)> {
    let lines = include_str!("corpus.txt").lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(" | "))
        .map(|(code, statement)| (code, written_out(statement)))
        .collect()
}

/// With what stands in braces repeated.
fn written_out(statement: &str) -> String {
    let mut out = String::new();
    let mut rest = statement;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match piece(after) {
            Some((piece, after)) => {
                out.push_str(&piece);
                rest = after;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

fn piece(text: &str) -> Option<(String, &str)> {
    for (name, character) in [
        ("nul}", '\0'),
        ("newline}", '\n'),
        ("nbsp}", '\u{a0}'),
        ("zwsp}", '\u{200b}'),
        ("bom}", '\u{feff}'),
    ] {
        if let Some(after) = text.strip_prefix(name) {
            return Some((character.to_string(), after));
        }
    }
    let (count, after) = text.split_once('*')?;
    let count: usize = count.parse().ok()?;
    let end = closing(after)?;
    let (repeated, after) = (after.get(..end)?, after.get(end + 1..)?);
    let inner = written_out(repeated);
    let turn = |at: usize| {
        inner
            .replace('#', &(at + 1).to_string())
            .replace('@', &at.to_string())
    };
    Some(((0..count).map(turn).collect(), after))
}

/// Where the brace closes that is open.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, character) in text.char_indices() {
        match character {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}
