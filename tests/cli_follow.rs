//! `planbus events --follow`: what another process commits is seen, once, in order, one by one.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Stdio},
};

use cli_support::{Place, planbus, signal};
use planbus::{DecisionMade, Event, EventBus, EventStore, PlanStarted};

/// A program that follows; ended when dropped.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = planbus(place.path());
        command.args(["events", "--follow", "-o", "json"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("planbus starts");
        let lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        Self { child, lines }
    }

    /// Waits for the next event.
    fn next(&mut self) -> Event {
        let line = self.lines.next().expect("a line").expect("UTF-8");
        Event::from_json(&line).expect("an event")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn owner(place: &Place) -> EventBus {
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    EventBus::builder().store(store).build().expect("a bus")
}

#[test]
fn a_follower_prints_each_event_that_another_process_commits_before_there_is_a_next_one() {
    let place = Place::new();
    let bus = owner(&place);
    bus.publish(Event::new("plan-1", PlanStarted::new("first"))).expect("an event");
    let mut follower = Follower::start(&place, &[]);
    assert_eq!(follower.next().seq(), Some(1), "the past first");
    for number in 0..50 {
        let event = Event::new("plan-1", DecisionMade::new(format!("step {number}")));
        let published = bus.publish(event).expect("an event");
        // It waits for no second event, nor for a full page or buffer.
        assert_eq!(follower.next().seq(), published.seq);
    }
}

#[test]
fn past_and_present_come_without_gap_or_repetition() {
    let place = Place::new();
    let bus = owner(&place);
    let publisher = bus.clone();
    let mut follower = std::thread::scope(|threads| {
        bus.publish(Event::new("plan-1", PlanStarted::new("first"))).expect("an event");
        threads.spawn(move || {
            for number in 0..2_000 {
                let event = Event::new("plan-1", DecisionMade::new(format!("step {number}")));
                publisher.publish(event).expect("an event");
            }
        });
        // Started while events are committed.
        Follower::start(&place, &[])
    });
    for seq in 1..=2_001 {
        assert_eq!(follower.next().seq(), Some(seq));
    }
}

#[test]
fn filters_hold_for_what_is_followed_too() {
    let place = Place::new();
    let bus = owner(&place);
    let publish = |plan: &str, text: &str, tenant: &str| {
        let event = Event::new(plan, DecisionMade::new(text)).with_source("planner").with_tenant(tenant);
        bus.publish(event).expect("an event").seq
    };
    publish("plan-1", "needle", "default");
    let arguments = ["--plan", "plan-1", "--grep", "needle", "--type", "DecisionMade", "--source", "planner"];
    let mut follower = Follower::start(&place, &[&arguments[..], &["--since", "1h"]].concat());
    assert_eq!(follower.next().seq(), Some(1));
    publish("plan-2", "needle", "default");
    publish("plan-1", "hay", "default");
    publish("plan-1", "needle", "acme");
    bus.publish(Event::new("plan-1", PlanStarted::new("needle"))).expect("an event");
    let wanted = publish("plan-1", "a needle", "default");
    assert_eq!(follower.next().seq(), wanted);
}

#[test]
fn ctrl_c_ends_a_follower_as_success() {
    let place = Place::new();
    let bus = owner(&place);
    bus.publish(Event::new("plan-1", PlanStarted::new("first"))).expect("an event");
    let mut follower = Follower::start(&place, &[]);
    follower.next();
    signal("INT", follower.child.id());
    assert_eq!(follower.child.wait().expect("its end").code(), Some(0));
    assert!(follower.lines.next().is_none(), "nothing more is printed");
}

#[test]
fn a_follower_goes_on_when_the_owner_leaves_and_another_comes() {
    let place = Place::new();
    let bus = owner(&place);
    bus.publish(Event::new("plan-1", PlanStarted::new("first"))).expect("an event");
    let mut follower = Follower::start(&place, &["--last", "1"]);
    assert_eq!(follower.next().seq(), Some(1));
    bus.close();
    bus.store().expect("a store").close().expect("closed");
    drop(bus);
    let bus = owner(&place);
    let published = bus.publish(Event::new("plan-1", DecisionMade::new("second"))).expect("an event");
    assert_eq!(follower.next().seq(), published.seq);
}

#[test]
fn a_follower_whose_reader_is_gone_ends_though_nothing_comes() {
    let place = Place::new();
    let bus = owner(&place);
    bus.publish(Event::new("plan-1", PlanStarted::new("first"))).expect("an event");
    let mut command = planbus(place.path());
    let mut child =
        command.args(["events", "--follow"]).stdout(Stdio::piped()).spawn().expect("planbus starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
    lines.next().expect("a line").expect("UTF-8");
    drop(lines);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
