//! A statement in the pieces that SQLite reads it in, as far as measuring it
//! needs them apart: comments and blanks are gone, strings and numbers are
//! nothing in particular.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name, quoted or not.
    Word,
    /// A string, which SQLite takes for a name where only a name can stand.
    Text,
    Number,
    Star,
    Open,
    Close,
    Comma,
    Dot,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'sql> {
    pub(super) kind: Kind,
    /// As it is written, quotes included.
    pub(super) text: &'sql str,
}

impl Token<'_> {
    /// Whether it is this keyword. What is quoted is none.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    pub(super) fn may_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Text)
    }
}

/// All tokens. What does not end (a string, a comment) goes to the end of the
/// text; SQLite says what is wrong with it.
pub(super) fn read(sql: &str) -> Vec<Token<'_>> {
    let bytes = sql.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let rest = bytes.get(at..).unwrap_or_default();
        let (kind, length) = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => {
                at += 1;
                continue;
            }
            b'-' if rest.starts_with(b"--") => {
                at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with(b"/*") => {
                let body = rest.get(2..).unwrap_or_default();
                let end = body.windows(2).position(|pair| pair == b"*/");
                at += end.map_or(rest.len(), |end| end + 4);
                continue;
            }
            b'\'' => (Kind::Text, quoted(rest, b'\'')),
            b'*' => (Kind::Star, 1),
            b'"' | b'`' => (Kind::Word, quoted(rest, byte)),
            b'[' => {
                let end = rest.iter().position(|byte| *byte == b']');
                (Kind::Word, end.map_or(rest.len(), |end| end + 1))
            }
            b'(' => (Kind::Open, 1),
            b')' => (Kind::Close, 1),
            b',' => (Kind::Comma, 1),
            b'.' if !rest.get(1).is_some_and(u8::is_ascii_digit) => (Kind::Dot, 1),
            b'.' | b'0'..=b'9' => (Kind::Number, run(rest, |byte| byte == b'.' || in_word(byte))),
            b'?' | b'@' | b'#' | b':' | b'$' => {
                (Kind::Other, 1 + run(rest.get(1..).unwrap_or_default(), in_word))
            }
            byte if in_word(byte) => (Kind::Word, run(rest, in_word)),
            _ => (Kind::Other, 1),
        };
        // Every token begins and ends between characters: only ASCII ends one.
        let text = sql.get(at..at + length).unwrap_or_default();
        tokens.push(Token { kind, text });
        at += length;
    }
    tokens
}

/// Whether SQLite takes it for a part of a name. It takes every character
/// beyond ASCII for one, blanks among them.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn run(bytes: &[u8], within: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|byte| !within(*byte))
        .unwrap_or(bytes.len())
}

/// How long a quoted piece is; the quote twice is a quote in it.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte == quote {
            if bytes.get(at) != Some(&quote) {
                return at;
            }
            at += 1;
        }
    }
    bytes.len()
}
