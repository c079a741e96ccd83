//! What became of the acknowledged events over many cuts.

/// What a store turned out to be after a cut.
pub(crate) enum Found {
    /// All that was acknowledged is there, and it goes on.
    Whole,
    /// So many acknowledged events are gone.
    Lost(usize),
    /// It does not open, or what is in it is not what was written.
    Broken(String),
}

/// What became of the acknowledged events over many cuts.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cuts: usize,
    pub(crate) losing_cuts: usize,
    lost_events: usize,
    pub(crate) broken: Vec<String>,
    /// The first cut that lost any, as an example.
    first: Option<String>,
}

impl Tally {
    pub(crate) fn note(&mut self, found: Found, place: &str) {
        self.cuts += 1;
        match found {
            Found::Whole => {}
            Found::Lost(events) => {
                self.losing_cuts += 1;
                self.lost_events += events;
                self.first.get_or_insert_with(|| format!("{place}: {events} events"));
            }
            Found::Broken(how) => self.broken.push(format!("{place}: {how}")),
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.losing_cuts == 0 && self.broken.is_empty()
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.cuts += other.cuts;
        self.losing_cuts += other.losing_cuts;
        self.lost_events += other.lost_events;
        self.broken.extend(other.broken);
        self.first = self.first.or(other.first);
        self
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cuts, losing_cuts, lost_events, broken, first } = self;
        write!(
            out,
            "{cuts} cuts, {losing_cuts} lost {lost_events} acknowledged events, {} broke the store",
            broken.len()
        )?;
        first.iter().chain(broken.first()).try_for_each(|example| write!(out, "; {example}"))
    }
}
