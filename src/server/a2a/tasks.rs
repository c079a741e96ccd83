//! What A2A's methods do: they read the log, and hand messages to the executor.
//!
//! Whoever waits here holds no thread; a client that goes away is forgotten.

use std::{future::Future, sync::Arc, time::Duration};

use serde_json::value::to_raw_value;

use super::{
    fault::{Fault, FaultKind, Result},
    follow::Stream,
    request::{Params, Sending, TaskQuery},
};
use crate::{
    error::{Error, ErrorKind},
    event::{Event, EventType, PlanId, Tenant},
    filter::{Filter, Start},
    server::{
        access::Caller,
        executor::{PlanExecutor, PlanRequest},
        followed::Following,
        reads::Work,
        state::Shared,
        subscriber::{A2AEventSubscriber, Update},
        task::{self, Dialect, TaskPage},
    },
    store::{EventQuery, EventStore, PlanQuery, PlanStatus, PlanSummary},
};

/// How many plans of a page are read at once: what they say of themselves may be long.
const READ_PLANS: usize = 10;
/// A page of tasks ends early with the one that brings it to this many bytes.
const PAGE_BYTES: usize = 8 << 20;
/// How long a message's sender waits for the plan to end, before it is told how far it is.
const SEND_WAIT_MAX: Duration = Duration::from_secs(300);
/// How long a plan that was asked to end is waited for, before the client is told how it stands.
const CANCEL_WAIT_MAX: Duration = Duration::from_secs(2);

/// The tasks that one caller may see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tasks<'a> {
    pub(super) state: &'a Shared,
    pub(super) caller: &'a Caller,
    pub(super) dialect: Dialect,
}

impl Tasks<'_> {
    /// One task as it stands.
    pub(super) async fn get(&self, params: &Params) -> Result<String> {
        params.check_history_length()?;
        let (tenant, plan) = (self.tenant(params)?, params.plan("id")?);
        self.task(tenant, plan).await
    }

    /// A page of tasks, the one that changed its state last first.
    pub(super) async fn list(&self, params: &Params) -> Result<String> {
        let (tenant, query, dialect) = (self.tenant(params)?, TaskQuery::parse(params)?, self.dialect);
        Ok(self.state.read(move |store| list(&store.for_tenant(tenant)?, dialect, &query)).await?)
    }

    /// Asks the executor to end a plan, and says how it stands then.
    pub(super) async fn cancel(&self, params: &Params) -> Result<String> {
        let (tenant, plan) = (self.tenant(params)?, params.plan("id")?);
        let summary = self.summary(&tenant, &plan).await?;
        let not_cancelable = |problem: String| Fault::new(FaultKind::TaskNotCancelable, problem);
        if summary.status != PlanStatus::Running {
            return Err(not_cancelable(format!("the task has ended already: {}", summary.status)));
        }
        let executor = self.executor()?;
        let mut subscriber = self.follow_plan(&tenant, &plan, Start::After(summary.last_seq)).await?;
        let (owner, id) = (tenant.clone(), plan.clone());
        self.run(move || executor.cancel(&owner, &id)).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidInput => not_cancelable(error.to_string()),
            _ => Fault::from(error),
        })?;
        self.wait_for_end(&mut subscriber, CANCEL_WAIT_MAX).await?;
        self.task(tenant, plan).await
    }

    /// Starts a plan with a message, and says how it ended, or how it stands.
    pub(super) async fn send(&self, params: &Params) -> Result<String> {
        let sending = Sending::parse(self.dialect, params)?;
        let returns_at_once = sending.returns_at_once;
        let (tenant, plan, head) = self.start(params, sending).await?;
        if !returns_at_once {
            let mut subscriber = self.follow_plan(&tenant, &plan, Start::After(head)).await?;
            // A message that was sent before may name a plan that ended before, with no end to come.
            let summary = self.summary(&tenant, &plan).await?;
            if summary.status == PlanStatus::Running || summary.status_seq > head {
                self.wait_for_end(&mut subscriber, SEND_WAIT_MAX).await?;
            }
        }
        let task = self.task(tenant, plan).await?;
        Ok(match self.dialect {
            Dialect::V1 => format!(r#"{{"task":{task}}}"#),
            Dialect::V03 => task,
        })
    }

    /// Starts a plan with a message, and follows it from its start.
    pub(super) async fn send_streaming(&self, params: &Params) -> Result<Stream> {
        let sending = Sending::parse(self.dialect, params)?;
        let (tenant, plan, head) = self.start(params, sending).await?;
        self.follow(tenant, plan, Some(Start::After(head))).await
    }

    /// Follows a task that runs; with a place to go on from also one that has ended.
    pub(super) async fn subscribe(&self, params: &Params, start: Option<Start>) -> Result<Stream> {
        self.follow(self.tenant(params)?, params.plan("id")?, start).await
    }

    async fn follow(&self, tenant: Tenant, plan: PlanId, start: Option<Start>) -> Result<Stream> {
        // The place is looked up before the plan: what comes in between is sent.
        let subscriber = match start {
            Some(start) => Some(self.follow_plan(&tenant, &plan, start).await?),
            None => None,
        };
        let summary = self.summary(&tenant, &plan).await?;
        let has_ended = summary.status != PlanStatus::Running;
        let subscriber = match subscriber {
            Some(subscriber) => subscriber,
            None if has_ended => {
                let problem = format!(
                    "the task has ended: {}; with the header Last-Event-ID what came behind it is replayed",
                    summary.status
                );
                return Err(Fault::new(FaultKind::UnsupportedOperation, problem));
            }
            None => self.follow_plan(&tenant, &plan, Start::After(summary.last_seq)).await?,
        };
        let has_all = has_ended && summary.status_seq <= subscriber.cursor() && !subscriber.has_gap();
        let (dialect, owner, id) = (self.dialect, tenant.clone(), plan.clone());
        let read = self.state.read(move |store| {
            let store = store.for_tenant(owner)?;
            let context = summary.correlation_id.as_ref().map_or(id.as_str(), |context| context.as_str());
            let context = context.to_owned();
            let end = end_of(&store, &summary)?;
            let snapshot = task::snapshot(dialect, task::task(dialect, &summary, end.as_ref()));
            Ok((context, snapshot))
        });
        let (context_id, snapshot) = read.await?;
        let wanted = plan_filter(&tenant, &plan).compile()?;
        let following = Following { subscriber, wanted, until: Some((tenant, plan.clone())) };
        let following = (!has_all).then_some(following);
        Ok(Stream { dialect, task_id: plan, context_id, snapshot, following })
    }

    /// Hands a message to the executor; the plan that it started, and where the log ended before.
    async fn start(&self, params: &Params, sending: Sending) -> Result<(Tenant, PlanId, u64)> {
        let tenant = self.tenant(params)?;
        if let Some(plan) = &sending.task_id {
            let status = self.summary(&tenant, plan).await?.status;
            let problem = format!("the task takes no messages (it is {status}): send one without taskId");
            return Err(Fault::new(FaultKind::UnsupportedOperation, problem));
        }
        let executor = self.executor()?;
        let head = self.state.look_up(EventStore::head).await?;
        let request = PlanRequest {
            tenant: tenant.clone(),
            message_id: sending.message_id,
            text: sending.text,
            data: sending.data,
            context_id: sending.context_id,
        };
        let plan = self.run(move || executor.start(request)).await?;
        Ok((tenant, plan, head))
    }

    fn executor(&self) -> Result<Arc<dyn PlanExecutor>> {
        let executor = self.state.options.executor.as_ref().map(|executor| Arc::clone(&executor.0));
        executor.ok_or_else(|| {
            let problem = "this server shows plans and runs none";
            Fault::new(FaultKind::UnsupportedOperation, problem)
        })
    }

    /// Runs what the executor does, where it may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> crate::error::Result<T> + Send + 'static,
    ) -> crate::error::Result<T> {
        self.state.feed().reads().run(Work::Execution, work).await
    }

    fn tenant(&self, params: &Params) -> Result<Tenant> {
        let asked = match self.dialect {
            Dialect::V1 => params.tenant()?,
            Dialect::V03 => None,
        };
        Ok(self.caller.tenant(asked)?)
    }

    async fn summary(&self, tenant: &Tenant, plan: &PlanId) -> Result<PlanSummary> {
        let (tenant, plan) = (tenant.clone(), plan.clone());
        let found = self.state.read(move |store| store.for_tenant(tenant)?.plan(plan)).await?;
        found.ok_or_else(|| Fault::new(FaultKind::TaskNotFound, "there is no such task"))
    }

    /// A task as it stands, with its result.
    async fn task(&self, tenant: Tenant, plan: PlanId) -> Result<String> {
        let (summary, dialect) = (self.summary(&tenant, &plan).await?, self.dialect);
        let read = self.state.read(move |store| {
            let end = end_of(&store.for_tenant(tenant)?, &summary)?;
            written(&task::task(dialect, &summary, end.as_ref()))
        });
        Ok(read.await?)
    }

    fn follow_plan(
        &self,
        tenant: &Tenant,
        plan: &PlanId,
        start: Start,
    ) -> impl Future<Output = crate::error::Result<A2AEventSubscriber>> + use<'_> {
        self.state.subscribe(plan_filter(tenant, plan), start)
    }

    /// Waits until the plan that a subscriber follows has ended, but not for ever.
    async fn wait_for_end(&self, subscriber: &mut A2AEventSubscriber, limit: Duration) -> Result<()> {
        let end = async {
            while let Some(update) = subscriber.next().await {
                if matches!(update?, Update::Event(event) if is_end(&event)) {
                    return Ok(());
                }
            }
            Err(Fault::new(FaultKind::Unavailable, "the server stops"))
        };
        tokio::select! {
            ended = tokio::time::timeout(limit, end) => ended.unwrap_or(Ok(())),
            () = self.caller.ended() => {
                Err(Fault::new(FaultKind::Unauthorized, "what the caller may see has changed"))
            }
        }
    }
}

fn plan_filter(tenant: &Tenant, plan: &PlanId) -> Filter {
    Filter::all().tenant(tenant).plan(plan)
}

fn is_end(event: &Event) -> bool {
    matches!(*event.event_type(), EventType::PlanCompleted | EventType::PlanFailed)
}

fn list(store: &EventStore, dialect: Dialect, query: &TaskQuery) -> crate::error::Result<String> {
    let Some(plans) = plans(query)? else {
        return written(&TaskPage {
            tasks: Vec::new(),
            next_page_token: String::new(),
            page_size: query.page_size,
            total_size: 0,
        });
    };
    let total_size = store.count_plans(plans.clone())?;
    let (mut tasks, mut bytes, mut last) = (Vec::new(), 0, query.before);
    // Ended by the first plan that has no room any more, and is on the next page.
    let has_more = 'page: loop {
        let asked = READ_PLANS.min(query.page_size + 1 - tasks.len());
        let chunk = plans.clone().limit(asked);
        let found = store.plans(match last {
            Some(before) => chunk.before(before),
            None => chunk,
        })?;
        for plan in &found {
            if tasks.len() == query.page_size || bytes >= PAGE_BYTES {
                break 'page true;
            }
            let end = match plan.status {
                PlanStatus::Completed if !query.with_artifacts => None,
                _ => end_of(store, plan)?,
            };
            let task = to_raw_value(&task::task(dialect, plan, end.as_ref())).map_err(unwritten)?;
            bytes += task.get().len();
            tasks.push(task);
            last = Some(plan.status_seq);
        }
        if found.len() < asked {
            break false;
        }
    };
    let next_page_token = last.filter(|_| has_more).map(|seq| seq.to_string()).unwrap_or_default();
    written(&TaskPage { tasks, next_page_token, page_size: query.page_size, total_size })
}

/// The plans that a query is about; `None` where it asks for a state that no plan is in.
fn plans(query: &TaskQuery) -> crate::error::Result<Option<PlanQuery>> {
    let mut plans = PlanQuery::new().newest_change_first();
    match query.status {
        None => {}
        Some(Some(status)) => plans = plans.status(status),
        Some(None) => return Ok(None),
    }
    if let Some(context) = &query.context_id {
        plans = plans.correlation_id(context);
    }
    if let Some(since) = query.since {
        plans = plans.changed_since(since);
    }
    Ok(Some(plans))
}

/// The event that ended a plan, for what it says.
fn end_of(store: &EventStore, plan: &PlanSummary) -> crate::error::Result<Option<Event>> {
    if plan.status == PlanStatus::Running {
        return Ok(None);
    }
    let ends = [EventType::PlanCompleted, EventType::PlanFailed];
    let query = EventQuery::new().plan(&plan.plan_id).types(ends).newest_first().limit(1);
    Ok(store.query(query)?.pop())
}

fn written(value: &impl serde::Serialize) -> crate::error::Result<String> {
    serde_json::to_string(value).map_err(unwritten)
}

fn unwritten(cause: serde_json::Error) -> Error {
    Error::with_source(ErrorKind::InvalidInput, "write a task", cause)
}
