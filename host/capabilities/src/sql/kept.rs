//! An answer in one piece, as a cache keeps it.
//!
//! A byte for the version, one that says whether rows were left out, the number of
//! columns and their names, then the rows, value after value. Numbers are
//! little-endian. What makes no sense is no answer: it is told, never half given.

use bytes::Bytes;

use super::error::Error;
use super::rows::{ROWS_AT_ONCE, Rows};
use super::value::{Row, Value};
use crate::cache::Fetched;

const VERSION: u8 = 1;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Rows that are made ready at a time.
const BATCH_ROWS: usize = 256;

/// An answer that is read.
#[derive(Debug)]
pub(super) struct Answer {
    rest: Bytes,
    columns: usize,
    truncated: bool,
}

/// Reads all rows of a query. What is only a part of its answer is not to be kept.
pub(super) async fn collect(mut rows: Rows) -> Result<Fetched, Error> {
    let mut out = vec![VERSION, 0];
    let columns = rows.columns().await?;
    put_length(&mut out, columns.len());
    for name in columns {
        put_bytes(&mut out, name.as_bytes());
    }
    loop {
        let next = rows.next(ROWS_AT_ONCE).await?;
        if next.is_empty() {
            break;
        }
        for value in next.iter().flatten() {
            put(&mut out, value);
        }
    }
    let truncated = rows.truncated();
    if let Some(flag) = out.get_mut(1) {
        *flag = u8::from(truncated);
    }
    Ok(Fetched {
        value: out.into(),
        keep: !truncated,
    })
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Integer(number) => {
            out.push(INTEGER);
            out.extend(number.to_le_bytes());
        }
        Value::Real(number) => {
            out.push(REAL);
            out.extend(number.to_le_bytes());
        }
        Value::Text(text) => {
            out.push(TEXT);
            put_bytes(out, text.as_bytes());
        }
        Value::Blob(bytes) => {
            out.push(BLOB);
            put_bytes(out, bytes);
        }
    }
}

/// No answer has as many bytes as would not fit: one has at most 1 GiB.
fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend(bytes);
}

impl Answer {
    /// The names of its columns, and the answer to read rows from.
    pub(super) fn open(mut rest: Bytes) -> Option<(Vec<String>, Answer)> {
        let [version, truncated] = take(&mut rest)?;
        if version != VERSION || truncated > 1 {
            return None;
        }
        let columns = length(&mut rest)?;
        // Each name takes more than a byte, so garbage does not ask for more room.
        if columns > rest.len() {
            return None;
        }
        let names = (0..columns).map(|_| text(&mut rest));
        let names = names.collect::<Option<Vec<String>>>()?;
        let answer = Answer {
            rest,
            columns,
            truncated: truncated == 1,
        };
        Some((names, answer))
    }

    /// Whether rows were left out.
    pub(super) fn truncated(&self) -> bool {
        self.truncated
    }

    /// The next rows, none at the end; `None` where it makes no sense.
    pub(super) fn next(&mut self) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        while !self.rest.is_empty() && rows.len() < BATCH_ROWS {
            if self.columns == 0 {
                return None;
            }
            let row = (0..self.columns).map(|_| value(&mut self.rest));
            rows.push(row.collect::<Option<Row>>()?);
        }
        Some(rows)
    }
}

fn take<const N: usize>(rest: &mut Bytes) -> Option<[u8; N]> {
    let taken = rest.get(..N)?.try_into().ok()?;
    let _ = rest.split_to(N);
    Some(taken)
}

fn length(rest: &mut Bytes) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(rest)?)).ok()
}

fn bytes(rest: &mut Bytes) -> Option<Bytes> {
    let length = length(rest)?;
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn text(rest: &mut Bytes) -> Option<String> {
    String::from_utf8(bytes(rest)?.into()).ok()
}

fn value(rest: &mut Bytes) -> Option<Value> {
    let [kind] = take(rest)?;
    Some(match kind {
        NULL => Value::Null,
        INTEGER => Value::Integer(i64::from_le_bytes(take(rest)?)),
        REAL => Value::Real(f64::from_le_bytes(take(rest)?)),
        TEXT => Value::Text(text(rest)?),
        BLOB => Value::Blob(bytes(rest)?.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Vec<u8> {
        let mut out = vec![VERSION, 0];
        put_length(&mut out, 2);
        put_bytes(&mut out, b"name");
        put_bytes(&mut out, "größe".as_bytes());
        for row in rows() {
            row.iter().for_each(|value| put(&mut out, value));
        }
        out
    }

    fn rows() -> Vec<Row> {
        vec![
            vec![Value::Text("tea".into()), Value::Real(f64::INFINITY)],
            vec![Value::Null, Value::Integer(i64::MIN)],
            vec![Value::Blob(vec![0, 255]), Value::Text(String::new())],
        ]
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let (names, mut read) = Answer::open(answer().into()).unwrap();
        assert_eq!(names, ["name", "größe"]);
        assert_eq!(read.next().unwrap(), rows());
        assert_eq!(read.next().unwrap(), Vec::<Row>::new());
        assert!(!read.truncated());
    }

    /// Cut off anywhere, or with any byte changed, it is read to some end.
    #[test]
    fn garbage_is_refused_or_read_and_nothing_worse() {
        let whole = answer();
        let read = |bytes: Vec<u8>| {
            let (_, mut read) = Answer::open(bytes.into())?;
            while !read.next()?.is_empty() {}
            Some(())
        };
        for end in 0..whole.len() {
            let _ = read(whole[..end].to_vec());
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 4, 5, 127, 255] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = read(changed);
            }
        }
        assert!(read(Vec::new()).is_none());
        assert!(read(vec![VERSION + 1, 0, 0, 0, 0, 0]).is_none());
        assert!(read(vec![VERSION, 0, 255, 255, 255, 255]).is_none());
        assert!(read(vec![VERSION, 0, 0, 0, 0, 0, NULL]).is_none());
    }
}
