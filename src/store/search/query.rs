//! [`SearchQuery`]: what a person looks for, and what the index is asked for it.
//!
//! What is typed can neither fail in the index nor reach its syntax: the index is given words that are
//! made of letters and digits only, and names that we made.

use std::ops::Range;

use super::{file::Question, words};
use crate::{
    error::{Error, Result},
    event::{Event, PlanId, Tenant},
    filter::TypePattern,
};

/// The longest text that can be searched for.
const TEXT_MAX_BYTES: usize = 1_024;
/// The most types that one search names.
const TYPES_MAX: usize = 100;
/// How many events a page has unless the search says otherwise.
const LIMIT_DEFAULT: usize = 100;
/// The most events of one page.
const LIMIT_MAX: usize = 1_000;

/// What to look for; the newest first, 100 events a page, until it says otherwise.
///
/// All words of the text must be in the event, in any order and place: in its type, its plan's id, its
/// source, or a key or a string of its payload. Upper and lower case are the same, and so are letters
/// with and without accents.
///
/// - `"timed out"`, in quotes: these words, one after the other, in one text.
/// - `time*`, with a star at its end: a word that begins so. Of a phrase that is the last word:
///   `"timed o"*`.
/// - Everything else is literal. Punctuation only separates words, which then must follow each other:
///   `src/store/mod.rs`, `read_file` and `call-17` find these, and `read file`. `file`, `store` and `17`
///   find them as well; of `webSearch` and `PlanFailed` also the parts.
/// - A character of Han or Kana is a word of its own. Of a word longer than 128 characters the first
///   128 count. Numbers of the payload that are not strings are not searched.
///
/// A text must have at least one letter or digit, and at most 1,024 bytes.
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is given to an index"]
pub(crate) struct SearchQuery {
    terms: Vec<Term>,
    plan: Option<PlanId>,
    types: Vec<TypePattern>,
    exclude: Option<String>,
    after: Option<u64>,
    before: Option<u64>,
    limit: usize,
    newest_first: bool,
    fault: Option<Error>,
}

/// Words that follow each other; the last one may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    words: Vec<String>,
    is_prefix: bool,
}

impl SearchQuery {
    /// Looks for a text.
    pub(crate) fn new(text: &str) -> Self {
        let mut query = Self {
            terms: Vec::new(),
            plan: None,
            types: Vec::new(),
            exclude: None,
            after: None,
            before: None,
            limit: LIMIT_DEFAULT,
            newest_first: true,
            fault: None,
        };
        if !query.keep_bounds("q", text) {
            return query;
        }
        query.terms = terms(text);
        if query.terms.is_empty() {
            query.keep_fault("q", "must have a letter or a digit to look for".to_owned());
        }
        query
    }

    /// Only events of this plan.
    pub(crate) fn plan(mut self, plan: PlanId) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Only events of these types or families, at most 100; of every type where the list is empty.
    pub(crate) fn types(mut self, types: Vec<TypePattern>) -> Self {
        if types.len() > TYPES_MAX {
            self.keep_fault("types", format!("must be at most {TYPES_MAX}, got {}", types.len()));
        }
        self.types = types;
        self
    }

    /// Only events without this text, 1 to 1,024 bytes, in the payload's JSON, the type or the source. It
    /// is taken literally, as that of an [`EventQuery`](crate::EventQuery) is.
    pub(crate) fn exclude(mut self, text: String) -> Self {
        self.keep_bounds("exclude", &text);
        self.exclude = Some(text);
        self
    }

    /// Only events after this place in the log.
    pub(crate) fn after(mut self, seq: u64) -> Self {
        self.after = Some(seq);
        self
    }

    /// Only events before this place in the log.
    pub(crate) fn before(mut self, seq: u64) -> Self {
        self.before = Some(seq);
        self
    }

    /// At most this many events, 1 to 1,000.
    pub(crate) fn limit(mut self, limit: usize) -> Self {
        if !(1..=LIMIT_MAX).contains(&limit) {
            self.keep_fault("limit", format!("must be 1 to {LIMIT_MAX}, got {limit}"));
        }
        self.limit = limit;
        self
    }

    /// The oldest events first.
    pub(crate) fn oldest_first(mut self) -> Self {
        self.newest_first = false;
        self
    }

    /// Whether a text is neither too short nor too long.
    fn keep_bounds(&mut self, field: &str, text: &str) -> bool {
        let is_within = (1..=TEXT_MAX_BYTES).contains(&text.len());
        if !is_within {
            self.keep_fault(field, format!("must be 1 to {TEXT_MAX_BYTES} bytes, got {}", text.len()));
        }
        is_within
    }

    fn keep_fault(&mut self, field: &str, problem: String) {
        self.fault.get_or_insert_with(|| Error::invalid(field, problem));
    }

    /// The first field that was given wrong.
    pub(super) fn check(&self) -> Result<()> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    pub(super) fn page_limit(&self) -> usize {
        self.limit
    }

    /// What the index is asked first.
    pub(super) fn question(&self, tenant: &Tenant) -> Question {
        let start = self.after.map_or(0, |seq| seq.saturating_add(1));
        let end = self.before.unwrap_or(u64::MAX);
        Question {
            expression: self.expression(tenant),
            seqs: clamp(start)..clamp(end),
            newest_first: self.newest_first,
        }
    }

    /// Whether an event that the index named is one that was asked for, as far as it tells without its
    /// words.
    pub(super) fn wants(&self, event: &Event) -> bool {
        let has = |text: &str| {
            event.payload_json().is_ok_and(|json| json.contains(text))
                || event.event_type().as_str().contains(text)
                || event.source().is_some_and(|source| source.as_str().contains(text))
        };
        self.exclude.as_deref().is_none_or(|text| !has(text))
            && self.plan.as_ref().is_none_or(|plan| plan == event.plan_id())
            && (self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(event.event_type())))
    }

    /// What is asked for in the syntax of FTS5: `scope : (..) AND {text parts} : (..)`.
    fn expression(&self, tenant: &Tenant) -> String {
        let mut scope = match &self.plan {
            Some(plan) => words::plan_name(tenant, plan),
            None => words::tenant_name(tenant),
        };
        if !self.types.is_empty() {
            let types: Vec<String> = self.types.iter().map(words::pattern_name).collect();
            scope = format!("{scope} AND ({})", types.join(" OR "));
        }
        let terms: Vec<String> = self.terms.iter().map(Term::expression).collect();
        format!("scope : ({scope}) AND {{text parts}} : ({})", terms.join(" AND "))
    }
}

/// A seq within those that SQLite has.
fn clamp(seq: u64) -> u64 {
    seq.min(i64::MAX.cast_unsigned())
}

impl Question {
    /// Goes on behind a seq that was looked at.
    pub(super) fn go_on_behind(&mut self, seq: u64) {
        let Range { start, end } = self.seqs;
        self.seqs = if self.newest_first { start..seq } else { seq + 1..end };
    }
}

impl Term {
    /// The term of a text, unless that has no word.
    fn new(text: &str, is_prefix: bool) -> Option<Self> {
        let words: Vec<String> = words::words(text).map(str::to_owned).collect();
        (!words.is_empty()).then_some(Self { words, is_prefix })
    }

    /// The term of what stands between two spaces.
    fn of_word(word: &str) -> Option<Self> {
        let stem = word.trim_end_matches('*');
        // A star goes on with a word, so one must end before it.
        let is_prefix = stem.len() < word.len() && stem.ends_with(words::is_word_char);
        Self::new(stem, is_prefix)
    }

    fn expression(&self) -> String {
        format!("\"{}\"{}", self.words.join(" "), if self.is_prefix { " *" } else { "" })
    }
}

/// What a text asks for; the same thing twice is asked for once.
fn terms(text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    let mut add = |term: Option<Term>| {
        if let Some(term) = term.filter(|term| !terms.contains(term)) {
            terms.push(term);
        }
    };
    let mut rest = text;
    // A quote that is never closed is punctuation.
    while let Some((before, (phrase, behind))) =
        rest.split_once('"').and_then(|(before, behind)| Some((before, behind.split_once('"')?)))
    {
        before.split_whitespace().for_each(|word| add(Term::of_word(word)));
        let is_prefix = behind.starts_with('*') && phrase.ends_with(words::is_word_char);
        add(Term::new(phrase, is_prefix));
        rest = if is_prefix { &behind[1..] } else { behind };
    }
    rest.split_whitespace().for_each(|word| add(Term::of_word(word)));
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Vec<String> {
        terms(text).iter().map(Term::expression).collect()
    }

    #[test]
    fn words_phrases_and_prefixes_are_read_as_people_write_them() {
        assert_eq!(asked("timed out"), ["\"timed\"", "\"out\""]);
        assert_eq!(asked("\"timed out\" plan-7"), ["\"timed out\"", "\"plan 7\""]);
        assert_eq!(asked("src/sto* time*"), ["\"src sto\" *", "\"time\" *"]);
        assert_eq!(asked("\"timed o\"*x"), ["\"timed o\" *", "\"x\""]);
        assert_eq!(asked("one one two"), ["\"one\"", "\"two\""], "asked for once");
    }

    #[test]
    fn what_means_something_to_the_index_is_only_text() {
        assert_eq!(asked("a OR b NOT c"), ["\"a\"", "\"OR\"", "\"b\"", "\"NOT\"", "\"c\""]);
        assert_eq!(asked("scope:t1 {text}:x -y ^z"), ["\"scope t1\"", "\"text x\"", "\"y\"", "\"z\""]);
        assert_eq!(asked("NEAR(a b, 3)"), ["\"NEAR a\"", "\"b\"", "\"3\""]);
        assert_eq!(asked("it's \"half"), ["\"it s\"", "\"half\""]);
        assert_eq!(asked("a*b ** -* \"\" \"*\""), ["\"a b\""]);
    }

    #[test]
    fn a_query_names_the_field_that_was_given_wrong() {
        let told = |query: SearchQuery| query.check().expect_err("refused").to_string();
        assert_eq!(told(SearchQuery::new("")), "q: must be 1 to 1024 bytes, got 0");
        assert_eq!(told(SearchQuery::new(&"x".repeat(1_025))), "q: must be 1 to 1024 bytes, got 1025");
        assert_eq!(told(SearchQuery::new("--")), "q: must have a letter or a digit to look for");
        let long = "x".repeat(1_025);
        assert_eq!(told(SearchQuery::new("x").exclude(long)), "exclude: must be 1 to 1024 bytes, got 1025");
        assert_eq!(told(SearchQuery::new("x").limit(0)), "limit: must be 1 to 1000, got 0");
        SearchQuery::new(&"x".repeat(1_024)).check().expect("accepted");
    }
}
