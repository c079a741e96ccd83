//! [`Params`]: the query of a request, read field by field.
//!
//! A parameter that nobody knows is refused: with a misspelt one left out, a reader would be sent what
//! it did not ask for.

use std::str::FromStr;

use super::problem::Problem;
use crate::{
    error::Error,
    event::{EventId, Priority, Tenant},
    filter::{Filter, Start, TypePattern},
};

/// The most parameters that are read.
const PARAMS_MAX: usize = 200;

/// What stands behind the `?`.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let pairs: Vec<_> = pairs.into_owned().take(PARAMS_MAX + 1).collect();
        if pairs.len() > PARAMS_MAX {
            return Err(Problem::invalid("query", format!("must be at most {PARAMS_MAX} parameters")));
        }
        Ok(Self(pairs))
    }

    /// Takes a parameter that is given at most once; an empty one counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.take_all(name);
        match values.len() {
            0 | 1 => Ok(values.pop().filter(|value| !value.is_empty())),
            _ => Err(Problem::invalid(name, "is given twice")),
        }
    }

    /// Takes a parameter that may be given several times.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<String> {
        let taken = self.0.extract_if(.., |(key, _)| key == name);
        taken.map(|(_, value)| value).collect()
    }

    /// Takes a parameter and reads it; where it is wrong, its name is told.
    pub(super) fn read<T: FromStr<Err = E>, E: Into<Error>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: E| {
            let error = error.into();
            let is_named = error.to_string().starts_with(&format!("{name}: "));
            if is_named { error.into() } else { error.within(name).into() }
        })
    }

    /// Takes a whole number.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|_| digits)
            .map(Some)
            .ok_or_else(|| Problem::invalid(name, format!("must be a whole number from 0 to {}", u64::MAX)))
    }

    /// Takes a parameter that is `true` or `false`; absent is false.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.take(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::invalid(name, "must be true or false")),
        }
    }

    /// Takes the event types, repeated or separated by commas.
    pub(super) fn types(&mut self) -> Result<Vec<TypePattern>, Problem> {
        let given = self.take_all("type");
        let names =
            given.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| name.parse().map_err(|error: Error| error.within("type").into())).collect()
    }

    pub(super) fn tenant(&mut self) -> Result<Option<Tenant>, Problem> {
        let tenant = self.take("tenant")?.map(Tenant::try_from).transpose();
        tenant.map_err(|error| error.into())
    }

    /// Takes what narrows a stream; whose events it is, is not the client's to say alone.
    pub(super) fn filter(&mut self, tenant: Tenant) -> Result<Filter, Problem> {
        let mut filter = Filter::all().tenant(tenant);
        let types = self.types()?;
        if !types.is_empty() {
            filter = filter.types(types);
        }
        if let Some(source) = self.take("source")? {
            filter = filter.source(source);
        }
        if let Some(id) = self.take("correlation")? {
            filter = filter.correlation_id(id);
        }
        if let Some(priority) = self.read::<Priority, _>("min_priority")? {
            filter = filter.min_priority(priority);
        }
        Ok(filter)
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            Some((name, _)) => Err(Problem::invalid(&brief(name), "is not a parameter of this request")),
            None => Ok(()),
        }
    }
}

/// A place in the log as a client names it: a seq, or the id of an event.
pub(super) fn cursor(field: &str, text: &str) -> Result<Start, Problem> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a seq has name a place that no log has.
        return Ok(Start::After(text.parse().unwrap_or(u64::MAX)));
    }
    text.parse::<EventId>().map(Start::AfterEvent).map_err(|_| {
        Problem::invalid(field, format!("must be a seq or the id of an event, got {:?}", brief(text)))
    })
}

/// A client's text, short enough to be shown to it.
pub(super) fn brief(text: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::parse(Some(query)).expect("parameters")
    }

    #[test]
    fn p11_what_is_wrong_with_a_query_is_told_by_name() {
        let told = |problem: Problem| problem.message;
        assert_eq!(
            told(params("tenat=acme").finish().expect_err("refused")),
            "tenat: is not a parameter of this request"
        );
        assert_eq!(told(params("a=1&a=2").take("a").expect_err("refused")), "a: is given twice");
        assert!(told(params("after=-1").number("after").expect_err("refused")).starts_with("after: must be"));
        assert!(told(params("type=no%20type").types().expect_err("refused")).starts_with("type: "));
        assert!(told(params("tenant=%0a").tenant().expect_err("refused")).starts_with("tenant: "));
        let wrong = params("min_priority=urgent").filter(Tenant::default()).expect_err("refused");
        assert!(told(wrong).starts_with("min_priority: "));
        let many = "a=1&".repeat(PARAMS_MAX + 1);
        assert!(told(Params::parse(Some(&many)).expect_err("refused")).starts_with("query: "));
    }

    #[test]
    fn types_are_repeated_or_separated_by_commas() {
        let types = params("type=ToolCalled,%20workflow.*&type=PlanFailed").types().expect("types");
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        assert_eq!(types, ["ToolCalled", "workflow.*", "PlanFailed"]);
    }

    #[test]
    fn p11_a_cursor_is_a_seq_or_an_event_id_and_anything_else_is_refused() {
        assert_eq!(cursor("after", "42"), Ok(Start::After(42)));
        assert_eq!(cursor("after", &"9".repeat(40)), Ok(Start::After(u64::MAX)));
        let id = EventId::generate();
        assert_eq!(cursor("after", &id.to_string()), Ok(Start::AfterEvent(id)));
        for wrong in ["", "-1", "1\n2", "x", "é"] {
            assert!(
                cursor("Last-Event-ID", wrong)
                    .is_err_and(|problem| problem.message.starts_with("Last-Event-ID:"))
            );
        }
    }
}
