//! Numbers, sizes and durations as people read them. Never for a program to read again.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun: `1 file`, `2 files`.
pub(crate) fn counted(value: u64, noun: &str) -> String {
    let ending = if value == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(value))
}

/// `1536` as `1.5 kB`: powers of 1,000, as in the names of the units.
pub(crate) fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if value < 1_000 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1_000.0;
    let mut unit = 0;
    // 999.95 and more would be printed as 1000.0.
    while scaled >= 999.95 && unit + 1 < UNITS.len() {
        scaled /= 1_000.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// A duration in three digits or so: `840 us`, `12.4 ms`, `3.21 s`, `2m 05s`, `3h 12m`,
/// and from two days on `264d 3h`.
pub(crate) fn duration(value: Duration) -> String {
    let micros = value.as_micros();
    let seconds = value.as_secs();
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..100_000 => format!("{:.1} ms", micros as f64 / 1e3),
        100_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{:.2} s", (micros / 10_000) as f64 / 100.0),
        60_000_000..3_600_000_000 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600_000_000..172_800_000_000 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_units_of_its_size() {
        for (micros, told) in [
            (0, "0 us"),
            (999, "999 us"),
            (12_400, "12.4 ms"),
            (999_999, "999 ms"),
            (59_999_999, "59.99 s"),
            (125_000_000, "2m 05s"),
            (3_600_000_000, "1h 00m"),
            (172_799_999_999, "47h 59m"),
            (172_800_000_000, "2d 0h"),
            (22_823_160_000_000, "264d 3h"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), told);
        }
    }
}
