//! What Rust values are in a database, and the other way round.

use std::fmt;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::Value;

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not; beyond 2^53 the nearest there is.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

macro_rules! from {
    ($($from:ty, $value:ident => $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )*};
}

from! {
    &str, text => Value::Text(text.into());
    String, text => Value::Text(text);
    i64, number => Value::Integer(number);
    i32, number => Value::Integer(number.into());
    u32, number => Value::Integer(number.into());
    f64, number => Value::Real(number);
    bool, flag => Value::Integer(flag.into());
    &[u8], bytes => Value::Blob(bytes.into());
    Vec<u8>, bytes => Value::Blob(bytes);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// For people: text as it is, a blob by its size.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.pad("NULL"),
            Value::Integer(number) => number.fmt(f),
            Value::Real(number) => number.fmt(f),
            Value::Text(text) => f.pad(text),
            Value::Blob(bytes) => f.pad(&format!("{} bytes", bytes.len())),
        }
    }
}

/// A blob is `{"bytes": 12}`, a number that JSON has no form for (infinity) is
/// null, everything else is itself.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => to.serialize_unit(),
            Value::Integer(number) => to.serialize_i64(*number),
            Value::Real(number) => to.serialize_f64(*number),
            Value::Text(text) => to.serialize_str(text),
            Value::Blob(bytes) => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("bytes", &bytes.len())?;
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_and_go_as_what_they_are() {
        assert_eq!(Value::from("a").as_str(), Some("a"));
        assert_eq!(Value::from(7).as_f64(), Some(7.0));
        assert_eq!(Value::from(true).as_i64(), Some(1));
        assert!(Value::from(None::<i64>).is_null());
        let values = [Value::Null, 1.into(), 2.5.into(), "x".into(), vec![0u8; 3].into()];
        let json = serde_json::to_string(&values).unwrap();
        assert_eq!(json, r#"[null,1,2.5,"x",{"bytes":3}]"#);
        let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["NULL", "1", "2.5", "x", "3 bytes"]);
        assert_eq!(
            format!("{:>5}|{:<3}|", Value::from(12), Value::from("a")),
            "   12|a  |"
        );
        assert_eq!(
            serde_json::to_string(&Value::Real(f64::INFINITY)).unwrap(),
            "null"
        );
    }
}
