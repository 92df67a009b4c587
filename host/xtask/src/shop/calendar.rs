//! The shop's three years, day by day.

/// How many days the shop has been open: 2023, 2024 and 2025.
pub(super) const DAYS: u32 = 365 + 366 + 365;

/// A day, counted from 1 January 2023.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) u32);

impl Day {
    /// Year, month and day of the month, the latter two from 1.
    fn date(self) -> (u32, u32, u32) {
        let mut rest = self.0;
        for year in 2023.. {
            for month in 1..=12 {
                let length = days_in(year, month);
                if rest < length {
                    return (year, month, rest + 1);
                }
                rest -= length;
            }
        }
        (0, 0, 0)
    }

    /// `2023-01-31`.
    pub(super) fn iso(self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// From 1.
    pub(super) fn month(self) -> u32 {
        self.date().1
    }

    /// How much is bought on this day: it grows by half within a year, is three
    /// times as much before Christmas as in a dull month, and more at a weekend.
    pub(super) fn trade(self) -> u32 {
        let growth = 365 + self.0 / 2;
        let season = match self.month() {
            1 => 75,
            2 => 70,
            7 | 8 => 85,
            11 => 150,
            12 => 190,
            _ => 100,
        };
        // The first day was a Sunday.
        let weekday = if matches!(self.0 % 7, 0 | 6) { 13 } else { 10 };
        growth * season * weekday / 1000
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (day, date) in [
            (0, "2023-01-01"),
            (364, "2023-12-31"),
            (365 + 31 + 28, "2024-02-29"),
            (365 + 31 + 29, "2024-03-01"),
            (DAYS - 1, "2025-12-31"),
        ] {
            assert_eq!(Day(day).iso(), date);
        }
    }
}
