//! Checks that a text is one JSON value without building it.
//!
//! Guests hand over JSON that the host embeds in its own frames, so it must be
//! valid, must not nest deeper than a reader can bear, and must not bring line
//! breaks into a line-based stream.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// `text` as one line, if it is exactly one JSON value that nests at most 127
/// levels (serde_json's own bound).
pub(crate) fn one_line(text: String) -> Option<String> {
    serde_json::from_str::<Checked>(&text).ok()?;
    if text.contains(['\n', '\r']) {
        // Inside a JSON string a line break is always escaped, so each of these
        // stands between tokens, where a space means the same.
        return Some(text.replace(['\n', '\r'], " "));
    }
    Some(text)
}

/// A value that was read and thrown away. Unlike serde's `IgnoredAny` it goes
/// through the levels one by one, so that the depth is bounded.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Checked, D::Error> {
        deserializer.deserialize_any(Checked)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = Checked;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Checked, A::Error> {
        while entries.next_entry::<IgnoredAny, Checked>()?.is_some() {}
        Ok(Checked)
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn exactly_one_value_of_bounded_depth_passes() {
        for good in ["1", "null", "\"a\"", "[1,{\"a\":[true,2.5e3]}]", " {} "] {
            assert_eq!(one_line(good.into()).as_deref(), Some(good));
        }
        for bad in ["", "{", "1 2", "nul", "{\"a\"}", "[1,]", "\"\n\""] {
            assert_eq!(one_line(bad.into()), None, "{bad:?}");
        }
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(one_line(deep), None);
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces() {
        let text = "{\r\n\"a\": \"b\\n\"\n}";
        assert_eq!(one_line(text.into()).unwrap(), "{  \"a\": \"b\\n\" }");
    }
}
