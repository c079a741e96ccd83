//! Plans that a dead process left without an end: found, told, and ended where that is asked.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use planbus::*;
use serde_json::json;
use store_support::*;

fn open(dir: &Dir, unfinished: Unfinished) -> EventStore {
    EventStore::options().unfinished(unfinished).open(dir.db()).expect("opens")
}

fn all(store: &EventStore) -> Vec<Event> {
    store.read_after(0, usize::MAX).expect("the log can be read")
}

/// The plans that were ended as failed, in the order of the log.
fn failed(events: &[Event]) -> Vec<&str> {
    let ends = events.iter().filter(|event| event.event_type() == &EventType::PlanFailed);
    ends.map(|event| event.plan_id().as_str()).collect()
}

fn listed(store: &EventStore) -> Vec<&str> {
    let found = store.unfinished().expect("an owner knows");
    assert_eq!(found.count, found.newest.len() as u64);
    found.newest.iter().map(|plan| plan.plan_id.as_str()).collect()
}

/// The child: two plans in each other beside one that has ended, one of another tenant, a call
/// without an answer; then it waits for the kill.
#[test]
fn agent() {
    let Some(path) = role("agent") else { return };
    let store = EventStore::open(path).expect("opens");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    let done = bus.plan("done").start(json!({})).expect("starts");
    done.complete(json!({})).expect("ends");
    let root = bus.plan("root").source("planner").start(json!({"goal": "all"})).expect("starts");
    let early = root.subplan("early", json!({})).expect("starts");
    let inner = early.subplan_by("worker", "inner", json!({})).expect("starts");
    inner.publish(ToolCalled::new("call-1", "grep", json!({}))).expect("publishes");
    let over = root.subplan("over", json!({})).expect("starts");
    over.fail("as it was meant to").expect("ends");
    let other = bus.plan("root").tenant("acme").start(json!({})).expect("starts");
    println!("ready");
    // Nobody answers: the parent kills.
    let _ = std::io::stdin().read(&mut [0]);
    drop((root, early, inner, other));
}

/// A store whose owner was killed while its plans ran.
fn left_by_a_killed_agent() -> Dir {
    let dir = Dir::new();
    let mut command = child("agent", &dir.db());
    let mut agent = Killed(command.stdin(Stdio::piped()).spawn().expect("starts"));
    let mut lines = BufReader::new(agent.0.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("a pipe") == "ready"), "the agent ended by itself");
    agent.0.kill().expect("SIGKILL");
    agent.0.wait().expect("its end");
    dir
}

#[test]
fn plans_of_a_killed_process_are_told_and_left_unless_their_end_is_asked_for() {
    let dir = left_by_a_killed_agent();
    for _ in 0..2 {
        let store = EventStore::open(dir.db()).expect("opens");
        let before = store.head().expect("a head");
        assert_eq!(listed(&store), ["root", "root/early/inner", "root/early", "root"]);
        let found = &store.unfinished().expect("an owner knows").newest;
        assert_eq!((found[0].tenant.as_str(), found[1].tenant.as_str()), ("acme", "default"));
        assert_eq!(found[1].source.as_ref().map(AgentId::as_str), Some("worker"));
        let start = &all(&store)[usize::try_from(found[1].start_seq).expect("fits") - 1];
        assert_eq!((start.event_type(), start.timestamp()), (&EventType::PlanStarted, found[1].started_at));
        assert_eq!(failed(&all(&store)), ["root/over"]);
        store.close().expect("closes");
        let reader = EventStore::open_read_only(dir.db()).expect("opens");
        assert_eq!(reader.head().expect("a head"), before, "nothing was appended");
    }
}

#[test]
fn plans_of_a_killed_process_are_ended_once_subplans_first_when_that_is_asked() {
    let dir = left_by_a_killed_agent();
    let store = open(&dir, Unfinished::Fail);
    let events = check_dense(&store);
    assert_eq!(failed(&events), ["root/over", "root", "root/early/inner", "root/early", "root"]);
    assert_eq!(listed(&store), failed(&events)[1..]);
    let of = |event_type: EventType| {
        events.iter().rfind(|event| {
            event.plan_id().as_str() == "root/early/inner" && event.event_type() == &event_type
        })
    };
    let (start, call, end) =
        (of(EventType::PlanStarted), of(EventType::ToolCalled), of(EventType::PlanFailed));
    let (start, call, end) = (start.expect("started"), call.expect("called"), end.expect("failed"));
    let payload = end.payload::<PlanFailed>().expect("its shape");
    assert_eq!(payload.error, "the process that ran it ended without finishing it");
    let lasted = call.timestamp().duration_since(start.timestamp()).as_micros();
    assert_eq!(payload.duration_us.map(u128::from), Some(lasted), "from the start to the last event");
    assert_eq!(end.source(), start.source());
    assert_eq!(end.call_chain(), start.call_chain());
    assert_eq!(end.correlation_id(), start.correlation_id());
    assert_eq!(end.causation_id(), Some(start.event_id()));
    assert!(end.timestamp() >= call.timestamp());
    let acme = store.for_tenant("acme").expect("a tenant").plan("root").expect("reads").expect("is there");
    assert_eq!(acme.status, PlanStatus::Failed);
    assert_eq!(store.plans(PlanQuery::new().status(PlanStatus::Running)).expect("reads"), []);
    drop(store);
    let store = open(&dir, Unfinished::Fail);
    assert_eq!(store.unfinished().expect("an owner knows").count, 0);
    assert_eq!(store.head().expect("a head"), events.len() as u64, "each was ended once");
}

/// The child: opens the store so that all that is unfinished is ended.
#[test]
fn ender() {
    let Some(path) = role("ender") else { return };
    EventStore::options().unfinished(Unfinished::Fail).open(path).expect("opens");
    println!("ended");
}

#[test]
fn a_kill_while_plans_are_ended_leaves_the_rest_to_the_next_owner() {
    if !has_program("strace", &["-V"]) {
        println!("skipped: no strace to kill between two commits with");
        return;
    }
    let dir = Dir::new();
    const PLANS: usize = 600;
    let mut was_between = false;
    for step in 1.. {
        let store = EventStore::open(dir.db()).expect("opens");
        let bus = EventBus::builder().store(store).build().expect("a bus");
        let starts = (0..PLANS).map(|number| {
            let parent = (number > 0).then(|| format!("plan-{step}-{}", number - 1));
            let mut started = PlanStarted::new("a chain of plans");
            started.parent = parent;
            Event::new(format!("plan-{step}-{number}"), started)
        });
        bus.publish_all(starts).expect("commits");
        drop(bus);
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(dir.path().join("strace.log"));
        command.args(["-e", "trace=fsync,fdatasync", "-e"]);
        command.arg(format!("inject=fsync,fdatasync:signal=KILL:when={step}"));
        command.arg(std::env::current_exe().expect("this binary"));
        as_child(&mut command, "ender", &dir.db());
        let output = command.stderr(Stdio::null()).output().expect("strace starts");
        let reader = EventStore::open_read_only(dir.db()).expect("opens");
        let of_step = |events: &[Event]| -> Vec<usize> {
            let prefix = format!("plan-{step}-");
            let numbers = failed(events).into_iter().filter_map(|plan| plan.strip_prefix(&prefix));
            numbers.map(|number| number.parse().expect("a number")).collect()
        };
        let killed_after = of_step(&all(&reader)).len();
        drop(reader);
        let store = open(&dir, Unfinished::Fail);
        let ended = of_step(&check_dense(&store));
        let expected: Vec<usize> = (0..PLANS).rev().collect();
        assert_eq!(ended, expected, "step {step}: each once, subplans first");
        was_between |= (1..PLANS).contains(&killed_after);
        if output.status.success() {
            assert!(was_between, "none of {} kills met the child between its commits", step - 1);
            return;
        }
    }
}

#[test]
fn plans_of_a_living_owner_and_of_this_process_are_nobody_elses_to_end() {
    let dir = Dir::new();
    let store = open(&dir, Unfinished::Fail);
    store.save(&Event::new("mine", PlanStarted::new("still at it"))).expect("commits");
    let reader =
        EventStore::options().unfinished(Unfinished::Fail).open_read_only(dir.db()).expect("opens beside");
    assert_eq!(reader.unfinished().expect_err("not its business").kind(), ErrorKind::ReadOnly);
    assert_eq!((reader.head().expect("a head"), store.unfinished().expect("an owner knows").count), (1, 0));
    let locked = EventStore::options().unfinished(Unfinished::Fail).open(dir.db()).expect_err("owned");
    assert_eq!(locked.kind(), ErrorKind::Locked);
    assert_eq!(store.head().expect("a head"), 1);
    drop((store, reader));
    let reader =
        EventStore::options().unfinished(Unfinished::Fail).open_read_only(dir.db()).expect("opens alone");
    assert_eq!(reader.head().expect("a head"), 1);
}

#[test]
fn the_newest_start_or_end_says_whether_a_plan_is_unfinished_and_records_are_left_alone() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let save = |event: Event| store.save(&event).expect("commits");
    let start = |plan: &str| Event::new(plan, PlanStarted::new("a goal"));
    for plan in ["again", "over"] {
        save(start(plan));
        save(Event::new(plan, PlanFailed::new("at first")));
        save(start(plan));
    }
    save(Event::new("over", PlanCompleted::new()));
    save(event("never started", 1));
    save(start("recorded").with_context_ref("a file").with_context_ref("trace:run.jsonl#line=1"));
    save(start("own").with_context_ref("a file").with_context_ref("no trace:"));
    store.close().expect("closes");
    let store = open(&dir, Unfinished::Fail);
    assert_eq!(listed(&store), ["own", "again"]);
    let running: HashSet<String> = store
        .plans(PlanQuery::new().status(PlanStatus::Running))
        .expect("reads")
        .into_iter()
        .map(|plan| plan.plan_id.to_string())
        .collect();
    assert_eq!(running, HashSet::from(["recorded".to_owned()]));
}

#[test]
fn p11_a_start_that_somebody_damaged_keeps_neither_the_others_from_their_end_nor_the_owner_out() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let agents = ["a", "b"];
    for plan in ["one", "two", "three", "four", "five"] {
        let start = Event::new(plan, PlanStarted::new("a goal"));
        store.save(&start.with_source("a").with_call_chain(agents)).expect("commits");
    }
    store.close().expect("closes");
    let database = rusqlite::Connection::open(dir.db()).expect("opens");
    // The table is STRICT, but bears text that is no JSON, no time, no chain of this source.
    let damage = "UPDATE plan_events SET payload = 'no JSON' WHERE id = 1;
        UPDATE plan_events SET context_refs = 'no JSON' WHERE id = 2;
        UPDATE plan_events SET call_chain = '[\"c\"]' WHERE id = 4;
        UPDATE plan_events SET timestamp = 'never' WHERE id = 5;";
    database.execute_batch(damage).expect("updates");
    drop(database);
    let store = open(&dir, Unfinished::Fail);
    assert_eq!(store.unfinished().expect("an owner knows").count, 5);
    assert_eq!(store.read_after(5, 10).map(|events| failed(&events).join(" ")).expect("reads"), "three");
    store.save(&event("after", 1)).expect("the owner publishes");
}
