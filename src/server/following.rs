//! What a client asks to follow, and from where: the same for server-sent events and WebSockets.

use axum::http::HeaderMap;
use serde_json::json;

use super::{
    access::Caller,
    followed::Following,
    params::{Params, cursor},
    problem::Problem,
    state::Shared,
    subscriber::Gap,
};
use crate::{
    event::{PlanId, Tenant},
    filter::{CompiledFilter, Filter, Start},
    store::PlanStatus,
};

/// What a client asks to follow.
#[derive(Debug)]
pub(super) struct Asked {
    /// All that the stream looks at: of a plan also what is not wanted, since one of it is its end.
    scope: Filter,
    wanted: CompiledFilter,
    plan: Option<(Tenant, PlanId)>,
    start: Start,
    /// Whether a plan that the log does not know yet is waited for.
    waits: bool,
}

impl Asked {
    /// Reads the rest of the parameters, and the header `Last-Event-ID`, which a browser sends when it
    /// comes again: it knows better than the address where it stands.
    pub(super) fn read(
        mut params: Params,
        caller: &Caller,
        plan_id: Option<String>,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let tenant = caller.tenant(params.tenant()?)?;
        let filter = params.filter(tenant.clone())?;
        let plan = plan_id.map(PlanId::try_from).transpose()?.map(|plan| (tenant, plan));
        let scope = match &plan {
            Some((tenant, plan)) => Filter::all().tenant(tenant.clone()).plan(plan.clone()),
            None => filter.clone(),
        };
        let wanted = filter.compile()?;
        let waits = params.flag("wait")?;
        let (after, last_event_id) = (params.take("after")?, params.take("last_event_id")?);
        params.finish()?;
        let start = match (self::last_event_id(headers)?, last_event_id, after) {
            (Some(start), ..) => start,
            (None, Some(id), _) => cursor("last_event_id", &id)?,
            (None, None, Some(id)) => cursor("after", &id)?,
            // A plan is shown whole, the log from now on.
            (None, None, None) if plan.is_some() => Start::Beginning,
            (None, None, None) => Start::Now,
        };
        Ok(Self { scope, wanted, plan, start, waits })
    }
}

/// The place after which a client goes on, as the header `Last-Event-ID` says.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<Start>, Problem> {
    const NAME: &str = "Last-Event-ID";
    match headers.get(NAME).map(|value| value.to_str()) {
        None | Some(Ok("")) => Ok(None),
        Some(Ok(text)) => cursor(NAME, text).map(Some),
        Some(Err(_)) => Err(Problem::invalid(NAME, "must be a seq or the id of an event")),
    }
}

/// Begins to follow; `None` where the plan has ended and the client has it all.
pub(super) async fn open(state: &Shared, asked: Asked) -> Result<Option<Following>, Problem> {
    let subscriber = state.subscribe(asked.scope, asked.start).await?;
    if let Some((tenant, plan)) = asked.plan.clone() {
        let waits = asked.waits;
        let cursor = subscriber.cursor();
        let (turn, is_known) = state
            .look_up(move |store| {
                let turn = store.last_turn(&tenant, &plan)?;
                let is_known = turn.is_some() || waits || store.knows_plan(&tenant, &plan)?;
                Ok((turn, is_known))
            })
            .await?;
        if !is_known {
            return Err(Problem::unknown_plan());
        }
        let is_over = turn.is_some_and(|turn| turn.status != PlanStatus::Running && turn.seq <= cursor);
        if is_over && !subscriber.has_gap() {
            return Ok(None);
        }
    }
    Ok(Some(Following { subscriber, wanted: asked.wanted, until: asked.plan }))
}

/// A gap as clients read it.
pub(super) fn gap_json(gap: Gap) -> String {
    json!({"after_seq": gap.after_seq, "oldest_seq": gap.oldest_seq}).to_string()
}
