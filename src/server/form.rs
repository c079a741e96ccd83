//! [`Form`]: the forms in which an event is one text.

use std::str::FromStr;

use super::{brief, cloud_event};
use crate::{
    error::{Error, Result},
    event::Event,
};

/// A form in which an event is one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// The JSON of EVENTS.md.
    #[default]
    Plain,
    /// The same, without the long parts of a large payload.
    Brief,
    /// CloudEvents 1.0.
    CloudEvents,
}

impl Form {
    /// How many there are.
    pub(super) const COUNT: usize = 3;

    /// The event as JSON; line breaks of the payload stay in it.
    pub(super) fn render(self, event: &Event) -> Result<String> {
        match self {
            Self::Plain => event.to_json(),
            Self::Brief => brief::render(event),
            Self::CloudEvents => Ok(cloud_event::render(event)),
        }
    }
}

impl FromStr for Form {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "plain" => Ok(Self::Plain),
            "brief" => Ok(Self::Brief),
            "cloudevents" => Ok(Self::CloudEvents),
            _ => Err(Error::invalid("format", "must be plain, brief or cloudevents")),
        }
    }
}
