//! Adjectives, and the words that a question may contain whatever it is about.

/// What an adjective is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    /// What something costs.
    Money,
    /// How long it takes.
    Duration,
    /// How long ago: of people their birth, of things their date.
    Age,
    /// When it happened.
    Time,
    /// How much of whatever is being spoken of.
    Size,
    /// How well it is thought of.
    Rating,
    Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Degree {
    Positive,
    Comparative,
    Superlative,
}

/// An adjective as it stands in a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Adjective {
    pub(crate) quality: Quality,
    /// More of the quality's column, not less: `newest` is the highest date,
    /// `oldest` the lowest.
    pub(crate) up: bool,
    pub(crate) degree: Degree,
}

use Quality::{Age, Duration, Money, Rating, Size, Time, Weight};

/// Positive, comparative, superlative.
const ADJECTIVES: &[(&str, &str, &str, Quality, bool)] = &[
    ("expensive", "", "", Money, true),
    ("costly", "costlier", "costliest", Money, true),
    ("pricey", "pricier", "priciest", Money, true),
    ("valuable", "", "", Money, true),
    ("cheap", "cheaper", "cheapest", Money, false),
    ("inexpensive", "", "", Money, false),
    ("long", "longer", "longest", Duration, true),
    ("short", "shorter", "shortest", Duration, false),
    ("old", "older", "oldest", Age, false),
    ("young", "younger", "youngest", Age, true),
    ("new", "newer", "newest", Time, true),
    ("recent", "", "", Time, true),
    ("late", "later", "latest", Time, true),
    ("early", "earlier", "earliest", Time, false),
    ("big", "bigger", "biggest", Size, true),
    ("large", "larger", "largest", Size, true),
    ("high", "higher", "highest", Size, true),
    ("great", "greater", "greatest", Size, true),
    ("small", "smaller", "smallest", Size, false),
    ("low", "lower", "lowest", Size, false),
    ("good", "better", "best", Rating, true),
    ("bad", "worse", "worst", Rating, false),
    ("heavy", "heavier", "heaviest", Weight, true),
    ("light", "lighter", "lightest", Weight, false),
];

/// The adjective that one word is, in any degree.
pub(crate) fn adjective(word: &str) -> Option<Adjective> {
    let degree = |entry: &(&str, &str, &str, Quality, bool)| {
        let degree = match word {
            _ if word == entry.0 => Degree::Positive,
            _ if word == entry.1 => Degree::Comparative,
            _ if word == entry.2 => Degree::Superlative,
            _ => return None,
        };
        Some(Adjective {
            quality: entry.3,
            up: entry.4,
            degree,
        })
    };
    if word.is_empty() {
        None
    } else {
        ADJECTIVES.iter().find_map(degree)
    }
}

impl Quality {
    /// The columns that measure it, the best word first; of money, size and time
    /// the table knows (`schema::roles`).
    pub(crate) fn column_words(self) -> &'static [&'static str] {
        match self {
            Self::Duration => &[
                "duration",
                "length",
                "runtime",
                "milliseconds",
                "millisecond",
                "second",
                "minute",
                "hour",
            ],
            Self::Rating => &["rating", "score", "star"],
            Self::Weight => &["weight", "mass"],
            Self::Money | Self::Age | Self::Time | Self::Size => &[],
        }
    }
}

/// Words that only hold a sentence together. Alone they are never a value.
const FUNCTION: &str = "a about all also am an and any are at be been both but by can could did do does each either every \
    few for from get give had has have having he hello her here hers hi his how i if in is it its just let like me my \
    myself no not now of off on once one only or other our out over please shall she should show so some such tell than \
    that the their them then there these they this those through to too under until up us very was we were what when \
    where whether which while who whom whose why will with within without would yet you your yours 's , < > <= >= = <>";

/// Words of the grammar. They may be values as well, as a status "paid" is.
const GRAMMAR: &str = "above according after alphabetical alphabetically altogether asc ascending average avg based \
    before below best between bottom bought broken buy called combined come comes coming contain containing contains \
    copies cost costing costs count counts currently daily database date dates day days desc descending different \
    display distinct dollars down during earn earned equal equals euros ever exactly exist exists fetch fewer fewest \
    find first greater grouped hour hours include including income items know last least less limit list live lives \
    living located made make many max maximum mean min minimum minute minutes money month monthly months more most much \
    name named names need next number numbers order ordered orders overall paid pay per pieces placed pounds print \
    purchase purchased quarter quarterly quarters rank ranked record records return revenue sale sales second seconds \
    see select sell selling since sold sort sorted spend spending spent split sum system time titled top total totals \
    turnover unique units value values want whole year yearly years";

/// Whether the word only holds a sentence together.
pub(crate) fn is_function(word: &str) -> bool {
    FUNCTION.split_whitespace().any(|known| known == word)
}

/// Whether the word belongs to the language rather than to a database.
pub(crate) fn is_known(word: &str) -> bool {
    is_function(word) || GRAMMAR.split_whitespace().any(|known| known == word) || adjective(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjectives_have_their_direction() {
        let cheapest = adjective("cheapest").unwrap();
        assert_eq!(
            (cheapest.quality, cheapest.up, cheapest.degree),
            (Money, false, Degree::Superlative)
        );
        let expensive = adjective("expensive").unwrap();
        assert_eq!((expensive.up, expensive.degree), (true, Degree::Positive));
        assert_eq!(adjective("older").unwrap().degree, Degree::Comparative);
        assert_eq!(adjective(""), None);
        assert_eq!(adjective("happy"), None);
    }
}
