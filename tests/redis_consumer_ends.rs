//! P8 at its ends: effects in an inbox, dead letters, and their way back.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed, time::Duration};

use consumer_support::{Calls, Fed, STREAM, is_done};
use planbus::{
    Durability, Event, EventStore, EventType, Filter,
    redis::{Delivery, Inbox, Profile, RedisMirror, RetryPolicy, Verdict},
};
use redis_support::wait_for;

#[test]
fn p8_what_fails_for_good_is_a_dead_letter_once_and_panics_are_failures() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 4);
    let (poison, refused, let_go) = (ids[0], ids[1], ids[2]);
    let policy = RetryPolicy::delays([Duration::from_millis(10)]).verdict(|failure| {
        match failure.error.to_string().as_str() {
            "never" => Verdict::DeadLetter,
            "no matter" => Verdict::Ack,
            _ => Verdict::Retry,
        }
    });
    let calls = Calls::default();
    let noted = calls.clone();
    let consumer = fed.consumer("workers").retry(policy).handler(move |delivery: &Delivery| {
        noted.note(delivery);
        match delivery.event().event_id() {
            id if id == poison => panic!("cannot be"),
            id if id == refused => Err("never"),
            id if id == let_go => Err("no matter"),
            _ => Ok(()),
        }
    });
    let consumer = consumer.expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 4));
    assert_eq!(calls.times().into_values().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
    let letters = fed.server.entries(&format!("{STREAM}:dlq"));
    let told: Vec<String> = letters.iter().map(|(_, fields)| format!("{fields:?}")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|text| text.contains("the handler panicked: cannot be")), "{told:?}");
    assert!(told.iter().any(|text| text.contains(&refused.to_string())), "{told:?}");
    wait_for("its figures say so", || {
        let counts = consumer.status().counts;
        (counts.panicked, counts.failed, counts.dead_lettered) == (2, 4, 2)
    });
}

#[test]
fn p8_with_an_inbox_effects_happen_once_also_when_everything_comes_again() {
    let Some(fed) = Fed::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.db");
    let ours = planbus::rusqlite::Connection::open(&path).expect("opens");
    ours.execute_batch("create table effects(event_id text not null)").expect("creates");
    let inbox = planbus::redis::Inbox::open(&path).expect("opens");
    let start = || {
        fed.consumer("db-writers").dedupe(0).workers(2).handler_in_inbox(&inbox, |transaction, delivery| {
            let id = delivery.event().event_id().to_string();
            transaction.sqlite().execute("insert into effects values (?1)", [id])?;
            if delivery.event().seq() == Some(7) && delivery.attempt() < 3 {
                Err("not yet".into())
            } else {
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        })
    };
    let consumer = start().expect("starts");
    fed.publish("plan-1", 300);
    wait_for("all is acked", || is_done(&fed.server, STREAM, "db-writers", 300));
    fed.server.command(&["FLUSHALL"]);
    wait_for("all is there and acked again", || {
        fed.server.command(&["EXISTS", STREAM]) == "1"
            && consumer.status().counts.duplicates >= 300
            && is_done(&fed.server, STREAM, "db-writers", 300)
    });
    consumer.stop(Duration::from_secs(5)).expect("stops");
    fed.server.command(&["XGROUP", "SETID", STREAM, "db-writers", "0"]);
    let again = start().expect("starts");
    fed.publish("plan-2", 10);
    wait_for("all is acked", || {
        again.status().counts.duplicates >= 300 && is_done(&fed.server, STREAM, "db-writers", 310)
    });
    let count = |sql: &str| ours.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("reads");
    assert_eq!(count("select count(*) from effects"), 310);
    assert_eq!(count("select count(distinct event_id) from effects"), 310);
    wait_for("the floor rises", || inbox.floors().expect("reads").iter().any(|floor| floor.place == 310));
}

#[test]
fn p8_a_dead_letter_that_is_sent_back_is_handled_by_its_group_alone() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 3);
    let is_mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (mended, calls, healthy) = (is_mended.clone(), Calls::default(), Calls::default());
    let (noted, other) = (calls.clone(), healthy.clone());
    let builder = fed.consumer("bad").retry(RetryPolicy::never());
    let _bad = builder.handler(move |delivery: &Delivery| {
        noted.note(delivery);
        assert_eq!(delivery.stream(), STREAM);
        if mended.load(Relaxed) { Ok(()) } else { Err("broken") }
    });
    let _good =
        fed.consumer("good").handler(move |delivery: &Delivery| other.note(delivery)).expect("starts");
    wait_for("all are dead letters", || fed.server.entries(&format!("{STREAM}:dlq")).len() == 3);
    is_mended.store(true, Relaxed);
    let letters = planbus::redis::DeadLetters::new(
        consumer_support::endpoint(&fed.server),
        planbus::redis::Profile::native(),
    );
    let report = letters.replay_all(&planbus::redis::DeadLetterQuery::default(), None).expect("replays");
    assert_eq!(report.replayed, 3);
    calls.wait_for(6);
    let replays = format!("{STREAM}:dlq:bad:replay");
    wait_for("the replays are done and gone", || fed.server.command(&["EXISTS", &replays]) == "0");
    assert_eq!((calls.all().len(), healthy.all().len()), (6, 3));
    assert!(calls.all().iter().all(|(_, attempt)| *attempt == 1));
}

#[test]
fn p8_a_retry_of_the_profile_tenant_may_be_published_again_on_schedule_and_counted() {
    let Some(server) = redis_support::RedisServer::builder().tcp().start() else { return };
    let Some(fed) = Fed::on(server, Profile::tenant()) else { return };
    let stream = "t:default:events:main";
    let ids = fed.publish("plan-1", 3);
    let (calls, healthy) = (Calls::default(), Calls::default());
    let (noted, other, poison) = (calls.clone(), healthy.clone(), ids[1]);
    let builder = fed.consumer("bad").profile(Profile::tenant());
    let policy = RetryPolicy::delays([50, 100].map(Duration::from_millis)).republish();
    let _bad = builder.retry(policy.clone()).handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if delivery.event().event_id() == poison { Err("always") } else { Ok(()) }
    });
    let builder = fed.consumer("good").profile(Profile::tenant());
    let _good = builder.handler(move |delivery: &Delivery| other.note(delivery)).expect("starts");
    wait_for("it is a dead letter", || fed.server.entries(&format!("{stream}:dlq")).len() == 1);
    let attempts: Vec<u32> =
        calls.all().iter().filter(|(id, _)| *id == poison).map(|(_, attempt)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    let entries = fed.server.entries(stream);
    let counts: Vec<&str> = entries
        .iter()
        .flat_map(|(_, fields)| fields.iter().filter(|(name, _)| name == "_retry_count"))
        .map(|(_, count)| count.as_str())
        .collect();
    assert_eq!((entries.len(), counts), (5, vec!["1", "2"]));
    wait_for("both groups are done", || {
        is_done(&fed.server, stream, "bad", 5) && is_done(&fed.server, stream, "good", 5)
    });
    // A group that knew it by its id had it once.
    assert_eq!(healthy.all().len(), 3);
    let error = fed.consumer("bad").retry(policy).handler(|_: &Delivery| ()).expect_err("is not native");
    assert!(error.to_string().starts_with("retry: republish"), "{error}");
}

#[test]
fn p8_with_an_inbox_what_another_mirror_brings_later_is_handled_too() {
    let Some(server) = redis_support::RedisServer::builder().tcp().start() else { return };
    let dir = store_support::Dir::new();
    let options = EventStore::options().durability(Durability::Process);
    let store = options.open(dir.db()).expect("opens");
    for number in 0..40 {
        let event_type = if number % 2 == 0 { "type.a" } else { "type.b" };
        store.save(&Event::raw("plan", event_type, "{}")).expect("commits");
    }
    let mirror = |name: &str, event_type: &str| {
        let builder = RedisMirror::builder(&store, consumer_support::endpoint(&server)).name(name);
        let filter = Filter::all().types([event_type.parse::<EventType>().expect("a type")]);
        let mirror = builder.filter(filter).start().expect("starts");
        mirror.flush(Duration::from_secs(20)).expect("Redis equals the log");
        mirror
    };
    let inbox = Inbox::builder(dir.path().join("app.db")).kept(1).open().expect("opens");
    let start = || {
        let builder = consumer_support::builder(&server, "workers").dedupe(0);
        builder.handler_in_inbox(&inbox, |_, _: &Delivery| ()).expect("starts")
    };
    let _first = mirror("a", "type.a");
    let consumer = start();
    wait_for("all of the first mirror is acked", || is_done(&server, STREAM, "workers", 20));
    wait_for("the floor is there", || inbox.floors().expect("reads").iter().any(|floor| floor.place == 39));
    let _second = mirror("b", "type.b");
    wait_for("all of the second mirror is acked", || is_done(&server, STREAM, "workers", 40));
    wait_for("its figures say so", || {
        (consumer.status().counts.handled, consumer.status().counts.duplicates) == (40, 0)
    });
    // Nor by a consumer that starts when the last that was delivered has a low seq.
    consumer.stop(Duration::from_secs(5)).expect("stops");
    let entries = server.entries(STREAM);
    let low = entries.iter().rev().nth(18).map(|(id, _)| id.clone()).expect("is there");
    let read = ["XGROUP", "SETID", STREAM, "workers", &low];
    server.command(&read);
    // As if the rest had not come yet: nothing is known of it by id.
    let app = planbus::rusqlite::Connection::open(dir.path().join("app.db")).expect("opens");
    app.execute("delete from planbus_inbox", []).expect("deletes");
    let another = start();
    wait_for("the rest is acked again", || is_done(&server, STREAM, "workers", 40));
    wait_for("its figures say so", || {
        (another.status().counts.handled, another.status().counts.duplicates) == (18, 0)
    });
}
