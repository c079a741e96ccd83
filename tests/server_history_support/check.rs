//! The check: what a client was sent, against the log and what it asked for. Decides purely.

use std::{collections::HashSet, fmt};

use planbus::Event;

use super::ask::{Ask, Said};

/// What a client was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    Event(Said),
    /// It was told that events are missing.
    Gap {
        after_seq: Option<u64>,
        oldest_seq: u64,
    },
}

/// What is wrong with what clients were sent, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Violations {
    /// Events that a client was not sent, and was not told to be missing.
    pub(crate) lost: usize,
    /// Events that came again.
    pub(crate) doubled: usize,
    /// Events that came after one with a higher seq.
    pub(crate) disordered: usize,
    /// Events that the client did not ask for, or that the log does not have.
    pub(crate) foreign: usize,
    /// Events that are not what the log has.
    pub(crate) changed: usize,
    /// Gaps where nothing is missing that retention took.
    pub(crate) false_gaps: usize,
}

impl Violations {
    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign for Violations {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.foreign += other.foreign;
        self.changed += other.changed;
        self.false_gaps += other.false_gaps;
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, disordered, foreign, changed, false_gaps } = self;
        write!(f, "{lost} lost, {doubled} doubled, {disordered} out of order, {foreign} foreign, ")?;
        write!(f, "{changed} changed, {false_gaps} false gaps")
    }
}

/// Compares what a client was sent with the log: all that ever was in it, from seq 1, of which retention
/// has taken what is before `floor`.
pub(crate) fn compare(ask: &Ask, log: &[Event], floor: u64, got: &[Got]) -> Violations {
    let mut violations = Violations::default();
    let (mut seen, mut gaps) = (HashSet::new(), Vec::new());
    // The highest seq so far; what is before the end of a gap that was told must not come after it.
    let (mut highest, mut gap_end) = (0, 0);
    for got in got {
        match got {
            Got::Event(said) => {
                let at = usize::try_from(said.seq).expect("a usize").checked_sub(1);
                let Some(event) = at.and_then(|at| log.get(at)).filter(|event| ask.wants(event)) else {
                    violations.foreign += 1;
                    continue;
                };
                if !seen.insert(said.seq) {
                    violations.doubled += 1;
                    continue;
                }
                violations.disordered += usize::from(said.seq < highest);
                violations.false_gaps += usize::from(said.seq < gap_end);
                violations.changed += usize::from(!ask.is_said(event, said));
                highest = highest.max(said.seq);
            }
            Got::Gap { after_seq, oldest_seq } => {
                let after = after_seq.unwrap_or(highest);
                let is_true = after >= highest && *oldest_seq > after + 1 && *oldest_seq <= floor;
                violations.false_gaps += usize::from(!is_true);
                gaps.push(after + 1..*oldest_seq);
                gap_end = *oldest_seq;
            }
        }
    }
    let is_missing = |event: &&Event| {
        let seq = event.seq().unwrap_or(0);
        ask.wants(event) && !seen.contains(&seq) && !gaps.iter().any(|gap| gap.contains(&seq))
    };
    violations.lost = log.iter().filter(is_missing).count();
    violations
}
