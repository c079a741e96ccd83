//! `GET /events`, `GET /events/{event_id}` and `GET /plans/{plan_id}/events`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{OriginalUri, Path, RawQuery, State as Extract},
    http::StatusCode,
    response::Response,
};

use super::{
    found::Sought,
    page::{self, Address, PAGE_BYTES, Page},
};
use crate::{
    error::ErrorKind,
    event::{EventId, PlanId, Tenant, Timestamp},
    server::{access::Caller, form::Form, params::Params, problem::Problem, state::Shared},
    store::EventQuery,
};

/// A page ends early when so many places in the log were looked at for it: what is rare costs no reader
/// more than its turn.
const PAGE_SEQS: u64 = 120_000;
/// The same where each payload is searched for a text, which takes twice as long.
const TEXT_PAGE_SEQS: u64 = 60_000;

/// `GET /events`.
pub(in crate::server) async fn list(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut params = Params::parse(query.as_deref())?;
    let plan = params.take("plan")?.map(PlanId::try_from).transpose();
    let plan = plan.map_err(|error| error.within("plan"))?;
    let address = Address { path: uri.path().to_owned(), query };
    let Some(text) = params.take("q")? else {
        return answer(&state, Asked::read(params, &caller, plan)?, address, false).await;
    };
    let tenant = caller.tenant(params.tenant()?)?;
    let sought = Sought::read(&text, params, tenant, plan)?;
    let Some(search) = &state.search else {
        let message = "q: this server has no search index; text looks through the log";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "Unsupported", message));
    };
    let index = Arc::clone(search.index());
    Ok(page::answer(state.read(move |_| sought.page(&index, &address)).await?))
}

/// `GET /plans/{plan_id}/events`.
pub(in crate::server) async fn of_plan(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path(plan_id): Path<String>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref())?;
    let asked = Asked::read(params, &caller, Some(PlanId::try_from(plan_id)?))?;
    let address = Address { path: uri.path().to_owned(), query };
    answer(&state, asked, address, true).await
}

/// `GET /events/{event_id}`.
pub(in crate::server) async fn one(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path(event_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id: EventId = event_id.parse()?;
    let mut params = Params::parse(query.as_deref())?;
    let tenant = caller.tenant(params.tenant()?)?;
    let form = params.read::<Form, _>("format")?.unwrap_or_default();
    params.finish()?;
    let found = state.look_up(move |store| {
        let event = store.for_tenant(tenant)?.get(id)?;
        event.map(|event| form.render(&event)).transpose()
    });
    let json = found.await?.ok_or_else(|| Problem::not_found("event_id: the log has no such event"))?;
    Ok(page::answer(json))
}

/// What a client asks for.
#[derive(Debug)]
struct Asked {
    tenant: Tenant,
    plan: Option<PlanId>,
    query: EventQuery,
    newest_first: bool,
    /// How many places in the log are looked at.
    seqs: u64,
    form: Form,
}

impl Asked {
    fn read(mut params: Params, caller: &Caller, plan: Option<PlanId>) -> Result<Self, Problem> {
        let tenant = caller.tenant(params.tenant()?)?;
        let mut query = EventQuery::new().limit(page::limit(&mut params)?);
        if let Some(plan) = &plan {
            query = query.plan(plan.clone());
        }
        let types = params.types()?;
        if !types.is_empty() {
            query = query.types(types);
        }
        if let Some(source) = params.take("source")? {
            query = query.source(source);
        }
        if let Some(id) = params.take("correlation")? {
            query = query.correlation_id(id);
        }
        let (text, exclude) = (params.take("text")?, params.take("exclude")?);
        let seqs = if text.is_some() || exclude.is_some() { TEXT_PAGE_SEQS } else { PAGE_SEQS };
        if let Some(text) = text {
            query = query.text(text);
        }
        if let Some(text) = exclude {
            query = query.exclude(text);
        }
        if let Some(time) = params.read::<Timestamp, _>("since")? {
            query = query.since(time);
        }
        if let Some(time) = params.read::<Timestamp, _>("until")? {
            query = query.until(time);
        }
        if let Some(seq) = params.number("after")? {
            query = query.after(seq);
        }
        if let Some(seq) = params.number("before")? {
            query = query.before(seq);
        }
        let newest_first = page::order(&mut params)?.unwrap_or(false);
        if newest_first {
            query = query.newest_first();
        }
        let form = params.read::<Form, _>("format")?.unwrap_or_default();
        params.finish()?;
        Ok(Self { tenant, plan, query, newest_first, seqs, form })
    }
}

/// Answers a page. A plan that the request's path names must be known.
async fn answer(
    state: &Shared,
    asked: Asked,
    address: Address,
    is_of_plan: bool,
) -> Result<Response, Problem> {
    let Asked { tenant, plan, query, newest_first, seqs, form } = asked;
    let read = state.read(move |store| {
        let (events, place) = store.for_tenant(tenant.clone())?.query_page(query, PAGE_BYTES, seqs)?;
        if events.is_empty()
            && let Some(plan) = plan.filter(|_| is_of_plan)
            && !store.knows_plan(&tenant, &plan)?
        {
            return Ok(None);
        }
        let mut page = Page::of("events");
        for event in &events {
            page.push(&form.render(event)?);
        }
        let parameter = if newest_first { "before" } else { "after" };
        Ok(Some(page.end(&address, place.map(|place| (parameter, place)))))
    });
    match read.await {
        Ok(Some(json)) => Ok(page::answer(json)),
        Ok(None) => Err(Problem::unknown_plan()),
        Err(error) if error.kind() == ErrorKind::Pruned => {
            let oldest_seq = state.look_up(|store| store.floor()).await?;
            Err(Problem { oldest_seq: Some(oldest_seq), ..Problem::from(error) })
        }
        Err(error) => Err(error.into()),
    }
}
