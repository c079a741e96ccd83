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
    /// What A2A 1.0 says of an event.
    A2a,
    /// What A2A 0.3 says of it.
    A2a03,
}

impl Rendering {
    /// How many there are.
    pub(super) const COUNT: usize = 4;
}

impl FromStr for Rendering {
    type Err = Error;

    /// The forms that a client chooses by name.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "plain" => Ok(Self::Plain),
            "cloudevents" => Ok(Self::CloudEvents),
            "a2a" => Ok(Self::A2a),
            _ => Err(Error::invalid("format", "must be plain, cloudevents or a2a")),
        }
    }
}
