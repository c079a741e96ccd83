//! [`Inexpressible`]: why a profile cannot say an event.

use std::fmt;

/// Why a profile cannot say an event. The event stays in the log; no part of it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inexpressible {
    reason: &'static str,
    field: &'static str,
    value: String,
}

impl Inexpressible {
    pub(super) fn new(reason: &'static str, field: &'static str, value: &str) -> Self {
        Self { reason, field, value: value.chars().take(60).collect() }
    }

    /// A short fixed text, to count by.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)?;
        if self.value.is_empty() { Ok(()) } else { write!(f, ", got {:?}", self.value) }
    }
}
