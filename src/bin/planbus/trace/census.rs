//! What an import saw: events by type, plans and their ends, calls and their answers.
//!
//! Grows by some 20 bytes a plan and 10 a call that is not answered yet, whatever they hold: ids are
//! kept as hashes, of which among a million two are the same once in 40 million imports.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use planbus::{Event, EventType};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The counts of an import.
#[derive(Default)]
pub(crate) struct Census {
    pub(crate) new: u64,
    pub(crate) known: u64,
    pub(crate) bad: u64,
    by_type: HashMap<EventType, u64>,
    /// Whether each plan has ended.
    plans: HashMap<u64, bool>,
    /// Calls that may still be answered.
    unanswered: HashSet<u64>,
    /// How many calls another one with the same id came behind before an answer did.
    overtaken: u64,
    hasher: RandomState,
}

/// What one file brought.
#[derive(Debug, Default)]
pub(crate) struct FileCount {
    /// As messages call it.
    pub(crate) name: String,
    pub(crate) new: u64,
    pub(crate) known: u64,
    pub(crate) bad: u64,
    has_rejoined: bool,
}

impl FileCount {
    pub(crate) fn of(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// Counts a line that is in the log now. Whether it is the first that was known behind one that
    /// was new: a file that was imported before, and grew since, has none.
    pub(crate) fn count(&mut self, was_known: bool) -> bool {
        *if was_known { &mut self.known } else { &mut self.new } += 1;
        let rejoins = was_known && self.new > 0;
        rejoins && !std::mem::replace(&mut self.has_rejoined, true)
    }
}

/// The name of a call, as far as a payload has one.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
}

impl Census {
    /// Counts a line that is in the log now.
    pub(crate) fn count(&mut self, event: &Event, was_known: bool) {
        *if was_known { &mut self.known } else { &mut self.new } += 1;
        let event_type = event.event_type();
        match self.by_type.get_mut(event_type) {
            Some(count) => *count += 1,
            None => drop(self.by_type.insert(event_type.clone(), 1)),
        }
        let plan = self.hasher.hash_one(event.plan_id().as_str());
        let has_ended = self.plans.entry(plan).or_default();
        match event_type {
            EventType::PlanStarted => *has_ended = false,
            EventType::PlanCompleted | EventType::PlanFailed => *has_ended = true,
            EventType::ToolCalled => {
                if let Some(call) = self.call(plan, event) {
                    self.overtaken += u64::from(!self.unanswered.insert(call));
                }
            }
            EventType::ToolCompleted => {
                if let Some(call) = self.call(plan, event) {
                    self.unanswered.remove(&call);
                }
            }
            _ => {}
        }
    }

    /// The call of a plan; `None` where it has no name, and nothing could answer it.
    fn call(&self, plan: u64, event: &Event) -> Option<u64> {
        let call: Call<'_> = serde_json::from_str(event.payload_json().ok()?).ok()?;
        Some(self.hasher.hash_one((plan, call.call_id?.get())))
    }

    /// The lines that are in the log, by type.
    pub(crate) fn by_type(&self) -> BTreeMap<&str, u64> {
        self.by_type.iter().map(|(event_type, count)| (event_type.as_str(), *count)).collect()
    }

    pub(crate) fn events(&self) -> u64 {
        self.new + self.known
    }

    pub(crate) fn plans(&self) -> u64 {
        self.plans.len() as u64
    }

    pub(crate) fn plans_without_end(&self) -> u64 {
        self.plans.values().filter(|has_ended| !**has_ended).count() as u64
    }

    pub(crate) fn calls_without_answer(&self) -> u64 {
        self.overtaken + self.unanswered.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_line_behind_a_new_one_is_told_once_a_file() {
        let told = |known: &[bool]| {
            let mut file = FileCount::of("run.jsonl".to_owned());
            known.iter().map(|known| file.count(*known)).collect::<Vec<_>>()
        };
        assert_eq!(told(&[true, true, false, false]), [false; 4], "it has grown");
        assert_eq!(told(&[true, false, true, false, true]), [false, false, true, false, false]);
    }

    #[test]
    fn plans_without_an_end_and_calls_without_an_answer_are_counted_by_plan() {
        let mut census = Census::default();
        let mut count = |plan: &str, event_type: EventType, payload: &str| {
            census.count(&Event::raw(plan, event_type, payload), plan == "b");
        };
        count("a", EventType::PlanStarted, "{}");
        count("a", EventType::ToolCalled, r#"{"call_id":"1","call_id_2":7}"#);
        count("a", EventType::ToolCalled, r#"{"call_id":"2"}"#);
        count("a", EventType::ToolCalled, r#"{"name":"no id: nothing could answer it"}"#);
        count("b", EventType::ToolCalled, r#"{"call_id":"1"}"#);
        count("b", EventType::ToolCompleted, r#"{"call_id":"2","ok":null}"#);
        count("a", EventType::ToolCompleted, r#"{"ok":true,"call_id":"1"}"#);
        count("a", EventType::ToolCalled, r#"{"call_id":"2"}"#);
        count("a", EventType::ToolCompleted, r#"{"call_id":"2"}"#);
        count("c", EventType::PlanFailed, "{}");
        assert_eq!((census.new, census.known, census.events(), census.bad), (8, 2, 10, 0));
        assert_eq!((census.plans(), census.plans_without_end(), census.calls_without_answer()), (3, 2, 2));
        let types: Vec<(&str, u64)> = census.by_type().into_iter().collect();
        assert_eq!(types, [("PlanFailed", 1), ("PlanStarted", 1), ("ToolCalled", 5), ("ToolCompleted", 3)]);
    }
}
