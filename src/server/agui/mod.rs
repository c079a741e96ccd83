//! AG-UI: `POST /agui/{plan_id}`, a plan as the run of an agent, for frontends that speak its protocol.
//!
//! Runs nothing: whoever posts here attaches to a plan that somebody else runs, gets it from its
//! beginning, and then what happens, to its end.

mod input;
mod message;
mod run;
#[cfg(test)]
mod tests;

use axum::{
    Extension, Router,
    extract::{Path, RawQuery, Request, State as Extract},
    response::Response,
    routing::post,
};
use bytes::BytesMut;
use serde_json::value::RawValue;

use self::{input::RunInput, run::Run};
use super::{
    access::Caller,
    body,
    counters::Transport,
    followed::Following,
    following::{self, last_event_id},
    frame::Frame,
    params::Params,
    problem::Problem,
    state::Shared,
    stream::{self, Encoder},
    subscriber::Gap,
};
use crate::{
    error::{ErrorKind, Result},
    event::{EventType, PlanId, Tenant},
    filter::{Filter, Start},
    store::{EventStore, PlanStatus},
};

/// How many events of the part that a client has already are read at once.
const PAGE_EVENTS: usize = 1_000;
/// And how many bytes of payloads.
const PAGE_BYTES: usize = 8 << 20;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/agui/{plan_id}", post(attach))
}

/// `POST /agui/{plan_id}`.
async fn attach(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path(plan_id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    let mut params = Params::parse(query.as_deref())?;
    let tenant = caller.tenant(params.tenant()?)?;
    params.finish()?;
    let plan = PlanId::try_from(plan_id)?;
    let (parts, body) = request.into_parts();
    let start = last_event_id(&parts.headers)?.unwrap_or(Start::Beginning);
    let input = RunInput::parse(&body::read(&state.options, &parts.headers, body).await?, &plan)?;

    let scope = Filter::all().tenant(tenant.clone()).plan(plan.clone());
    let mut subscriber = state.subscribe(scope.clone(), start).await?;
    let (of, which) = (tenant.clone(), plan.clone());
    let known =
        state.look_up(move |store| Ok((store.last_turn(&of, &which)?, store.knows_plan(&of, &which)?)));
    let (turn, is_known) = known.await?;
    if !is_known {
        return Err(Problem::not_found("plan_id: the log has no event of this plan"));
    }
    // Who has seen the end is told of it again: a run that begins has to end.
    let end = turn.filter(|turn| turn.status != PlanStatus::Running).map(|turn| turn.seq);
    if let Some(end) = end
        && end <= subscriber.cursor()
        && !subscriber.has_gap()
    {
        subscriber = state.subscribe(scope.clone(), Start::After(end - 1)).await?;
    }

    let (mut run, cursor) = (Run::new(input), subscriber.cursor());
    let (of, which) = (tenant.clone(), plan.clone());
    let run = state
        .read(move |store| {
            pass(&mut run, store, of, which, cursor)?;
            Ok(run)
        })
        .await?;
    let following = Following { subscriber, wanted: scope.compile()?, until: Some((tenant, plan)) };
    Ok(stream::respond(&state, caller, following, AgUi { run }))
}

/// Lets a run take note of what its client has already: all up to the cursor.
fn pass(run: &mut Run, store: &EventStore, tenant: Tenant, plan: PlanId, cursor: u64) -> Result<()> {
    // What a later message may refer to.
    let types = [EventType::ToolCalled, EventType::SubplanSpawned, EventType::SubplanCompleted];
    let filter = Filter::all().tenant(tenant).plan(plan).types(types).compile()?;
    let mut examined = store.floor()?.saturating_sub(1);
    while examined < cursor {
        let (events, read) = match store.page_after(&filter.scope, examined, PAGE_EVENTS, PAGE_BYTES) {
            // Retention takes what the client has; what refers to it is told without.
            Err(error) if error.kind() == ErrorKind::Pruned => break,
            page => page?,
        };
        let known = events.iter().filter(|event| event.seq().is_some_and(|seq| seq <= cursor));
        known.filter(|event| filter.matches(event)).for_each(|event| run.pass(event));
        if read == examined {
            break;
        }
        examined = read;
    }
    Ok(())
}

/// Says a plan's events as the messages of a run.
struct AgUi {
    run: Run,
}

impl Encoder for AgUi {
    const TRANSPORT: Transport = Transport::AgUi;

    fn open(&mut self, out: &mut BytesMut) {
        for message in self.run.opening() {
            stream::write_message(out, None, None, &[&message]);
        }
    }

    fn event(&mut self, frame: &Frame, is_last: bool, out: &mut BytesMut) {
        let messages = self.run.messages(frame.event(), is_last);
        for (at, message) in messages.iter().enumerate() {
            let id = (at + 1 == messages.len()).then(|| frame.seq());
            stream::write_message(out, id, None, &[message]);
        }
    }

    fn gap(&mut self, gap: Gap, out: &mut BytesMut) {
        let gap = RawValue::from_string(following::gap_json(gap)).unwrap_or_default();
        stream::write_message(out, None, None, &[&Run::gap(&gap)]);
    }

    fn cut(&mut self, out: &mut BytesMut) {
        stream::write_message(out, None, None, &[&Run::cut()]);
    }
}
