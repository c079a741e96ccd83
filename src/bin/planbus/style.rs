//! Colours: which there are, what they stand for, and when they are allowed.
//!
//! The one place that writes escape sequences for text; everything else names a [`Style`].

use std::env;

use planbus::{EventType, PlanStatus};

use crate::text::{cut, width};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Heading,
    Faint,
    Good,
    Bad,
    Started,
    Decision,
    Tool,
    Subplan,
    Other,
}

impl Style {
    /// The parameters of the escape sequence.
    fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::Plain => return None,
            Self::Heading => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Started => "34",
            Self::Decision => "33",
            Self::Tool => "36",
            Self::Subplan => "35",
            Self::Other => "37",
        })
    }
}

impl From<&EventType> for Style {
    fn from(event_type: &EventType) -> Self {
        match event_type {
            EventType::PlanStarted => Self::Started,
            EventType::PlanCompleted => Self::Good,
            EventType::PlanFailed => Self::Bad,
            EventType::DecisionMade => Self::Decision,
            EventType::ToolCalled | EventType::ToolCompleted => Self::Tool,
            EventType::SubplanSpawned | EventType::SubplanCompleted => Self::Subplan,
            _ => Self::Other,
        }
    }
}

impl From<PlanStatus> for Style {
    fn from(status: PlanStatus) -> Self {
        match status {
            PlanStatus::Completed => Self::Good,
            PlanStatus::Failed => Self::Bad,
            _ => Self::Started,
        }
    }
}

/// Puts colours round text, or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painter {
    is_on: bool,
}

impl Painter {
    /// A painter for a stream.
    pub(crate) fn new(is_terminal: bool) -> Self {
        Self { is_on: allowed(is_terminal) }
    }

    /// The text in its colour.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        match style.code() {
            Some(code) if self.is_on && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// Texts that are fit for a terminal in one line of at most so many columns, what does not fit cut
    /// off at the end.
    pub(crate) fn line(self, parts: &[(Style, String)], columns: usize) -> String {
        let mut room = columns;
        let mut line = String::new();
        for (style, text) in parts {
            let shown = cut(text, room);
            line.push_str(&self.paint(*style, &shown));
            // Nothing stands behind a text that was cut.
            room = if shown.len() < text.len() { 0 } else { room.saturating_sub(width(&shown)) };
        }
        line
    }
}

/// Whether a stream may be coloured: a terminal, and nobody objects.
pub(crate) fn allowed(is_terminal: bool) -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The mark of a plan's status.
pub(crate) fn mark(status: PlanStatus) -> &'static str {
    match status {
        PlanStatus::Completed => "✓",
        PlanStatus::Failed => "✗",
        _ => "●",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page calls the colours of a terminal.
    fn hue(style: Style) -> &'static str {
        match style.code() {
            Some("1;31") => "red",
            Some("32") => "green",
            Some("33") => "yellow",
            Some("34") => "blue",
            Some("35") => "magenta",
            Some("36") => "cyan",
            _ => "grey",
        }
    }

    #[test]
    fn an_event_type_has_the_same_colour_in_a_terminal_and_on_the_page() {
        let page = include_str!("../../../dashboard/events.js");
        let types = [
            EventType::PlanStarted,
            EventType::PlanCompleted,
            EventType::PlanFailed,
            EventType::DecisionMade,
            EventType::ToolCalled,
            EventType::ToolCompleted,
            EventType::SubplanSpawned,
            EventType::SubplanCompleted,
        ];
        for event_type in types {
            let line = format!("  {event_type}: '{}',", hue(Style::from(&event_type)));
            assert!(page.contains(&line), "the page has no line {line:?}");
        }
        let other: EventType = "price_seen".parse().expect("a type");
        assert!(
            page.contains(&format!("HUES[type] : '{}'", hue(Style::from(&other)))),
            "other types are grey"
        );
    }
}
