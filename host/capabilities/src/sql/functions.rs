//! The functions of SQLite that can take the product of two long texts, made
//! again so that they take their sum, or can be stopped. SQLite looks at an
//! interrupt between its instructions, and a call is one instruction: built in,
//! `instr(x, y)` on two texts of half a megabyte would run for half a minute
//! whatever the deadline says.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

use super::pattern::Pattern;
use super::watch::Watch;

/// The longest pattern of `LIKE` and `GLOB`, in bytes.
const PATTERN_MAX_BYTES: usize = 1000;

/// Puts them in the place of those that SQLite has built in. No result is longer
/// than `max_bytes`.
pub(super) fn replace_slow_ones(sqlite: &Connection, watch: &Arc<Watch>, max_bytes: usize) -> Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for arguments in [2, 3] {
        let watch = Arc::clone(watch);
        sqlite.create_scalar_function("like", arguments, flags, move |call| like(call, &watch))?;
    }
    let stopping = Arc::clone(watch);
    sqlite.create_scalar_function("glob", 2, flags, move |call| {
        let (Some(pattern), Some(text)) = (text(call, 0), text(call, 1)) else {
            return Ok(None);
        };
        let pattern = kept(call, &pattern, None, |pattern, _| Pattern::glob(pattern))?;
        matches(&pattern, &text, &stopping)
    })?;
    sqlite.create_scalar_function("instr", 2, flags, instr)?;
    sqlite.create_scalar_function("replace", 3, flags, move |call| replace(call, max_bytes))?;
    sqlite.create_scalar_function("trim", 2, flags, |call| trim(call, true, true))?;
    sqlite.create_scalar_function("ltrim", 2, flags, |call| trim(call, true, false))?;
    sqlite.create_scalar_function("rtrim", 2, flags, |call| trim(call, false, true))
}

/// `like(pattern, text)`, `like(pattern, text, escape)`.
fn like(call: &Context<'_>, watch: &Watch) -> Result<Option<bool>> {
    let mut escape = None;
    if call.len() == 3 {
        let Some(given) = text(call, 2) else {
            return Ok(None);
        };
        let mut chars = given.chars();
        escape = chars.next();
        if escape.is_none() || chars.next().is_some() {
            return Err(failed("ESCAPE expression must be a single character"));
        }
    }
    let (Some(pattern), Some(value)) = (text(call, 0), text(call, 1)) else {
        return Ok(None);
    };
    let pattern = kept(call, &pattern, escape, Pattern::like)?;
    matches(&pattern, &value, watch)
}

/// A pattern that was read, and how.
struct Kept {
    pattern: Pattern,
    escape: Option<char>,
}

/// The first argument as a pattern, which SQLite keeps for the next call as long
/// as that argument is the same.
fn kept(
    call: &Context<'_>,
    pattern: &str,
    escape: Option<char>,
    read: fn(&str, Option<char>) -> Pattern,
) -> Result<Arc<Kept>> {
    if let Some(kept) = call.get_aux::<Kept>(0)?
        && kept.escape == escape
    {
        return Ok(kept);
    }
    if pattern.len() > PATTERN_MAX_BYTES {
        return Err(failed("LIKE or GLOB pattern too complex"));
    }
    let pattern = read(pattern, escape);
    call.set_aux(0, Kept { pattern, escape })
}

fn matches(kept: &Kept, text: &str, watch: &Watch) -> Result<Option<bool>> {
    let matches = kept.pattern.matches(text, || watch.is_over());
    matches.map(Some).map_err(|_| failed("interrupted"))
}

/// Where the second is within the first, from 1; 0 if it is not. Counted in
/// characters, in bytes if both are blobs.
fn instr(call: &Context<'_>) -> Result<Option<i64>> {
    let position = match (call.get_raw(0), call.get_raw(1)) {
        (ValueRef::Blob(within), ValueRef::Blob(wanted)) => find(within, wanted).map(|at| at + 1),
        _ => {
            let (Some(within), Some(wanted)) = (text(call, 0), text(call, 1)) else {
                return Ok(None);
            };
            within
                .split_once(&*wanted)
                .map(|(before, _)| before.chars().count() + 1)
        }
    };
    Ok(Some(
        position.map_or(0, |at| i64::try_from(at).unwrap_or(i64::MAX)),
    ))
}

/// In time of both lengths together: each byte of `within` is looked at once.
fn find(within: &[u8], wanted: &[u8]) -> Option<usize> {
    // `borders[n]`: how many bytes at the end of the first `n + 1` of `wanted`
    // are also its beginning.
    let mut borders: Vec<usize> = Vec::with_capacity(wanted.len());
    let next = |borders: &[usize], mut matched: usize, byte: u8| {
        while matched > 0 && wanted.get(matched) != Some(&byte) {
            matched = borders.get(matched - 1).copied().unwrap_or(0);
        }
        matched + usize::from(wanted.get(matched) == Some(&byte))
    };
    for (at, byte) in wanted.iter().enumerate() {
        let border = match at.checked_sub(1).and_then(|before| borders.get(before)) {
            Some(before) => next(&borders, *before, *byte),
            None => 0,
        };
        borders.push(border);
    }
    if wanted.is_empty() {
        return Some(0);
    }
    let mut matched = 0;
    for (at, byte) in within.iter().enumerate() {
        matched = next(&borders, matched, *byte);
        if matched == wanted.len() {
            return Some(at + 1 - matched);
        }
    }
    None
}

/// The first with the third wherever the second is.
fn replace(call: &Context<'_>, max_bytes: usize) -> Result<Option<String>> {
    let (Some(within), Some(wanted), Some(by)) = (text(call, 0), text(call, 1), text(call, 2)) else {
        return Ok(None);
    };
    if wanted.is_empty() {
        return Ok(Some(within.into_owned()));
    }
    let mut replaced = String::with_capacity(within.len().min(max_bytes));
    for (nth, piece) in within.split(&*wanted).enumerate() {
        let by = if nth == 0 { "" } else { &*by };
        if replaced.len() + by.len() + piece.len() > max_bytes {
            return Err(failed("string or blob too big"));
        }
        replaced.push_str(by);
        replaced.push_str(piece);
    }
    Ok(Some(replaced))
}

/// The first without the characters of the second at its ends.
fn trim(call: &Context<'_>, start: bool, end: bool) -> Result<Option<String>> {
    let (Some(whole), Some(unwanted)) = (text(call, 0), text(call, 1)) else {
        return Ok(None);
    };
    let mut unwanted: Vec<char> = unwanted.chars().collect();
    unwanted.sort_unstable();
    let goes = |char: char| unwanted.binary_search(&char).is_ok();
    let mut left: &str = &whole;
    if start {
        left = left.trim_start_matches(goes);
    }
    if end {
        left = left.trim_end_matches(goes);
    }
    Ok(Some(left.to_owned()))
}

/// An argument as text; nothing if it is null.
fn text<'call>(call: &'call Context<'_>, argument: usize) -> Option<Cow<'call, str>> {
    match call.get_raw(argument) {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(Cow::Owned(number.to_string())),
        ValueRef::Real(number) => Some(Cow::Owned(real(number))),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
    }
}

/// As SQLite writes it: always with a point, with an exponent when it is far
/// from one.
fn real(number: f64) -> String {
    if number.is_infinite() {
        return String::from(if number > 0.0 { "Inf" } else { "-Inf" });
    }
    let size = number.abs();
    if number == 0.0 || (1e-4..1e15).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let point = if digits.contains('.') { "" } else { ".0" };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}{point}e{sign}{exponent:0>2}")
}

fn failed(message: &'static str) -> Error {
    Error::UserFunctionError(message.into())
}

#[cfg(test)]
mod tests;
