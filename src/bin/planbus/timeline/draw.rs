//! How a timeline looks: the axis, the columns, and each span as a line with its bar.
//!
//! Takes any numbers: a bar begins and ends on its axis, and has at least one column.

use std::{collections::HashMap, time::Duration};

use planbus::PlanId;

use super::spans::{Kind, Outcome, Span};
use crate::{
    agent_runtime::units,
    output::Output,
    style::Style,
    text::{cut, escape, width},
};

/// The columns of an offset and of a duration: `+59m 59s`, `100.0 ms`.
const OFFSET_COLUMNS: usize = 9;
const TOOK_COLUMNS: usize = 8;
/// Between columns.
const GAP: usize = 2;
/// The most columns of names and of bars; in a pipe, bars have as many.
const NAME_COLUMNS_MAX: usize = 44;
const BAR_COLUMNS_MAX: usize = 60;
const BAR_COLUMNS_PIPE: usize = 40;
/// A terminal narrower than this shows no offsets, which the bars show too.
const OFFSET_FROM_COLUMNS: usize = 60;
/// One narrower than this shows no durations either.
const TOOK_FROM_COLUMNS: usize = 30;
/// The least columns that a detail is worth.
const DETAIL_COLUMNS_MIN: usize = 16;

/// What the axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Microseconds from the plan's start.
    Time,
    /// Places in the log, where all times are the same.
    Seq,
}

/// The stretch that all bars stand on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    /// Where the plan itself begins.
    origin: i64,
    from: i64,
    to: i64,
}

impl Axis {
    /// The axis of spans, the first of which is the plan that was asked for.
    pub(super) fn of(spans: &[Span]) -> Self {
        let time = Self::on(Scale::Time, spans);
        if time.from < time.to || spans.len() < 2 { time } else { Self::on(Scale::Seq, spans) }
    }

    fn on(scale: Scale, spans: &[Span]) -> Self {
        let mut axis = Self { scale, origin: 0, from: i64::MAX, to: i64::MIN };
        for span in spans {
            let (from, until) = axis.place(span);
            axis.from = axis.from.min(from);
            axis.to = axis.to.max(until.unwrap_or(from));
        }
        axis.origin = spans.first().map_or(0, |span| axis.place(span).0);
        if scale == Scale::Time {
            // What is earlier than the plan itself had another clock, which must not stretch the axis.
            axis.from = axis.origin;
        }
        axis
    }

    fn place(&self, span: &Span) -> (i64, Option<i64>) {
        let seq = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        match self.scale {
            Scale::Time => (span.start_us(), span.end_us()),
            Scale::Seq => (seq(span.seq_start), span.seq_end.map(seq)),
        }
    }

    /// The column, of so many, in which a place is.
    fn column(&self, at: i64, columns: usize) -> usize {
        let (at, from, to) = (i128::from(at), i128::from(self.from), i128::from(self.to));
        let columns = columns as i128;
        let column = (at - from) * columns / (to - from + 1).max(1);
        usize::try_from(column.clamp(0, (columns - 1).max(0))).unwrap_or(0)
    }

    fn offset(&self, span: &Span) -> String {
        match self.scale {
            Scale::Seq => format!("#{}", span.seq_start),
            Scale::Time => {
                let offset = span.start_us().saturating_sub(self.origin);
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}{}", duration(Duration::from_micros(offset.unsigned_abs())))
            }
        }
    }

    /// What stands at the axis's two ends.
    fn ends(&self) -> (String, String) {
        let length = self.to.saturating_sub(self.origin).max(0).unsigned_abs();
        match self.scale {
            Scale::Time => ("0".to_owned(), duration(Duration::from_micros(length))),
            Scale::Seq => (format!("#{}", self.from), format!("#{}", self.to)),
        }
    }
}

/// A duration in at most [`TOOK_COLUMNS`], whatever somebody wrote into the log.
pub(super) fn duration(value: Duration) -> String {
    const DAY_SECONDS: u64 = 86_400;
    match value.as_secs() / DAY_SECONDS {
        0..40 => units::duration(value),
        days @ 40..1_000_000 => format!("{days} d"),
        days => format!("{} y", days / 365),
    }
}

/// How many columns each part of a line has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    offset: usize,
    name: usize,
    bar: usize,
    took: usize,
    /// 0 where the detail stands behind the name, as far as there is room.
    detail: usize,
}

impl Layout {
    /// For a terminal of so many columns, or for a pipe, where nothing is cut.
    pub(super) fn new(columns: Option<usize>, widest_name: usize) -> Self {
        let Some(columns) = columns else {
            let name = widest_name.min(NAME_COLUMNS_MAX);
            let (offset, took) = (OFFSET_COLUMNS, TOOK_COLUMNS);
            return Self { offset, name, bar: BAR_COLUMNS_PIPE, took, detail: usize::MAX };
        };
        let offset = if columns < OFFSET_FROM_COLUMNS { 0 } else { OFFSET_COLUMNS };
        let took = if columns < TOOK_FROM_COLUMNS { 0 } else { TOOK_COLUMNS };
        let fixed = if offset > 0 { offset + GAP } else { 0 } + if took > 0 { took + GAP } else { 0 } + GAP;
        let room = columns.saturating_sub(fixed);
        let name = widest_name.min(NAME_COLUMNS_MAX).min(room / 2);
        let bar = (room - name).min(BAR_COLUMNS_MAX);
        let detail = (room - name - bar).saturating_sub(GAP);
        if detail >= DETAIL_COLUMNS_MIN {
            return Self { offset, name, bar, took, detail };
        }
        let name = NAME_COLUMNS_MAX.min(room / 2);
        Self { offset, name, bar: (room - name).min(BAR_COLUMNS_MAX), took, detail: 0 }
    }
}

/// The lines of one timeline.
pub(super) struct Rows<'a> {
    axis: Axis,
    layout: Layout,
    /// Where each plan ends that does.
    ends: HashMap<&'a PlanId, i64>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(spans: &'a [Span], axis: Axis, layout: Layout) -> Self {
        let plans = spans.iter().filter(|span| span.kind == Kind::Plan);
        let ends = plans.filter_map(|plan| Some((&plan.plan, axis.place(plan).1?))).collect();
        Self { axis, layout, ends }
    }

    /// The line over the rows: what the axis measures.
    pub(super) fn head(&self, out: &Output) -> String {
        let Layout { offset, name, bar, .. } = self.layout;
        let (from, to) = self.axis.ends();
        let Some(line) = bar.checked_sub(width(&from) + width(&to) + 2) else { return String::new() };
        let before = name + GAP + if offset > 0 { offset + GAP } else { 0 };
        out.paint(Style::Faint, &format!("{:before$}{from} {} {to}", "", "─".repeat(line)))
    }

    /// A span as a line; `parent` is the plan above it.
    pub(super) fn draw(&self, span: &Span, parent: Option<&str>, out: &Output) -> String {
        let Layout { offset, name, bar, took, detail } = self.layout;
        let style = style(span);
        let mut line = String::new();
        let mut put = |style, text: &str| line.push_str(&out.paint(style, text));
        if offset > 0 {
            put(Style::Faint, &format!("{:>offset$}{:GAP$}", self.axis.offset(span), ""));
        }
        let (mut indent, mark, long) = label(span, parent);
        // However deep it is, something of its name is shown.
        indent.truncate(name / 2);
        let shown = cut(&long, name.saturating_sub(width(&indent) + width(mark) + 1));
        let mut room = name.saturating_sub(width(&indent) + width(mark) + 1 + width(&shown));
        put(style, &format!("{indent}{mark} "));
        put(if span.kind == Kind::Plan { Style::Heading } else { Style::Plain }, &shown);
        if detail == 0 && room > GAP && !span.detail.is_empty() {
            let detail = format!("{:GAP$}{}", "", cut(&escape(&span.detail), room - GAP));
            room = room.saturating_sub(width(&detail));
            put(detail_style(span), &detail);
        }
        put(Style::Plain, &" ".repeat(room + GAP));
        let drawn = self.bar(span, bar);
        put(style, &drawn);
        let told = self.took(span);
        // Where there is room, what had none in its own column stands at the end.
        let rest = match (detail, shown.len() < long.len()) {
            (0, _) => String::new(),
            (_, true) => format!("{long}  {}", escape(&span.detail)),
            (_, false) => escape(&span.detail).into_owned(),
        };
        let rest = cut(rest.trim_end(), detail);
        if took > 0 && !(told.is_empty() && rest.is_empty()) {
            let before = bar.saturating_sub(width(&drawn)) + GAP;
            let style = if span.outcome == Outcome::Open { style } else { Style::Plain };
            put(style, &format!("{:before$}{told:>took$}", ""));
        }
        if !rest.is_empty() {
            put(detail_style(span), &format!("{:GAP$}{rest}", ""));
        }
        line
    }

    fn took(&self, span: &Span) -> String {
        match (span.outcome, span.kind, span.duration) {
            (Outcome::Open, Kind::Plan, _) => "running".to_owned(),
            (Outcome::Open, ..) => "open".to_owned(),
            // Without a clock every duration is zero.
            (_, _, Some(Duration::ZERO)) if self.axis.scale == Scale::Seq => String::new(),
            (_, _, Some(lasted)) => duration(lasted),
            _ => String::new(),
        }
    }

    /// A span as a bar on so many columns.
    pub(super) fn bar(&self, span: &Span, columns: usize) -> String {
        if columns == 0 {
            return String::new();
        }
        let (from, until) = self.axis.place(span);
        // What a plan left open when it ended does not go on after it.
        let (end, goes_on) = match until.or_else(|| self.ends.get(&span.plan).copied()) {
            Some(end) => (end.max(from), false),
            None => (self.axis.to, true),
        };
        let first = self.axis.column(from, columns);
        let last = self.axis.column(end, columns);
        let length = last - first + 1;
        let is_short = (i128::from(end) - i128::from(from)) * columns as i128 * 2
            < i128::from(self.axis.to) - i128::from(self.axis.from);
        let bar = match (span.outcome, span.kind) {
            (Outcome::Point, Kind::Decision) => "◆".to_owned(),
            (Outcome::Point, _) => "•".to_owned(),
            (Outcome::Open, _) if goes_on => format!("{}→", "┄".repeat(length - 1)),
            (Outcome::Open, _) => "┄".repeat(length),
            (_, Kind::Plan | Kind::Subplan) => "━".repeat(length),
            _ if is_short => "│".to_owned(),
            _ => "█".repeat(length),
        };
        format!("{}{bar}", " ".repeat(first))
    }
}

/// The columns of a span's name with all that stands before it.
pub(super) fn label_width(span: &Span, parent: Option<&str>) -> usize {
    let (indent, mark, shown) = label(span, parent);
    width(&indent) + width(mark) + 1 + width(&shown)
}

fn label(span: &Span, parent: Option<&str>) -> (String, &'static str, String) {
    let level = span.depth + usize::from(span.kind != Kind::Plan);
    let mark = match (span.outcome, span.kind) {
        (Outcome::Point, Kind::Decision) => "◆",
        (Outcome::Point, _) => "•",
        (Outcome::Failed, _) => "✗",
        (Outcome::Open, Kind::Plan) => "●",
        (Outcome::Open, _) => "○",
        (Outcome::Ok, _) => "✓",
        (Outcome::Unknown, _) => "?",
    };
    let id = span.name.as_str();
    // Most ids of subplans repeat their parent's, which stands above.
    let name = parent.and_then(|parent| id.strip_prefix(parent)?.strip_prefix('/')).unwrap_or(id);
    (" ".repeat(level * 2), mark, escape(name).into_owned())
}

fn detail_style(span: &Span) -> Style {
    if span.outcome == Outcome::Failed { Style::Bad } else { Style::Faint }
}

fn style(span: &Span) -> Style {
    match (span.outcome, span.kind) {
        (Outcome::Failed, _) => Style::Bad,
        (Outcome::Open, _) => Style::Started,
        (Outcome::Point, Kind::Decision) => Style::Decision,
        (Outcome::Point, _) => Style::Other,
        (_, Kind::Plan | Kind::Subplan) => Style::Good,
        _ => Style::Tool,
    }
}
