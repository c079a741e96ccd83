//! [`PlanRun`]: reports one run of an agent's plan, so that no plan ever looks alive that is not.
//!
//! The publisher integration for an agent runtime: it opens a plan with `PlanStarted`, and whatever
//! happens afterwards, an early return or a panic, the plan gets its end. It runs nothing by itself
//! and swallows no error of the work it reports.

mod panics;
mod tool;

use std::{collections::HashMap, sync::atomic::AtomicU64, time::Instant};

use parking_lot::Mutex;
use serde_json::Value;

pub use self::tool::ToolError;
use crate::{
    bus::{EventBus, Published},
    error::{Error, ErrorKind, Result},
    event::{
        AgentId, CorrelationId, DecisionMade, Event, EventId, ID_MAX_BYTES, Json, JsonObject, Payload,
        PlanCompleted, PlanFailed, PlanId, PlanStarted, SubplanCompleted, SubplanSpawned, Tenant,
    },
};

/// The most agents of a call chain, and so of subplans inside each other with agents of their own.
const CALL_CHAIN_MAX: usize = 256;

impl EventBus {
    /// Begins to report a plan; [`start`](PlanBuilder::start) publishes its `PlanStarted`.
    #[must_use = "a plan begins with start()"]
    pub fn plan(&self, plan_id: impl TryInto<PlanId, Error: Into<Error>>) -> PlanBuilder {
        PlanBuilder {
            bus: self.clone(),
            plan_id: plan_id.try_into().map_err(Into::into),
            source: None,
            tenant: None,
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

    /// Publishes `PlanStarted` with these fields (`goal` is the one that planbus knows) and gives
    /// the run.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, and whatever publishing may return.
    pub fn start(self, fields: impl Into<Json>) -> Result<PlanRun> {
        let plan_id = self.plan_id?;
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let scope = Scope {
            bus: self.bus,
            tenant: self.tenant.unwrap_or_default(),
            correlation_id: plan_id.clone().into(),
            call_chain: self.source.iter().cloned().collect(),
            source: self.source,
        };
        PlanRun::start(scope, plan_id, None, fields.into())
    }
}

/// What the events of a plan share.
#[derive(Clone, Debug)]
struct Scope {
    bus: EventBus,
    tenant: Tenant,
    source: Option<AgentId>,
    call_chain: Vec<AgentId>,
    /// The root plan's id.
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
    fn start(scope: Scope, plan_id: PlanId, parent: Option<Parent>, fields: Json) -> Result<Self> {
        let mut payload = PlanStarted::default();
        payload.extra = object(fields)?;
        payload.goal = take_text(&mut payload.extra, "goal")?;
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
    /// `InvalidInput` for fields that are no object, and whatever publishing may return.
    pub fn decide(&self, decision: impl Into<String>, fields: impl Into<Json>) -> Result<Published> {
        let mut payload = DecisionMade::new(decision);
        payload.extra = object(fields.into())?;
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

    /// Starts a plan for a part of this one's work: publishes `SubplanSpawned` here and the new
    /// plan's `PlanStarted`. Its id is this plan's, `/`, and `name`; a name that this run used
    /// before gets a number, and where the id would pass its limit a short one is made.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, and whatever publishing may return.
    pub fn subplan(&self, name: &str, fields: impl Into<Json>) -> Result<PlanRun> {
        self.spawn(self.subplan_id(name)?, None, fields.into())
    }

    /// As [`subplan`](Self::subplan), run by another agent, which is added to the call chain.
    ///
    /// # Errors
    /// As [`subplan`](Self::subplan).
    pub fn subplan_by(
        &self,
        agent: impl TryInto<AgentId, Error: Into<Error>>,
        name: &str,
        fields: impl Into<Json>,
    ) -> Result<PlanRun> {
        let agent = agent.try_into().map_err(Into::into)?;
        self.spawn(self.subplan_id(name)?, Some(agent), fields.into())
    }

    fn subplan_id(&self, name: &str) -> Result<PlanId> {
        let id = format!("{}/{}", self.plan_id, self.fresh_name(name));
        if id.len() > ID_MAX_BYTES {
            return PlanId::try_from(format!("subplan-{}", EventId::generate()));
        }
        PlanId::try_from(id)
    }

    /// The name, with a number where this run has used it.
    fn fresh_name(&self, name: &str) -> String {
        let mut names = self.names.lock();
        let mut used = names.get(name).copied().unwrap_or(0);
        let fresh = loop {
            used += 1;
            let candidate = if used == 1 { name.to_owned() } else { format!("{name}-{used}") };
            // A name that was given may look like one that was made.
            if used == 1 || !names.contains_key(&candidate) {
                break candidate;
            }
        };
        names.insert(name.to_owned(), used);
        names.entry(fresh.clone()).or_insert(1);
        fresh
    }

    fn spawn(&self, plan_id: PlanId, agent: Option<AgentId>, fields: Json) -> Result<PlanRun> {
        let mut scope = self.scope.clone();
        if let Some(agent) = agent {
            if scope.call_chain.len() == CALL_CHAIN_MAX {
                let problem = format!("cannot spawn {plan_id}: the call chain has {CALL_CHAIN_MAX} agents");
                return Err(Error::new(ErrorKind::TooDeep, problem));
            }
            scope.call_chain.push(agent.clone());
            scope.source = Some(agent);
        }
        let mut payload = SubplanSpawned::new(plan_id.as_str());
        payload.goal = fields.get("goal").and_then(Value::as_str).map(str::to_owned);
        let spawned = self.publish(payload)?.event_id;
        let parent = Parent { plan_id: self.plan_id.clone(), spawned };
        let started = PlanRun::start(scope, plan_id.clone(), Some(parent), fields);
        if let Err(error) = &started {
            // The child never began: the parent's log must not wait for it.
            let answer = SubplanCompleted::failed(plan_id.as_str(), format!("did not start: {error}"));
            self.scope.publish(&self.plan_id, Some(spawned), answer)?;
        }
        started
    }

    /// Ends the plan as completed, with these fields as its result; a subplan reports back to its
    /// parent too.
    ///
    /// # Errors
    /// `InvalidInput` for fields that are no object, and whatever publishing may return. The plan
    /// is then still reported as failed, if that can be stored.
    pub fn complete(mut self, result: impl Into<Json>) -> Result<Published> {
        let published = object(result.into()).and_then(|fields| {
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
                // After an indeterminate commit a second end might contradict the first.
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
    /// Whatever publishing may return.
    pub fn fail(mut self, error: impl std::fmt::Display) -> Result<Published> {
        self.end_failed(&error.to_string())
    }

    fn end_failed(&mut self, error: &str) -> Result<Published> {
        let mut payload = PlanFailed::new(error);
        payload.duration_us = Some(self.elapsed_us());
        let published = self.publish(payload)?;
        self.is_open = false;
        self.report_back(Some(error))?;
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

/// The members of a JSON object; `null` is an empty one.
fn object(mut fields: Json) -> Result<JsonObject> {
    match std::mem::take(&mut *fields) {
        Value::Object(map) => Ok(map.into()),
        Value::Null => Ok(JsonObject::default()),
        other => {
            let given = Json::from(other);
            Err(Error::invalid("payload", format!("must be a JSON object, got {given}")))
        }
    }
}

/// Takes a text field that the payload's type names out of the others.
fn take_text(fields: &mut JsonObject, name: &str) -> Result<Option<String>> {
    match fields.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Error::invalid(name, format!("must be a string, got {other}"))),
    }
}
