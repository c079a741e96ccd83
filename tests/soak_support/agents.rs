//! [`Agent`]: what an agent reports of its plans, one after the other, as runtimes do.
//!
//! The same number gives the same events. It publishes nothing itself.

use std::{collections::VecDeque, mem};

use planbus::*;
use serde_json::{Value, json};

use super::random::Random;

/// One result of a tool in so many is as large as a file.
const LARGE_IN: usize = 150;
const LARGE_BYTES: usize = 64 << 10;
/// And one in so many is larger than an entry of a stream may be, unless more is allowed.
const HUGE_IN: usize = 3_000;
const HUGE_BYTES: usize = 3 << 19;
/// Other results have up to so many bytes.
const RESULT_BYTES: usize = 1_200;
const STEPS_MAX: usize = 6;
/// One step in so many is a subplan.
const SUBPLAN_IN: usize = 4;
/// One plan in so many fails, and one in so many reports what it read in one batch.
const FAILS_IN: usize = 20;
const BATCH_IN: usize = 3;
const BATCH_EVENTS: usize = 10;

const TOOLS: [&str; 4] = ["read_file", "grep", "run_tests", "fetch"];

/// An agent, as an endless row of what it publishes at a time: mostly one event.
pub(crate) struct Agent {
    name: String,
    plans: u64,
    random: Random,
    next: VecDeque<Vec<Event>>,
}

impl Agent {
    pub(crate) fn new(number: u64) -> Self {
        Self { name: format!("agent-{number}"), plans: 0, random: Random::new(number), next: VecDeque::new() }
    }

    fn one(&mut self, plan: &str, payload: impl Payload) {
        let event = Event::new(plan, payload).with_source(self.name.as_str());
        self.next.push_back(vec![event]);
    }

    /// All of the next plan.
    fn plan(&mut self) {
        self.plans += 1;
        let plan = format!("{}-plan-{}", self.name, self.plans);
        self.one(&plan, PlanStarted::new("make the release notes").with("attempt", 1));
        if self.random.below(BATCH_IN) == 0 {
            let note = |at: usize| Event::untyped(plan.as_str(), "context.read", json!({"file": at}));
            self.next.push_back((0..BATCH_EVENTS).map(note).collect());
        }
        for step in 0..=self.random.below(STEPS_MAX) {
            if self.random.below(SUBPLAN_IN) == 0 {
                self.subplan(&plan, step);
            } else {
                self.step(&plan, step);
            }
        }
        match self.random.below(FAILS_IN) {
            0 => self.one(&plan, PlanFailed::new("the tests do not pass")),
            _ => self.one(&plan, PlanCompleted::new().with("summary", "all is told")),
        }
    }

    fn step(&mut self, plan: &str, step: usize) {
        let tool = TOOLS[self.random.below(TOOLS.len())];
        let call = format!("{plan}-call-{step}");
        self.one(plan, DecisionMade::new(format!("use {tool}")).because("the goal names a file"));
        self.one(plan, ToolCalled::new(call.as_str(), tool, json!({"path": format!("src/part-{step}.rs")})));
        let result = self.result();
        self.one(plan, ToolCompleted::ok(call, tool, result));
    }

    fn subplan(&mut self, plan: &str, step: usize) {
        let child = format!("{plan}.{step}");
        self.one(plan, SubplanSpawned::new(child.as_str()));
        self.one(&child, PlanStarted::new("look at one part"));
        self.step(&child, step);
        self.one(&child, PlanCompleted::new());
        self.one(plan, SubplanCompleted::ok(child));
    }

    fn result(&mut self) -> Value {
        let bytes = match (self.random.below(HUGE_IN), self.random.below(LARGE_IN)) {
            (0, _) => HUGE_BYTES,
            (_, 0) => LARGE_BYTES,
            _ => self.random.below(RESULT_BYTES),
        };
        let mut text = String::with_capacity(bytes);
        while text.len() < bytes {
            text.push_str(TOOLS[self.random.below(TOOLS.len())]);
            text.push(' ');
        }
        json!({"text": mem::take(&mut text)})
    }
}

impl Iterator for Agent {
    type Item = Vec<Event>;

    fn next(&mut self) -> Option<Vec<Event>> {
        while self.next.is_empty() {
            self.plan();
        }
        self.next.pop_front()
    }
}
