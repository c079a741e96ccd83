//! P8 and P10 at the start: from where a group begins, which streams it reads, and which it leaves alone.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use consumer_support::{STREAM, builder, pending};
use planbus::{
    redis::{Consumer, ConsumerBuilder, ConsumerState, Delivery, GroupStart, Ordering, Profile},
    *,
};
use redis_support::{RedisServer, wait_for};

/// What came, by stream.
#[derive(Clone, Default)]
struct Came(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Came {
    fn all(&self) -> BTreeMap<String, Vec<String>> {
        self.0.lock().expect("no panic").clone()
    }

    /// In the order of the stream: what a consumer that stopped gave back comes when it is free.
    fn of(&self, stream: &str) -> Vec<String> {
        let mut ids = self.all().remove(stream).unwrap_or_default();
        ids.sort();
        ids
    }

    fn start(&self, builder: ConsumerBuilder) -> Consumer {
        let noted = self.clone();
        let consumer = builder.handler(move |delivery: &Delivery| {
            let mut came = noted.0.lock().expect("no panic");
            came.entry(delivery.stream().to_owned()).or_default().push(delivery.id().to_string());
        });
        consumer.expect("starts")
    }
}

fn add(server: &RedisServer, stream: &str, id: &str) {
    server.command(&["XADD", stream, id, "event_type", "note"]);
}

fn groups(server: &RedisServer, stream: &str) -> usize {
    server.call(&["XINFO", "GROUPS", stream]).items().len()
}

// An immediate error at start, and a client that buffers or drops, are how others fail here.
#[test]
fn p8_a_consumer_starts_without_its_server_and_goes_on_when_it_comes() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    server.kill();
    let came = Came::default();
    let consumer = came.start(builder(&server, "workers"));
    wait_for("it says so", || consumer.status().state == ConsumerState::Retrying);
    assert_eq!(consumer.status().last_error.map(|error| error.kind()), Some(ErrorKind::Unavailable));
    server.restart();
    add(&server, STREAM, "1-0");
    wait_for("it is handled", || came.of(STREAM) == ["1-0"]);
    wait_for("it is well", || consumer.status().state == ConsumerState::Live);
}

// A group that begins at `$` until its first event loses what comes between two reads.
#[test]
fn p8_a_group_begins_where_it_was_told_and_misses_nothing_from_there() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    (1..=3).for_each(|number| add(&server, STREAM, &format!("{number}-0")));
    let starts = [
        ("beginning", GroupStart::Beginning, &["1-0", "2-0", "3-0", "4-0"][..]),
        ("now", GroupStart::Now, &["4-0"]),
        ("after", GroupStart::After("2-0".parse().expect("an id")), &["3-0", "4-0"]),
    ];
    let consumers = starts.map(|(group, start, expected)| {
        let came = Came::default();
        let consumer = came.start(builder(&server, group).start_at(start));
        wait_for("it has begun", || consumer.status().state == ConsumerState::Live);
        // Nobody reads while it is away, and it begins where it was.
        consumer.stop(Duration::from_secs(5)).expect("stops");
        (group, start, expected, came)
    });
    add(&server, STREAM, "4-0");
    add(&server, "planbus:{later}:events", "9-0");
    for (group, start, expected, came) in consumers {
        let consumer = came.start(builder(&server, group).start_at(start));
        wait_for("all came", || came.of(STREAM) == expected);
        wait_for("it has begun", || consumer.status().state == ConsumerState::Live);
        // A stream that comes later is read from its beginning, wherever the group began.
        let later = format!("planbus:{{{group}}}:events");
        add(&server, &later, "1-0");
        wait_for("it came", || came.of(&later) == ["1-0"]);
        let healed = consumer.status().counts.healed;
        assert_eq!(healed, 0, "{group}");
    }
}

#[test]
fn p8_named_streams_are_read_once_they_are_there_and_no_others() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    add(&server, "planbus:{other}:events", "1-0");
    let came = Came::default();
    let names = ["planbus:{acme}:events", "planbus:{b*}:events"];
    let consumer = came.start(builder(&server, "workers").streams(names));
    wait_for("it has looked", || consumer.status().state == ConsumerState::Live);
    for stream in ["planbus:{acme}:events", "planbus:{beta}:events", "planbus:{gamma}:events"] {
        add(&server, stream, "1-0");
    }
    wait_for("those that are named come", || came.all().len() == 2 && consumer.status().streams == 2);
    add(&server, "planbus:{beta}:events", "2-0");
    wait_for("it came", || came.of("planbus:{beta}:events") == ["1-0", "2-0"]);
    assert_eq!(came.of("planbus:{acme}:events"), ["1-0"]);
    for stream in ["planbus:{gamma}:events", "planbus:{other}:events"] {
        assert_eq!(groups(&server, stream), 0, "{stream}");
    }
}

#[test]
fn p11_a_groups_name_may_be_odd() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    add(&server, STREAM, "1-0");
    let groups =
        ["a b", "ü:🦀", "*?[x]", "$", "0", "-", ">", "a:due", "{x}", "'\"\\", "%s%d%.", "planbus:workers"];
    for group in groups {
        for ordering in [Ordering::Shared, Ordering::PerPlan] {
            let name = format!("{group}{}", if ordering == Ordering::Shared { "" } else { "+" });
            let calls = consumer_support::Calls::default();
            let noted = calls.clone();
            let builder = builder(&server, &name).ordering(ordering).handler(move |delivery: &Delivery| {
                noted.note(delivery);
                if delivery.attempt() == 1 { Err("again") } else { Ok(()) }
            });
            let consumer = builder.expect(&name);
            wait_for(&name, || calls.all().len() == 2 && pending(&server, STREAM, &name) == 0);
            assert_eq!(consumer.status().group, name);
        }
    }
}

#[test]
fn p10_a_tenants_consumer_leaves_the_streams_of_others_alone() {
    for (profile, ours, other) in [
        ("native", "planbus:{acme}:events", "planbus:{globex}:events"),
        ("tenant", "t:acme:events:main", "t:globex:events:main"),
    ] {
        let Some(server) = RedisServer::builder().tcp().start() else { return };
        let entry = |tenant: &str, id: &str| -> Vec<String> {
            let key = if tenant == "acme" { ours } else { other };
            let fields = [
                "XADD",
                key,
                id,
                "event_id",
                "6f1c1f3e-7a57-4f0e-9d3c-0a1b2c3d4e5f",
                "version",
                "1.0",
                "event_type",
                "task.completed",
                "timestamp",
                "2026-02-11T12:58:38.123456+00:00",
                "tenant_id",
                tenant,
                "priority",
                "normal",
                "source_agent_id",
                "w",
                "call_chain",
                "w",
                "data",
                "{}",
                "context_refs",
                "",
                "correlation_id",
                "",
                "parent_event_id",
                "",
            ];
            fields.map(str::to_owned).into()
        };
        let native = |key: &str| ["XADD", key, "*", "event_type", "note"].map(str::to_owned).to_vec();
        let is_native = profile == "native";
        let good = |tenant: &str, key: &str| if is_native { native(key) } else { entry(tenant, "*") };
        server.command(&good("globex", other));
        server.command(&["XADD", other, "*", "malformed", "1"]);
        server.command(&good("acme", ours));
        server.command(&["XADD", ours, "*", "malformed", "1"]);
        let came = Came::default();
        let profile = Profile::named(profile).expect("is built in");
        let builder = builder(&server, "workers").profile(profile).dedupe(0);
        let consumer = came.start(builder.filter(Filter::all().tenant("acme")));
        let dlq = |key: &str| server.entries(&format!("{key}:dlq")).len();
        wait_for("ours are done", || came.of(ours).len() == 1 && dlq(ours) == 1);
        server.command(&good("globex", other));
        server.command(&good("acme", ours));
        wait_for("ours are done", || came.of(ours).len() == 2);
        assert_eq!((came.all().len(), groups(&server, other), dlq(other)), (1, 0, 0));
        assert_eq!((consumer.status().streams, consumer.status().counts.filtered), (1, 0));
    }
}

#[test]
fn p10_in_a_stream_of_all_tenants_a_consumer_handles_its_own_tenants_events_alone() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let Some(fed) = consumer_support::Fed::on(server, Profile::per_type()) else { return };
    for tenant in ["globex", "acme", "globex"] {
        let event = Event::new("plan-7", ToolCalled::new("call-1", "grep", serde_json::json!({})));
        fed.store.save(&event.with_tenant(tenant)).expect("commits");
    }
    let tenants = Arc::new(Mutex::new(Vec::new()));
    let noted = tenants.clone();
    let builder = fed.consumer("workers").profile(Profile::per_type()).filter(Filter::all().tenant("acme"));
    let consumer = builder.handler(move |delivery: &Delivery| {
        noted.lock().expect("no panic").push(delivery.event().tenant().to_string());
    });
    let consumer = consumer.expect("starts");
    wait_for("all is acked", || {
        let counts = consumer.status().counts;
        (counts.filtered, counts.handled) == (2, 1)
    });
    assert_eq!(*tenants.lock().expect("no panic"), ["acme"]);
}
