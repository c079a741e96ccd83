//! [`Rendering`]: the forms in which an event is sent.

use std::str::FromStr;

use crate::error::{Error, Result};

/// A form in which an event is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rendering {
    /// The JSON of EVENTS.md.
    Plain,
    /// CloudEvents 1.0.
    CloudEvents,
}

impl Rendering {
    /// How many there are.
    pub(super) const COUNT: usize = 2;
}

impl FromStr for Rendering {
    type Err = Error;

    /// The forms that a client chooses by name.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "plain" => Ok(Self::Plain),
            "cloudevents" => Ok(Self::CloudEvents),
            _ => Err(Error::invalid("format", "must be plain, cloudevents or a2a")),
        }
    }
}
