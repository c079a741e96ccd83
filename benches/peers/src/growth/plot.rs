//! What growth is told as: series of points, and plots of series that share their axes.
//!
//! Knows figures and their words; what draws them is `chart`.

use serde::{Serialize, Serializer};

use crate::report::shown;

/// Up to how many times its first figure the last of a series may be that must not grow.
const FLAT_MOST: f64 = 1.5;

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Nanoseconds,
    Bytes,
}

impl Unit {
    /// A figure as people read it.
    pub(crate) fn shown(self, value: f64) -> String {
        match self {
            Self::Nanoseconds if value >= 1e9 => format!("{:.2} s", value / 1e9),
            Self::Nanoseconds => shown(value),
            Self::Bytes if value < 1e4 => format!("{value:.0} B"),
            Self::Bytes if value < 1e7 => format!("{:.1} kB", value / 1e3),
            Self::Bytes => format!("{:.1} MB", value / 1e6),
        }
    }

    /// A power of ten beside its axis.
    pub(crate) fn tick(self, value: f64) -> String {
        let names = match self {
            Self::Nanoseconds => ["ns", "us", "ms", "s"],
            Self::Bytes => ["B", "kB", "MB", "GB"],
        };
        let thousands = if value < 1.0 { 0 } else { ((value.log10() + 1e-9) / 3.0) as usize };
        let thousands = thousands.min(names.len() - 1);
        format!("{} {}", value / 1000_f64.powi(thousands as i32), names[thousands])
    }

    /// What the axis is called: figures of what.
    pub(crate) fn axis(self, of: &str) -> String {
        match self {
            Self::Nanoseconds => format!("time, {of}"),
            Self::Bytes => format!("bytes, {of}"),
        }
    }
}

/// How one thing grows: what it took, by the size at which it did.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(u64, f64)>,
    /// Whether it must not grow.
    pub(crate) is_flat: bool,
}

impl Series {
    pub(crate) fn new(name: impl Into<String>, points: Vec<(u64, f64)>) -> Self {
        Self { name: name.into(), points, is_flat: false }
    }

    /// A series that must not grow: its last figure is judged by its first.
    pub(crate) fn flat(mut self) -> Self {
        self.is_flat = true;
        self
    }

    /// How many times its first figure the last one is, and at which sizes these are.
    pub(crate) fn growth(&self) -> Option<(f64, u64, u64)> {
        let ((first, from), (last, to)) = (self.points.first()?, self.points.last()?);
        Some((to / from, *first, *last))
    }

    fn value(&self, n: u64) -> Option<f64> {
        self.points.iter().find(|(at, _)| *at == n).map(|(_, value)| *value)
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let growth = self.growth().map(|(growth, ..)| growth);
        let told = serde_json::json!({"name": self.name, "points": self.points,
            "must_be_flat": self.is_flat, "last_to_first": growth});
        told.serialize(serializer)
    }
}

/// Series over the same axes.
#[derive(Serialize)]
pub(crate) struct Plot {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// What grows.
    pub(crate) x: &'static str,
    /// In what its cost is counted.
    #[serde(rename = "unit")]
    pub(crate) y: Unit,
    /// The piece of work, or the thing, that costs it.
    pub(crate) of: &'static str,
    pub(crate) series: Vec<Series>,
}

impl Plot {
    /// Prints the plot as a Markdown table, with how much each series has grown, and says of what must
    /// not grow whether it did.
    pub(crate) fn print(&self) {
        let mut sizes: Vec<u64> =
            self.series.iter().flat_map(|series| &series.points).map(|(n, _)| *n).collect();
        sizes.sort_unstable();
        sizes.dedup();
        println!("\n{} ({})\n", self.title, self.y.axis(self.of));
        let heads: Vec<String> = sizes.iter().map(|n| counted(*n)).collect();
        println!("| {} | {} | last to first |", self.x, heads.join(" | "));
        println!("|---|{}---|", "---:|".repeat(sizes.len()));
        for series in &self.series {
            let words = |n: &u64| series.value(*n).map_or("-".to_owned(), |value| self.y.shown(value));
            let words: Vec<String> = sizes.iter().map(words).collect();
            let growth = series.growth().map_or("-".to_owned(), |(growth, ..)| format!("{growth:.2}x"));
            println!("| {} | {} | {growth} |", series.name, words.join(" | "));
        }
        println!();
        for series in self.series.iter().filter(|series| series.is_flat) {
            let Some((growth, from, to)) = series.growth() else { continue };
            let said = if growth <= FLAT_MOST { "flat" } else { "GROWS" };
            println!("{}: {growth:.2}x from {} to {}: {said}", series.name, counted(from), counted(to));
        }
    }
}

/// A number with a comma at each thousand.
pub(crate) fn counted(n: u64) -> String {
    let digits = n.to_string();
    let head = digits.len() % 3;
    let groups = std::iter::once(&digits[..head]).filter(|head| !head.is_empty());
    let rest = (head..digits.len()).step_by(3).map(|at| &digits[at..at + 3]);
    groups.chain(rest).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ticks_read_as_people_write_them() {
        let told: Vec<String> = [1, 12, 123, 1_234, 100_000, 10_000_000].map(counted).into();
        assert_eq!(told, ["1", "12", "123", "1,234", "100,000", "10,000,000"]);
        let ticks = [0.1, 1.0, 1e3, 1e5, 1e9, 1e10].map(|value| Unit::Nanoseconds.tick(value));
        assert_eq!(ticks, ["0.1 ns", "1 ns", "1 us", "100 us", "1 s", "10 s"]);
    }

    #[test]
    fn a_series_that_must_be_flat_is_judged_by_its_ends() {
        let series = Series::new("publish", vec![(1, 4.0), (10, 9.0), (100, 8.0)]).flat();
        assert_eq!(series.growth(), Some((2.0, 1, 100)));
    }
}
