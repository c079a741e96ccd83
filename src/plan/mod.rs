//! [`PlanRun`]: reports one run of an agent's plan, so that no plan ever looks alive that is not.
//!
//! The publisher integration for an agent runtime: it opens a plan with `PlanStarted`, and whatever
//! happens afterwards, an early return or a panic, the plan gets its end. It runs nothing by itself
//! and swallows no error of the work it reports.

mod fields;
mod panics;
mod subplan;
#[cfg(test)]
mod tests;
mod text;
mod tool;

use std::{collections::HashMap, sync::atomic::AtomicU64, time::Instant};

use parking_lot::Mutex;

pub use self::tool::ToolError;
use self::{
    fields::{object, take_text},
    text::error_text,
};
use crate::{
    bus::{EventBus, Published},
    error::{Error, ErrorKind, Result},
    event::{
        AgentId, CorrelationId, DecisionMade, Event, EventId, Json, Payload, PlanCompleted, PlanFailed,
        PlanId, PlanStarted, SubplanCompleted, Tenant,
    },
};

impl EventBus {
    /// Begins to report a plan; [`start`](PlanBuilder::start) publishes its `PlanStarted`.
    #[must_use = "a plan begins with start()"]
    pub fn plan(&self, plan_id: impl TryInto<PlanId, Error: Into<Error>>) -> PlanBuilder {
        PlanBuilder {
            bus: self.clone(),
            plan_id: plan_id.try_into().map_err(Into::into),
            source: None,
            tenant: None,
            correlation_id: None,
            fault: None,
        }
    }
}

/// A plan that is about to start.
#[derive(Debug)]
#[must_use = "a plan begins with start()"]
pub struct PlanBuilder {
    bus: EventBus,
    plan_id: Result<PlanId>,
    source: Option<AgentId>,
    tenant: Option<Tenant>,
    correlation_id: Option<CorrelationId>,
    fault: Option<Error>,
}

impl PlanBuilder {
    /// Sets the agent that runs the plan: the source of all its events.
    pub fn source(mut self, agent: impl TryInto<AgentId, Error: Into<Error>>) -> Self {
        match agent.try_into() {
            Ok(agent) => self.source = Some(agent),
            Err(fault) => self.fault = self.fault.or(Some(fault.into())),
        }
        self
    }

    /// Sets whose plan it is; by default the tenant `default`.
    pub fn tenant(mut self, tenant: impl TryInto<Tenant, Error: Into<Error>>) -> Self {
        match tenant.try_into() {
            Ok(tenant) => self.tenant = Some(tenant),
            Err(fault) => self.fault = self.fault.or(Some(fault.into())),
        }
        self
    }

    /// Sets what its events and those of its subplans have in common with other plans, as a
    /// conversation; by default the plan's own id.
    pub fn correlation_id(mut self, id: impl TryInto<CorrelationId, Error: Into<Error>>) -> Self {
        match id.try_into() {
            Ok(id) => self.correlation_id = Some(id),
            Err(fault) => self.fault = self.fault.or(Some(fault.into())),
        }
        self
    }

    /// Publishes `PlanStarted` with these fields (`goal` is the one that planbus knows) and gives
    /// the run.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, also for `parent`, which only
    /// [`subplan`](PlanRun::subplan) writes, and whatever publishing may return.
    pub fn start(self, fields: impl Into<Json>) -> Result<PlanRun> {
        let plan_id = self.plan_id?;
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let started = started(fields.into())?;
        let scope = Scope {
            bus: self.bus,
            tenant: self.tenant.unwrap_or_default(),
            correlation_id: self.correlation_id.unwrap_or_else(|| plan_id.clone().into()),
            call_chain: self.source.iter().cloned().collect(),
            source: self.source,
        };
        PlanRun::start(scope, plan_id, None, started)
    }
}

/// What the events of a plan share.
#[derive(Clone, Debug)]
struct Scope {
    bus: EventBus,
    tenant: Tenant,
    source: Option<AgentId>,
    call_chain: Vec<AgentId>,
    /// The root plan's id, unless it was given.
    correlation_id: CorrelationId,
}

impl Scope {
    fn publish(&self, plan_id: &PlanId, cause: Option<EventId>, payload: impl Payload) -> Result<Published> {
        let mut event =
            Event::new(plan_id, payload).with_tenant(&self.tenant).with_correlation_id(&self.correlation_id);
        if let Some(source) = &self.source {
            event = event.with_source(source);
        }
        if !self.call_chain.is_empty() {
            event = event.with_call_chain(&self.call_chain);
        }
        if let Some(cause) = cause {
            event = event.with_causation_id(cause);
        }
        self.bus.publish(event)
    }
}

/// One run of a plan. It ends with [`complete`](Self::complete) or [`fail`](Self::fail); dropped
/// before, it reports `PlanFailed`, with the panic's message while unwinding.
///
/// It is `Send` and `Sync`: tools and subplans may run in threads.
///
/// The first run of a process sets a panic hook, for the whole process, that notes the panic's
/// message and then calls the hook that was there. A program that sets a hook of its own later calls
/// the previous one from it, or the reports say less: they come all the same. Error texts are kept
/// up to 16 KiB.
///
/// ```
/// use planbus::EventBus;
/// use serde_json::json;
///
/// let bus = EventBus::builder().in_memory().build()?;
/// let run = bus.plan("release-notes").source("planner").start(json!({"goal": "notes for 1.4"}))?;
/// let child = run.subplan("collect", json!({"goal": "collect commits"}))?;
/// std::thread::scope(|threads| {
///     threads.spawn(move || child.complete(json!({"commits": 12})));
/// });
/// run.complete(json!({}))?;
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a plan that is dropped unfinished is reported as failed"]
pub struct PlanRun {
    scope: Scope,
    plan_id: PlanId,
    parent: Option<Parent>,
    begun: Instant,
    /// The plan's `PlanStarted`, the cause of all that follows.
    started: EventId,
    next_call: AtomicU64,
    /// How often each name of a subplan was used.
    names: Mutex<HashMap<String, u64>>,
    is_open: bool,
}

/// Where a subplan reports back.
#[derive(Debug)]
struct Parent {
    plan_id: PlanId,
    /// The parent's `SubplanSpawned`.
    spawned: EventId,
}

impl PlanRun {
    fn start(
        scope: Scope,
        plan_id: PlanId,
        parent: Option<Parent>,
        mut payload: PlanStarted,
    ) -> Result<Self> {
        payload.parent = parent.as_ref().map(|parent| parent.plan_id.as_str().to_owned());
        let cause = parent.as_ref().map(|parent| parent.spawned);
        panics::remember();
        let begun = Instant::now();
        let started = scope.publish(&plan_id, cause, payload)?.event_id;
        Ok(Self {
            scope,
            plan_id,
            parent,
            begun,
            started,
            next_call: AtomicU64::new(1),
            names: Mutex::default(),
            is_open: true,
        })
    }

    /// The plan's id.
    #[must_use]
    pub fn id(&self) -> &PlanId {
        &self.plan_id
    }

    /// Reports a decision with further fields (`reason` is the one that planbus knows).
    ///
    /// # Errors
    /// `InvalidInput` for fields that are no object or have one named `decision`, and whatever
    /// publishing may return.
    pub fn decide(&self, decision: impl Into<String>, fields: impl Into<Json>) -> Result<Published> {
        let mut payload = DecisionMade::new(decision);
        payload.extra = object(fields.into(), &["decision"])?;
        payload.reason = take_text(&mut payload.extra, "reason")?;
        self.publish(payload)
    }

    /// Publishes an event of any type as a part of this plan.
    ///
    /// # Errors
    /// Whatever publishing may return.
    pub fn publish(&self, payload: impl Payload) -> Result<Published> {
        self.scope.publish(&self.plan_id, Some(self.started), payload)
    }

    /// Ends the plan as completed, with these fields as its result; a subplan reports back to its
    /// parent too.
    ///
    /// # Errors
    /// `InvalidInput` for fields that are no object or have one named `duration_us`, and whatever
    /// publishing may return. The plan is then still reported as failed, if that can be stored.
    /// Where `PlanCompleted` was published and only the report to the parent was refused, the plan
    /// is completed, and the error is that of the report.
    pub fn complete(mut self, result: impl Into<Json>) -> Result<Published> {
        let published = object(result.into(), &["duration_us"]).and_then(|fields| {
            let mut payload = PlanCompleted::new();
            payload.extra = fields;
            payload.duration_us = Some(self.elapsed_us());
            self.publish(payload)
        });
        match published {
            Ok(published) => {
                self.is_open = false;
                self.report_back(None)?;
                Ok(published)
            }
            Err(error) => {
                // As in `end_failed`, there is no second end after an indeterminate commit.
                if error.kind() != ErrorKind::Indeterminate {
                    self.end_or_log(&format!("its completion was refused: {error}"));
                }
                self.is_open = false;
                Err(error)
            }
        }
    }

    /// Ends the plan as failed; a subplan reports back to its parent too.
    ///
    /// # Errors
    /// Whatever publishing may return. The plan is then still reported as failed, with that error,
    /// if that can be stored. Where only the report to the parent was refused, the plan is failed
    /// already, and the error is that of the report.
    pub fn fail(mut self, error: impl std::fmt::Display) -> Result<Published> {
        let published = self.end_failed(&error.to_string());
        if let Err(refused) = &published
            && self.is_open
        {
            self.end_or_log(&format!("its failure was refused: {refused}"));
            self.is_open = false;
        }
        published
    }

    fn end_failed(&mut self, error: &str) -> Result<Published> {
        let error = error_text(error);
        let mut payload = PlanFailed::new(error.as_str());
        payload.duration_us = Some(self.elapsed_us());
        let published = self.publish(payload);
        // After an indeterminate commit a second end might contradict the first.
        self.is_open = published.as_ref().is_err_and(|error| error.kind() != ErrorKind::Indeterminate);
        let published = published?;
        self.report_back(Some(&error))?;
        Ok(published)
    }

    /// Ends the plan as failed where there is nobody to give an error to.
    fn end_or_log(&mut self, error: &str) {
        if let Err(error) = self.end_failed(error) {
            tracing::error!(plan = self.plan_id.as_str(), %error, "a plan's end could not be reported");
        }
    }

    /// Tells the parent how this subplan ended.
    fn report_back(&self, error: Option<&str>) -> Result<()> {
        let Some(parent) = &self.parent else { return Ok(()) };
        let subplan = self.plan_id.as_str();
        let mut payload = error
            .map_or_else(|| SubplanCompleted::ok(subplan), |error| SubplanCompleted::failed(subplan, error));
        payload.duration_us = Some(self.elapsed_us());
        self.scope.publish(&parent.plan_id, Some(parent.spawned), payload).map(drop)
    }

    fn elapsed_us(&self) -> u64 {
        micros(self.begun.elapsed())
    }
}

impl Drop for PlanRun {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        match panics::message() {
            Some(message) => self.end_or_log(&format!("panicked: {message}")),
            None => self.end_or_log("the plan was dropped before it was completed or failed"),
        }
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a caller says of a plan that starts.
fn started(fields: Json) -> Result<PlanStarted> {
    let mut payload = PlanStarted::default();
    payload.extra = object(fields, &["parent"])?;
    payload.goal = take_text(&mut payload.extra, "goal")?;
    Ok(payload)
}
