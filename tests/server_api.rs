//! The JSON API: what is asked for comes in pages, each event once, as the log has it.

#![cfg(feature = "server")]

mod server_support;

use planbus::{Event, PlanCompleted, PlanFailed, PlanStarted, Retention, SubplanSpawned};
use serde_json::{Value, json};
use server_support::{
    Live, agent,
    listed::{found, pages, refused, seqs},
    wait_until,
};

#[test]
fn p6_pages_hold_each_event_once_while_more_are_published() {
    let live = Live::start();
    for at in 1..=250 {
        live.note("plan", at);
    }
    let mut more = 250;
    let mut publish = || {
        more += 1;
        live.note("plan", more);
    };
    let newest = pages(&live, "/events?order=desc&limit=40", "events", &mut publish);
    assert_eq!(newest.iter().map(Vec::len).collect::<Vec<_>>(), [40, 40, 40, 40, 40, 40, 10]);
    assert_eq!(seqs(&newest.concat()), (1..=250).rev().collect::<Vec<_>>(), "as it was at the first page");
    let oldest = pages(&live, "/events?limit=40&before=201", "events", &mut publish);
    assert_eq!(seqs(&oldest.concat()), (1..=200).collect::<Vec<_>>());
    assert_eq!(oldest.len(), 5, "no page is empty without need");
    assert_eq!(
        found(&live, "/plans/plan/events?after=240&limit=3&before=251"),
        (241..=250).collect::<Vec<_>>()
    );
    assert_eq!(live.get("/events").1["events"].as_array().map(Vec::len), Some(100), "by default");
}

#[test]
fn whoever_is_lost_is_told_what_there_is() {
    let live = Live::start();
    live.bus.publish(Event::new("a/b", PlanStarted::new("goal"))).expect("publishes");
    let (_, index) = live.get("/");
    let routes: Vec<_> = index["routes"].as_array().expect("a list").iter().collect();
    for route in ["/events/stream", "/a2a", "/agui/{plan_id}", "/metrics", "/readyz", "/tickets"] {
        assert!(routes.contains(&&json!(route)), "{route}: {index}");
    }
    for route in routes {
        let path =
            route.as_str().expect("a path").replace("{plan_id}", "a%2Fb").replace("{event_id}", "none");
        let mut answer = agent().get(live.url(&path)).call().expect("an answer");
        // Streams are not read: they have no end.
        if answer.status() == 404 {
            let text = answer.body_mut().read_to_string().expect("a body");
            assert!(!text.contains("GET / lists"), "{path}: {text}");
        }
    }
    assert!(refused(&live, "/plans/a/b/events").1.contains("written %2F"));
    assert_eq!(live.get("/plans/a%2Fb").0, 200);
    assert!(refused(&live, "/event").1.contains("GET / lists"));
}

#[test]
fn events_are_found_by_each_parameter() {
    let live = Live::start();
    let publish = |event: Event| live.bus.publish(event).expect("publishes").event_id;
    publish(Event::new("a/b c\u{e9}", PlanStarted::new("find it")).with_source("planner"));
    publish(Event::untyped("plan", "workflow.begun", json!({"text": "needle 100%"})));
    let id = publish(Event::untyped("plan", "workflow.done", json!({})).with_correlation_id("run-1"));
    publish(
        Event::untyped("plan", "note", json!({}))
            .with_timestamp("2020-01-01T00:00:00Z")
            .with_source("planner"),
    );
    let finds = |path: &str, wanted: &[u64]| assert_eq!(found(&live, path), wanted, "{path}");
    finds("/events?type=workflow.*,note", &[2, 3, 4]);
    finds("/events?type=workflow.*&type=PlanStarted&order=desc", &[3, 2, 1]);
    finds("/events?plan=plan&limit=1", &[2, 3, 4]);
    finds("/events?plan=a/b%20c%C3%A9", &[1]);
    finds("/plans/a%2Fb%20c%C3%A9/events", &[1]);
    finds("/events?source=planner", &[1, 4]);
    finds("/events?correlation=run-1", &[3]);
    finds("/events?text=100%25", &[2]);
    finds("/events?text='%20OR%201=1%20--", &[]);
    finds("/events?until=2020-01-01T00:00:00.000001Z", &[4]);
    finds("/events?since=2020-01-01T00:00:00.000001Z&limit=2", &[1, 2, 3]);
    finds("/events?after=1&before=4", &[2, 3]);
    let (status, event) = live.get(&format!("/events/{id}"));
    assert_eq!((status, &event["seq"]), (200, &json!(3)));
}

#[test]
fn an_event_is_answered_as_the_log_has_it() {
    let live = Live::start();
    let text = "{ \"b\": 1.50,\t\"a\": 12345678901234567890123, \"c\": null }";
    let id = live.bus.publish(Event::raw("plan", "note", text)).expect("publishes").event_id;
    let body = |path: &str| {
        let mut response = agent().get(live.url(path)).call().expect("an answer");
        assert_eq!(response.headers()["content-type"], "application/json");
        response.body_mut().read_to_string().expect("a body")
    };
    let held = live.bus.store().expect("a store").get(id).expect("reads").expect("is there");
    let held = held.to_json().expect("JSON");
    assert!(held.contains(text), "{held}");
    assert_eq!(body(&format!("/events/{id}")), held);
    assert_eq!(body("/events"), format!(r#"{{"events":[{held}],"next":null}}"#));
}

#[test]
fn a_page_of_large_events_ends_early_and_the_next_goes_on() {
    let live = Live::start();
    let large = "x".repeat(900_000);
    (0..20).for_each(|at| {
        let event = Event::untyped("plan", "note", json!({"at": at, "text": large}));
        live.bus.publish(event).expect("publishes");
    });
    let sizes = |path: &str, wanted: Vec<u64>| {
        let pages = pages(&live, path, "events", || ());
        assert_eq!(seqs(&pages.concat()), wanted, "{path}");
        pages.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes("/events", (1..=20).collect()), [10, 10], "8 MiB and the event that goes beyond");
    assert_eq!(sizes("/events?order=desc", (1..=20).rev().collect()), [10, 10]);
    assert_eq!(sizes("/plans/plan/events?after=2", (3..=20).collect()), [10, 8]);
}

#[test]
fn p9_a_page_behind_a_place_that_was_pruned_is_refused_with_the_oldest_that_is_left() {
    let live = Live::start();
    for at in 0..50 {
        live.note("plan", at);
    }
    live.bus.store().expect("a store").prune(Retention::keep_last(10)).expect("prunes");
    for path in ["/events?after=7", "/plans/plan/events?after=7"] {
        let (status, body) = live.get(path);
        assert_eq!(status, 410, "{body}");
        assert_eq!((&body["error"]["kind"], &body["error"]["oldest_seq"]), (&json!("Pruned"), &json!(41)));
    }
    assert_eq!(found(&live, "/events?limit=3"), (41..=50).collect::<Vec<_>>(), "what nobody was promised");
}

#[test]
fn p10_another_tenants_events_and_plans_are_answered_as_unknown_ones() {
    let live = Live::start();
    let event = Event::new("plan-7", PlanStarted::new("secret")).with_tenant("acme");
    let theirs = live.bus.publish(event).expect("publishes").event_id;
    let unknown = planbus::EventId::generate();
    assert_eq!(refused(&live, &format!("/events/{theirs}")), refused(&live, &format!("/events/{unknown}")));
    for path in
        ["/plans/plan-7", "/plans/plan-7?tree=true", "/plans/plan-7/events", "/plans/plan-7/events?after=1"]
    {
        assert_eq!(refused(&live, path), (404, "plan_id: the log has no event of this plan".to_owned()));
        assert_eq!(
            live.get(&format!("{path}{}tenant=acme", if path.contains('?') { '&' } else { '?' })).0,
            200
        );
    }
    assert!(found(&live, "/events?order=desc").is_empty());
    assert_eq!(live.get("/plans").1, json!({"plans": [], "next": null}));
    assert_eq!(found(&live, "/events?tenant=acme"), [1]);
}

#[test]
fn plans_are_listed_in_pages_and_shown_with_their_subplans() {
    let live = Live::start();
    let publish = |event: Event| live.bus.publish(event).expect("publishes");
    for at in 0..120 {
        publish(Event::new(format!("plan-{at}"), PlanStarted::new("goal")));
        if at % 2 == 0 {
            publish(Event::new(format!("plan-{at}"), PlanCompleted::new()));
        }
    }
    publish(Event::new("plan-1", SubplanSpawned::new("plan-1/a")));
    publish(Event::new("plan-1/a", PlanStarted::new("a part")).with_correlation_id("plan-1"));
    let listed = |path: &str| {
        let pages = pages(&live, path, "plans", || ());
        let ids = pages.iter().flatten().map(|plan| plan["plan_id"].as_str().expect("an id").to_owned());
        (ids.collect::<Vec<_>>(), pages.len())
    };
    let (all, count) = listed("/plans?limit=60");
    assert_eq!((all.len(), count, all[0].as_str(), all[120].as_str()), (121, 3, "plan-1/a", "plan-0"));
    assert_eq!(listed("/plans?limit=60&roots=true").0.len(), 120);
    assert_eq!(listed("/plans?status=completed&limit=1000").0.len(), 60);
    assert_eq!(listed("/plans?text=A%20PART").0, ["plan-1/a"]);
    let running = listed("/plans?text=plan-11&status=running&limit=2").0;
    assert_eq!(running, ["plan-119", "plan-117", "plan-115", "plan-113", "plan-111", "plan-11"]);
    let (status, plan) = live.get("/plans/plan-1");
    assert_eq!((status, &plan["status"], &plan["subplans"]), (200, &json!("running"), &json!(1)));
    let (_, tree) = live.get("/plans/plan-1?tree=true");
    assert_eq!(tree["children"][0]["plan_id"], "plan-1/a");
    assert_eq!(tree["children"][0]["parent"], "plan-1");
}

#[cfg(feature = "cli")]
#[test]
fn a_plan_looks_the_same_to_the_program_and_to_a_client() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").source("planner").start(json!({"goal": "notes"})).expect("starts");
    run.tool("grep", json!({}), || Err::<(), _>(std::io::Error::other("away"))).expect_err("fails");
    run.complete(json!({})).expect("completes");
    let program = |arguments: &[&str]| -> Value {
        let database = live.dir.path().join("planbus.db");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_planbus"));
        let output = command.arg("--db").arg(database).args(arguments).output().expect("runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let plan = program(&["plans", "-o", "json"]);
    assert!(plan["duration_us"].is_u64() && plan["tenant"] == "default", "{plan}");
    assert_eq!(live.get("/plans").1["plans"], json!([plan]));
    assert_eq!(live.get("/plans/plan-7").1, plan);
    assert_eq!(live.get("/plans/plan-7?tree=true").1, program(&["show", "plan-7", "-o", "json"]));
}

#[test]
fn p10_words_are_found_in_the_tenants_events_wherever_they_stand() {
    let live = Live::with(|server| server.search());
    for at in 0..130 {
        let tenant = if at % 10 == 0 { "acme" } else { "default" };
        let event = Event::untyped("plan", "note", json!({"path": format!("src/store/part_{at}.rs")}));
        live.bus.publish(event.with_tenant(tenant)).expect("publishes");
    }
    wait_until("the index has read the log", || live.get("/events?q=store&limit=1").1["indexed_seq"] == 130);
    let all = pages(&live, "/events?q=store%20part*&limit=60", "events", || ());
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [60, 57], "no page more than is needed");
    assert_eq!(seqs(&all.concat()), (1..=130).rev().filter(|seq| seq % 10 != 1).collect::<Vec<_>>());
    assert_eq!(found(&live, "/events?q=src/store&order=asc&tenant=acme&before=50"), [1, 11, 21, 31, 41]);
    assert_eq!(found(&live, "/events?q=%22part%2057%22"), [58]);
    assert_eq!(refused(&live, "/events?q=store&source=me").1, "source: is not a parameter of this request");
    assert!(refused(&live, "/events?q=%22").1.starts_with("q: "));
    assert_eq!(refused(&Live::start(), "/events?q=store").0, 501);
    assert!(live.dir.path().join("planbus.db.search").exists());
    let elsewhere = live.dir.path().join("another.search");
    let second = planbus::server::Server::builder(&live.bus).bind("127.0.0.1:0").search_file(&elsewhere);
    let _second = second.start().expect("starts");
    let third = planbus::server::Server::builder(&live.bus).bind("127.0.0.1:0").search_file(&elsewhere);
    assert_eq!(third.start().expect_err("is taken").kind(), planbus::ErrorKind::Locked);
}

#[test]
fn p11_what_is_wrong_with_a_request_is_told_by_name() {
    let live = Live::start();
    live.note("plan", 1);
    for (path, told) in [
        ("/events?limit=0", "limit: must be 1 to 1000, got 0"),
        ("/events?limit=1001", "limit: must be 1 to 1000, got 1001"),
        ("/events?order=up", "order: must be asc or desc"),
        ("/events?after=x", "after: must be a whole number"),
        ("/events?since=yesterday", "since: "),
        ("/events?type=no%20type", "type: "),
        ("/events?plan=%0A", "plan: "),
        ("/events?tenat=acme", "tenat: is not a parameter"),
        ("/plans/plan/events?plan=other", "plan: is not a parameter"),
        ("/events/no-id", "event_id: "),
        ("/plans?status=lost", "status: must be running, completed or failed"),
        ("/plans?roots=yes", "roots: must be true or false"),
        ("/plans/%00", "plan_id: "),
        ("/plans/plan?forest=true", "forest: is not a parameter"),
    ] {
        let (status, message) = refused(&live, path);
        assert!(status == 400 && message.starts_with(told), "{path}: {status} {message}");
    }
    assert_eq!(refused(&live, "/event").0, 404);
    let posted = agent().post(live.url("/events")).send_empty().expect("an answer");
    assert_eq!(posted.status(), 405);
    let head = agent().head(live.url("/events")).call().expect("an answer");
    let length = head.headers()["content-length"].to_str().expect("text").parse::<usize>().expect("a number");
    assert!(head.status() == 200 && length > 100, "{length}");
    assert_eq!(live.get("/").1["name"], "planbus");
}

#[test]
fn a_rare_state_is_looked_for_in_parts_and_every_plan_that_is_in_it_is_found() {
    const PLANS: usize = 6_000;
    let live = Live::start();
    let end = |at: usize| match at {
        7 => Event::new("plan-7", PlanFailed::new("no")),
        _ => Event::new(format!("plan-{at}"), PlanCompleted::new()),
    };
    for first in (0..PLANS).step_by(1_000) {
        let events = (first..first + 1_000)
            .flat_map(|at| [Event::new(format!("plan-{at}"), PlanStarted::new("a goal")), end(at)]);
        live.bus.publish_all(events).expect("publishes");
    }
    let (_, first) = live.get("/plans?status=failed");
    assert_eq!(first["plans"], json!([]), "not among the newest 10,000 starts and ends");
    assert_eq!(live.get("/plans?text=PLAN-7&status=failed").1["plans"], json!([]), "a text moves no bound");
    let (_, second) = live.get(first["next"].as_str().expect("a next page"));
    assert_eq!((&second["plans"][0]["plan_id"], &second["next"]), (&json!("plan-7"), &Value::Null));
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_server_that_was_built_without_redis_says_so() {
    let live = Live::start();
    for path in ["/redis", "/redis/pending", "/redis/dead-letters/a/1-1"] {
        assert_eq!(
            refused(&live, path),
            (501, "redis: planbus was built without the feature `redis`".to_owned())
        );
    }
    assert_eq!(live.get("/stats").1["mirrors"], json!([]));
}
