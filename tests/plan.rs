//! What a plan's run leaves behind, whatever happens to it: never a plan that looks alive.

use std::{panic::AssertUnwindSafe, sync::atomic::AtomicBool, sync::atomic::Ordering, thread};

use planbus::{testing::Recorder, *};
use serde_json::json;

fn recorded() -> (EventBus, Recorder) {
    let bus = EventBus::builder().in_memory().build().expect("an in-memory bus");
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    (bus, recorder)
}

/// The recorded events as `plan type`.
fn story(recorder: &Recorder) -> Vec<String> {
    recorder.events().iter().map(|event| format!("{} {}", event.plan_id(), event.event_type())).collect()
}

#[test]
fn a_run_reports_its_whole_life_with_causes_and_correlation() {
    let (bus, recorder) = recorded();
    let run = bus
        .plan("notes")
        .source("planner")
        .tenant("acme")
        .start(json!({"goal": "notes", "version": "1.4"}))
        .expect("starts");
    let text = run
        .tool("read_file", json!({"path": "x"}), || Ok::<_, std::io::Error>("text".to_owned()))
        .expect("runs");
    assert_eq!(text, "text");
    let failed = run.tool("read_file", json!({"path": "y"}), || Err::<(), _>("no such file"));
    assert!(matches!(failed, Err(ToolError::Tool("no such file"))));
    run.decide("split", json!({"reason": "large", "parts": 4})).expect("decides");
    let child = run.subplan_by("collector", "collect", json!({"goal": "collect"})).expect("spawns");
    child.complete(json!({"commits": 12})).expect("completes");
    run.complete(json!({"sections": 4})).expect("completes");
    assert_eq!(
        story(&recorder),
        [
            "notes PlanStarted",
            "notes ToolCalled",
            "notes ToolCompleted",
            "notes ToolCalled",
            "notes ToolCompleted",
            "notes DecisionMade",
            "notes SubplanSpawned",
            "notes/collect PlanStarted",
            "notes/collect PlanCompleted",
            "notes SubplanCompleted",
            "notes PlanCompleted",
        ]
    );
    let events = recorder.events();
    assert!(events.iter().all(|event| event.tenant().as_str() == "acme"));
    assert!(events.iter().all(|event| event.correlation_id().map(CorrelationId::as_str) == Some("notes")));
    let cause =
        |of: usize| events.iter().position(|event| Some(event.event_id()) == events[of].causation_id());
    assert_eq!((1..11).map(cause).collect::<Vec<_>>(), [0, 1, 0, 3, 0, 0, 6, 7, 6, 0].map(Some));
    let chain = |of: usize| events[of].call_chain().iter().map(AgentId::as_str).collect::<Vec<_>>();
    assert_eq!(
        (chain(0), chain(7), chain(9)),
        (vec!["planner"], vec!["planner", "collector"], vec!["planner", "collector"])
    );
    let started = events[0].payload::<PlanStarted>().expect("typed").into_owned();
    assert_eq!((started.goal.as_deref(), &started.extra["version"]), (Some("notes"), &json!("1.4")));
    let child = events[7].payload::<PlanStarted>().expect("typed").into_owned();
    assert_eq!(child.parent.as_deref(), Some("notes"));
    let ok = events[2].payload::<ToolCompleted>().expect("typed").into_owned();
    assert!(ok.ok && ok.duration_us.is_some() && ok.call_id == "call-1");
    let failed = events[4].payload::<ToolCompleted>().expect("typed").into_owned();
    assert_eq!(
        (failed.ok, failed.error.as_deref(), failed.call_id.as_str()),
        (false, Some("no such file"), "call-2")
    );
    let decided = events[5].payload::<DecisionMade>().expect("typed").into_owned();
    assert_eq!(
        (decided.decision.as_str(), decided.reason.as_deref(), &decided.extra["parts"]),
        ("split", Some("large"), &json!(4))
    );
}

#[test]
fn a_run_that_is_dropped_early_is_failed_and_says_so_to_its_parent() {
    let (bus, recorder) = recorded();
    let run = bus.plan("p").start(json!({})).expect("starts");
    drop(run.subplan("child", json!({})).expect("spawns"));
    drop(run);
    let events = recorder.events();
    assert_eq!(story(&recorder)[3..], ["p/child PlanFailed", "p SubplanCompleted", "p PlanFailed"]);
    let failed = events[3].payload::<PlanFailed>().expect("typed").into_owned();
    assert_eq!(failed.error, "the plan was dropped before it was completed or failed");
    let back = events[4].payload::<SubplanCompleted>().expect("typed").into_owned();
    assert!(!back.ok && back.subplan == "p/child" && back.error.is_some());
}

#[test]
fn a_panic_leaves_plan_failed_with_its_message_for_every_open_plan() {
    let (bus, recorder) = recorded();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let run = bus.plan("p").start(json!({})).expect("starts");
        let _child = run.subplan("child", json!({})).expect("spawns");
        panic!("out of {}", "cheese");
    }));
    assert!(outcome.is_err());
    let failures: Vec<String> = recorder
        .events()
        .iter()
        .filter(|event| event.event_type() == &EventType::PlanFailed)
        .map(|event| event.payload::<PlanFailed>().expect("typed").error.clone())
        .collect();
    assert_eq!(failures.len(), 2);
    assert!(
        failures.iter().all(|error| error.starts_with("panicked: out of cheese (tests/plan.rs:")),
        "{failures:?}"
    );
}

#[test]
fn a_tool_that_panics_is_reported_as_failed_and_the_panic_goes_on() {
    let (bus, recorder) = recorded();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let run = bus.plan("p").start(json!({})).expect("starts");
        let _ = run.tool("cut", json!({}), || -> Result<(), String> { panic!("blunt") });
    }));
    assert!(outcome.is_err());
    assert_eq!(story(&recorder), ["p PlanStarted", "p ToolCalled", "p ToolCompleted", "p PlanFailed"]);
    let completed = recorder.events()[2].payload::<ToolCompleted>().expect("typed").into_owned();
    assert!(!completed.ok && completed.error.is_some_and(|error| error.starts_with("panicked: blunt")));
}

#[test]
fn a_tool_whose_call_is_refused_does_not_run() {
    let (bus, _recorder) = recorded();
    let run = bus.plan("p").start(json!({})).expect("starts");
    bus.close();
    let ran = AtomicBool::new(false);
    let outcome = run.tool("rm", json!({}), || {
        ran.store(true, Ordering::SeqCst);
        Ok::<_, String>(())
    });
    assert!(matches!(outcome, Err(ToolError::Publish(error)) if error.kind() == ErrorKind::Closed));
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(run.complete(json!({})).expect_err("closed").kind(), ErrorKind::Closed);
}

#[test]
fn a_completion_that_is_refused_leaves_a_failed_plan() {
    let (bus, recorder) = recorded();
    let run = bus.plan("p").start(json!({})).expect("starts");
    assert_eq!(run.complete(json!([1])).expect_err("no object").kind(), ErrorKind::InvalidInput);
    let failed = recorder.events()[1].payload::<PlanFailed>().expect("typed").into_owned();
    assert!(
        failed.error.starts_with("its completion was refused: payload: must be a JSON object"),
        "{}",
        failed.error
    );
}

#[test]
fn children_in_threads_ten_wide_and_eight_deep_all_report_back() {
    fn descend(run: &PlanRun, depth: usize) {
        if depth == 0 {
            return;
        }
        thread::scope(|threads| {
            for place in 0..2 {
                let child = run.subplan("part", json!({"place": place})).expect("spawns");
                threads.spawn(move || {
                    descend(&child, depth - 1);
                    child.complete(json!({})).expect("completes");
                });
            }
        });
    }
    let (bus, recorder) = recorded();
    let run = bus.plan("root").start(json!({})).expect("starts");
    descend(&run, 8);
    run.complete(json!({})).expect("completes");
    let events = recorder.events();
    let count = |wanted: EventType| events.iter().filter(|event| event.event_type() == &wanted).count();
    assert_eq!(
        [
            EventType::PlanStarted,
            EventType::PlanCompleted,
            EventType::SubplanSpawned,
            EventType::SubplanCompleted,
            EventType::PlanFailed
        ]
        .map(count),
        [511, 511, 510, 510, 0]
    );
    assert!(events.iter().any(|event| event.plan_id().as_str().matches('/').count() == 8));
}

#[test]
fn ids_of_subplans_are_unique_and_never_pass_their_limit() {
    let (bus, recorder) = recorded();
    let run = bus.plan("p").start(json!({})).expect("starts");
    let ids: Vec<String> =
        (0..3).map(|_| run.subplan("same", json!({})).expect("spawns").id().to_string()).collect();
    assert_eq!(ids, ["p/same", "p/same-2", "p/same-3"]);
    let long = run.subplan(&"x".repeat(300), json!({})).expect("spawns");
    assert!(long.id().as_str().starts_with("subplan-"));
    assert_eq!(
        run.subplan("bad\n", json!({})).expect_err("a control character").kind(),
        ErrorKind::InvalidInput
    );
    long.complete(json!({})).expect("completes");
    let root = recorder.events()[0].correlation_id().cloned();
    assert!(recorder.events().iter().all(|event| event.correlation_id() == root.as_ref()));
}

#[test]
fn a_wrong_field_of_a_plan_is_named() {
    let (bus, recorder) = recorded();
    let problem = |builder: PlanBuilder, fields| builder.start(fields).expect_err("refused").to_string();
    assert!(problem(bus.plan(""), json!({})).starts_with("plan_id: "));
    assert!(problem(bus.plan("p").source("\n"), json!({})).starts_with("source: "));
    assert!(problem(bus.plan("p").tenant("%"), json!({})).starts_with("tenant: "));
    assert!(problem(bus.plan("p"), json!("text")).starts_with("payload: "));
    assert!(problem(bus.plan("p"), json!({"goal": 7})).starts_with("goal: "));
    assert!(recorder.events().is_empty());
}

#[test]
fn a_run_and_its_subplans_have_in_common_what_they_were_given() {
    let (bus, recorder) = recorded();
    let run = bus.plan("answer").correlation_id("talk-1").start(json!({})).expect("starts");
    run.subplan("look_up", json!({})).expect("spawns").complete(json!({})).expect("completes");
    run.complete(json!({})).expect("completes");
    let ids = recorder.events().into_iter().map(|event| event.correlation_id().cloned());
    assert!(ids.into_iter().all(|id| id.is_some_and(|id| id == "talk-1")));
    let error = bus.plan("answer").correlation_id("").start(json!({})).expect_err("empty");
    assert!(error.to_string().starts_with("correlation_id: "), "{error}");
}
