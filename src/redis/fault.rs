//! What went wrong with a Redis: a connection that is lost, or a command that the server refused.

use crate::error::{Error, ErrorKind};

/// A command that the server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The first word of the answer, like `WRONGTYPE`.
    pub(crate) code: String,
    /// The rest of it.
    pub(crate) message: String,
}

impl From<::redis::ServerError> for Refusal {
    fn from(error: ::redis::ServerError) -> Self {
        Self { code: error.code().to_owned(), message: error.details().unwrap_or_default().to_owned() }
    }
}

/// A connection that is lost, or was never made.
pub(crate) fn lost(doing: &str, cause: ::redis::RedisError) -> Error {
    Error::with_source(ErrorKind::Unavailable, doing, cause)
}
