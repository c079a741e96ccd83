//! `GET /plans` and `GET /plans/{plan_id}`.

use axum::{
    Extension,
    extract::{OriginalUri, Path, RawQuery, State as Extract},
    response::Response,
};
use serde::Serialize;

use super::page::{self, Address, Page};
use crate::{
    error::{Error, ErrorKind, Result},
    event::PlanId,
    server::{access::Caller, params::Params, problem::Problem, state::Shared},
    store::{EventStore, PlanQuery, PlanStatus},
};

/// How many plans are read at once: what they say of themselves may be long.
const READ_PLANS: usize = 50;

/// `GET /plans`.
pub(in crate::server) async fn list(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut params = Params::parse(query.as_deref())?;
    let tenant = caller.tenant(params.tenant()?)?;
    let asked = Asked::read(params)?;
    let address = Address { path: uri.path().to_owned(), query };
    let json = state.read(move |store| asked.page(&store.for_tenant(tenant)?, &address)).await?;
    Ok(page::answer(json))
}

/// `GET /plans/{plan_id}`: a plan, and with `?tree=true` its subplans inside it.
pub(in crate::server) async fn one(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path(plan_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let plan_id = PlanId::try_from(plan_id)?;
    let mut params = Params::parse(query.as_deref())?;
    let tenant = caller.tenant(params.tenant()?)?;
    let is_tree = params.flag("tree")?;
    params.finish()?;
    let read = state.read(move |store| {
        let store = store.for_tenant(tenant)?;
        let plan = store.plan(plan_id.clone())?;
        match plan {
            Some(_) if is_tree => to_json(&store.plan_tree(plan_id)?).map(Some),
            plan => plan.map(|plan| to_json(&plan)).transpose(),
        }
    });
    read.await?.map(page::answer).ok_or_else(Problem::unknown_plan)
}

/// A page ends early when so many starts and ends of plans were looked at for the next of its parts: a
/// state that is rare costs no reader more than its turn.
const PAGE_ENTRIES: u64 = 10_000;

/// Which plans a client asks for.
#[derive(Debug)]
struct Asked {
    status: Option<PlanStatus>,
    is_roots: bool,
    text: Option<String>,
    before: Option<u64>,
    limit: usize,
}

impl Asked {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let asked = Self {
            status: params.read::<PlanStatus, _>("status")?,
            is_roots: params.flag("roots")?,
            text: params.take("text")?,
            before: params.number("before")?,
            limit: page::limit(&mut params)?,
        };
        params.finish()?;
        Ok(asked)
    }

    fn page(mut self, store: &EventStore, address: &Address) -> Result<String> {
        let mut page = Page::of("plans");
        loop {
            let asked = self.limit.min(READ_PLANS);
            let (plans, place) = store.plans_among(self.query(asked), PAGE_ENTRIES)?;
            for plan in &plans {
                page.push(&to_json(plan)?);
                self.before = Some(plan.first_seq);
                self.limit -= 1;
                if page.is_full() {
                    break;
                }
            }
            if page.is_full() || self.limit == 0 {
                return Ok(page.end(address, self.before.map(|before| ("before", before))));
            }
            if plans.len() < asked {
                return Ok(page.end(address, place.map(|place| ("before", place))));
            }
        }
    }

    fn query(&self, limit: usize) -> PlanQuery {
        let mut query = PlanQuery::new().limit(limit);
        if let Some(status) = self.status {
            query = query.status(status);
        }
        if self.is_roots {
            query = query.roots_only();
        }
        if let Some(text) = &self.text {
            query = query.text(text);
        }
        if let Some(before) = self.before {
            query = query.before(before);
        }
        query
    }
}

fn to_json(plan: &impl Serialize) -> Result<String> {
    serde_json::to_string(plan)
        .map_err(|cause| Error::with_source(ErrorKind::Storage, "write a plan as JSON", cause))
}
