//! Sizes and durations as people write them in config files.
//!
//! Parsing either gives a value or a sentence that says what to write instead.

use std::time::Duration;

const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Reads `"64 MiB"`, `"10 MB"`, `"512 B"` or plain bytes (`"4096"`); case and
/// the space do not matter.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let fault = || {
        format!(
            "`{text}` is not a size: write a whole number with a unit, such as \"64 MiB\", \"512 KiB\" or \"10 MB\""
        )
    };
    let text_trimmed = text.trim();
    let digits = text_trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text_trimmed.len());
    let (number, unit) = text_trimmed.split_at(digits);
    let number: u64 = number.parse().map_err(|_| fault())?;
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" => 1,
        unit => UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
            .ok_or_else(fault)?,
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("`{text}` is more than 16 EiB: write a smaller size"))
}

/// Reads `"30s"`, `"250ms"`, `"1m 30s"`, `"24h"`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|_| {
        format!(
            "`{text}` is not a duration: write a number with a unit, such as \"250ms\", \"30s\", \"5m\" or \"24h\""
        )
    })
}

/// Milliseconds, to the microsecond: more digits say nothing.
pub fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Writes a size with the largest unit that suits it: `64 MiB`, `95.4 MiB`,
/// `17 bytes`.
pub fn format_size(bytes: u64) -> String {
    let Some((name, factor)) = [
        ("TiB", 1u64 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ]
    .into_iter()
    .find(|(_, factor)| bytes >= *factor) else {
        return format!("{bytes} bytes");
    };
    if bytes.is_multiple_of(factor) {
        format!("{} {name}", bytes / factor)
    } else {
        // Display only: the loss of precision does not matter.
        format!("{:.1} {name}", bytes as f64 / factor as f64)
    }
}

/// A duration as people say it, without what no person asked for: `2s` for what is
/// left of two seconds when the work begins. Exact below a second to the millisecond,
/// beyond it to a hundredth.
pub fn format_duration(duration: Duration) -> String {
    let unit = if duration < Duration::from_millis(995) {
        1
    } else {
        10
    };
    let micros = duration.as_micros() + 500 * unit;
    let millis = micros / (1000 * unit) * unit;
    match u64::try_from(millis) {
        Ok(0) | Err(_) => humantime::format_duration(duration).to_string(),
        Ok(millis) => humantime::format_duration(Duration::from_millis(millis)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64 MiB", 64 << 20),
            ("64MiB", 64 << 20),
            (" 1 gib ", 1 << 30),
            ("10 MB", 10_000_000),
            ("3 KB", 3000),
            ("7 B", 7),
            ("0", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_what_to_write() {
        for text in ["", "MiB", "1.5 GiB", "64 MeB", "-1", "64 MiB/s", "1 2"] {
            let fault = parse_size(text).unwrap_err();
            assert!(fault.contains("64 MiB"), "{text}: {fault}");
        }
        assert!(parse_size("99999999999 TiB").unwrap_err().contains("smaller"));
        assert!(parse_size("99999999999999999999999").is_err());
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration(" 250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "30", "s", "-1s", "soon"] {
            assert!(parse_duration(text).unwrap_err().contains("\"30s\""), "{text}");
        }
    }

    #[test]
    fn durations_print_without_what_was_lost_on_the_way() {
        for (nanos, text) in [
            (1_999_987_271, "2s"),
            (29_999_900_000, "30s"),
            (1_500_000_000, "1s 500ms"),
            (249_999_000, "250ms"),
            (999_999_000, "1s"),
            (90_000_000_000, "1m 30s"),
            (12_000, "12us"),
            (0, "0s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn sizes_print_in_the_unit_that_suits() {
        assert_eq!(format_size(17), "17 bytes");
        assert_eq!(format_size(64 << 20), "64 MiB");
        assert_eq!(format_size(100_000_000), "95.4 MiB");
        assert_eq!(format_size(3 << 10), "3 KiB");
    }
}
