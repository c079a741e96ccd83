//! [`PlanExecutor`]: how a client's message becomes a plan.
//!
//! The server itself runs nothing: without an executor it only shows plans.

use crate::{
    error::Result,
    event::{CorrelationId, Json, PlanId, Tenant},
};

/// What runs plans that clients ask for, given to [`ServerBuilder::executor`](super::ServerBuilder).
///
/// Its methods are called on threads of the server, four at a time; further messages wait. They return
/// soon, and plans run on threads of the executor's own.
///
/// ```
/// use std::thread;
///
/// use planbus::{
///     Error, ErrorKind, EventBus, PlanId, Tenant,
///     server::{PlanExecutor, PlanRequest},
/// };
/// use serde_json::json;
///
/// struct Echo {
///     bus: EventBus,
/// }
///
/// impl PlanExecutor for Echo {
///     fn start(&self, request: PlanRequest) -> planbus::Result<PlanId> {
///         let mut plan = self.bus.plan(format!("echo-{}", request.message_id)).tenant(request.tenant);
///         if let Some(context) = request.context_id {
///             plan = plan.correlation_id(context);
///         }
///         let run = plan.start(json!({"goal": request.text}))?;
///         let id = run.id().clone();
///         thread::spawn(move || run.complete(json!({"echo": request.text})));
///         Ok(id)
///     }
///
///     fn cancel(&self, _: &Tenant, plan: &PlanId) -> planbus::Result<()> {
///         Err(Error::new(ErrorKind::NotFound, format!("{plan} is over in no time")))
///     }
/// }
/// ```
pub trait PlanExecutor: Send + Sync {
    /// Starts a plan, and returns once its `PlanStarted` is in the log. The plan belongs to the
    /// request's tenant; its correlation id is the request's context id, where that is given.
    ///
    /// # Errors
    /// `InvalidInput` for a request that this executor cannot take, `Unavailable` where it can take
    /// none now: the client is told the message. Others are told to the log only.
    fn start(&self, request: PlanRequest) -> Result<PlanId>;

    /// Asks a plan to end soon, and returns when that is asked. A plan that obeys ends as any other,
    /// completed or failed.
    ///
    /// # Errors
    /// `NotFound` where the executor does not run this plan, `InvalidInput` where it cannot be
    /// stopped: the client is told that the plan cannot be cancelled, and the message.
    fn cancel(&self, tenant: &Tenant, plan: &PlanId) -> Result<()>;
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanRequest {
    /// For whom the plan is run.
    pub tenant: Tenant,
    /// The client's id of its message, at most 256 bytes: the same when the client sends it again. An
    /// executor that is to run nothing twice answers then with the plan that it began before.
    pub message_id: String,
    /// The message's texts, a line each.
    pub text: String,
    /// The message's data, in order.
    pub data: Vec<Json>,
    /// What the plan is to have in common with others, by default nothing.
    pub context_id: Option<CorrelationId>,
}
