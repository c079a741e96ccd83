//! What went wrong with a Redis: a connection that is lost, or a command that the server refused.
//!
//! The one place that knows the server's error codes, and which kind each of them is: what passes by
//! itself is `Unavailable`, what a person must grant is `Unauthorized`, and any other refusal is
//! `Storage`. It never retries.

use std::{error::Error as StdError, fmt};

use ::redis::RedisError;

use crate::error::{Error, ErrorKind};

/// Codes of what passes without a change by the caller.
const TRANSIENT: &[&str] = &[
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
];

/// Codes of a server that is the wrong one now: another connection may find the right one.
const WRONG_SERVER: &[&str] = &["ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED", "NOAUTH", "READONLY"];

/// Codes of what the caller's credentials do not allow.
const UNAUTHORIZED: &[&str] = &["DENIED", "NOAUTH", "NOPERM", "WRONGPASS"];

const NO_ANSWER: &str = "no answer in time";

/// A command that the server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The first word of the answer, like `WRONGTYPE`.
    pub(crate) code: String,
    /// The rest of it.
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal as the server writes it. One inside a script is told by its own code: Redis 6.2
    /// calls them all `ERR` and names the code in the text, and before 7.2 a right that is missing
    /// has no code at all.
    pub(crate) fn new(code: &str, message: &str) -> Self {
        let message = without_script(message);
        if code == "ERR" && message.contains("The user executing the script can't") {
            return Self { code: "NOPERM".to_owned(), message: message.to_owned() };
        }
        let inner = if code == "ERR" { in_script(message) } else { None };
        let (code, message) = inner.unwrap_or((code, message));
        Self { code: code.to_owned(), message: message.to_owned() }
    }

    /// Whether the same command may succeed later without a change by the caller.
    pub(crate) fn is_transient(&self) -> bool {
        TRANSIENT.contains(&self.code.as_str())
    }

    /// Whether this is the wrong server now: a master that became a replica, a slot that moved, a
    /// server that has just started. The connection is given up; the endpoint finds the right one.
    pub(crate) fn needs_reconnect(&self) -> bool {
        WRONG_SERVER.contains(&self.code.as_str())
    }

    /// The refusal as an error of the crate, with what was being done.
    pub(crate) fn into_error(self, doing: &str) -> Error {
        let told = match self.code.as_str() {
            "READONLY" => format!("redis: {doing}: refused by the server, a replica: name its master"),
            _ => format!("redis: {doing}: refused by the server"),
        };
        Error::with_source(self.kind(), told, self)
    }

    fn kind(&self) -> ErrorKind {
        match self.code.as_str() {
            code if TRANSIENT.contains(&code) => ErrorKind::Unavailable,
            code if UNAUTHORIZED.contains(&code) => ErrorKind::Unauthorized,
            _ => ErrorKind::Storage,
        }
    }
}

impl From<::redis::ServerError> for Refusal {
    fn from(error: ::redis::ServerError) -> Self {
        Self::new(error.code(), error.details().unwrap_or_default())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.into_error("a command")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

impl StdError for Refusal {}

/// What the server says to a script, without the place in the script, which tells a caller nothing.
fn without_script(message: &str) -> &str {
    match message.rsplit_once(" script: ") {
        Some((told, place)) if place.contains("@user_script:") => told,
        _ => message,
    }
}

/// The code and the text of what a script of Redis 6.2 was refused: `Error running script (call to f_9a):
/// @user_script:1: NOGROUP No such key`, where some codes have a dash and the place is named twice.
fn in_script(message: &str) -> Option<(&str, &str)> {
    let (before, mut inner) = message.split_once("): ")?;
    if !before.starts_with("Error running script (call to ") {
        return None;
    }
    while let Some(place) = inner.strip_prefix("@user_script:") {
        inner = place.split_once(": ")?.1;
    }
    let (code, told) = inner.strip_prefix('-').unwrap_or(inner).split_once(' ')?;
    let is_code = code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some((code, told))
}

/// A connection that is lost, or was never made.
pub(crate) fn lost(doing: &str, cause: RedisError) -> Error {
    let told = match cause.is_timeout() {
        true => format!("redis: {doing}: {NO_ANSWER}"),
        false => format!("redis: {doing}"),
    };
    Error::with_source(ErrorKind::Unavailable, told, Cause { error: cause, hint: None })
}

/// An error of the client library, which names its own cause twice.
#[derive(Clone)]
pub(super) struct Cause {
    error: RedisError,
    /// What a person may look at first.
    hint: Option<&'static str>,
}

impl Cause {
    pub(super) fn with_hint(&self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self.clone() }
    }

    /// Whether the other side's certificate is of an authority that nobody named.
    pub(super) fn is_unknown_authority(&self) -> bool {
        self.error.to_string().contains("UnknownIssuer")
    }

    /// Whether the other side's certificate is an authority's own, as self-signed ones often are.
    pub(super) fn is_authority_itself(&self) -> bool {
        self.error.to_string().contains("CaUsedAsEndEntity")
    }

    /// Whether the other side wants a certificate of ours.
    pub(super) fn is_certificate_required(&self) -> bool {
        self.error.to_string().contains("CertificateRequired")
    }

    /// Whether the other side sent something that is no TLS, or waits for words that it knows.
    pub(super) fn is_no_tls(&self) -> bool {
        self.error.is_timeout() || self.error.to_string().starts_with("received corrupt message")
    }

    /// Whether the other side hung up at the first words, or answered in another language.
    pub(super) fn is_no_redis(&self) -> bool {
        self.speaks_otherwise() || self.error.is_connection_dropped()
    }

    fn speaks_otherwise(&self) -> bool {
        self.error.kind() == ::redis::ErrorKind::Parse
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hint {
            // What the error says itself already.
            None if self.error.is_timeout() => return f.write_str(NO_ANSWER),
            Some(hint) if self.error.is_timeout() => return f.write_str(hint),
            _ if self.speaks_otherwise() => f.write_str("it does not speak Redis' protocol")?,
            _ => fmt::Display::fmt(&self.error, f)?,
        }
        self.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.error.is_timeout() || self.speaks_otherwise() {
            // The system's number for a timeout, and the parser's words, say less.
            true => None,
            false => self.error.source().and_then(StdError::source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(answer: &str) -> Refusal {
        let value = ::redis::parse_redis_value(format!("-{answer}\r\n").as_bytes());
        match value.expect("an error is an answer, too") {
            ::redis::Value::ServerError(error) => Refusal::from(error),
            other => panic!("no refusal: {other:?}"),
        }
    }

    #[test]
    fn every_refusal_has_the_kind_that_a_program_decides_by() {
        let cases = [
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Unavailable),
            ("READONLY You can't write against a read only replica.", ErrorKind::Unavailable),
            ("MASTERDOWN Link with MASTER is down", ErrorKind::Unavailable),
            ("TRYAGAIN Multiple keys request during rehashing of slot", ErrorKind::Unavailable),
            ("CLUSTERDOWN Hash slot not served", ErrorKind::Unavailable),
            ("UNBLOCKED the stream key no longer exists", ErrorKind::Unavailable),
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Unavailable),
            ("BUSY Redis is busy running a script.", ErrorKind::Unavailable),
            ("MISCONF Redis is configured to save RDB snapshots", ErrorKind::Unavailable),
            ("NOREPLICAS Not enough good replicas to write.", ErrorKind::Unavailable),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Unavailable),
            ("NOAUTH Authentication required.", ErrorKind::Unauthorized),
            ("WRONGPASS invalid username-password pair", ErrorKind::Unauthorized),
            ("NOPERM this user has no permissions to run the 'flushall' command", ErrorKind::Unauthorized),
            ("DENIED Redis is running in protected mode", ErrorKind::Unauthorized),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", ErrorKind::Storage),
            ("BUSYGROUP Consumer Group name already exists", ErrorKind::Storage),
            ("NOGROUP No such key", ErrorKind::Storage),
            ("ERR unknown command", ErrorKind::Storage),
        ];
        for (answer, kind) in cases {
            let refusal = refusal(answer);
            assert_eq!(refusal.to_string(), answer);
            assert_eq!(refusal.is_transient(), kind == ErrorKind::Unavailable, "{answer}");
            assert_eq!(refusal.into_error("test").kind(), kind, "{answer}");
        }
    }

    #[test]
    fn a_refusal_inside_a_script_is_told_by_its_own_code() {
        let old = refusal(
            "ERR Error running script (call to f_9a): @user_script:1: @user_script: 1: \
             -OOM command not allowed when used memory > 'maxmemory'.",
        );
        assert!(old.code == "OOM" && old.is_transient() && !old.needs_reconnect(), "{old:?}");
        assert_eq!(old.message, "command not allowed when used memory > 'maxmemory'.");
        let gone = refusal(
            "ERR Error running script (call to f_9a): @user_script:9: NOGROUP No such key 's' or consumer \
             group 'g'",
        );
        assert_eq!(gone.to_string(), "NOGROUP No such key 's' or consumer group 'g'");
        let wrong = refusal(
            "ERR Error running script (call to f_9a): @user_script:1: user_script:1: attempt to call",
        );
        assert_eq!(wrong.code, "ERR");
        let denied = refusal(
            "ERR The user executing the script can't run this command or subcommand script: f9, on @user_script:26.",
        );
        assert_eq!(denied.clone().into_error("test").kind(), ErrorKind::Unauthorized);
        assert_eq!(
            denied.to_string(),
            "NOPERM The user executing the script can't run this command or subcommand"
        );
        let placed =
            refusal("OOM command not allowed when used memory > 'maxmemory'. script: 9a, on @user_script:1.");
        assert_eq!(placed.message, old.message);
        let other = refusal("ERR no script: none");
        assert_eq!(other.message, "no script: none");
        let data = refusal("ERR a payload that says: -OOM is none");
        assert_eq!(data.code, "ERR", "{data:?}");
    }

    #[test]
    fn a_server_that_is_no_longer_the_master_is_left() {
        for code in ["READONLY", "MOVED", "CLUSTERDOWN", "LOADING", "NOAUTH"] {
            assert!(refusal(&format!("{code} told")).needs_reconnect(), "{code}");
        }
        for code in ["OOM", "BUSY", "NOSCRIPT", "NOPERM", "WRONGTYPE"] {
            assert!(!refusal(&format!("{code} told")).needs_reconnect(), "{code}");
        }
    }
}
