//! Turns one written or overriding value into a typed one.
//!
//! Each function here returns a parser for [`super::reader::Table::read`]; its
//! bounds are inclusive. Guarantees: a complaint names what is allowed and
//! how to write it, and never repeats a secret.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use segue_runtime::units::{self, format_size as show};
use toml::de::{DeInteger, DeValue};

use super::overrides::Overrides;
use super::secret::Secret;

pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;
pub(super) const GIB: u64 = 1024 * MIB;

/// A secret's file is a key or a token, not a document.
const SECRET_FILE_MAX: u64 = 64 * KIB;

/// One scalar, from the file or from a variable.
pub(super) enum Value<'v> {
    /// Typed, as TOML has it.
    Written(&'v DeValue<'v>),
    /// The text of a variable; what it means depends on the key.
    Said(&'v str),
}

/// What is wrong with a value, to be read after the key's name.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) mend: String,
}

impl Complaint {
    pub(super) fn new(code: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Complaint {
            code,
            message: message.into(),
            mend: mend.into(),
        }
    }

    pub(super) fn wrong_type(wanted: &str, found: &DeValue<'_>, mend: &str) -> Self {
        let found = match found {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        Complaint::new(
            "wrong_type",
            format!("must be {wanted}, not {found}"),
            mend.to_owned(),
        )
    }

    fn out_of_range(found: impl Display, low: impl Display, high: impl Display) -> Self {
        Complaint::new(
            "out_of_range",
            format!("is {found}, outside what is allowed"),
            format!("give {low} to {high}"),
        )
    }
}

type Parsed<T> = Result<T, Complaint>;

/// Text of any kind, not empty.
pub(super) fn text(value: &Value<'_>) -> Parsed<String> {
    let text = match value {
        Value::Said(text) => *text,
        Value::Written(DeValue::String(text)) => text.as_ref(),
        Value::Written(other) => {
            let mend = "put the value in quotes";
            return Err(Complaint::wrong_type("text", other, mend));
        }
    };
    match text.trim().is_empty() {
        true => Err(Complaint::new(
            "empty",
            "is empty",
            "give it a value, or leave the key out",
        )),
        false => Ok(text.to_owned()),
    }
}

pub(super) fn flag(value: &Value<'_>) -> Parsed<bool> {
    match value {
        Value::Written(DeValue::Boolean(flag)) => Ok(*flag),
        Value::Said("true") => Ok(true),
        Value::Said("false") => Ok(false),
        Value::Said(_) => Err(Complaint::new(
            "wrong_type",
            "must be true or false",
            "set it to true or to false",
        )),
        Value::Written(other) => {
            let mend = "write true or false, without quotes";
            Err(Complaint::wrong_type("true or false", other, mend))
        }
    }
}

/// A whole number within `range`.
pub(super) fn count(range: RangeInclusive<u64>) -> impl Fn(&Value<'_>) -> Parsed<u64> {
    move |value| {
        let (low, high) = (*range.start(), *range.end());
        let mend = format!("write a whole number from {low} to {high}");
        let number = match value {
            Value::Said(text) => text
                .trim()
                .parse::<i128>()
                .map_err(|_| Complaint::new("wrong_type", "must be a whole number", mend.clone()))?,
            Value::Written(DeValue::Integer(number)) => integer(number),
            Value::Written(other) => {
                return Err(Complaint::wrong_type("a whole number", other, &mend));
            }
        };
        match u64::try_from(number) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(Complaint::out_of_range(number, low, high)),
        }
    }
}

/// [`count`] for what is kept in memory.
pub(super) fn amount(range: RangeInclusive<u64>) -> impl Fn(&Value<'_>) -> Parsed<usize> {
    let count = count(range);
    move |value| count(value).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// [`count`] in 32 bits.
pub(super) fn count32(range: RangeInclusive<u32>) -> impl Fn(&Value<'_>) -> Parsed<u32> {
    let count = count(u64::from(*range.start())..=u64::from(*range.end()));
    move |value| count(value).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// A number that may have a fraction, within `range`.
pub(super) fn fraction(range: RangeInclusive<f32>) -> impl Fn(&Value<'_>) -> Parsed<f32> {
    number(range, |whole| whole as f32)
}

/// [`fraction`] of what is added up, such as money.
pub(super) fn decimal(range: RangeInclusive<f64>) -> impl Fn(&Value<'_>) -> Parsed<f64> {
    number(range, |whole| whole as f64)
}

fn number<T: FromStr + PartialOrd + Display + Copy>(
    range: RangeInclusive<T>,
    of_whole: fn(i128) -> T,
) -> impl Fn(&Value<'_>) -> Parsed<T> {
    move |value| {
        let (low, high) = (*range.start(), *range.end());
        let mend = format!("write a number from {low} to {high}");
        let found = match value {
            Value::Said(text) => text.trim().parse().ok(),
            Value::Written(DeValue::Float(number)) => number.as_str().replace('_', "").parse().ok(),
            Value::Written(DeValue::Integer(number)) => Some(of_whole(integer(number))),
            Value::Written(other) => return Err(Complaint::wrong_type("a number", other, &mend)),
        };
        match found {
            Some(number) if range.contains(&number) => Ok(number),
            Some(number) => Err(Complaint::out_of_range(number, low, high)),
            None => Err(Complaint::new("wrong_type", "must be a number", mend)),
        }
    }
}

/// Bytes: "16 MiB", or a plain number.
pub(super) fn size(range: RangeInclusive<u64>) -> impl Fn(&Value<'_>) -> Parsed<u64> {
    move |value| {
        let (low, high) = (*range.start(), *range.end());
        let wanted = "a size such as \"16 MiB\"";
        let bytes = match value {
            Value::Said(text) => sized(text)?,
            Value::Written(DeValue::String(text)) => sized(text)?,
            Value::Written(DeValue::Integer(number)) => {
                let number = integer(number);
                u64::try_from(number).map_err(|_| Complaint::out_of_range(number, show(low), show(high)))?
            }
            Value::Written(other) => {
                let mend = "write a number with its unit in quotes, such as \"16 MiB\"";
                return Err(Complaint::wrong_type(wanted, other, mend));
            }
        };
        match range.contains(&bytes) {
            true => Ok(bytes),
            false => Err(Complaint::out_of_range(show(bytes), show(low), show(high))),
        }
    }
}

/// [`size`] for what is kept in memory.
pub(super) fn room(range: RangeInclusive<u64>) -> impl Fn(&Value<'_>) -> Parsed<usize> {
    let size = size(range);
    move |value| size(value).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

fn sized(text: &str) -> Parsed<u64> {
    units::parse_size(text).map_err(|_| {
        Complaint::new(
            "bad_size",
            format!("is no size: `{text}`"),
            "write bytes as a number, or with KiB, MiB or GiB, such as \"16 MiB\"",
        )
    })
}

/// A span of time: "30s", "250ms", "1m 30s".
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Value<'_>) -> Parsed<Duration> {
    move |value| {
        let text = match value {
            Value::Said(text) => *text,
            Value::Written(DeValue::String(text)) => text.as_ref(),
            Value::Written(other) => {
                let mend = "write a number with its unit in quotes, such as \"30s\"";
                return Err(Complaint::wrong_type("a duration such as \"30s\"", other, mend));
            }
        };
        let parsed = units::parse_duration(text).map_err(|_| {
            Complaint::new(
                "bad_duration",
                format!("is no duration: `{text}`"),
                "write a number with ms, s, m, h or d, such as \"250ms\" or \"30s\"",
            )
        })?;
        match range.contains(&parsed) {
            true => Ok(parsed),
            false => Err(Complaint::out_of_range(
                time(parsed),
                time(*range.start()),
                time(*range.end()),
            )),
        }
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(among: &[(&'static str, T)]) -> impl Fn(&Value<'_>) -> Parsed<T> {
    move |value| {
        let found = text(value)?;
        if let Some((_, meaning)) = among.iter().find(|(word, _)| *word == found) {
            return Ok(*meaning);
        }
        let words: BTreeSet<&str> = among.iter().map(|(word, _)| *word).collect();
        let all = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>();
        let mend = match nearest(&found, words.into_iter()) {
            Some(near) => format!("did you mean \"{near}\"? it is one of {}", all.join(", ")),
            None => format!("write one of {}", all.join(", ")),
        };
        let message = format!("knows no \"{found}\"");
        Err(Complaint::new("unknown_choice", message, mend))
    }
}

/// `IP:PORT`; port 0 lets the system choose one.
pub(super) fn address(value: &Value<'_>) -> Parsed<SocketAddr> {
    let found = text(value)?;
    found.trim().parse().map_err(|_| {
        let mend = match found.trim().rsplit_once(':') {
            Some(("localhost", port)) => format!("write 127.0.0.1:{port}"),
            Some(("" | "*", port)) => format!("write 0.0.0.0:{port}, or 127.0.0.1:{port}"),
            _ => "write an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000".to_owned(),
        };
        Complaint::new("bad_address", format!("is no address: `{found}`"), mend)
    })
}

/// An address with its prefix, or one address.
pub(super) fn network(value: &Value<'_>) -> Parsed<IpNet> {
    let found = text(value)?;
    let network = found
        .parse::<IpNet>()
        .or_else(|_| found.parse::<std::net::IpAddr>().map(IpNet::from));
    match network {
        Ok(network) if network == network.trunc() => Ok(network),
        Ok(network) => Err(Complaint::new(
            "bad_network",
            format!("has bits beyond its prefix: `{found}`"),
            format!("write {}", network.trunc()),
        )),
        Err(_) => Err(Complaint::new(
            "bad_network",
            format!("is no network: `{found}`"),
            "write an address with its prefix, such as 10.1.0.0/16, or one address",
        )),
    }
}

/// A path; a relative one begins at `base`, the config file's folder.
pub(super) fn path(base: &Path) -> impl Fn(&Value<'_>) -> Parsed<PathBuf> {
    move |value| text(value).map(|found| base.join(found))
}

/// `env:NAME` or `file:PATH`. Only a variable may hold the secret itself.
pub(super) fn secret(base: &Path, overrides: &Overrides) -> impl Fn(&Value<'_>) -> Parsed<Secret> {
    move |value| {
        let found = text(value)?;
        if let Some(name) = found.strip_prefix("env:") {
            return match overrides.lookup(name) {
                Some(value) if !value.is_empty() => Ok(Secret::new(&found, value)),
                _ => Err(unresolved(
                    format!("refers to the variable {name}, which is not set"),
                    format!("set {name} in the environment or in .env beside the config"),
                )),
            };
        }
        if let Some(file) = found.strip_prefix("file:") {
            return secret_file(base, file).map(|value| Secret::new(&found, value));
        }
        match value {
            Value::Said(text) => Ok(Secret::new("set by a variable", *text)),
            Value::Written(_) => Err(Complaint::new(
                "plain_secret",
                "is a secret and must not stand in the file",
                "put it in a variable or a file of its own, and write \"env:NAME\" or \"file:PATH\"",
            )),
        }
    }
}

fn secret_file(base: &Path, file: &str) -> Parsed<String> {
    let path = base.join(file);
    let unreadable = |why: String| {
        unresolved(
            format!("refers to the file {}, {why}", path.display()),
            "write there one readable line of text, or name another file".to_owned(),
        )
    };
    let why = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => unreadable("and there is no such file".to_owned()),
        std::io::ErrorKind::PermissionDenied => unreadable("which this user may not read".to_owned()),
        _ => unreadable(format!("unreadable: {error}")),
    };
    let about = std::fs::metadata(&path).map_err(why)?;
    if !about.is_file() || about.len() > SECRET_FILE_MAX {
        return Err(unreadable(format!(
            "which is no regular file of at most {}",
            show(SECRET_FILE_MAX)
        )));
    }
    let text = std::fs::read_to_string(&path).map_err(why)?;
    match text.trim() {
        "" => Err(unreadable("which is empty".to_owned())),
        value => Ok(value.to_owned()),
    }
}

fn unresolved(message: String, mend: String) -> Complaint {
    Complaint::new("unresolved_secret", message, mend)
}

/// The value of a TOML integer; what does not fit is past every bound anyway.
fn integer(number: &DeInteger<'_>) -> i128 {
    i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX)
}

/// Time as an operator writes it.
pub(super) fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// The candidate that `found` was most likely meant to be, if any is near.
pub(super) fn nearest<'c>(found: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|c| (strsim::normalized_damerau_levenshtein(found, c), c))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}
