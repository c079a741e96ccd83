//! One line on stderr that says what a long command does, and how far it is where that is known,
//! while it runs and a person looks.
//!
//! Draws nothing where stderr is no terminal. It hides no cursor: whatever ends the program leaves
//! the terminal as it was.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use planbus::EventStore;

use crate::{
    agent_runtime::units::{bytes, counted, duration, number},
    cli::Global,
    live::pane::Pane,
    terminal,
    text::cut,
};

/// The time between two pictures.
const FRAME: Duration = Duration::from_millis(100);
/// The columns of the bar.
const BAR_COLUMNS: u64 = 16;

/// How far a command is.
pub(crate) struct Progress {
    /// `None` where nobody looks.
    pane: Option<Pane>,
    begun: Instant,
    drawn: Option<Instant>,
    /// All the bytes that there are, where that is known.
    total: Option<u64>,
}

impl Progress {
    pub(crate) fn new(global: &Global, total: Option<u64>) -> Self {
        let is_watched = terminal::can_redraw() && global.wants_pictures();
        Self { pane: is_watched.then(Pane::default), begun: Instant::now(), drawn: None, total }
    }

    /// Says that so many bytes and events are done; draws it a few times a second.
    pub(crate) fn tell(&mut self, done: u64, events: u64) {
        let now = Instant::now();
        let is_due = self.drawn.is_none_or(|drawn| now.duration_since(drawn) >= FRAME);
        if let Some(pane) = self.pane.as_mut().filter(|_| is_due) {
            self.drawn = Some(now);
            let line = line(done, self.total, events, now.duration_since(self.begun));
            let (columns, _) = terminal::stderr_size();
            // A terminal that is gone needs no picture.
            let _ = pane.draw(&cut(&line, columns.saturating_sub(1)), &mut io::stderr());
        }
    }

    /// Takes the line away, so that something else can be written.
    pub(crate) fn clear(&mut self) {
        if let Some(pane) = self.pane.as_mut().filter(|_| self.drawn.take().is_some()) {
            let _ = pane.clear(&mut io::stderr());
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Says that something is done with all events of a store, until it is dropped.
pub(crate) struct Notice {
    is_shown: bool,
}

impl Notice {
    /// Best effort: a store too damaged to say how many events it holds is worked on all the same.
    pub(crate) fn of(doing: &str, store: &EventStore, global: &Global) -> Self {
        let shows = !global.quiet && terminal::can_redraw();
        let events = if shows { store.stats().ok().map(|stats| stats.events) } else { None };
        if let Some(events) = events {
            // A terminal that is gone needs no notice.
            let _ = write!(io::stderr(), "{doing} {} ...", counted(events, "event"));
        }
        Self { is_shown: events.is_some() }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Units a second.
pub(crate) fn rate(count: u64, elapsed: Duration) -> u64 {
    (count as f64 / elapsed.as_secs_f64().max(1e-6)) as u64
}

fn line(done: u64, total: Option<u64>, events: u64, elapsed: Duration) -> String {
    let speed = format!("{}  {}/s", counted(events, "event"), number(rate(events, elapsed)));
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{}  {speed}", bytes(done));
    };
    // A file may grow while it is read.
    let done = done.min(total);
    let filled = (u128::from(done) * u128::from(BAR_COLUMNS) / u128::from(total)) as usize;
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(BAR_COLUMNS as usize - filled));
    let percent = u128::from(done) * 100 / u128::from(total);
    let left = (total - done) as f64 / (done.max(1) as f64 / elapsed.as_secs_f64());
    // What matters least stands last, where a narrow terminal cuts.
    format!("{bar} {percent:>3} %  {} left  {} of {}  {speed}", about(left), bytes(done), bytes(total))
}

/// A time of which nobody knows the tenths.
fn about(seconds: f64) -> String {
    match seconds.ceil() {
        seconds if seconds < 60.0 => format!("{seconds} s"),
        seconds => Duration::try_from_secs_f64(seconds).map_or_else(|_| "ages".to_owned(), duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_is_done_how_fast_and_how_long_it_takes_yet() {
        let ten = Duration::from_secs(10);
        assert_eq!(
            line(250_000, Some(1_000_000), 5_000, ten),
            "████░░░░░░░░░░░░  25 %  30 s left  250.0 kB of 1.0 MB  5,000 events  500/s"
        );
        assert_eq!(line(250_000, None, 1, ten), "250.0 kB  1 event  0/s");
        assert!(line(0, Some(7), 0, ten).contains("  0 %  1m 10s left  0 B of 7 B"));
        assert!(line(0, Some(7), 0, Duration::ZERO).contains("  0 %  0 s left"));
        assert!(line(9, Some(7), 1, ten).contains("100 %  0 s left  7 B of 7 B"));
        assert_eq!(line(0, Some(0), 0, ten), "0 B  0 events  0/s");
    }
}
