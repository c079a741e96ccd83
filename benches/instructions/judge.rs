//! What is counted, what it was, and whether that is too much: pure.
//!
//! Never runs anything, and reads no file: `tests/instructions.rs` includes it.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

/// How much more a scenario may cost than its baseline. Between runs, where hashes with a random seed
/// put things elsewhere, scenarios differ by a fifth of it at the most, nearly all by a hundredth.
pub(crate) const TOLERANCE: f64 = 0.02;

/// Instructions an operation, by the name of the scenario.
pub(crate) type Counts = BTreeMap<String, f64>;

/// What the counts depend on beside the source. Where any of it differs, only ratios are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) architecture: String,
    pub(crate) compiler: String,
    /// What compiles SQLite.
    pub(crate) c_compiler: String,
    /// What the C library's copies are chosen by.
    pub(crate) vectors: String,
    pub(crate) valgrind: String,
}

/// What each scenario cost when that was last agreed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    pub(crate) conditions: Conditions,
    pub(crate) instructions: Counts,
}

impl Baseline {
    /// Reads `baseline.json`.
    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("baseline.json cannot be read: {error}"))
    }

    /// Writes `baseline.json`, with a digit behind the point: runs differ by more.
    pub(crate) fn to_json(&self) -> Result<String, String> {
        let rounded = |(name, count): (&String, &f64)| (name.clone(), (count * 10.0).round() / 10.0);
        let instructions = self.instructions.iter().map(rounded).collect();
        let rounded = Self { conditions: self.conditions.clone(), instructions };
        let text = serde_json::to_string_pretty(&rounded);
        text.map(|text| text + "\n").map_err(|error| format!("baseline.json cannot be written: {error}"))
    }
}

/// The instructions of a run, from what callgrind wrote.
pub(crate) fn total(callgrind_out: &str) -> Result<u64, String> {
    let mut fields = callgrind_out.lines().filter_map(|line| line.split_once(':'));
    let mut field = |name| {
        let found = fields.find(|(found, _)| *found == name);
        found.map(|(_, value)| value.trim()).ok_or_else(|| format!("callgrind wrote no line `{name}`"))
    };
    match field("events")? {
        "Ir" => {}
        other => return Err(format!("callgrind counted `{other}`, not `Ir`")),
    }
    let totals = field("totals")?;
    match totals.parse() {
        Ok(0) => Err("callgrind met none of the operations that it was to count".into()),
        Ok(total) => Ok(total),
        Err(_) => Err(format!("callgrind wrote `totals: {totals}`, which is no number")),
    }
}

/// How the costs of two scenarios stand to each other on any machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// What is promised, for people.
    pub(crate) promise: &'static str,
    pub(crate) scenario: &'static str,
    /// What it is judged beside.
    pub(crate) beside: &'static str,
    /// The most that `scenario` may cost, as a multiple of `beside`.
    pub(crate) most: f64,
}

/// What became of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Kept,
    /// It costs less than the tolerance explains.
    Better,
    TooMuch,
    /// The baseline does not know the scenario, or what is judged was not counted.
    Missing,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) beside: Option<f64>,
    pub(crate) now: Option<f64>,
    /// The most that `now` may be, as a multiple of `beside`.
    pub(crate) most: f64,
    pub(crate) outcome: Outcome,
}

impl Verdict {
    fn new(name: &str, beside: Option<f64>, now: Option<f64>, most: f64) -> Self {
        let outcome = match (beside, now) {
            (Some(beside), Some(now)) if now > beside * most => Outcome::TooMuch,
            (Some(_), Some(_)) => Outcome::Kept,
            _ => Outcome::Missing,
        };
        Self { name: name.to_owned(), beside, now, most, outcome }
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.now? / self.beside?)
    }

    /// Whether the guard refuses this.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::TooMuch | Outcome::Missing)
    }
}

/// Compares every scenario that was counted, or that the baseline knows, with the baseline.
pub(crate) fn against_baseline(baseline: &Counts, now: &Counts) -> Vec<Verdict> {
    let names: std::collections::BTreeSet<&String> = baseline.keys().chain(now.keys()).collect();
    let judge = |name: &String| {
        let (beside, now) = (baseline.get(name).copied(), now.get(name).copied());
        let mut verdict = Verdict::new(name, beside, now, 1.0 + TOLERANCE);
        if verdict.ratio().is_some_and(|ratio| ratio < 1.0 - TOLERANCE) {
            verdict.outcome = Outcome::Better;
        }
        verdict
    };
    names.into_iter().map(judge).collect()
}

/// Compares scenarios of one run with each other.
pub(crate) fn against_each_other(shapes: &[Shape], now: &Counts) -> Vec<Verdict> {
    let count = |name| now.get(name).copied();
    let judge =
        |shape: &Shape| Verdict::new(shape.promise, count(shape.beside), count(shape.scenario), shape.most);
    shapes.iter().map(judge).collect()
}

/// The comparisons as a Markdown table.
pub(crate) fn table(what: &str, beside: &str, verdicts: &[Verdict]) -> String {
    let mut text =
        format!("\n| {what} | {beside} | now | ratio | at most | |\n|---|---:|---:|---:|---:|---|\n");
    let shown = |count: Option<f64>| count.map_or_else(|| "-".into(), |count| format!("{count:.1}"));
    for verdict in verdicts {
        let ratio = verdict.ratio().map_or_else(|| "-".into(), |ratio| format!("{ratio:.3}"));
        let said = match verdict.outcome {
            Outcome::Kept => "ok",
            Outcome::Better => "better: lower the baseline",
            Outcome::TooMuch => "TOO MUCH",
            Outcome::Missing => "MISSING",
        };
        let (name, most) = (&verdict.name, verdict.most);
        let (beside, now) = (shown(verdict.beside), shown(verdict.now));
        let _ = writeln!(text, "| {name} | {beside} | {now} | {ratio} | {most:.2} | {said} |");
    }
    text
}

/// What is refused and what to do about it, a line each; empty where nothing is.
pub(crate) fn complaints(verdicts: &[Verdict], of_baseline: bool) -> Vec<String> {
    let refused = verdicts.iter().filter(|verdict| verdict.is_refused());
    let told = refused.map(|verdict| match (verdict.ratio(), of_baseline) {
        (Some(ratio), true) => format!(
            "{}: {ratio:.3} times the instructions of the baseline, at most {:.2} are let through. Find what was \
             added, or agree to it: run this with PLANBUS_BASELINE=write and commit baseline.json",
            verdict.name, verdict.most
        ),
        (Some(ratio), false) => format!(
            "{}: the ratio is {ratio:.3}, at most {:.2} is promised. No baseline changes that: find what grows",
            verdict.name, verdict.most
        ),
        (None, true) if verdict.now.is_some() => {
            format!("{}: not in the baseline: run this with PLANBUS_BASELINE=write", verdict.name)
        }
        (None, true) => format!(
            "{}: in the baseline, but nothing counts it: run this with PLANBUS_BASELINE=write",
            verdict.name
        ),
        (None, false) => format!("{}: one of its scenarios was not counted", verdict.name),
    });
    told.collect()
}

/// What a scenario cost with a deliberate slowdown in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slowed<'a> {
    pub(crate) slowdown: &'a str,
    pub(crate) scenario: &'a str,
    pub(crate) count: f64,
}

/// Judges slowdowns as though the run without them were the baseline.
pub(crate) fn against_itself(slowed: &[Slowed<'_>], now: &Counts) -> Vec<Verdict> {
    let judge = |slowed: &Slowed<'_>| {
        let name = format!("{}: {}", slowed.scenario, slowed.slowdown);
        Verdict::new(&name, now.get(slowed.scenario).copied(), Some(slowed.count), 1.0 + TOLERANCE)
    };
    slowed.iter().map(judge).collect()
}

/// The slowdowns that the guard does not refuse, a line each: by the scenario's count, and by every
/// ratio that the scenario is judged by.
pub(crate) fn unseen(slowed: &[Slowed<'_>], shapes: &[Shape], now: &Counts) -> Vec<String> {
    let mut unseen = Vec::new();
    for (slowed, verdict) in slowed.iter().zip(against_itself(slowed, now)) {
        let mut with = now.clone();
        with.insert(slowed.scenario.to_owned(), slowed.count);
        let of_it: Vec<Shape> =
            shapes.iter().copied().filter(|shape| shape.scenario == slowed.scenario).collect();
        let verdicts = std::iter::once(verdict).chain(against_each_other(&of_it, &with));
        let missed = verdicts.filter(|verdict| verdict.outcome != Outcome::TooMuch);
        unseen.extend(missed.map(|verdict| {
            format!("{}: a deliberate slowdown ({}) was not refused", verdict.name, slowed.slowdown)
        }));
    }
    unseen
}
