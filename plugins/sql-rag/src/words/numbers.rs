//! Numbers in figures and in words, and how they are written in an answer.

const UNITS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: &[&str] = &[
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const POWERS: &[(&str, f64)] = &[
    ("hundred", 1e2),
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
];

/// A number as one reads it off the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    /// It carried a sign of currency.
    pub(crate) money: bool,
    /// How many words it is made of.
    pub(crate) words: usize,
}

/// The number that `words` begin with. The words are in lower case.
pub(crate) fn number<'w>(words: impl IntoIterator<Item = &'w str>) -> Option<Number> {
    let mut words = words.into_iter().peekable();
    let first = words.next()?;
    let mut number = figures(first).or_else(|| spelt(first))?;
    let ten = TENS.contains(&first);
    if let Some(unit) = words.peek().and_then(|word| position(UNITS, word))
        && ten
        && (1.0..10.0).contains(&unit)
    {
        number.value += unit;
        number.words += 1;
        words.next();
    }
    while let Some((_, power)) = words
        .peek()
        .and_then(|word| POWERS.iter().find(|(name, _)| name == word))
    {
        number.value *= power;
        number.words += 1;
        words.next();
    }
    Some(number)
}

fn spelt(word: &str) -> Option<Number> {
    let ten = position(TENS, word).map(|place| (place + 2.0) * 10.0);
    let value = position(UNITS, word).or(ten)?;
    Some(Number {
        value,
        money: false,
        words: 1,
    })
}

#[expect(clippy::cast_precision_loss, reason = "lists of twenty")]
fn position(list: &[&str], word: &str) -> Option<f64> {
    list.iter().position(|own| *own == word).map(|place| place as f64)
}

/// `1,000`, `$9.99`, `10k`, `-5`.
fn figures(word: &str) -> Option<Number> {
    let bare = word
        .trim_start_matches(['$', '€', '£'])
        .trim_end_matches(['€', '£', '$']);
    let money = bare.len() < word.len();
    let (bare, factor) = match bare.strip_suffix('k') {
        Some(thousands) => (thousands, 1e3),
        None => (bare, 1.0),
    };
    let digits = bare.strip_prefix('-').unwrap_or(bare);
    let plain = digits
        .chars()
        .all(|letter| letter.is_ascii_digit() || matches!(letter, '.' | ','));
    if !plain || !digits.starts_with(|letter: char| letter.is_ascii_digit()) || !grouped(digits) {
        return None;
    }
    let value: f64 = bare.replace(',', "").parse().ok()?;
    Some(Number {
        value: value * factor,
        money,
        words: 1,
    })
}

/// Commas stand before groups of three, or there are none.
fn grouped(digits: &str) -> bool {
    let whole = digits.split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let mut more = groups.peekable();
    (more.peek().is_none() || first.len() <= 3) && more.all(|group| group.len() == 3)
}

/// A number plainly: whole where it is whole, at most two places otherwise, more
/// only where it would be nothing without.
pub(crate) fn written(value: f64) -> String {
    if !value.is_finite() {
        return "no number".into();
    }
    let places: u32 = if value != 0.0 && value.abs() < 0.01 { 6 } else { 2 };
    let unit = 10_i128.pow(places);
    // Past 2^53 there are whole numbers only, and past 1e30 nobody reads them.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` keeps to the bounds of the type"
    )]
    let scaled = (value.abs() * 10_f64.powi(places.cast_signed())).round() as i128;
    let sign = if value < 0.0 && scaled > 0 { "-" } else { "" };
    let (whole, rest) = (scaled / unit, scaled % unit);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let text = format!("{sign}{whole}.{rest:0places$}", places = places as usize);
    text.trim_end_matches('0').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(f64, usize)> {
        number(text.split(' ')).map(|number| (number.value, number.words))
    }

    #[test]
    fn reads_figures_and_words() {
        for (text, value, words) in [
            ("5 artists", 5.0, 1),
            ("five", 5.0, 1),
            ("twenty five tracks", 25.0, 2),
            ("twenty tracks", 20.0, 1),
            ("two hundred", 200.0, 2),
            ("1,000", 1000.0, 1),
            ("$9.99", 9.99, 1),
            ("10k", 10_000.0, 1),
            ("-5", -5.0, 1),
            ("3 million", 3e6, 2),
        ] {
            assert_eq!(read(text), Some((value, words)), "{text}");
        }
        for text in ["", "many", "2010-01-05", "1,00", "5th", "k", "50%", "1.2.3"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn writes_plainly() {
        for (value, text) in [
            (59.0, "59"),
            (2328.6000000000004, "2328.6"),
            (393_599.212_1, "393599.21"),
            (0.99, "0.99"),
            (0.0012, "0.0012"),
            (-3.5, "-3.5"),
            (0.0, "0"),
        ] {
            assert_eq!(written(value), text);
        }
    }
}
