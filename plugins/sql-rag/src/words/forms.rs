//! The forms of a word. English only, by rule, with the irregular words that
//! name things people keep tables of.

const IRREGULAR: &[(&str, &str)] = &[
    ("people", "person"),
    ("children", "child"),
    ("men", "man"),
    ("women", "woman"),
    ("wives", "wife"),
    ("lives", "life"),
    ("leaves", "leaf"),
    ("shelves", "shelf"),
    ("mice", "mouse"),
    ("feet", "foot"),
    ("teeth", "tooth"),
    ("geese", "goose"),
    ("criteria", "criterion"),
    ("indices", "index"),
    ("analyses", "analysis"),
    ("movies", "movie"),
    ("series", "series"),
    ("species", "species"),
    ("cookies", "cookie"),
    ("aliases", "alias"),
    ("buses", "bus"),
];

/// The singular of a word in lower case; a singular stays as it is.
pub(crate) fn singular(word: &str) -> String {
    if let Some((_, one)) = IRREGULAR.iter().find(|(many, _)| *many == word) {
        return (*one).into();
    }
    let cut = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.chars().count() > 1);
    if let Some(stem) = cut("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    if ["sses", "shes", "ches", "xes", "zzes", "uses"]
        .iter()
        .any(|ending| word.ends_with(ending))
    {
        let stem = cut("es").unwrap_or(word);
        // "statuses" is of "status", "houses" of "house".
        let whole = !word.ends_with("uses") || word.ends_with("tuses") || word.ends_with("puses");
        return if whole {
            stem.into()
        } else {
            cut("s").unwrap_or(word).into()
        };
    }
    let keeps = ["ss", "us", "is", "'s"]
        .iter()
        .any(|ending| word.ends_with(ending));
    match cut("s") {
        Some(stem) if !keeps && word.len() > 2 => stem.into(),
        _ => word.into(),
    }
}

/// The plural of a singular in lower case.
pub(crate) fn plural(word: &str) -> String {
    if let Some((many, _)) = IRREGULAR.iter().find(|(_, one)| *one == word) {
        return (*many).into();
    }
    let before_y = word
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    if let Some(stem) = before_y {
        return format!("{stem}ies");
    }
    let hisses = ["s", "x", "sh", "ch", "z"]
        .iter()
        .any(|ending| word.ends_with(ending));
    format!("{word}{}", if hisses { "es" } else { "s" })
}

/// What words of one family share: `ship`, `shipped`, `shipper`; `compose`,
/// `composed`, `composer`. Only to be compared with other roots.
pub(crate) fn root(word: &str) -> String {
    let mut root = singular(word);
    for endings in [&["ing", "ed"][..], &["er", "or"]] {
        let stem = endings.iter().find_map(|ending| root.strip_suffix(ending));
        if let Some(stem) = stem.filter(|stem| stem.len() >= 3) {
            root = stem.to_string();
        }
    }
    if let Some(stem) = root.strip_suffix('e') {
        root = stem.to_string();
    }
    let mut letters = root.chars().rev();
    let doubled = letters.next() == letters.next() && !root.ends_with(['s', 'l']);
    if doubled && root.len() > 3 {
        root.pop();
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many_are_told_apart() {
        for (one, many) in [
            ("customer", "customers"),
            ("category", "categories"),
            ("country", "countries"),
            ("box", "boxes"),
            ("class", "classes"),
            ("status", "statuses"),
            ("house", "houses"),
            ("person", "people"),
            ("day", "days"),
            ("movie", "movies"),
            ("address", "addresses"),
            ("match", "matches"),
        ] {
            assert_eq!(singular(many), one);
            assert_eq!(singular(one), one);
            assert_eq!(plural(one), many);
        }
        assert_eq!(singular("jazz"), "jazz");
        assert_eq!(singular("is"), "is");
        assert_eq!(singular("as"), "as");
    }

    #[test]
    fn a_family_has_one_root() {
        for family in [
            &["ship", "shipped", "shipper", "shipping", "ships"][..],
            &["compose", "composed", "composer"],
            &["supply", "supplying"],
            &["supplied", "supplier"],
            &["hire", "hired", "hiring"],
            &["order", "orders", "ordered"],
            &["create", "created"],
            &["rate", "rated", "rating"],
            &["price", "priced"],
            &["cancelled"],
        ] {
            for word in family {
                assert_eq!(root(word), root(family[0]), "{word}");
            }
        }
    }
}
