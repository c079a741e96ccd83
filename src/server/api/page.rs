//! What all lists share: how long a page is, where the next begins, and how it is written.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::server::{params::Params, problem::Problem};

/// How many entries a page has unless the request says otherwise.
const LIMIT_DEFAULT: u64 = 100;
/// The most entries of a page.
const LIMIT_MAX: u64 = 1_000;
/// A page ends early with the entry that brings it to this many bytes.
pub(super) const PAGE_BYTES: usize = 8 << 20;

/// Takes the parameter `limit`.
pub(super) fn limit(params: &mut Params) -> Result<usize, Problem> {
    let limit = params.number("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("must be 1 to {LIMIT_MAX}, got {limit}")));
    }
    Ok(limit as usize)
}

/// Takes the parameter `order`: whether the newest come first.
pub(super) fn order(params: &mut Params) -> Result<Option<bool>, Problem> {
    match params.take("order")?.as_deref() {
        None => Ok(None),
        Some("asc") => Ok(Some(false)),
        Some("desc") => Ok(Some(true)),
        Some(_) => Err(Problem::invalid("order", "must be asc or desc")),
    }
}

/// The address of a list, from which that of its next page is made.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) path: String,
    pub(super) query: Option<String>,
}

impl Address {
    /// The same list behind a place, which a parameter names.
    pub(super) fn behind(&self, parameter: &str, place: impl std::fmt::Display) -> String {
        let given = form_urlencoded::parse(self.query.as_deref().unwrap_or_default().as_bytes());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(given.filter(|(name, _)| name != parameter));
        query.append_pair(parameter, &place.to_string());
        format!("{}?{}", self.path, query.finish())
    }
}

/// A page that is being written, of entries that are JSON.
#[derive(Debug)]
pub(super) struct Page {
    json: String,
    is_empty: bool,
    /// Facts about the page, as they stand behind its entries.
    notes: String,
}

impl Page {
    pub(super) fn of(name: &str) -> Self {
        Self { json: format!(r#"{{"{name}":["#), is_empty: true, notes: String::new() }
    }

    pub(super) fn push(&mut self, entry: &str) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.json.push(',');
        }
        self.json.push_str(entry);
    }

    pub(super) fn is_full(&self) -> bool {
        self.json.len() >= PAGE_BYTES
    }

    /// Tells a fact about the page.
    pub(super) fn note(&mut self, name: &str, value: u64) {
        self.notes.push_str(&format!(r#","{name}":{value}"#));
    }

    /// Ends the page; with a place, another follows behind it.
    pub(super) fn end(mut self, address: &Address, next: Option<(&str, u64)>) -> String {
        let next = next.map(|(parameter, place)| address.behind(parameter, place));
        let next = next.map_or(serde_json::Value::Null, Into::into);
        self.json.push_str(&format!(r#"],"next":{next}{}}}"#, self.notes));
        self.json
    }
}

/// An answer of JSON.
pub(super) fn answer(json: String) -> Response {
    let mut response = json.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_what_was_asked_for_and_moves_its_place() {
        let address = Address {
            path: "/plans/a%2Fb/events".to_owned(),
            query: Some("type=a,b&after=3&text=x%26y+z&after=4&type=c".to_owned()),
        };
        let mut page = Page::of("events");
        page.push("{}");
        page.push("[]");
        assert_eq!(
            page.end(&address, Some(("after", 9))),
            r#"{"events":[{},[]],"next":"/plans/a%2Fb/events?type=a%2Cb&text=x%26y+z&type=c&after=9"}"#
        );
        let address = Address { path: "/plans".to_owned(), query: None };
        assert_eq!(Page::of("plans").end(&address, None), r#"{"plans":[],"next":null}"#);
    }
}
