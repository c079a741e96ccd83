//! A runtime beside the program: owns the store, and publishes what a test needs, step by step.

use std::path::Path;

use planbus::{
    DecisionMade, Event, EventBus, EventStore, PlanCompleted, PlanFailed, PlanStarted, SubplanSpawned,
    ToolCalled, ToolCompleted,
};
use serde_json::json;

/// A runtime that owns the store, and publishes what a test needs.
pub(crate) struct Runtime(EventBus);

impl Runtime {
    pub(crate) fn new(directory: &Path) -> Self {
        let store = EventStore::open(directory.join("planbus.db")).expect("a store");
        Self(EventBus::builder().store(store).build().expect("a bus"))
    }

    pub(crate) fn publish(&self, event: Event) {
        self.0.publish(event).expect("an event");
    }

    pub(crate) fn start(&self, plan: &str, parent: Option<&str>) {
        let mut payload = PlanStarted::new("notes for 1.4");
        payload.parent = parent.map(str::to_owned);
        if let Some(parent) = parent {
            self.publish(Event::new(parent, SubplanSpawned::new(plan)));
        }
        self.publish(Event::new(plan, payload));
    }

    pub(crate) fn call(&self, plan: &str, id: &str, path: &str) {
        self.publish(Event::new(plan, ToolCalled::new(id, "read_file", json!({"path": path}))));
    }

    pub(crate) fn answer(&self, plan: &str, id: &str, error: Option<&str>) {
        let payload = match error {
            None => ToolCompleted::ok(id, "read_file", json!({})),
            Some(error) => ToolCompleted::failed(id, "read_file", error),
        };
        self.publish(Event::new(plan, payload));
    }

    pub(crate) fn decide(&self, plan: &str, decision: &str) {
        self.publish(Event::new(plan, DecisionMade::new(decision)));
    }

    pub(crate) fn complete(&self, plan: &str) {
        self.publish(Event::new(plan, PlanCompleted::new()));
    }

    pub(crate) fn fail(&self, plan: &str, error: &str) {
        self.publish(Event::new(plan, PlanFailed::new(error)));
    }
}
