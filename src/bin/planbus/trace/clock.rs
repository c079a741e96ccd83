//! When a line happened that does not say so: no earlier than what stands before it.
//!
//! Never asks the system for the time; whoever reads gives the moment at which it began.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use planbus::{EventType, PlanId, Timestamp};

/// The times of the lines so far: one for each plan that has not ended, some 20 bytes.
pub(crate) struct Clock {
    begun: Timestamp,
    file: Option<Timestamp>,
    /// By the hash of the plan's id: among a million plans two are mixed up once in 40 million
    /// imports, and then a line without a time gets one that is near.
    plans: HashMap<u64, Timestamp>,
    hasher: RandomState,
}

impl Clock {
    /// A clock for an import that began at this moment.
    pub(crate) fn new(begun: Timestamp) -> Self {
        Self { begun, file: None, plans: HashMap::new(), hasher: RandomState::new() }
    }

    /// Another file begins: its lines have nothing to do with the last line of the one before.
    pub(crate) fn next_file(&mut self) {
        self.file = None;
    }

    /// The moment of a line: its own, else that of its plan's line before, else that of its file's
    /// line before, else the import's.
    pub(crate) fn moment(
        &mut self,
        plan: &PlanId,
        event_type: &EventType,
        own: Option<Timestamp>,
    ) -> Timestamp {
        let key = self.hasher.hash_one(plan.as_str());
        let before = || self.plans.get(&key).copied();
        let moment = own.or_else(before).or(self.file).unwrap_or(self.begun);
        self.file = Some(moment);
        match event_type {
            EventType::PlanCompleted | EventType::PlanFailed => self.plans.remove(&key),
            _ => self.plans.insert(key, moment),
        };
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_time_has_that_of_its_plan_then_of_its_file_then_of_the_import() {
        let at = |micros| Timestamp::from_micros(micros).expect("in range");
        let mut clock = Clock::new(at(99));
        let mut moment = |plan: &str, event_type: EventType, own: Option<i64>| {
            let plan = PlanId::try_from(plan).expect("an id");
            clock.moment(&plan, &event_type, own.map(at)).as_micros()
        };
        assert_eq!(moment("a", EventType::PlanStarted, None), 99);
        assert_eq!(moment("a", EventType::DecisionMade, Some(10)), 10);
        assert_eq!(moment("b", EventType::PlanStarted, None), 10);
        assert_eq!(moment("b", EventType::DecisionMade, Some(20)), 20);
        assert_eq!(moment("a", EventType::DecisionMade, None), 10);
        assert_eq!(moment("b", EventType::DecisionMade, Some(5)), 5, "times may go back");
        assert_eq!(moment("b", EventType::PlanCompleted, None), 5);
        assert_eq!(moment("a", EventType::PlanFailed, Some(30)), 30);
        assert_eq!(moment("b", EventType::DecisionMade, None), 30, "an ended plan is forgotten");
        clock.next_file();
        let plan = PlanId::try_from("c").expect("an id");
        assert_eq!(clock.moment(&plan, &EventType::PlanStarted, None), at(99));
        assert_eq!(clock.plans.len(), 2);
    }
}
