//! Colours: which there are, what they stand for, and when they are allowed.
//!
//! The one place that writes escape sequences for text; everything else names a [`Style`].

use std::env;

use planbus::{EventType, PlanStatus};

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
