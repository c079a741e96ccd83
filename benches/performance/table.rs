//! Measuring side by side: rounds of all contenders in turn, medians, and one table.
//!
//! Machines drift; ratios of figures from the same rounds hold. No absolute time is ever judged.

use std::{
    env,
    time::{Duration, Instant},
};

/// One contender: runs its work this many times and says how long it took.
pub(crate) struct Contender<'a> {
    /// For whoever reads the bench.
    _name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender that is told how often to work and says how long that took.
    pub(crate) fn timed(name: &'static str, run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { _name: name, run: Box::new(run) }
    }

    /// A contender that does one thing again and again on this thread.
    pub(crate) fn looped(name: &'static str, mut work: impl FnMut() + 'a) -> Self {
        Self::timed(name, move |times| {
            let begun = Instant::now();
            for _ in 0..times {
                work();
            }
            begun.elapsed()
        })
    }
}

/// How many rounds of each contender count; `PLANBUS_BENCH_ROUNDS` overrides it.
fn rounds() -> usize {
    env::var("PLANBUS_BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(9)
}

/// The median nanoseconds of one piece of each contender's work, from interleaved rounds.
pub(crate) fn medians(times: u64, contenders: &mut [Contender<'_>]) -> Vec<f64> {
    let mut figures = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds() {
        for (contender, figures) in contenders.iter_mut().zip(&mut figures) {
            let took = (contender.run)(times).as_nanos() as f64 / times as f64;
            if round > 0 {
                figures.push(took); // the first round warms up
            }
        }
    }
    figures
        .into_iter()
        .map(|mut figures| {
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        })
        .collect()
}

/// The time that this part of them, 0 to 1, does not exceed.
#[allow(dead_code, reason = "used by the rows that need a Redis")]
pub(crate) fn quantile(took: &mut [Duration], part: f64) -> Duration {
    took.sort();
    took[((took.len() - 1) as f64 * part) as usize]
}

/// What a row is judged by.
pub(crate) enum Goal {
    /// Ours is at most this many times the reference.
    AtMost(f64),
    /// Ours is at most the reference and this many nanoseconds more.
    AtMostMore(f64),
    /// Ours does at least this many times the reference's work in the same time.
    AtLeast(f64),
    /// Ours takes at most this many nanoseconds (told, never asserted).
    Nanos(f64),
}

/// One row: nanoseconds of the reference (limit or peer) and of ours.
pub(crate) fn row(what: &str, reference: &str, theirs: f64, ours: f64, goal: &Goal) {
    let (figure, wanted, met) = match goal {
        Goal::AtMost(most) => {
            (format!("{:.2}x", ours / theirs), format!("<= {most}x"), ours / theirs <= *most)
        }
        Goal::AtMostMore(more) => {
            (format!("+{:.1} ns", ours - theirs), format!("<= +{more} ns"), ours - theirs <= *more)
        }
        Goal::AtLeast(least) => {
            (format!("{:.2}x", theirs / ours), format!(">= {least}x"), theirs / ours >= *least)
        }
        Goal::Nanos(most) => {
            let ratio = if theirs > 0.0 { format!("{:.2}x", ours / theirs) } else { "-".to_owned() };
            (ratio, format!("<= {}", shown(*most)), ours <= *most)
        }
    };
    let mark = if met { "yes" } else { "no" };
    println!("| {what} | {reference} | {} | {} | {figure} | {wanted} | {mark} |", shown(theirs), shown(ours));
}

/// The head of the table.
pub(crate) fn head(title: &str) {
    println!("\n{title}: medians of {} interleaved rounds\n", rounds());
    println!("| what | reference | reference takes | ours takes | ratio | goal | met |");
    println!("|---|---|---|---|---|---|---|");
}

/// Nanoseconds as people read them.
fn shown(nanos: f64) -> String {
    match nanos {
        n if n.is_nan() || n == 0.0 => "-".to_owned(),
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.2} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}
