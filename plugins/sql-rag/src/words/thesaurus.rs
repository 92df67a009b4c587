//! Words for the same thing. Small and general on purpose: what is particular to
//! a database stands in `[settings] synonyms`.

use serde_json::Value;

/// Each line is one thing. All are singular.
const SAME: &[&[&str]] = &[
    &["customer", "client", "buyer", "shopper"],
    &["employee", "staff", "worker"],
    &["product", "item", "article"],
    &["item", "line", "detail", "position"],
    &["song", "track"],
    &["artist", "band", "musician", "singer"],
    &["movie", "film"],
    &["supplier", "vendor"],
    &["order", "purchase"],
    &["invoice", "bill"],
    &["price", "cost"],
    &["email", "mail"],
    &["phone", "telephone"],
    &["country", "nation"],
    &["city", "town"],
    &["quantity", "qty"],
    &["stock", "inventory"],
    &["length", "duration", "runtime", "milliseconds", "millisecond"],
    &["total", "amount", "value", "sum"],
    &["surname", "last name"],
    &["birth", "birthday", "born"],
    &["hire", "hired"],
    &["author", "writer", "written", "composer"],
];

/// Several words that are one name, and the words they are read as.
const PHRASES: &[(&str, &str)] = &[
    ("phone number", "phone"),
    ("telephone number", "phone"),
    ("email address", "email"),
    ("e mail address", "email"),
    ("mail address", "email"),
    ("e mail", "email"),
    ("zip code", "postal code"),
    ("zip", "postal code"),
    ("postcode", "postal code"),
    ("post code", "postal code"),
    ("family name", "last name"),
    ("surname", "last name"),
    ("given name", "first name"),
    ("date of birth", "birth date"),
    ("birthday", "birth date"),
    ("running time", "duration"),
    ("playing time", "duration"),
];

const COUNTRIES: &[(&str, &[&str])] = &[
    (
        "united states",
        &["usa", "us", "united states of america", "america", "american"],
    ),
    ("united kingdom", &["uk", "great britain", "britain", "british"]),
    ("argentina", &["argentine", "argentinian"]),
    ("australia", &["australian"]),
    ("austria", &["austrian"]),
    ("belgium", &["belgian"]),
    ("brazil", &["brazilian"]),
    ("canada", &["canadian"]),
    ("chile", &["chilean"]),
    ("china", &["chinese"]),
    ("czech republic", &["czech"]),
    ("denmark", &["danish"]),
    ("finland", &["finnish"]),
    ("france", &["french"]),
    ("germany", &["german"]),
    ("greece", &["greek"]),
    ("hungary", &["hungarian"]),
    ("india", &["indian"]),
    ("ireland", &["irish"]),
    ("italy", &["italian"]),
    ("japan", &["japanese"]),
    ("mexico", &["mexican"]),
    ("netherlands", &["dutch", "the netherlands"]),
    ("norway", &["norwegian"]),
    ("poland", &["polish"]),
    ("portugal", &["portuguese"]),
    ("spain", &["spanish"]),
    ("sweden", &["swedish"]),
    ("switzerland", &["swiss"]),
    ("venezuela", &["venezuelan"]),
];

/// Whether two singular words may name the same thing.
pub(crate) fn same_meaning(one: &str, other: &str) -> bool {
    SAME.iter()
        .any(|words| words.contains(&one) && words.contains(&other))
}

/// What a run of words is read as, with how many of them that takes.
pub(crate) fn rewritten(words: &[&str]) -> Option<(usize, Vec<&'static str>)> {
    let begins = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.starts_with(&phrase).then_some(phrase.len())
    };
    PHRASES
        .iter()
        .find_map(|(phrase, name)| Some((begins(phrase)?, name.split(' ').collect())))
}

/// Other ways to write a country, or the one that people of a country are
/// called after it. In lower case, like `word`.
pub(crate) fn countries(word: &str) -> Vec<&'static str> {
    let names =
        |(name, others): &&(&'static str, &'static [&'static str])| *name == word || others.contains(&word);
    let found = COUNTRIES.iter().find(names);
    let all = found
        .into_iter()
        .flat_map(|(name, others)| std::iter::once(*name).chain(others.iter().copied()));
    all.filter(|name| *name != word).collect()
}

/// The operator's own words: `{"punter": "customer", "takings": "orders.total"}`.
#[derive(Debug, Default)]
pub(crate) struct Synonyms {
    /// A word or several, singular, and the name it stands for.
    pub(crate) names: Vec<(Vec<String>, String)>,
}

impl Synonyms {
    /// From the setting's JSON; what is no pair of texts is an error.
    pub(crate) fn new(setting: &str) -> Result<Self, String> {
        let wrong = || "[settings] synonyms is a table of texts: { song = \"track\" }".to_string();
        let Ok(Value::Object(pairs)) = serde_json::from_str(setting) else {
            return Err(wrong());
        };
        let mut names = Vec::new();
        for (word, name) in pairs {
            let name = name.as_str().ok_or_else(wrong)?;
            let words = word
                .split_whitespace()
                .map(|word| super::singular(&word.to_lowercase()));
            names.push((words.collect(), name.to_string()));
        }
        Ok(Self { names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_one_thing_are_known() {
        assert!(same_meaning("song", "track"));
        assert!(!same_meaning("song", "customer"));
        assert_eq!(rewritten(&["phone", "number", "of"]), Some((2, vec!["phone"])));
        assert_eq!(rewritten(&["phone"]), None);
        assert!(countries("brazilian").contains(&"brazil"));
        assert!(countries("usa").contains(&"united states"));
        assert!(countries("jazz").is_empty());
    }

    #[test]
    fn synonyms_of_the_operator_are_a_table_of_texts() {
        let synonyms = Synonyms::new(r#"{"big punters": "customer"}"#).unwrap();
        assert_eq!(synonyms.names[0].0, ["big", "punter"]);
        assert!(Synonyms::new("[1]").is_err());
        assert!(Synonyms::new(r#"{"a": 1}"#).is_err());
    }
}
