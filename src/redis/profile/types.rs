//! [`TypeMap`]: what the types of events are called in another system.

use std::sync::Arc;

use super::built_in::Mapped;
use crate::event::EventType;

/// What types of events are called in another system.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeMap(Vec<Rule>);

/// What one type is called.
#[derive(Clone, Debug)]
struct Rule {
    ours: EventType,
    theirs: Arc<str>,
    /// Where the payload says `"ok": false`.
    failed: Arc<str>,
}

impl TypeMap {
    pub(super) fn new(mapped: &'static [Mapped]) -> Self {
        let rule = |(ours, theirs, failed): &Mapped| Rule {
            ours: EventType::from_static(ours),
            theirs: (*theirs).into(),
            failed: (*failed).into(),
        };
        Self(mapped.iter().map(rule).collect())
    }

    /// Sets what a type is called, whatever its outcome.
    pub(super) fn set(&mut self, ours: EventType, theirs: &str) {
        self.remove(&ours);
        self.0.push(Rule { ours, theirs: theirs.into(), failed: theirs.into() });
    }

    /// Sets what a type is called that is in the map, where it failed. Whether it is in the map.
    pub(super) fn set_failed(&mut self, ours: &EventType, theirs: &str) -> bool {
        let rule = self.0.iter_mut().find(|rule| rule.ours == *ours);
        rule.map(|rule| rule.failed = theirs.into()).is_some()
    }

    pub(super) fn remove(&mut self, ours: &EventType) {
        self.0.retain(|rule| rule.ours != *ours);
    }

    /// What a type is called; `failed` is asked only where the outcome counts.
    pub(super) fn name(&self, ours: &EventType, failed: impl FnOnce() -> bool) -> Option<&str> {
        let rule = self.0.iter().find(|rule| rule.ours == *ours)?;
        Some(if rule.theirs != rule.failed && failed() { &rule.failed } else { &rule.theirs })
    }
}
