//! `/stats`: the figures that people look at, and who may.

#![cfg(feature = "server")]

mod server_support;

use planbus::{Event, EventBus, EventStore, Filter, server::Server};
use serde_json::{Value, json};
use server_support::{
    Live,
    guarded::{ACME, CI, guarded, json, with_token},
    wait_until,
};

fn stats(live: &Live) -> Value {
    let (status, stats) = live.get("/stats");
    assert_eq!(status, 200, "{stats}");
    stats
}

#[test]
fn each_figure_is_what_happened() {
    let live = Live::with(|server| server.search());
    let empty = stats(&live);
    assert_eq!((&empty["log"]["events"], &empty["log"]["first_seq"]), (&json!(0), &Value::Null));
    assert_eq!(empty["commits"]["count"], 0);
    let fails = live.bus.subscribe(Filter::all(), |_: &Event| Err::<(), _>("no")).expect("subscribes");
    for at in 1..=5 {
        live.note("plan", at);
    }
    drop(fails);
    live.bus.subscribe(Filter::all(), |_: &Event| ()).expect("subscribes").detach();
    for at in 6..=8 {
        live.note("plan", at);
    }
    let store = live.bus.store().expect("a store");
    store.save_cursor("billing", 3).expect("saves");
    store.save_cursor("audit", 7).expect("saves");
    let _stream = live.follow("/events/stream");
    wait_until("the index has read the log", || stats(&live)["search"]["indexed_seq"] == 8);
    let told = stats(&live);
    let kept = store.stats().expect("figures");
    let log = json!({
        "events": 8, "first_seq": 1, "last_seq": 8,
        "first_recorded_at": kept.first_recorded_at, "last_recorded_at": kept.last_recorded_at,
        "last_minute": kept.last_minute, "last_hour": 8, "last_day": 8,
        "db_bytes": kept.db_bytes, "wal_bytes": kept.wal_bytes,
        "wal_pages": kept.wal_pages, "wal_copied_pages": kept.wal_copied_pages,
    });
    assert_eq!(told["log"], log);
    assert_eq!((&told["store"], &told["is_owner"]), (&json!("planbus.db"), &json!(true)));
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    let bus = json!({"published": 8, "delivered": 3, "failed": 5, "panicked": 0, "dropped": 0});
    assert_eq!(told["bus"], bus);
    let readers = json!([
        {"name": "billing", "seq": 3, "lag": 5, "is_mirror": false},
        {"name": "audit", "seq": 7, "lag": 1, "is_mirror": false},
    ]);
    assert_eq!((&told["readers"], &told["mirrors"]), (&readers, &json!([])));
    assert_eq!((&told["clients"]["followers"], &told["has_redis"]), (&json!(1), &json!(false)));
    let commits = store.commit_stats().seconds;
    assert_eq!((&told["commits"]["count"], commits.count), (&json!(8), 8));
    assert_eq!(told["commits"]["sum_us"], (commits.sum * 1e6).round());
    let buckets = told["commits"]["buckets"].as_array().expect("a list");
    assert_eq!(buckets.last(), Some(&json!({"le_us": null, "count": 8})));
    assert!(buckets.is_sorted_by_key(|bucket| bucket["count"].as_u64()), "{buckets:?}");
}

#[test]
fn who_reads_beside_the_owner_tells_of_the_log_and_nothing_of_commits() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("planbus.db");
    let owner = EventStore::open(&path).expect("opens");
    owner.save(&Event::untyped("plan", "note", json!({}))).expect("commits");
    let beside = EventStore::open_read_only(&path).expect("opens");
    let bus = EventBus::builder().store(beside).build().expect("a bus");
    let server = Server::builder(&bus).bind("127.0.0.1:0").start().expect("starts");
    let told = stats(&Live { server, bus, dir });
    assert_eq!((&told["is_owner"], &told["log"]["events"]), (&json!(false), &json!(1)));
    for none in ["commits", "bus", "search"] {
        assert_eq!(told.get(none), Some(&Value::Null), "{none}");
    }
}

#[test]
fn a_log_that_does_not_answer_is_null_and_the_others_come() {
    let live = Live::start();
    live.note("plan", 1);
    live.bus.store().expect("a store").close().expect("closes");
    let told = stats(&live);
    assert_eq!((&told["log"], &told["readers"]), (&Value::Null, &json!([])));
    assert_eq!((&told["bus"]["published"], &told["commits"]["count"]), (&json!(1), &json!(1)));
}

#[test]
fn p10_figures_of_all_tenants_together_need_a_token_that_sees_all() {
    let live = guarded();
    assert_eq!(live.get("/stats").0, 401);
    let refused = with_token(&live, "GET /stats", ACME);
    assert_eq!((refused.status, &json(&refused)["error"]["kind"]), (403, &json!("Unauthorized")));
    let answered = with_token(&live, "GET /stats", CI);
    assert_eq!((answered.status, &json(&answered)["log"]["events"]), (200, &json!(0)));
    assert_eq!(answered.header("cache-control"), Some("no-store"));
}
