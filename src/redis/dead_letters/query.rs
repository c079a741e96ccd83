//! [`DeadLetterQuery`]: which dead letters, and how many at once.
//!
//! Decides; the reading is done elsewhere.

use super::letter::DeadLetter;
use crate::{
    error::{Error, ErrorKind, Result},
    event::Timestamp,
    filter::{CompiledFilter, Filter},
    redis::entry::EntryId,
};

/// The most dead letters of one page.
pub const DEAD_LETTERS_PAGE_MAX: usize = 1_000;

/// Which dead letters, and how many at once; without a condition all of the profile.
///
/// They come queue by queue, in the order of the queues' keys, and in each the oldest first.
///
/// ```
/// use planbus::{Filter, redis::DeadLetterQuery};
///
/// let query = DeadLetterQuery::new()
///     .group("db-writers")
///     .filter(Filter::all().types(["ToolCompleted"]))
///     .error("timed out")
///     .limit(50);
/// # drop(query);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DeadLetterQuery {
    queue: Option<String>,
    group: Option<String>,
    filter: Option<Filter>,
    error: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    newest_first: bool,
    after: Option<DeadLetterCursor>,
    limit: usize,
    reading_max: Reading,
}

/// How much of the queues is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Letters, wanted or not.
    pub(crate) letters: usize,
    /// What is in their fields.
    pub(crate) bytes: usize,
}

impl Reading {
    /// As much as there is.
    const ALL: Self = Self { letters: usize::MAX, bytes: usize::MAX };

    /// What may still be read after this letter; `None` where that was enough.
    pub(super) fn after(self, letter: &DeadLetter) -> Option<Self> {
        let bytes: usize = letter.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        let left = Self { letters: self.letters.saturating_sub(1), bytes: self.bytes.saturating_sub(bytes) };
        (left.letters > 0 && left.bytes > 0).then_some(left)
    }
}

/// Where a page of dead letters ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterCursor {
    /// The key of the dead letters.
    pub queue: String,
    /// The last letter that was looked at.
    pub id: EntryId,
}

/// A page of dead letters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetterPage {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; `None` behind the last one. The last page may be empty.
    pub next: Option<DeadLetterCursor>,
}

impl Default for DeadLetterQuery {
    fn default() -> Self {
        Self {
            queue: None,
            group: None,
            filter: None,
            error: None,
            since: None,
            until: None,
            newest_first: false,
            after: None,
            limit: 100,
            reading_max: Reading::ALL,
        }
    }
}

impl DeadLetterQuery {
    /// All dead letters of the profile, 100 a page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of this stream: its key, or that of its dead letters.
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.queue = Some(name.into());
        self
    }

    /// Only those that this group gave up.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Only events that the filter matches; never an entry that holds no event.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Only those with this text in their error, taken literally.
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.error = Some(text.into());
        self
    }

    /// Only those that failed for good at this time or later.
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Only those that failed for good before this time.
    pub fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// The newest first in each queue, and the queues backwards, too.
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Only those behind this place: where another page ended.
    pub fn after(mut self, cursor: DeadLetterCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// How many at once: 1 to [`DEAD_LETTERS_PAGE_MAX`], or the call fails with `InvalidOption`.
    pub fn limit(mut self, letters: usize) -> Self {
        self.limit = letters;
        self
    }

    /// Ends a page early once so much was read for it, be it that nothing of it was wanted: the next
    /// page goes on there.
    #[cfg(feature = "server")]
    pub(crate) fn reading_max(mut self, reading: Reading) -> Self {
        self.reading_max = reading;
        self
    }

    /// The query ready for use, or the first part of it that was given wrong.
    pub(super) fn compile(&self) -> Result<Selection<'_>> {
        if !(1..=DEAD_LETTERS_PAGE_MAX).contains(&self.limit) {
            let told = format!("limit must be 1 to {DEAD_LETTERS_PAGE_MAX}, got {}", self.limit);
            return Err(Error::new(ErrorKind::InvalidOption, told));
        }
        let filter = self.filter.clone().map(Filter::compile).transpose()?;
        Ok(Selection { query: self, filter })
    }
}

/// A query whose parts are valid.
pub(super) struct Selection<'q> {
    query: &'q DeadLetterQuery,
    filter: Option<CompiledFilter>,
}

impl Selection<'_> {
    /// The stream, or its dead letters, that was named.
    pub(super) fn name(&self) -> Option<&str> {
        self.query.queue.as_deref()
    }

    pub(super) fn is_newest_first(&self) -> bool {
        self.query.newest_first
    }

    pub(super) fn limit(&self) -> usize {
        self.query.limit
    }

    pub(super) fn reading_max(&self) -> Reading {
        self.query.reading_max
    }

    pub(super) fn after(&self) -> Option<&DeadLetterCursor> {
        self.query.after.as_ref()
    }

    pub(super) fn wants(&self, letter: &DeadLetter) -> bool {
        let DeadLetterQuery { group, error, since, until, .. } = self.query;
        let failed_at = letter.failed_at();
        let has = |text: &String| letter.error.as_ref().is_some_and(|error| error.contains(text));
        let matches =
            |filter: &CompiledFilter| letter.event.as_ref().is_ok_and(|event| filter.matches(event));
        (group.is_none() || *group == letter.group)
            && error.as_ref().is_none_or(has)
            && since.is_none_or(|since| failed_at.is_some_and(|at| at >= since))
            && until.is_none_or(|until| failed_at.is_some_and(|at| at < until))
            && self.filter.as_ref().is_none_or(matches)
    }
}
