//! The one error type of the crate.
//!
//! An [`Error`] says what planbus was doing (its `Display`), carries the cause in
//! [`source`](std::error::Error::source), and has a [`kind`](Error::kind) to decide by.
//! It never prints its cause: whoever reports an error walks the chain of sources once.

use std::{convert::Infallible, error::Error as StdError, fmt, sync::Arc};

/// The result of everything in planbus that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for a program to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A field of an event, filter or query does not keep its grammar; the message names the field.
    InvalidInput,
    /// An option of a builder is out of its range; the message names the option and the range.
    InvalidOption,
    /// The event id is in the log already, with other content.
    Conflict,
    /// A payload or batch is larger, or a payload nested deeper, than its limit.
    TooLarge,
    /// Handlers published from handlers more levels deep than the limit: most likely a cycle.
    TooDeep,
    /// The store failed in a way that no other kind names; the event is not in the log.
    Storage,
    /// The disk failed during the commit and the outcome could not be settled: the event may be
    /// in the log or not. Publishing the same event (same event id) again settles it.
    Indeterminate,
    /// No space is left for the store; the event is not in the log.
    DiskFull,
    /// The file is damaged, or is no planbus store at all.
    Corrupt,
    /// The log can be read, but is not as planbus wrote it: a row was changed, removed or put in.
    Unsound,
    /// A newer planbus wrote the store; it was not touched.
    SchemaTooNew,
    /// Another process owns the store, or holds its write lock for longer than the busy timeout.
    Locked,
    /// The store cannot be written: opened read-only, or the file or its file system is read-only.
    ReadOnly,
    /// A cursor asks for events that are no longer held: retention removed them from the log, or,
    /// without a store, the reader fell further behind than its buffer.
    Pruned,
    /// A service that this operation needs cannot be reached now.
    Unavailable,
    /// The caller's credentials do not allow the operation.
    Unauthorized,
    /// The thing asked for by name does not exist.
    NotFound,
    /// The bus, store, channel or plan is closed.
    Closed,
}

/// An error of planbus: what was being done, its [`ErrorKind`], and the cause if there is one.
///
/// Cloning is cheap, so that one failed commit can answer every publisher that waited for it.
///
/// ```
/// use planbus::{Event, EventBus, ErrorKind, PlanStarted};
///
/// let bus = EventBus::builder().in_memory().build()?;
/// let error = bus.publish(Event::new("", PlanStarted::new("tidy up"))).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert_eq!(error.to_string(), "plan_id: must be 1 to 256 bytes, got 0");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Box<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    transient: bool,
}

impl Error {
    /// What went wrong, for a program to decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without a change by the caller: a full disk, a
    /// lock held by another process, a service out of reach, or an outcome still unsettled.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// An error without a cause, for programs that implement a trait of planbus.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::build(kind, message.into(), None)
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::build(kind, message.into(), Some(source.into()))
    }

    /// A field of the input does not keep its grammar: `field: problem`.
    pub(crate) fn invalid(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidInput, format!("{field}: {problem}"))
    }

    /// The same error, told as a part of a larger whole: `context: message`.
    pub(crate) fn within(&self, context: impl fmt::Display) -> Self {
        Self::build(
            self.kind(),
            format!("{context}: {}", self.0.message),
            self.0.source.is_some().then(|| Box::new(Cause(self.clone())) as Box<_>),
        )
    }

    fn build(kind: ErrorKind, message: String, source: Option<Box<dyn StdError + Send + Sync>>) -> Self {
        let transient = matches!(
            kind,
            ErrorKind::Indeterminate | ErrorKind::DiskFull | ErrorKind::Locked | ErrorKind::Unavailable
        );
        Self(Arc::new(Inner { kind, message: message.into(), source, transient }))
    }
}

/// Forwards to the cause of another error, so that `within` repeats no message.
struct Cause(Error);

impl Cause {
    fn inner(&self) -> &(dyn StdError + 'static) {
        match &self.0.0.source {
            Some(source) => source.as_ref(),
            None => &self.0,
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.inner(), f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner(), f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner().source()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
