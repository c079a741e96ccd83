//! Plans that get hostile texts, fields and panics: each is refused whole or ends in the log.

#![cfg(feature = "sqlite")]

mod store_support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

use planbus::{testing::Recorder, *};
use serde_json::{Value, json};
use store_support::Dir;

/// More than the payload of an event may have.
const HUGE: usize = 5 << 20;

/// The most bytes of an error text that the log keeps.
const TEXT_MAX: usize = 16 << 10;

fn stored() -> (Dir, EventBus) {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    (dir, EventBus::builder().store(store).build().expect("a bus"))
}

fn recorded() -> (EventBus, Recorder) {
    let bus = EventBus::builder().in_memory().build().expect("an in-memory bus");
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    (bus, recorder)
}

/// The whole log.
fn log(bus: &EventBus) -> Vec<Event> {
    bus.store().expect("built with one").read_after(0, usize::MAX).expect("reads")
}

/// The log as `plan type`.
fn story(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.plan_id(), event.event_type())).collect()
}

/// The `error` of an event.
fn error_of(event: &Event) -> String {
    let payload: Value = serde_json::from_str(event.payload_json().expect("JSON")).expect("JSON");
    payload["error"].as_str().expect("an error").to_owned()
}

/// What `run` gives, or its panic.
fn caught<T>(run: impl FnOnce() -> T) -> std::thread::Result<T> {
    catch_unwind(AssertUnwindSafe(run))
}

fn deep() -> Value {
    (0..200_000).fold(json!(1), |value, _| Value::Array(vec![value]))
}

#[test]
fn a_panic_with_a_huge_message_still_ends_its_plans_in_the_log() {
    let (_dir, bus) = stored();
    let outcome = caught(|| {
        let run = bus.plan("p").start(json!({})).expect("starts");
        let _child = run.subplan("child", json!({})).expect("spawns");
        panic_any("x".repeat(HUGE));
    });
    assert!(outcome.is_err());
    let events = log(&bus);
    assert_eq!(
        story(&events)[3..],
        ["p/child PlanFailed", "p SubplanCompleted", "p PlanFailed"].map(str::to_owned)
    );
    for event in &events[3..] {
        let error = error_of(event);
        assert!(error.starts_with("panicked: ") && error.len() <= TEXT_MAX, "{} bytes", error.len());
    }
}

#[test]
fn a_panic_with_a_long_message_keeps_its_beginning_its_length_and_its_place() {
    let (_dir, bus) = stored();
    let outcome = caught(|| {
        let _run = bus.plan("p").start(json!({})).expect("starts");
        panic!("{}", "x".repeat(100_000));
    });
    assert!(outcome.is_err());
    let error = error_of(&log(&bus)[1]);
    assert!(error.starts_with("panicked: xxx") && error.len() <= TEXT_MAX, "{} bytes", error.len());
    assert!(error.contains("x... (100000 bytes) (tests/plan_failures.rs:"), "{}", &error[error.len() - 80..]);
}

#[test]
fn a_tool_with_a_huge_error_is_completed_and_its_caller_gets_the_whole_error() {
    let (_dir, bus) = stored();
    let run = bus.plan("p").start(json!({})).expect("starts");
    let outcome = run.tool("cut", json!({}), || Err::<(), _>("ä".repeat(HUGE / 2)));
    assert!(matches!(outcome, Err(ToolError::Tool(error)) if error.len() == HUGE));
    let outcome =
        caught(|| run.tool("cut", json!({}), || -> Result<(), String> { panic_any("x".repeat(HUGE)) }));
    assert!(outcome.is_err());
    run.complete(json!({})).expect("completes");
    let events = log(&bus);
    assert_eq!(story(&events)[1..5], ["p ToolCalled", "p ToolCompleted"].repeat(2));
    let (error, panicked) = (error_of(&events[2]), error_of(&events[4]));
    assert!(error.len() <= TEXT_MAX && error.ends_with("ä... (5242880 bytes)"));
    assert!(panicked.len() <= TEXT_MAX && panicked.starts_with("panicked: xxx"));
}

#[test]
fn a_plan_that_fails_with_a_huge_error_is_failed_with_its_beginning() {
    let (_dir, bus) = stored();
    let run = bus.plan("p").start(json!({})).expect("starts");
    run.subplan("child", json!({})).expect("spawns").fail("z".repeat(HUGE)).expect("fails");
    run.fail("z".repeat(HUGE)).expect("fails");
    let events = log(&bus);
    assert_eq!(
        story(&events)[3..],
        ["p/child PlanFailed", "p SubplanCompleted", "p PlanFailed"].map(str::to_owned)
    );
    for error in events[3..].iter().map(error_of) {
        assert!(error.len() <= TEXT_MAX && error.starts_with("zzz"));
        assert!(error.ends_with("z... (5242880 bytes)"), "{}", &error[error.len() - 80..]);
    }
}

#[test]
fn the_first_plan_of_a_process_may_start_while_a_thread_panics() {
    const ROLE: &str = "the_first_plan_of_a_process_may_start_while_a_thread_panics";
    struct Cleanup(EventBus);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            let run = self.0.plan("cleanup").start(json!({})).expect("starts");
            run.complete(json!({})).expect("completes");
        }
    }
    let Some(_) = store_support::role(ROLE) else {
        let dir = Dir::new();
        let output = store_support::child(ROLE, dir.path()).output().expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("survived"));
        return;
    };
    let (bus, recorder) = recorded();
    let outcome = caught(|| {
        let _cleanup = Cleanup(bus.clone());
        panic!("out of bread");
    });
    assert!(outcome.is_err());
    assert_eq!(story(&recorder.events()), ["cleanup PlanStarted", "cleanup PlanCompleted"]);
    println!("survived");
}

#[test]
fn a_field_that_planbus_writes_is_refused_by_name_before_anything_is_published() {
    let (bus, recorder) = recorded();
    let named = |error: Error, field: &str| {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with(&format!("{field}: ")), "{error}");
    };
    named(bus.plan("p").start(json!({"parent": "someone"})).expect_err("a root has no parent"), "parent");
    assert!(recorder.events().is_empty());
    let run = bus.plan("p").start(json!({})).expect("starts");
    named(run.decide("x", json!({"decision": "y"})).expect_err("given twice"), "decision");
    named(run.subplan("c", json!({"parent": "q"})).expect_err("given twice"), "parent");
    named(run.subplan_by("a", "c", json!({"parent": "q"})).expect_err("given twice"), "parent");
    assert_eq!(story(&recorder.events()), ["p PlanStarted"]);
    named(run.complete(json!({"duration_us": 5})).expect_err("given twice"), "duration_us");
    let events = recorder.events();
    assert_eq!(story(&events), ["p PlanStarted", "p PlanFailed"]);
    assert!(error_of(&events[1]).starts_with("its completion was refused: duration_us: "));
    assert!(events.iter().all(|event| event.to_json().is_ok()));
}

#[test]
fn a_subplan_with_a_wrong_field_leaves_no_trace_and_uses_up_no_name() {
    let (bus, recorder) = recorded();
    let run = bus.plan("p").start(json!({})).expect("starts");
    for fields in [json!({"goal": 5}), json!([1]), json!({"parent": null})] {
        assert_eq!(run.subplan("c", fields).expect_err("wrong").kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(story(&recorder.events()), ["p PlanStarted"]);
    assert_eq!(run.subplan("c", json!({"goal": "cut"})).expect("spawns").id().as_str(), "p/c");
}

#[test]
fn a_subplan_that_cannot_start_gives_its_own_error_even_when_the_answer_is_refused() {
    let refuse = |draft: &mut Draft<'_>| match draft.event_type() {
        EventType::PlanStarted if draft.plan_id().as_str() == "p/c" => PlanId::try_from("").map(drop),
        EventType::SubplanCompleted => Tenant::try_from("%").map(drop),
        _ => Ok(()),
    };
    let bus = EventBus::builder().in_memory().redact(refuse).build().expect("an in-memory bus");
    let run = bus.plan("p").start(json!({})).expect("starts");
    let error = run.subplan("c", json!({})).expect_err("refused");
    assert!(error.to_string().starts_with("plan_id: "), "{error}");
}

#[test]
fn a_completed_subplan_stays_completed_when_its_report_to_the_parent_is_refused() {
    let refuse = |draft: &mut Draft<'_>| match draft.event_type() {
        EventType::SubplanCompleted => Tenant::try_from("%").map(drop),
        _ => Ok(()),
    };
    let bus = EventBus::builder().in_memory().redact(refuse).build().expect("an in-memory bus");
    let recorder = Recorder::start(&bus, Filter::all().plan("p/c")).expect("records");
    let run = bus.plan("p").start(json!({})).expect("starts");
    let child = run.subplan("c", json!({})).expect("spawns");
    let error = child.complete(json!({})).expect_err("the report is refused");
    assert!(error.to_string().starts_with("tenant: "), "{error}");
    assert_eq!(story(&recorder.events()), ["p/c PlanStarted", "p/c PlanCompleted"]);
}

#[test]
fn a_panic_while_an_outcome_is_described_still_completes_the_call() {
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words")
        }
    }
    let (bus, recorder) = recorded();
    let run = bus.plan("p").start(json!({})).expect("starts");
    let described = caught(|| run.tool_with("cut", json!({}), || Ok::<_, String>(1), |_| panic!("blunt")));
    assert!(described.is_err());
    assert!(caught(|| run.tool("cut", json!({}), || Err::<(), _>(Unspeakable))).is_err());
    run.complete(json!({})).expect("completes");
    let events = recorder.events();
    assert_eq!(story(&events)[1..5], ["p ToolCalled", "p ToolCompleted"].repeat(2));
    for (event, message) in [(&events[2], "blunt"), (&events[4], "no words")] {
        let completed = event.payload::<ToolCompleted>().expect("typed").into_owned();
        assert!(!completed.ok && completed.result.is_none() && completed.duration_us.is_some());
        let wanted = format!("panicked while its outcome was described: {message} (");
        assert!(completed.error.as_ref().is_some_and(|error| error.starts_with(&wanted)), "{completed:?}");
    }
}

#[test]
fn a_result_that_is_too_large_is_left_out_and_the_call_is_completed() {
    let (_dir, bus) = stored();
    let run = bus.plan("p").start(json!({})).expect("starts");
    let outcome =
        run.tool_with("read", json!({}), || Ok::<_, String>("x".repeat(HUGE)), |text| text.as_str().into());
    assert!(matches!(outcome, Err(ToolError::Publish(error)) if error.kind() == ErrorKind::TooLarge));
    run.complete(json!({})).expect("completes");
    let events = log(&bus);
    assert_eq!(story(&events)[1..3], ["p ToolCalled", "p ToolCompleted"].map(str::to_owned));
    assert!(error_of(&events[2]).starts_with("its result was refused: payload: "));
}

#[test]
fn a_panic_that_is_resumed_is_reported_with_its_own_message_not_an_earlier_one() {
    let (bus, recorder) = recorded();
    let outcome = caught(|| {
        let run = bus.plan("p").start(json!({})).expect("starts");
        let _ = caught(|| panic!("caught before"));
        let _ = run.tool("cut", json!({}), || -> Result<(), String> {
            let _ = caught(|| panic!("caught inside"));
            resume_unwind(Box::new("real cause"))
        });
    });
    assert!(outcome.is_err());
    let events = recorder.events();
    assert_eq!(story(&events)[2..], ["p ToolCompleted", "p PlanFailed"].map(str::to_owned));
    assert_eq!([&events[2], &events[3]].map(error_of), ["panicked: real cause"; 2]);
}

#[test]
fn a_tool_that_runs_while_a_thread_panics_does_not_hide_why_its_plan_failed() {
    struct Cleanup<'a>(&'a PlanRun);
    impl Drop for Cleanup<'_> {
        fn drop(&mut self) {
            let swept = self.0.tool("sweep", json!({}), || {
                let _ = caught(|| panic!("caught while sweeping"));
                Ok::<_, String>(())
            });
            swept.expect("sweeps");
        }
    }
    let (bus, recorder) = recorded();
    let outcome = caught(|| {
        let run = bus.plan("p").start(json!({})).expect("starts");
        let _cleanup = Cleanup(&run);
        panic!("out of bread");
    });
    assert!(outcome.is_err());
    let error = recorder.events().last().map(error_of).expect("an event");
    assert!(error.starts_with("panicked: out of bread ("), "{error}");
}

#[test]
fn an_error_about_a_huge_or_deep_value_is_short() {
    let (bus, recorder) = recorded();
    let short = |error: Error| assert!(error.to_string().len() < 200, "{} bytes", error.to_string().len());
    let run = bus.plan("p").start(json!({})).expect("starts");
    let huge = "s".repeat(3 << 20);
    short(run.decide("x", json!(huge)).expect_err("no object"));
    short(run.decide("x", json!([huge])).expect_err("no object"));
    short(run.decide("x", json!({"reason": [huge]})).expect_err("no text"));
    short(bus.plan("q").start(deep()).expect_err("no object"));
    let mut fields = serde_json::Map::new();
    fields.insert("goal".to_owned(), deep());
    short(bus.plan("q").start(fields).expect_err("no text"));
    assert_eq!(story(&recorder.events()), ["p PlanStarted"]);
    short(run.complete(json!(huge)).expect_err("no object"));
}
