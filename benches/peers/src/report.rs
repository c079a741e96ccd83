//! The rows of the table: what was measured, beside what, and whether the goal is met.

use std::fmt::Write as _;

use serde::Serialize;

/// How long one piece of a contender's work takes.
#[derive(Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) nanos: f64,
    /// What ours is judged by beside this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<Judged>,
}

/// A goal, and how far it is met.
#[derive(Serialize)]
pub(crate) struct Judged {
    pub(crate) goal: String,
    pub(crate) ratio: String,
    /// What ours may take and still meet it.
    pub(crate) nanos_most: f64,
    pub(crate) met: bool,
}

/// What ours is judged by.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Ours takes at most this many times as long.
    AtMost(f64),
    /// Ours takes at most this many nanoseconds longer.
    AtMostMore(f64),
    /// Ours does at least this many times the work in the same time.
    AtLeast(f64),
    /// Ours takes at most this many nanoseconds, whatever the other takes.
    Nanos(f64),
}

impl Goal {
    fn judge(self, theirs: f64, ours: f64) -> Judged {
        let (nanos_most, ratio, goal) = match self {
            Self::AtMost(most) => (theirs * most, format!("{:.2}x", ours / theirs), format!("<= {most}x")),
            Self::AtMostMore(more) => {
                (theirs + more, format!("{:+.1} ns", ours - theirs), format!("<= +{more} ns"))
            }
            Self::AtLeast(least) => {
                (theirs / least, format!("{:.2}x", theirs / ours), format!(">= {least}x"))
            }
            Self::Nanos(most) => (most, format!("{:.2}x", ours / theirs), format!("<= {}", shown(most))),
        };
        Judged { goal, ratio, nanos_most, met: ours <= nanos_most }
    }
}

/// One row of the table. All figures are nanoseconds for one piece of work, measured in one run.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) part: &'static str,
    pub(crate) what: String,
    /// What the work costs at the least on this machine.
    pub(crate) limit: Figure,
    pub(crate) ours: f64,
    pub(crate) peers: Vec<Figure>,
}

impl Row {
    /// A row with its limit and, beside it, ours.
    pub(crate) fn new(
        part: &'static str,
        what: impl Into<String>,
        limit: (&str, f64),
        ours: f64,
        goal: Goal,
    ) -> Self {
        let judged = Some(goal.judge(limit.1, ours));
        let limit = Figure { name: limit.0.to_owned(), nanos: limit.1, goal: judged };
        Self { part, what: what.into(), limit, ours, peers: Vec::new() }
    }

    /// Adds a peer, with what ours is judged by beside it where there is such a goal.
    pub(crate) fn peer(mut self, name: &str, nanos: f64, goal: Option<Goal>) -> Self {
        let goal = goal.map(|goal| goal.judge(nanos, self.ours));
        self.peers.push(Figure { name: name.to_owned(), nanos, goal });
        self
    }

    /// Prints the row as one of a Markdown table.
    pub(crate) fn print(&self) {
        let Self { what, limit, ours, peers, .. } = self;
        let mut beside = String::new();
        for (number, Figure { name, nanos, goal }) in peers.iter().enumerate() {
            let gap = if number == 0 { "" } else { "; " };
            let _ = write!(beside, "{gap}{name} {} ({:.2}x", shown(*nanos), nanos / ours);
            let _ = match goal {
                Some(judged) => write!(beside, ", goal {}: {})", judged.goal, said(judged.met)),
                None => write!(beside, ")"),
            };
        }
        let judged = limit.goal.as_ref().expect("a row's limit is judged");
        println!(
            "| {what} | {} | {} | {} | {} | {} | {} | {beside} |",
            limit.name,
            shown(limit.nanos),
            shown(*ours),
            judged.ratio,
            judged.goal,
            said(judged.met),
        );
    }
}

/// The head of a part's table.
pub(crate) fn print_head(title: &str, rounds: usize) {
    println!("\n{title}: medians of {rounds} interleaved rounds\n");
    println!(
        "| what | limit | limit takes | ours takes | ratio | goal | met | peers (ours is so many times as fast) |"
    );
    println!("|---|---|---|---|---|---|---|---|");
}

fn said(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

/// Nanoseconds as people read them.
pub(crate) fn shown(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.2} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}
