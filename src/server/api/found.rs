//! `GET /events?q=...`: what the full-text index of the server finds.

use super::page::{self, Address, Page};
use crate::{
    error::Result,
    event::{PlanId, Tenant},
    server::{form::Form, params::Params, problem::Problem},
    store::{SearchIndex, SearchQuery},
};

/// How many events are read at once: each may be large.
const READ_EVENTS: usize = 50;

/// What a client looks for.
#[derive(Debug)]
pub(super) struct Sought {
    tenant: Tenant,
    query: SearchQuery,
    newest_first: bool,
    form: Form,
    limit: usize,
}

impl Sought {
    /// Reads the rest of the parameters: those that the index can answer, the others are refused.
    pub(super) fn read(
        text: &str,
        mut params: Params,
        tenant: Tenant,
        plan: Option<PlanId>,
    ) -> Result<Self, Problem> {
        let mut query = SearchQuery::new(text).types(params.types()?);
        if let Some(plan) = plan {
            query = query.plan(plan);
        }
        if let Some(text) = params.take("exclude")? {
            query = query.exclude(text);
        }
        if let Some(seq) = params.number("after")? {
            query = query.after(seq);
        }
        if let Some(seq) = params.number("before")? {
            query = query.before(seq);
        }
        // What was found last is what people look for.
        let newest_first = page::order(&mut params)?.unwrap_or(true);
        if !newest_first {
            query = query.oldest_first();
        }
        let limit = page::limit(&mut params)?;
        let form = params.read::<Form, _>("format")?.unwrap_or_default();
        params.finish()?;
        Ok(Self { tenant, query, newest_first, form, limit })
    }

    /// A page, with the seq up to which the index has read the log, and the log's last.
    pub(super) fn page(mut self, index: &SearchIndex, address: &Address) -> Result<String> {
        let mut page = Page::of("events");
        let parameter = if self.newest_first { "before" } else { "after" };
        loop {
            let query = self.query.clone().limit(self.limit.min(READ_EVENTS));
            let found = index.search(&self.tenant, &query)?;
            let mut place = found.next;
            for event in &found.events {
                page.push(&self.form.render(event)?);
                self.limit -= 1;
                if page.is_full() {
                    place = event.seq();
                    break;
                }
            }
            match place {
                Some(seq) if self.limit > 0 && !page.is_full() && !found.events.is_empty() => {
                    self.query =
                        if self.newest_first { self.query.before(seq) } else { self.query.after(seq) };
                }
                place => {
                    page.note("indexed_seq", found.indexed_seq);
                    page.note("last_seq", found.last_seq);
                    return Ok(page.end(address, place.map(|place| (parameter, place))));
                }
            }
        }
    }
}
