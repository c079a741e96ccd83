//! The scenarios: what is counted without a store. `logged.rs` has those with one.
//!
//! Each prepares what it needs and returns one piece of its work.

use planbus::*;
use serde_json::json;

use crate::{
    callgrind::{Work, done},
    logged::{self, Logs},
};

/// Something that the library does, and what is counted of it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How often it is done before counting, and again while it is counted.
    pub(crate) times: u64,
    /// What of its work counts as one operation.
    pub(crate) operations: u64,
    pub(crate) prepare: fn(&Logs) -> Work,
}

const fn scenario(name: &'static str, times: u64, prepare: fn(&Logs) -> Work) -> Scenario {
    Scenario { name, times, operations: 1, prepare }
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("publish, 0 handlers", 5_000, |_| publish(bus_with(0))),
    scenario("publish, 1 handler", 5_000, |_| publish(bus_with(1))),
    scenario("publish, 8 handlers", 2_000, |_| publish(bus_with(8))),
    scenario("publish, 64 handlers", 500, |_| publish(bus_with(64))),
    scenario("publish, 10 plans, none matches", 5_000, |_| publish_to_plans(10, "none", 0)),
    scenario("publish, 10,000 plans, none matches", 5_000, |_| publish_to_plans(PLANS, "none", 0)),
    scenario("publish, 10,000 plans, 1 matches", 5_000, |_| publish_to_plans(PLANS, "plan", 1)),
    scenario("subscribe + unsubscribe at 10,000", 2_000, |_| come_and_go()),
    scenario("build + publish, 1 typed handler", 2_000, |_| typed()),
    scenario("build + publish, 2 typed handlers and a channel", 2_000, |_| typed_and_channel()),
    scenario("publish from a handler", 2_000, |_| nested()),
    scenario("tool reported by a plan's run", 1_000, |_| tool()),
    scenario("event to JSON", 1_000, |_| to_json()),
    scenario("event from JSON", 1_000, |_| from_json()),
    scenario("durable publish, log of 500", 200, |logs| logged::publish(logs, Logs::SMALL)),
    scenario("durable publish, log of 50,000", 200, |logs| logged::publish(logs, Logs::LARGE)),
    Scenario { operations: 100, ..scenario("publish_all of 100, an event", 5, logged::publish_all) },
    scenario("get, log of 50,000", 200, logged::get),
    scenario("list_by_plan of 100, log of 500", 20, |logs| logged::list_by_plan(logs, Logs::SMALL)),
    scenario("list_by_plan of 100, log of 50,000", 20, |logs| logged::list_by_plan(logs, Logs::LARGE)),
    Scenario { operations: 500, ..scenario("read_after of 500, an event", 4, logged::read_after) },
    Scenario { operations: 500, ..scenario("tail, an event", 4, logged::tail) },
];

const PLANS: usize = 10_000;

/// A handler that does next to nothing, which no compiler may leave out.
fn look(event: &Event) {
    done(event.seq());
}

fn bus() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus")
}

fn bus_with(handlers: usize) -> EventBus {
    let bus = bus();
    for _ in 0..handlers {
        let filter = Filter::all().types([EventType::PlanStarted]);
        bus.subscribe(filter, look).expect("subscribes").detach();
    }
    bus
}

fn bus_of_plans(plans: usize) -> EventBus {
    let bus = bus();
    for number in 0..plans {
        bus.subscribe(Filter::all().plan(format!("plan-{number}")), look).expect("subscribes").detach();
    }
    bus
}

fn publish(bus: EventBus) -> Work {
    let event = Event::new("plan-none", PlanStarted::new("goal")).with_correlation_id("root");
    Box::new(move || done(bus.publish(event.clone()).expect("publishes")))
}

/// Publishes to many plans in turn: a seed puts each elsewhere in the index, and together they even out.
fn publish_to_plans(subscribed: usize, named: &'static str, delivered: usize) -> Work {
    let bus = bus_of_plans(subscribed);
    let event = |number| {
        Event::new(format!("{named}-{number}"), PlanStarted::new("goal")).with_correlation_id("root")
    };
    let events: Vec<Event> = (0..PLANS).step_by(10).map(event).collect();
    let mut events = events.into_iter().cycle();
    Box::new(move || {
        let published = bus.publish(events.next().expect("a cycle")).expect("publishes");
        assert_eq!(published.delivered, delivered);
    })
}

/// At many plans in turn, as publishes are.
fn come_and_go() -> Work {
    let bus = bus_of_plans(PLANS);
    let plans: Vec<Filter> =
        (0..PLANS).step_by(10).map(|number| Filter::all().plan(format!("plan-{number}"))).collect();
    let mut plans = plans.into_iter().cycle();
    Box::new(move || done(bus.subscribe(plans.next().expect("a cycle"), look).expect("subscribes")))
}

fn typed() -> Work {
    let bus = bus();
    subscribe_typed(&bus);
    let plan = PlanId::try_from("plan-7").expect("valid");
    Box::new(move || done(bus.publish(Event::new(&plan, PlanCompleted::new())).expect("publishes")))
}

fn typed_and_channel() -> Work {
    let bus = bus();
    subscribe_typed(&bus);
    subscribe_typed(&bus);
    let receiver = bus.channel(Filter::all(), ChannelOptions::bounded(16)).expect("subscribes");
    let plan = PlanId::try_from("plan-7").expect("valid");
    Box::new(move || {
        done(bus.publish(Event::new(&plan, PlanCompleted::new())).expect("publishes"));
        done(receiver.try_recv().expect("is open").expect("was sent"));
    })
}

fn subscribe_typed(bus: &EventBus) {
    let handler = |_: &Event, payload: &PlanCompleted| done(payload.duration_us);
    bus.subscribe_to::<PlanCompleted>(Filter::all(), handler).expect("subscribes").detach();
}

fn nested() -> Work {
    let bus = bus();
    let again = bus.clone();
    let handler =
        move |event: &Event| again.publish(Event::new(event.plan_id(), PlanCompleted::new())).map(done);
    bus.subscribe(Filter::all().types([EventType::PlanStarted]), handler).expect("subscribes").detach();
    publish(bus)
}

fn tool() -> Work {
    let run = bus().plan("plan-7").source("planner").start(json!({"goal": "notes"})).expect("starts");
    Box::new(move || {
        done(run.tool("grep", json!({"q": "TODO"}), || Ok::<_, Error>("found")).expect("is reported"));
    })
}

/// An event as an agent publishes it.
pub(crate) fn event(plan: &str) -> Event {
    let arguments =
        json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "context": 3, "case": true});
    Event::new(plan, ToolCalled::new("call-17", "search", arguments)).with_source("surveyor")
}

fn to_json() -> Work {
    let text = event("plan-7").to_json().expect("writable");
    Box::new(move || done(event("plan-7").to_json().map(|json| json == text)))
}

fn from_json() -> Work {
    let text = event("plan-7").to_json().expect("writable");
    Box::new(move || {
        let read = Event::from_json(&text).expect("an event");
        done(read.payload::<ToolCalled>().expect("typed"));
    })
}
