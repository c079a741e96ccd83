//! A plan with its subplans, as the events of the log tell of them one by one, and how it ended.
//!
//! Pure: asks no store and no clock.

use std::collections::HashSet;

use planbus::{Event, EventType, PlanId, PlanStatus, PlanSummary};

use crate::{
    failure::{Exit, Failure},
    fields::{self, Fields},
};

/// How many plans are taken for one family at most: whatever is spawned beyond them is left out.
const PLANS_MAX: usize = 100_000;

/// A plan, and all that came from it.
#[derive(Debug)]
pub(crate) struct Family {
    root: PlanId,
    plans: HashSet<PlanId>,
    end: PlanEnd,
}

impl Family {
    /// The family of a plan that may not have begun.
    pub(crate) fn of(root: &PlanId) -> Self {
        Self { root: root.clone(), plans: HashSet::from([root.clone()]), end: PlanEnd::default() }
    }

    /// Whether an event is of one of its plans. To be asked in the order of the log, which is where it
    /// learns of subplans.
    pub(crate) fn takes(&mut self, event: &Event) -> bool {
        let plan = event.plan_id();
        let other = match event.event_type() {
            EventType::PlanStarted if !self.plans.contains(plan) => {
                // The parent is named by the start; a plan that is nobody's names none.
                Fields::of(event).text("parent").filter(|parent| self.has(parent)).map(|_| plan.clone())
            }
            EventType::SubplanSpawned if self.plans.contains(plan) => {
                Fields::of(event).text("subplan").and_then(|child| PlanId::try_from(child.as_str()).ok())
            }
            _ => None,
        };
        self.add(other);
        if *plan == self.root {
            self.end.take(event);
        }
        self.plans.contains(plan)
    }

    /// Counts a plan among its own.
    pub(crate) fn add(&mut self, plan: impl IntoIterator<Item = PlanId>) {
        let room = PLANS_MAX.saturating_sub(self.plans.len());
        self.plans.extend(plan.into_iter().take(room));
    }

    /// The plan that the others came from.
    pub(crate) fn root(&self) -> &PlanId {
        &self.root
    }

    /// How that plan stands.
    pub(crate) fn end(&self) -> &PlanEnd {
        &self.end
    }

    fn has(&self, plan: &str) -> bool {
        PlanId::try_from(plan).is_ok_and(|plan| self.plans.contains(&plan))
    }
}

/// How a plan ended, if it has; one that is begun again goes on.
#[derive(Debug, Default)]
pub(crate) struct PlanEnd {
    status: Option<PlanStatus>,
    error: Option<String>,
}

impl From<&PlanSummary> for PlanEnd {
    fn from(plan: &PlanSummary) -> Self {
        Self { status: Some(plan.status), error: plan.error.clone() }
    }
}

impl PlanEnd {
    /// Takes in the plan's next event.
    pub(crate) fn take(&mut self, event: &Event) {
        let (status, error) = match event.event_type() {
            EventType::PlanStarted => (PlanStatus::Running, None),
            EventType::PlanCompleted => (PlanStatus::Completed, None),
            EventType::PlanFailed => (PlanStatus::Failed, Fields::of(event).words(fields::ERROR)),
            _ => return,
        };
        (self.status, self.error) = (Some(status), error);
    }

    /// Whether it was begun, as far as the log tells.
    pub(crate) fn has_begun(&self) -> bool {
        self.status.is_some()
    }

    /// Whether it has ended, and was not begun again.
    pub(crate) fn has_come(&self) -> bool {
        matches!(self.status, Some(PlanStatus::Completed | PlanStatus::Failed))
    }

    /// How the program ends after the plan: well where it completed.
    pub(crate) fn outcome(&self, plan: &PlanId) -> Result<(), Failure> {
        let (exit, told) = match (self.status, &self.error) {
            (Some(PlanStatus::Completed), _) => return Ok(()),
            (Some(PlanStatus::Failed), Some(error)) => {
                (Exit::PlanFailed, format!("plan {plan} failed: {error}"))
            }
            (Some(PlanStatus::Failed), None) => (Exit::PlanFailed, format!("plan {plan} failed")),
            (Some(_), _) => (Exit::Interrupted, format!("interrupted: plan {plan} has not ended")),
            (None, _) => (Exit::Interrupted, format!("interrupted: plan {plan} has not begun")),
        };
        Err(Failure::new(exit, told))
    }
}

#[cfg(test)]
mod tests {
    use planbus::{DecisionMade, PlanCompleted, PlanFailed, PlanStarted, SubplanSpawned};
    use serde_json::json;

    use super::*;

    fn family() -> Family {
        Family::of(&PlanId::try_from("root").expect("an id"))
    }

    #[test]
    fn a_plan_is_of_a_family_when_its_start_or_its_parent_says_so() {
        let mut family = family();
        let mut takes = |event: Event| family.takes(&event);
        assert!(!takes(Event::untyped("early", "PlanStarted", json!({"parent": "root/spawned"}))));
        assert!(takes(Event::new("root", PlanStarted::new("survey"))));
        assert!(takes(Event::new("root", SubplanSpawned::new("root/spawned"))));
        assert!(takes(Event::new("root/spawned", DecisionMade::new("yes"))));
        assert!(takes(Event::untyped("named", "PlanStarted", json!({"parent": "root/spawned"}))));
        assert!(takes(Event::new("named", DecisionMade::new("yes"))), "a subplan's subplan");
        assert!(!takes(Event::untyped("other", "PlanStarted", json!({"parent": 7}))));
        assert!(!takes(Event::new("other", SubplanSpawned::new("stolen"))));
        assert!(!takes(Event::new("stolen", DecisionMade::new("no"))));
    }

    #[test]
    fn a_plan_that_is_begun_again_has_not_ended() {
        let mut family = family();
        let mut end = |event: Event| {
            family.takes(&event);
            family.end().has_come()
        };
        assert!(!end(Event::new("root", PlanStarted::new("survey"))));
        assert!(!end(Event::new("root/other", PlanCompleted::new())), "another plan's end");
        assert!(end(Event::new("root", PlanFailed::new("no disk"))));
        assert!(!end(Event::new("root", PlanStarted::new("survey"))));
        assert!(end(Event::new("root", PlanCompleted::new())));
        assert!(family.end().outcome(family.root()).is_ok());
    }
}
