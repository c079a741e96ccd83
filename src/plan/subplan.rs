//! Starting a plan for a part of another one's work.
//!
//! Never leaves a `SubplanSpawned` without an answer: a child that cannot start has failed.

use super::{Parent, PlanRun, started, text::error_text};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{AgentId, EventId, ID_MAX_BYTES, Json, PlanId, PlanStarted, SubplanCompleted, SubplanSpawned},
};

/// The most agents of a call chain, and so of subplans inside each other with agents of their own.
const CALL_CHAIN_MAX: usize = 256;

impl PlanRun {
    /// Starts a plan for a part of this one's work: publishes `SubplanSpawned` here and the new
    /// plan's `PlanStarted`. Its id is this plan's, `/`, and `name`; a name that this run used
    /// before gets a number, and where the id would pass its limit a short one is made.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, before anything is published, and whatever publishing
    /// may return. A subplan whose `PlanStarted` is refused is reported here as failed.
    pub fn subplan(&self, name: &str, fields: impl Into<Json>) -> Result<PlanRun> {
        self.spawn(name, None, started(fields.into())?)
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
        self.spawn(name, Some(agent), started(fields.into())?)
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

    fn spawn(&self, name: &str, agent: Option<AgentId>, fields: PlanStarted) -> Result<PlanRun> {
        let mut scope = self.scope.clone();
        if let Some(agent) = agent {
            if scope.call_chain.len() == CALL_CHAIN_MAX {
                let problem = format!("cannot spawn a subplan: the call chain has {CALL_CHAIN_MAX} agents");
                return Err(Error::new(ErrorKind::TooDeep, problem));
            }
            scope.call_chain.push(agent.clone());
            scope.source = Some(agent);
        }
        let plan_id = self.subplan_id(name)?;
        let mut payload = SubplanSpawned::new(plan_id.as_str());
        payload.goal.clone_from(&fields.goal);
        let spawned = self.publish(payload)?.event_id;
        let parent = Parent { plan_id: self.plan_id.clone(), spawned };
        let run = PlanRun::start(scope, plan_id.clone(), Some(parent), fields);
        if let Err(error) = &run {
            // The child never began: the parent's log must not wait for it.
            let problem = error_text(&format!("did not start: {error}"));
            let answer = SubplanCompleted::failed(plan_id.as_str(), problem);
            if let Err(refused) = self.scope.publish(&self.plan_id, Some(spawned), answer) {
                // Why the child did not start says more than a second failure.
                tracing::error!(plan = plan_id.as_str(), %refused, "a subplan's failure could not be reported");
            }
        }
        run
    }
}
