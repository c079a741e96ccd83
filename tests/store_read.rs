//! What is read from a store: tenants apart, payloads as given, plans and trees, and damage named.

#![cfg(feature = "sqlite")]

mod store_support;

use planbus::*;
use serde_json::json;
use store_support::*;

fn opened(dir: &Dir) -> EventStore {
    EventStore::open(dir.db()).expect("opens")
}

fn note(plan: &str, text: &str) -> Event {
    Event::untyped(plan, "note.taken", json!({"text": text}))
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().filter_map(Event::seq).collect()
}

#[test]
fn p10_a_tenant_never_sees_another_tenants_event() {
    let dir = Dir::new();
    let store = opened(&dir);
    let tenants = ["t1", "t10", "T1", "t_", "t-1", "default"];
    let mut ids = Vec::new();
    for tenant in tenants {
        for event in [
            Event::new("plan-7", PlanStarted::new(tenant)).with_tenant(tenant),
            note("plan-7", "100% of a_b").with_tenant(tenant).with_source("agent"),
            Event::new("plan-7", SubplanSpawned::new("child")).with_tenant(tenant),
            Event::new("child", PlanStarted::new(format!("child of {tenant}"))).with_tenant(tenant),
        ] {
            store.save(&event).expect("commits");
            ids.push((tenant, event.event_id()));
        }
    }
    for tenant in tenants {
        let view = store.for_tenant(tenant).expect("a tenant");
        let own = |events: Vec<Event>, count: usize| {
            assert_eq!(events.len(), count, "{tenant}");
            assert!(events.iter().all(|event| *event.tenant() == tenant), "{tenant}");
        };
        own(view.list_by_plan("plan-7", None).expect("reads"), 3);
        own(view.query(EventQuery::new()).expect("reads"), 4);
        own(view.query(EventQuery::new().text("%")).expect("reads"), 1);
        own(view.query(EventQuery::new().text("a_b").plan("plan-7")).expect("reads"), 1);
        own(view.query(EventQuery::new().correlation_id("plan-7")).expect("reads"), 3);
        let plans = view.plans(PlanQuery::new().roots_only()).expect("reads");
        assert_eq!(plans.len(), 2);
        assert_eq!(plans[1].goal.as_deref(), Some(tenant));
        let tree = view.plan_tree("plan-7").expect("reads");
        assert_eq!(tree.children[0].plan.goal, Some(format!("child of {tenant}")));
        for (owner, id) in &ids {
            assert_eq!(view.get(*id).expect("reads").is_some(), *owner == tenant);
        }
    }
    for none in ["%", "_", "t%", "", "' OR 1=1 --", "t1\0"] {
        let error = store.for_tenant(none).expect_err("refused");
        assert!(
            error.kind() == ErrorKind::InvalidInput && error.to_string().starts_with("tenant"),
            "{error}"
        );
    }
    let stranger = store.for_tenant("t100").expect("a tenant");
    assert!(stranger.query(EventQuery::new()).expect("reads").is_empty());
    assert_eq!(stranger.plan("plan-7").expect("reads"), None);
    assert_eq!(stranger.plan_tree("plan-7").expect_err("unknown").kind(), ErrorKind::NotFound);
}

#[test]
fn p11_a_payload_is_read_back_byte_for_byte() {
    let dir = Dir::new();
    let store = opened(&dir);
    let payloads = [
        r#"{}"#.to_owned(),
        r#"{"z":1,"a":2,"m":{"y":[],"b":{}}}"#.to_owned(),
        r#"{"big":123456789012345678901234567890,"small":1e-400,"exact":0.10,"zero":-0}"#.to_owned(),
        r#"{"nul":"\u0000","quote":"'; DROP TABLE plan_events; --","escape":"\/\u00e9\ud83d\ude00"}"#
            .to_owned(),
        "{\"text\":\"é😀\u{2028}\u{7f}\u{202e}\"}".to_owned(),
        r#"{"lone":"\ud800"}"#.to_owned(),
        format!(r#"{{"text":"{}"}}"#, "x".repeat((4 << 20) - 11)),
        format!("{}{{}}{}", r#"{"a":"#.repeat(63), "}".repeat(63)),
    ];
    for payload in payloads {
        let event = Event::raw("plan '\"; --", "note", payload.clone()).with_source("agent\u{202e}%_");
        store.save(&event).expect("commits");
        let read = store.get(event.event_id()).expect("reads").expect("is there");
        assert!(read.payload_json().expect("text") == payload, "{}", &payload[..payload.len().min(80)]);
        assert!(store.save(&event).expect("the same").duplicate);
    }
    store.close().expect("closes");
    assert_eq!(check_dense(&opened(&dir)).len(), 8);
}

#[test]
fn a_query_narrows_pages_and_names_what_is_wrong() {
    let dir = Dir::new();
    let store = opened(&dir);
    for number in 0..2_500_u64 {
        let event = match number % 5 {
            0 => event(&format!("plan-{}", number % 2), number as usize).with_source("planner"),
            1 => note("notes", &format!("literal 50%_{number}")),
            2 => Event::untyped("flow", "workflow.started", json!({})),
            3 => Event::untyped("flow", "workflowstarted", json!({})),
            _ => note("notes", "other").with_source("o'brien"),
        };
        let second =
            Timestamp::from_micros(i64::try_from(number * 1_000_000).expect("small")).expect("a time");
        store.save(&event.with_timestamp(second.to_string().as_str())).expect("commits");
    }
    let count = |query: EventQuery| store.query(query.limit(10_000)).expect("reads").len();
    assert_eq!(store.query(EventQuery::new()).expect("reads").len(), 100, "the default limit");
    assert_eq!(count(EventQuery::new()), 2_500);
    assert_eq!(count(EventQuery::new().types(["workflow.*"])), 500);
    assert_eq!(count(EventQuery::new().types(["workflow.*"]).types([EventType::ToolCalled])), 1_000);
    assert_eq!(count(EventQuery::new().source("o'brien")), 500);
    assert_eq!(count(EventQuery::new().text("brien")), 500, "in the source");
    assert_eq!(count(EventQuery::new().text("50%_7")), 22, "in the payload, literally");
    assert_eq!(count(EventQuery::new().text("workflow")), 1_000, "in the type");
    assert_eq!(count(EventQuery::new().text("WORKFLOW")), 0);
    assert_eq!(count(EventQuery::new().exclude("brien")), 2_000, "whether a source is given or not");
    assert_eq!(count(EventQuery::new().exclude("50%_7")), 2_478);
    assert_eq!(count(EventQuery::new().text("workflow").exclude("workflow.")), 500, "both hold");
    assert_eq!(count(EventQuery::new().plan("notes").exclude("other").newest_first()), 500);
    assert_eq!(count(EventQuery::new().plan("flow").types(["workflow.started"])), 500);
    assert_eq!(count(EventQuery::new().since("1970-01-01T00:00:10Z").until("1970-01-01T00:00:20Z")), 10);
    assert_eq!(seqs(&store.query(EventQuery::new().after(10).before(14)).expect("reads")), [11, 12, 13]);
    assert_eq!(seqs(&store.query(EventQuery::new().newest_first().limit(2)).expect("reads")), [2_500, 2_499]);
    assert_eq!(
        seqs(&store.query(EventQuery::new().plan("notes").newest_first().before(8).limit(2)).expect("reads")),
        [7, 5]
    );
    assert_eq!(count(EventQuery::new().after(u64::MAX)), 0);
    assert_eq!(count(EventQuery::new().before(0)), 0);
    assert_eq!(count(EventQuery::new().before(u64::MAX).newest_first()), 2_500);

    // Pages, both ways, put together give everything once.
    let mut forward = Vec::new();
    while let page @ [_, ..] = &*store
        .query(EventQuery::new().types(["note.taken"]).limit(77).after(forward.last().copied().unwrap_or(0)))
        .expect("reads")
    {
        forward.extend(seqs(page));
    }
    let mut backward = Vec::new();
    while let page @ [_, ..] = &*store
        .query(
            EventQuery::new()
                .types(["note.taken"])
                .limit(77)
                .newest_first()
                .before(backward.last().copied().unwrap_or(u64::MAX)),
        )
        .expect("reads")
    {
        backward.extend(seqs(page));
    }
    backward.reverse();
    assert_eq!(forward.len(), 1_000);
    assert_eq!(forward, backward);

    let wrong: [(EventQuery, &str); 7] = [
        (EventQuery::new().limit(0), "limit"),
        (EventQuery::new().text(""), "text"),
        (EventQuery::new().text("x".repeat(2_000)), "text"),
        (EventQuery::new().exclude(""), "exclude"),
        (EventQuery::new().plan(""), "plan"),
        (EventQuery::new().types(["a b"]), "types"),
        (EventQuery::new().since("yesterday"), "since"),
    ];
    for (query, field) in wrong {
        let error = store.query(query).expect_err("refused");
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().starts_with(field), "{error}");
    }
}

#[test]
fn a_plan_is_summed_up_from_its_events() {
    let dir = Dir::new();
    let store = opened(&dir);
    let mut root = PlanStarted::new("notes");
    root.parent = Some("parent".to_owned());
    let events = [
        Event::new("p1", root).with_source("planner").with_timestamp("2026-01-01T00:00:00Z"),
        Event::new("p1", DecisionMade::new("split")),
        Event::new("p1", ToolCalled::new("c1", "grep", json!({}))),
        Event::new("p1", ToolCompleted::ok("c1", "grep", json!({}))),
        Event::new("p1", ToolCalled::new("c2", "grep", json!({}))),
        Event::new("p1", ToolCompleted::failed("c2", "grep", "no such file")),
        Event::new("p1", SubplanSpawned::new("p2")),
        Event::new("p2", PlanStarted::new("collect")),
        Event::new("p1", PlanFailed::new("out of time")).with_timestamp("2026-01-01T00:01:00Z"),
        note("loose", "a plan that was never started"),
        Event::new("p3", PlanStarted::new("review")),
        Event::new("p3", PlanCompleted::new()),
        // Of a shape that the type does not have: borne.
        Event::raw("p3", "ToolCompleted", r#"{"ok":"no"}"#),
        Event::raw("p3", "SubplanSpawned", r#"{"subplan":7}"#),
    ];
    for event in &events {
        store.save(event).expect("commits");
    }
    let plan = store.plan("p1").expect("reads").expect("is there");
    assert_eq!((plan.status, plan.error.as_deref()), (PlanStatus::Failed, Some("out of time")));
    assert_eq!(
        (plan.goal.as_deref(), plan.source.as_ref().map(AgentId::as_str)),
        (Some("notes"), Some("planner"))
    );
    assert_eq!(plan.parent.as_ref().map(PlanId::as_str), Some("parent"));
    assert_eq!(
        (plan.started_at.to_string(), plan.ended_at.map(|at| at.to_string())),
        ("2026-01-01T00:00:00.000000Z".to_owned(), Some("2026-01-01T00:01:00.000000Z".to_owned()))
    );
    assert_eq!((plan.events, plan.tool_calls, plan.failed_tool_calls), (8, 2, 1));
    assert_eq!((plan.decisions, plan.subplans, plan.first_seq, plan.last_seq), (1, 1, 1, 9));

    let names = |query: PlanQuery| -> Vec<String> {
        store.plans(query).expect("reads").iter().map(|plan| plan.plan_id.to_string()).collect()
    };
    assert_eq!(names(PlanQuery::new()), ["p3", "p2", "p1"], "each once, the newest first");
    assert_eq!(names(PlanQuery::new().limit(1).before(11)), ["p2"]);
    assert_eq!(names(PlanQuery::new().status(PlanStatus::Running)), ["p2"]);
    assert_eq!(names(PlanQuery::new().status(PlanStatus::Completed)), ["p3"]);
    assert_eq!(names(PlanQuery::new().roots_only()), ["p3", "p2", "p1"], "the parent has no event");
    assert_eq!(store.plan("loose").expect("reads").expect("has an event").events, 1);
    assert_eq!(store.plan("unknown").expect("reads"), None);
    assert_eq!(store.plans(PlanQuery::new().limit(0)).expect_err("refused").kind(), ErrorKind::InvalidInput);

    let stats = store.stats().expect("reads");
    assert_eq!((stats.events, stats.first_seq, stats.last_seq), (14, Some(1), 14));
    assert_eq!(store.count_by_type().expect("reads")["PlanStarted"], 3);
    assert_eq!((stats.schema_version, stats.page_bytes), (4, 4_096));
}

#[test]
fn a_hostile_plan_tree_ends_and_shows_each_plan_once() {
    let dir = Dir::new();
    let bus = EventBus::builder().store(opened(&dir)).build().expect("builds");
    let store = bus.store().expect("built with one");
    let spawn = |plan: &str, child: &str| Event::new(plan, SubplanSpawned::new(child));
    // A cycle, a plan that spawns itself, and one that is spawned twice.
    bus.publish_all([
        spawn("a", "b"),
        spawn("b", "c"),
        spawn("c", "a"),
        spawn("c", "c"),
        spawn("a", "c"),
        spawn("a", "gone"),
    ])
    .expect("commits");
    let tree = store.plan_tree("a").expect("ends");
    assert_eq!((tree.plan.plan_id.as_str(), tree.children.len(), tree.is_cut), ("a", 2, false));
    assert_eq!(tree.children.iter().map(|child| child.plan.plan_id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert!(tree.children.iter().all(|child| child.children.is_empty()));

    // A chain of 5,000.
    let chain: Vec<Event> = (0..5_000).map(|n| spawn(&format!("n{n}"), &format!("n{}", n + 1))).collect();
    bus.publish_all(chain).expect("commits");
    let tree = store.plan_tree("n0").expect("ends");
    let (mut depth, mut node) = (1, &tree);
    while let [child] = &*node.children {
        (depth, node) = (depth + 1, child);
    }
    assert_eq!((depth, node.is_cut), (PLAN_TREE_MAX_DEPTH, true), "cut, and told so");
    assert_eq!(format!("{tree:?}").matches("PlanTree").count(), PLAN_TREE_MAX_DEPTH);
    assert!(!store.plan_tree("n4900").expect("ends").is_cut, "the rest can be asked for");

    // A plan with more children than a tree takes.
    for half in [0, 1] {
        let from = half * PLAN_TREE_MAX_PLANS / 2;
        let many = (from..from + PLAN_TREE_MAX_PLANS / 2).map(|n| spawn("wide", &format!("w{n}")));
        bus.publish_all(many).expect("commits");
        let children = (from..from + PLAN_TREE_MAX_PLANS / 2).map(|n| note(&format!("w{n}"), "alive"));
        bus.publish_all(children).expect("commits");
    }
    let tree = store.plan_tree("wide").expect("ends");
    assert_eq!((tree.children.len(), tree.is_cut), (PLAN_TREE_MAX_PLANS - 1, true));
    let error = store.plan_tree("unknown").expect_err("nothing of it");
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("unknown"), "{error}");
}

#[test]
fn p11_a_row_that_was_edited_by_hand_is_named_and_never_a_panic() {
    let edits = [
        ("event_id = 'x'", "event_id"),
        ("event_type = ''", "event_type"),
        ("plan_id = char(10)", "plan_id"),
        ("timestamp = 'today'", "timestamp"),
        ("recorded_at = ''", "recorded_at"),
        ("payload = '[1]'", "payload"),
        ("payload = '{\"a\":'", "payload"),
        ("payload = CAST(x'7bff7d' AS TEXT)", "payload"),
        ("tenant = '%'", "tenant"),
        ("source = ''", "source"),
        ("call_chain = '{}'", "call_chain"),
        ("correlation_id = ''", "correlation_id"),
        ("causation_id = 'x'", "causation_id"),
        ("trace_parent = 'x'", "trace_parent"),
        ("priority = 'urgent'", "priority"),
        ("context_refs = '[1]'", "context_refs"),
        ("schema_version = -1", "schema_version"),
    ];
    for (edit, column) in edits {
        let dir = Dir::new();
        let store = opened(&dir);
        for number in 0..3 {
            store.save(&event("plan", number)).expect("commits");
        }
        store.close().expect("closes");
        let hand = rusqlite::Connection::open(dir.db()).expect("opens");
        hand.execute(&format!("UPDATE plan_events SET {edit} WHERE id = 2"), []).expect("edits");
        drop(hand);
        let store = opened(&dir);
        let error = store.read_after(0, 10).expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{edit}: {error:?}");
        assert!(error.to_string().contains("row 2") && error.to_string().contains(column), "{error}");
        assert_eq!(store.read_after(2, 10).expect("the rest can be read").len(), 1);
        store.save(&event("plan", 9)).expect("and the log goes on");
    }
}

#[test]
fn a_reader_is_told_when_rows_are_missing() {
    let dir = Dir::new();
    let store = opened(&dir);
    for number in 0..10 {
        store.save(&event("plan", number)).expect("commits");
    }
    store.close().expect("closes");
    let hand = rusqlite::Connection::open(dir.db()).expect("opens");
    hand.execute("DELETE FROM plan_events WHERE id <= 3 OR id = 7", []).expect("edits");
    drop(hand);
    let store = opened(&dir);
    let pruned = |seq| {
        let error = store.read_after(seq, 10).expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::Pruned, "{error:?}");
        error.to_string()
    };
    assert!(pruned(0).contains("seq 4"));
    assert!(pruned(2).contains("seq 4"));
    assert!(pruned(6).contains("seq 8"));
    assert_eq!(seqs(&store.read_after(7, 10).expect("reads")), [8, 9, 10]);
    let bus = EventBus::builder().store(store).build().expect("builds");
    let mut tail = bus.tail(Filter::all(), Start::Beginning).expect("begins with what is held");
    for seq in [4, 5, 6] {
        assert_eq!(tail.next_timeout(LIMIT).expect("reads").and_then(|event| event.seq()), Some(seq));
    }
    assert_eq!(tail.next_timeout(LIMIT).expect_err("overtaken").kind(), ErrorKind::Pruned);
    assert_eq!(tail.next_timeout(LIMIT).expect_err("and stays so").kind(), ErrorKind::Pruned);
    for start in [Start::After(0), Start::After(2)] {
        let error = bus.tail(Filter::all(), start).expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::Pruned);
    }
}
