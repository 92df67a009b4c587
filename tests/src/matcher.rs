//! Comparing a JSON value with a pattern, for the cases that are data.
//!
//! A pattern is JSON too. Numbers, booleans, `null` and plain strings stand for
//! themselves; an object matches when each of its members matches (others may
//! be there); an array matches item by item. Strings that begin with `$`:
//!
//! | pattern | matches |
//! |---|---|
//! | `"$any"` | whatever is there |
//! | `"$absent"` | a member that is not there |
//! | `"$string"`, `"$number"` | any value of that type |
//! | `"$prefix:TEXT"`, `"$contains:TEXT"` | a string that begins with or holds it |
//! | `"$bind:NAME"` | anything, and remembers it under NAME |
//! | `"$NAME"` | what was remembered under NAME |

use std::collections::BTreeMap;

use serde_json::Value;

/// What `$bind` remembered.
#[derive(Clone, Debug, Default)]
pub struct Bindings(BTreeMap<String, Value>);

impl Bindings {
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// The template with every `$NAME` string replaced by what it stands for,
    /// and `${NAME}` inside longer strings too.
    #[must_use]
    pub fn fill(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => self.fill_text(text),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| (key.clone(), self.fill(value)))
                .collect(),
            other => other.clone(),
        }
    }

    fn fill_text(&self, text: &str) -> Value {
        if let Some(value) = text.strip_prefix('$').and_then(|name| self.0.get(name)) {
            return value.clone();
        }
        let mut text = text.to_owned();
        for (name, value) in &self.0 {
            let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text = text.replace(&format!("${{{name}}}"), &plain);
        }
        Value::String(text)
    }
}

/// Compares; remembers what the pattern binds only when the whole matches.
///
/// # Errors
/// Where the two first differ, as `path: expected ..., found ...`.
pub fn matches(pattern: &Value, actual: &Value, bindings: &mut Bindings) -> Result<(), String> {
    let mut attempt = bindings.clone();
    at("", pattern, Some(actual), &mut attempt)?;
    *bindings = attempt;
    Ok(())
}

fn at(path: &str, pattern: &Value, actual: Option<&Value>, bindings: &mut Bindings) -> Result<(), String> {
    if pattern == "$absent" {
        return match actual {
            None => Ok(()),
            Some(found) => Err(format!("{path}: expected nothing, found {found}")),
        };
    }
    let Some(actual) = actual else {
        return Err(format!("{path}: expected {pattern}, found nothing"));
    };
    let differs = || Err(format!("{path}: expected {pattern}, found {actual}"));
    match (pattern, actual) {
        (Value::String(text), _) if text.starts_with('$') => {
            if special(text, actual, bindings) {
                Ok(())
            } else {
                differs()
            }
        }
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .try_for_each(|(key, value)| at(&format!("{path}/{key}"), value, found.get(key), bindings)),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => wanted
            .iter()
            .zip(found)
            .enumerate()
            .try_for_each(|(index, (wanted, found))| {
                at(&format!("{path}/{index}"), wanted, Some(found), bindings)
            }),
        _ if pattern == actual => Ok(()),
        _ => differs(),
    }
}

fn special(pattern: &str, actual: &Value, bindings: &mut Bindings) -> bool {
    if let Some(name) = pattern.strip_prefix("$bind:") {
        bindings.set(name, actual.clone());
        return true;
    }
    if let Some(prefix) = pattern.strip_prefix("$prefix:") {
        return actual.as_str().is_some_and(|text| text.starts_with(prefix));
    }
    if let Some(part) = pattern.strip_prefix("$contains:") {
        return actual.as_str().is_some_and(|text| text.contains(part));
    }
    match pattern {
        "$any" => true,
        "$string" => actual.is_string(),
        "$number" => actual.is_number(),
        _ => pattern.strip_prefix('$').and_then(|name| bindings.0.get(name)) == Some(actual),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pattern: Value, actual: Value) -> Result<(), String> {
        matches(&pattern, &actual, &mut Bindings::default())
    }

    #[test]
    fn an_object_may_hold_more_than_its_pattern_says() {
        check(json!({"a": 1}), json!({"a": 1, "b": 2})).unwrap();
        check(json!({"a": 1, "b": "$absent"}), json!({"a": 1, "b": 2})).unwrap_err();
    }

    #[test]
    fn a_difference_is_named_by_its_path() {
        let error = check(json!({"a": [{"b": 1}]}), json!({"a": [{"b": 2}]})).unwrap_err();
        assert_eq!(error, "/a/0/b: expected 1, found 2");
    }

    #[test]
    fn a_binding_holds_in_later_patterns_and_in_templates() {
        let mut bindings = Bindings::default();
        matches(&json!("$bind:S"), &json!("abc"), &mut bindings).unwrap();
        matches(&json!("$S"), &json!("abc"), &mut bindings).unwrap();
        matches(&json!("$S"), &json!("abd"), &mut bindings).unwrap_err();
        assert_eq!(bindings.fill(&json!(["$S", "<${S}>"])), json!(["abc", "<abc>"]));
    }

    #[test]
    fn a_failed_match_binds_nothing() {
        let mut bindings = Bindings::default();
        matches(
            &json!({"a": "$bind:S", "b": 1}),
            &json!({"a": 1, "b": 2}),
            &mut bindings,
        )
        .unwrap_err();
        assert_eq!(bindings.fill(&json!("$S")), json!("$S"));
    }
}
