//! Stretches of the calendar: a year, a quarter, a month, a day.

use std::fmt;

use super::Reader;

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const QUARTERS: &[(&str, u32)] = &[
    ("q1", 1),
    ("q2", 2),
    ("q3", 3),
    ("q4", 4),
    ("first quarter", 1),
    ("second quarter", 2),
    ("third quarter", 3),
    ("fourth quarter", 4),
    ("last quarter", 4),
    ("1st quarter", 1),
    ("2nd quarter", 2),
    ("3rd quarter", 3),
    ("4th quarter", 4),
];

/// A day, written as ISO 8601 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day {
    year: u32,
    month: u32,
    day: u32,
}

/// From a day to before a day; open where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Option<Day>,
    pub(crate) to: Option<Day>,
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Day {
    fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        let valid = (1000..=9998).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days(year, month)).contains(&day);
        valid.then_some(Self { year, month, day })
    }

    /// The day before.
    pub(crate) fn before(self) -> Self {
        let Self { year, month, day } = self;
        match (month, day) {
            (1, 1) => Self {
                year: year - 1,
                month: 12,
                day: 31,
            },
            (_, 1) => Self {
                month: month - 1,
                day: days(year, month - 1),
                ..self
            },
            _ => Self { day: day - 1, ..self },
        }
    }

    pub(crate) fn next(self) -> Self {
        let Self { year, month, day } = self;
        if day < days(year, month) {
            return Self { day: day + 1, ..self };
        }
        Self { day: 1, ..self }.plus_months(1)
    }

    fn plus_months(self, months: u32) -> Self {
        let count = self.year * 12 + (self.month - 1) + months;
        Self {
            year: count / 12,
            month: count % 12 + 1,
            day: self.day,
        }
    }
}

fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Reader<'_, '_> {
    /// A period that begins at a place: its first day, and the day behind it.
    pub(super) fn period(&self, at: usize) -> Option<(Day, Day, usize)> {
        let at = self.skip(at);
        let at = self
            .phrases(at, "year|month of|calendar year|year of")
            .unwrap_or(at);
        self.dated(at)
            .or_else(|| self.quarter(at))
            .or_else(|| self.month(at))
            .or_else(|| self.bare_year(at))
    }

    /// A whole year on its own, as it stands before a noun: "2010 orders".
    pub(super) fn year(&self, at: usize) -> Option<(Span, usize)> {
        let year = self.figure(at)?;
        let (from, to, end) = self.bare_year(at).filter(|_| (1900..=2100).contains(&year))?;
        let (from, to) = (Some(from), Some(to));
        Some((Span { from, to }, end))
    }

    fn bare_year(&self, at: usize) -> Option<(Day, Day, usize)> {
        let from = Day::new(self.figure(at)?, 1, 1)?;
        Some((from, from.plus_months(12), at + 1))
    }

    /// `2010-03-05`, `2010-03`.
    fn dated(&self, at: usize) -> Option<(Day, Day, usize)> {
        let mut parts = self.word(at).split('-');
        let mut figure = |length: usize| {
            parts
                .next()
                .filter(|part| part.len() == length)?
                .parse::<u32>()
                .ok()
        };
        let (year, month) = (figure(4)?, figure(2)?);
        let day = self.word(at).len() > 7;
        let from = if day {
            Day::new(year, month, figure(2)?)?
        } else {
            Day::new(year, month, 1)?
        };
        let to = if day { from.next() } else { from.plus_months(1) };
        (parts.next().is_none()).then_some((from, to, at + 1))
    }

    /// `q1 2010`, `the first quarter of 2010`.
    fn quarter(&self, at: usize) -> Option<(Day, Day, usize)> {
        let named = QUARTERS
            .iter()
            .find_map(|(name, number)| Some((number, self.phrase(at, name)?)));
        let (number, end) = named?;
        let end = self.maybe(end, "of|,|in");
        let from = Day::new(self.figure(end)?, (number - 1) * 3 + 1, 1)?;
        Some((from, from.plus_months(3), end + 1))
    }

    /// `march 2010`, `march 5, 2010`, `5 march 2010`, `5th of march 2010`.
    fn month(&self, at: usize) -> Option<(Day, Day, usize)> {
        if let Some(day) = self.ordinal(at) {
            let next = self.maybe(at + 1, "of");
            let month = month(self.word(next))?;
            let next = self.maybe(next + 1, ",|of");
            let from = Day::new(self.figure(next)?, month, day)?;
            return Some((from, from.next(), next + 1));
        }
        let month = month(self.word(at))?;
        if let Some(day) = self.ordinal(at + 1) {
            let next = self.maybe(at + 2, ",");
            let from = Day::new(self.figure(next)?, month, day)?;
            return Some((from, from.next(), next + 1));
        }
        let next = self.maybe(at + 1, ",|of|in");
        let from = Day::new(self.figure(next)?, month, 1)?;
        Some((from, from.plus_months(1), next + 1))
    }

    /// Four figures.
    fn figure(&self, at: usize) -> Option<u32> {
        let word = self.word(at);
        word.parse().ok().filter(|_| word.len() == 4)
    }

    /// The day of a month.
    fn ordinal(&self, at: usize) -> Option<u32> {
        let word = self.word(at);
        let bare = ["st", "nd", "rd", "th"]
            .iter()
            .find_map(|end| word.strip_suffix(end))
            .unwrap_or(word);
        bare.parse()
            .ok()
            .filter(|day| (1..=31).contains(day) && bare.len() <= 2)
    }
}

fn month(word: &str) -> Option<u32> {
    let short = |name: &&str| {
        *name == word
            || (word.len() >= 3 && name.get(..3) == word.get(..3) && (word.len() == 3 || word == "sept"))
    };
    let place = MONTHS.iter().position(short)?;
    u32::try_from(place + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_one_another() {
        for (day, next) in [
            ((2024, 2, 28), "2024-02-29"),
            ((2023, 2, 28), "2023-03-01"),
            ((2010, 12, 31), "2011-01-01"),
        ] {
            assert_eq!(Day::new(day.0, day.1, day.2).unwrap().next().to_string(), next);
            let day = Day::new(day.0, day.1, day.2).unwrap();
            assert_eq!(day.next().before(), day);
        }
        assert_eq!(Day::new(2023, 2, 29), None);
        assert_eq!(
            Day::new(2010, 11, 1).unwrap().plus_months(3).to_string(),
            "2011-02-01"
        );
        assert_eq!(month("sep"), Some(9));
        assert_eq!(month("sept"), Some(9));
        assert_eq!(month("mayor"), None);
    }
}
