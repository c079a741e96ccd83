//! [`Refused`]: what a server refused, so that one stream in trouble holds up no other.
//!
//! It never sends anything again.

use ::redis::Value;

use crate::{
    error::{Error, Result},
    redis::{client::Reply, fault::Refusal},
};

/// The first refusal of several answers, to be told.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Refused(Option<Error>);

impl Refused {
    /// An answer about a group. `None` where the group is gone, which the reader finds out, and where the
    /// server refuses; an error where it is the wrong server.
    pub(super) fn answer(&mut self, reply: Reply, doing: impl FnOnce() -> String) -> Result<Option<Value>> {
        match reply {
            Err(refusal) if is_gone(&refusal) => Ok(None),
            Err(refusal) => self.take(refusal, &doing()).map(|()| None),
            Ok(answer) => Ok(Some(answer)),
        }
    }

    /// Notes a refusal; an error where it is the wrong server, whatever else is asked.
    pub(super) fn take(&mut self, refusal: Refusal, doing: &str) -> Result<()> {
        let is_wrong_server = refusal.needs_reconnect();
        let error = refusal.into_error(doing);
        match is_wrong_server {
            true => Err(error),
            false => {
                self.note(error);
                Ok(())
            }
        }
    }

    /// Notes what is wrong, unless something is already.
    pub(super) fn note(&mut self, error: Error) {
        self.0.get_or_insert(error);
    }

    /// What is wrong.
    pub(super) fn error(&self) -> Option<&Error> {
        self.0.as_ref()
    }

    /// As [`error`](Self::error), for good.
    pub(super) fn into_error(self) -> Option<Error> {
        self.0
    }
}

/// Whether a server says that there is no such stream, or no such group in it.
fn is_gone(refusal: &Refusal) -> bool {
    refusal.code == "NOGROUP" || refusal.message.contains("no such key")
}

/// Whether a stream or its group is gone, or something else stands in its place.
pub(super) fn is_missing(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_str(), "NOGROUP" | "UNBLOCKED" | "WRONGTYPE")
}
