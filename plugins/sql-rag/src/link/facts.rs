//! What has to be seen to be believed of a column: that its dates are dates, that
//! it only says yes or no. One statement asks for all of it.

use segue_sdk::Result;

use crate::schema::{Field, Kind, Schema};

use super::{Database, Links, Value};

/// As many columns as are looked at, and by one statement: a host lets one have a
/// hundred SELECTs, and a column takes two at most.
const MAX_COLUMNS: usize = 200;
const AT_ONCE: usize = 30;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    dates: Vec<Field<'a>>,
    flags: Vec<(Field<'a>, Value)>,
    fractions: Vec<Field<'a>>,
}

enum Asked<'a> {
    Date(Field<'a>),
    /// The least and the greatest value.
    Range(Field<'a>),
}

impl<'a> Facts<'a> {
    pub(crate) fn new(schema: &'a Schema, links: &Links<'a>, database: &dyn Database) -> Result<Self> {
        let mut asked: Vec<Asked<'a>> = Vec::new();
        for field in schema.fields().filter(|field| !field.table.view) {
            if field.column.may_be_date() {
                asked.push(Asked::Date(field));
                continue;
            }
            let share = field.column.has("discount") && field.column.is_measure();
            if share || (mentioned(links, field) && may_be_flag(field)) {
                asked.push(Asked::Range(field));
            }
        }
        asked.truncate(MAX_COLUMNS);
        let mut facts = Self::default();
        for asked in asked.chunks(AT_ONCE) {
            let row = database.query(&statement(asked), &[])?.into_iter().next();
            let mut values = row.into_iter().flatten();
            for asked in asked {
                let value = values.next().unwrap_or(Value::Null);
                match asked {
                    Asked::Date(field) if is_iso(&value) => facts.dates.push(*field),
                    Asked::Date(_) => {}
                    Asked::Range(field) => facts.range(*field, &value, &values.next().unwrap_or(Value::Null)),
                }
            }
        }
        Ok(facts)
    }

    fn range(&mut self, field: Field<'a>, least: &Value, most: &Value) {
        if let (Some(least), Some(most)) = (number(least), number(most))
            && least >= 0.0
            && most <= 1.0
            && field.column.has("discount")
        {
            self.fractions.push(field);
            return;
        }
        if let Some(yes) = yes(least, most) {
            self.flags.push((field, yes));
        }
    }

    /// Whether the column holds dates as ISO 8601 writes them, so that they can be
    /// compared as text.
    pub(crate) fn is_date(&self, field: Field<'_>) -> bool {
        self.dates.contains(&field)
    }

    /// What stands for "yes" in a column that says nothing but yes and no.
    pub(crate) fn yes(&self, field: Field<'_>) -> Option<&Value> {
        self.flags
            .iter()
            .find(|(flag, _)| *flag == field)
            .map(|(_, yes)| yes)
    }

    /// Whether all values lie between 0 and 1.
    pub(crate) fn is_fraction(&self, field: Field<'_>) -> bool {
        self.fractions.contains(&field)
    }
}

fn mentioned(links: &Links<'_>, field: Field<'_>) -> bool {
    let mut mentions = links.spots().flat_map(|spot| &spot.columns);
    mentions.any(|mention| {
        mention
            .fields
            .iter()
            .any(|(own, cost)| *own == field && *cost <= 1)
    })
}

fn may_be_flag(field: Field<'_>) -> bool {
    let column = field.column;
    let named = column
        .words
        .first()
        .is_some_and(|word| matches!(&**word, "is" | "has"))
        || column.words.iter().any(|word| {
            ["ed", "able", "ible", "ive"]
                .iter()
                .any(|end| word.ends_with(end))
        });
    column.kind == Kind::Bool
        || (named && column.kind != Kind::Blob && column.primary == 0 && !column.foreign)
}

fn statement(asked: &[Asked<'_>]) -> String {
    use crate::plan::{name, table_name};
    let each = asked.iter().map(|asked| match asked {
        Asked::Date(field) => {
            let (column, table) = (name(*field), table_name(field.table));
            format!("(SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1)")
        }
        Asked::Range(field) => {
            let (column, table) = (name(*field), table_name(field.table));
            format!("(SELECT MIN({column}) FROM {table}), (SELECT MAX({column}) FROM {table})")
        }
    });
    format!("SELECT {}", each.collect::<Vec<_>>().join(", "))
}

/// `2010-01-31`, whatever follows.
fn is_iso(value: &Value) -> bool {
    let Value::Text(text) = value else {
        return false;
    };
    let pattern = "0000-00-00";
    let fits = |(letter, shape): (char, char)| {
        if shape == '0' {
            letter.is_ascii_digit()
        } else {
            letter == shape
        }
    };
    text.chars().count() >= pattern.len() && text.chars().zip(pattern.chars()).all(fits)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "only 0 and 1 matter")]
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        _ => None,
    }
}

fn yes(least: &Value, most: &Value) -> Option<Value> {
    let text = |value: &Value| match value {
        Value::Integer(number @ (0 | 1)) => number.to_string(),
        Value::Text(text) => text.to_lowercase(),
        _ => String::new(),
    };
    let pairs = [
        ("0", "1"),
        ("false", "true"),
        ("n", "y"),
        ("no", "yes"),
        ("f", "t"),
    ];
    let pair = pairs
        .iter()
        .find(|(no, yes)| [no, yes].contains(&&&*text(least)) && [no, yes].contains(&&&*text(most)));
    let (_, yes) = pair?;
    if text(most) == *yes {
        return Some(most.clone());
    }
    // Nothing but "no": what "yes" would look like is known for figures only.
    match most {
        Value::Integer(_) => Some(Value::Integer(1)),
        Value::Text(text) if text == "0" => Some(Value::Text("1".into())),
        _ => None,
    }
}
