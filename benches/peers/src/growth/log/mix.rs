//! The events of agent runs: the mix of types, nesting, sizes and ends that recorded runs have.

use planbus::{
    DecisionMade, Event, PlanCompleted, PlanFailed, PlanStarted, SubplanCompleted, SubplanSpawned,
    ToolCalled, ToolCompleted,
};
use serde_json::json;

/// How many root plans run at the same time.
const AT_ONCE: usize = 16;
/// Root plans of the first days that nobody ever ended.
const NEVER_ENDED: std::ops::Range<u64> = 100..120;

const TOOLS: [&str; 6] = ["read", "search", "edit", "run", "fetch", "list"];
const AGENTS: [&str; 5] = ["planner", "coder", "reviewer", "tester", "writer"];
/// Words of the length of what agents write; nobody reads them.
const TEXT: &str = "the function returns before the lock is released, so a second caller sees the old value; \
    move the guard into the block, run the tests again and look at the two that failed on the last attempt";

/// The events of runs that go on side by side, without end.
pub(super) struct Mix {
    started: u64,
    /// The events to come of each run, the next one last.
    running: Vec<Vec<Event>>,
    turn: usize,
}

impl Mix {
    /// Runs whose root plans are numbered from here.
    pub(super) fn from(number: u64) -> Self {
        Self { started: number, running: vec![Vec::new(); AT_ONCE], turn: 0 }
    }
}

impl Iterator for Mix {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.turn = (self.turn + 1) % AT_ONCE;
        let events = self.running.get_mut(self.turn)?;
        if events.is_empty() {
            plan(events, self.started, &format!("plan-{}", self.started), None, 0);
            events.reverse();
            self.started += 1;
        }
        events.pop()
    }
}

/// Numbers that look like chance and are the same in every run.
fn dice(number: u64, step: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^= mixed >> 32;
    mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 29)
}

/// Adds a plan's events, and those of its subplans where they were spawned.
fn plan(events: &mut Vec<Event>, number: u64, id: &str, parent: Option<&str>, depth: u64) {
    let tenant = ["default", "default", "default", "default", "acme"][(number % 5) as usize];
    let root = format!("plan-{number}");
    let agent = AGENTS[(dice(number, depth) % 5) as usize];
    let mut cause = None;
    let mut add = |event: Event| {
        let event = event.with_tenant(tenant).with_source(agent).with_correlation_id(root.as_str());
        let event = match cause {
            Some(cause) => event.with_causation_id(cause),
            None => event,
        };
        cause.get_or_insert(event.event_id());
        events.push(event);
    };
    let mut start = PlanStarted::new(&TEXT[..60]);
    start.parent = parent.map(str::to_owned);
    add(Event::new(id, start));
    let mut subplans = Vec::new();
    for step in 0..10 {
        let chance = dice(number, 10 + step + 100 * depth);
        let tool = TOOLS[(chance % 6) as usize];
        let call = format!("call-{step}");
        let why = &TEXT[..100 + (chance % 80) as usize];
        add(Event::new(id, DecisionMade::new(format!("use {tool}")).because(why)));
        let arguments =
            json!({"path": format!("src/part-{}/file-{step}.rs", chance % 97), "text": &TEXT[..90]});
        add(Event::new(id, ToolCalled::new(call.as_str(), tool, arguments)));
        let mut done = match chance % 20 {
            0 => continue, // never answered
            1 => ToolCompleted::failed(call.as_str(), tool, "no such file or directory"),
            _ => ToolCompleted::ok(call.as_str(), tool, json!({"text": &TEXT[..120]})),
        };
        done.duration_us = Some(500 + chance % 2_000_000);
        add(Event::new(id, done));
        if depth < 2 && chance % 19 == 2 {
            let child = format!("{id}/part-{step}");
            add(Event::new(id, SubplanSpawned::new(child.as_str())));
            subplans.push(child);
        }
    }
    for child in &subplans {
        add(Event::new(id, SubplanCompleted::ok(child.as_str())));
    }
    if parent.is_none() && NEVER_ENDED.contains(&number) {
        // Its process was killed.
    } else if dice(number, 1_000 + depth).is_multiple_of(12) {
        add(Event::new(id, PlanFailed::new("the tests fail and the budget is used up")));
    } else {
        add(Event::new(id, PlanCompleted::new()));
    }
    for child in subplans {
        plan(events, number, &child, Some(id), depth + 1);
    }
}
