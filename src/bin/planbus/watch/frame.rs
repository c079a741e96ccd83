//! The picture that `watch` shows: a line of figures, the tree, what happened last, the keys.
//!
//! Pure: a model, what a person asked to see, and the size in; lines out, never wider nor more than
//! the terminal has.

use std::time::Duration;

use planbus::{PlanStatus, Timestamp};

use super::keys::Key;
use crate::{
    agent_runtime::units::number,
    live::{Model, News, Outline, Pen, spinner},
    style::{self, Painter, Style},
    text::{cut_start, escape},
};

/// How many of the newest decisions and failures are shown at most, and on what part of the rows.
const NEWS_SHOWN: (usize, usize) = (8, 4);
/// With fewer rows all are the tree's.
const NEWS_ROWS_MIN: usize = 16;
/// With fewer columns the store is not named.
const NAMED_COLUMNS_MIN: usize = 70;
/// The most columns that a plan's id takes beside its news.
const PLAN_COLUMNS: usize = 30;

const HELP: [&str; 10] = [
    "q, Ctrl-C     quit",
    "up, down      scroll (k, j)",
    "PgUp, PgDn    scroll by a screen",
    "Home, End     the first and the last line",
    "f             only plans in which something failed",
    "p, space      hold the picture still, and go on",
    "?             this help",
    "",
    "Plans that have ended stay for some seconds, then they are only counted.",
    "Any key ends this help.",
];

/// What a person asked to see.
#[derive(Debug, Default)]
pub(super) struct View {
    first: usize,
    only_failed: bool,
    is_help: bool,
    /// How many lines the tree had, and how many of them were shown.
    lines: usize,
    room: usize,
}

impl View {
    /// Takes in a key that changes what is seen.
    pub(super) fn press(&mut self, key: Key) {
        if std::mem::take(&mut self.is_help) {
            return;
        }
        let page = self.room.saturating_sub(1).max(1);
        match key {
            Key::Up => self.first = self.first.saturating_sub(1),
            Key::Down => self.first += 1,
            Key::PageUp => self.first = self.first.saturating_sub(page),
            Key::PageDown => self.first += page,
            Key::Top => self.first = 0,
            Key::Bottom => self.first = usize::MAX,
            Key::FailedOnly => (self.only_failed, self.first) = (!self.only_failed, 0),
            Key::Help => self.is_help = true,
            Key::Quit | Key::Suspend | Key::Pause | Key::Other => {}
        }
        self.keep_inside();
    }

    fn keep_inside(&mut self) {
        self.first = self.first.min(self.lines.saturating_sub(self.room));
    }
}

/// What is to be said beside the model.
pub(super) struct Facts<'a> {
    /// The store and the tenant.
    pub(super) title: &'a str,
    pub(super) seq: u64,
    /// How many events came since the picture stands still.
    pub(super) held: Option<u64>,
    /// What is not as it should be.
    pub(super) note: Option<&'a str>,
    /// What is said while there is nothing to show.
    pub(super) empty: &'a str,
}

/// The lines of a picture, for a terminal of so many columns and rows.
pub(super) fn frame(
    model: &Model,
    view: &mut View,
    facts: &Facts<'_>,
    (columns, rows): (usize, usize),
    now: Timestamp,
    painter: Painter,
) -> Vec<String> {
    let line = |parts: &[(Style, String)]| painter.line(parts, columns);
    let mut lines = vec![line(&head(model, facts, columns, now))];
    let note = facts.note.map(|note| line(&[(Style::Decision, escape(note).into_owned())]));
    lines.extend(note.filter(|_| rows > 3));
    let news = news(model, view, rows);
    let below = if rows > 4 { 1 } else { 0 } + if news.is_empty() { 0 } else { news.len() + 1 };
    view.room = rows.saturating_sub(lines.len() + below).max(1);
    if view.is_help {
        lines.extend(HELP.iter().take(view.room).map(|text| line(&[(Style::Plain, (*text).to_owned())])));
    } else {
        let outline = Outline::of(model, view.only_failed, view.room);
        view.lines = outline.len();
        view.keep_inside();
        // What nobody goes on with does not turn.
        let running = if facts.note.is_none() { spinner(now) } else { style::mark(PlanStatus::Running) };
        lines.extend(outline.lines(view.first, view.room, Pen { columns, now, running, painter }));
        if outline.len() == 0 {
            let empty = if view.only_failed { "nothing has failed in a plan that runs" } else { facts.empty };
            lines.push(line(&[(Style::Faint, empty.to_owned())]));
        }
    }
    lines.resize(rows.saturating_sub(below), String::new());
    if !news.is_empty() {
        lines.push(line(&[(Style::Faint, "─".repeat(columns))]));
        lines.extend(news.iter().map(|news| line(&told(news, columns, now))));
    }
    if rows > 4 {
        lines.push(line(&foot(model, view)));
    }
    lines.truncate(rows);
    lines
}

fn head(model: &Model, facts: &Facts<'_>, columns: usize, now: Timestamp) -> Vec<(Style, String)> {
    let sums = &model.sums;
    let mut parts = Vec::new();
    if columns >= NAMED_COLUMNS_MIN {
        parts.push((Style::Heading, format!("{}  ", cut_start(&escape(facts.title), columns / 2))));
    }
    if let Some(held) = facts.held {
        parts.push((Style::Decision, format!("paused, {} new  ", number(held))));
    }
    parts.push((Style::Started, format!("{} running", number(sums.running))));
    if sums.completed > 0 {
        parts.push((Style::Good, format!("  {} completed", number(sums.completed))));
    }
    if sums.failed > 0 {
        parts.push((Style::Bad, format!("  {} failed", number(sums.failed))));
    }
    let rate = model.rate(now);
    parts.push((Style::Faint, format!("  {}/s  seq {}", number(rate), number(facts.seq))));
    parts
}

fn news<'a>(model: &'a Model, view: &View, rows: usize) -> Vec<&'a News> {
    if rows < NEWS_ROWS_MIN {
        return Vec::new();
    }
    let (most, share) = NEWS_SHOWN;
    model.news(|news| !view.only_failed || news.is_failure(), most.min(rows / share))
}

/// One piece of news, with its age.
fn told(news: &News, columns: usize, now: Timestamp) -> Vec<(Style, String)> {
    let plan = escape(news.plan.as_str());
    let plan = cut_start(&plan, PLAN_COLUMNS.min(columns / 3)).into_owned();
    vec![
        (Style::Faint, format!("{:>4} ", age(now.duration_since(news.at)))),
        (news.style, format!("{} ", news.mark)),
        (Style::Faint, format!("{plan}  ")),
        (Style::Plain, news.what.clone()),
    ]
}

/// How long ago, in one unit.
fn age(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn foot(model: &Model, view: &View) -> Vec<(Style, String)> {
    let mut parts = Vec::new();
    if view.only_failed {
        parts.push((Style::Bad, "failed only  ".to_owned()));
    }
    if view.lines > view.room && !view.is_help {
        let last = (view.first + view.room).min(view.lines);
        let lines = number(view.lines as u64);
        parts.push((Style::Plain, format!("{}-{} of {lines}  ", view.first + 1, number(last as u64))));
    }
    if model.sums.unlisted > 0 {
        parts.push((Style::Faint, format!("and {} older plans  ", number(model.sums.unlisted))));
    }
    let keys = "q quit  f failed only  p pause  ? help";
    parts.push((Style::Faint, keys.to_owned()));
    parts
}

#[cfg(test)]
mod tests;
