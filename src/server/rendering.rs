//! [`Rendering`]: the forms in which an event is sent to those who follow.

use std::str::FromStr;

use super::form::Form;
use crate::error::{Error, Result};

/// A form in which an event is sent to those who follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rendering {
    /// One text.
    Text(Form),
    /// What A2A 1.0 says of an event.
    A2a,
    /// What A2A 0.3 says of it.
    A2a03,
}

impl Rendering {
    /// How many there are.
    pub(super) const COUNT: usize = Form::COUNT + 2;

    /// Which of them it is.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Text(form) => form as usize,
            Self::A2a => Form::COUNT,
            Self::A2a03 => Form::COUNT + 1,
        }
    }
}

impl Default for Rendering {
    fn default() -> Self {
        Self::Text(Form::default())
    }
}

impl FromStr for Rendering {
    type Err = Error;

    /// The forms that a client chooses by name.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "a2a" => Ok(Self::A2a),
            text => text
                .parse()
                .map(Self::Text)
                .map_err(|_| Error::invalid("format", "must be plain, brief, cloudevents or a2a")),
        }
    }
}
