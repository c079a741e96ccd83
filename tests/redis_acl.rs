//! What each kind of user needs on a Redis: the rights of `examples/redis/users.acl` are enough, and
//! none of them can destroy what is not theirs.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod redis_support;
mod store_support;

use std::{fs, path::Path, time::Duration};

use planbus::{
    redis::{
        Consumer, DeadLetterQuery, DeadLetters, Delivery, EntryId, FollowFrom, Ordering, Profile,
        RedisEndpoint, RedisMirror, RetryPolicy, Streams, TrimRule,
    },
    *,
};
use redis_support::*;
use store_support::*;

const STREAM: &str = "planbus:{default}:events";
const FLUSH: Duration = Duration::from_secs(30);

/// A server with the users of the example.
fn server() -> Option<RedisServer> {
    let server = RedisServer::start()?;
    make_users(&server);
    Some(server)
}

fn make_users(server: &RedisServer) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/redis/users.acl");
    for line in fs::read_to_string(path).expect("the example is there").lines() {
        let rules = line.strip_prefix("user ").expect("a user a line");
        let command: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(rules.split(' ')).collect();
        assert_eq!(server.command(&command), "OK", "{line}");
    }
}

/// Gives a user more rights than the example.
fn allow(server: &RedisServer, user: &str, rules: &str) {
    let command: Vec<&str> = ["ACL", "SETUSER", user].into_iter().chain(rules.split(' ')).collect();
    assert_eq!(server.command(&command), "OK", "{rules}");
}

fn endpoint(server: &RedisServer, user: &str, number: u32) -> RedisEndpoint {
    RedisEndpoint::parse(&server.url_as(user, &format!("CHANGE-ME-{number}"))).expect("a URL")
}

/// A mirror that runs as the user made for it.
fn mirror(server: &RedisServer, store: &EventStore) -> RedisMirror {
    let endpoint = endpoint(server, "planbus-mirror", 1);
    let profile = Profile::native().with_max_len(Some(200)).expect("a limit");
    RedisMirror::builder(store, endpoint).profile(profile).start().expect("starts")
}

/// A connection as a user.
fn wire(server: &RedisServer, user: &str, number: u32) -> Wire {
    let mut wire = server.wire().expect("connects");
    let reply = wire.call(&["AUTH", user, &format!("CHANGE-ME-{number}")]).expect("answers");
    assert_eq!(reply.to_string(), "OK");
    wire
}

fn is_denied(wire: &mut Wire, commands: &[&str]) {
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = wire.call(&words).expect("answers");
        assert!(matches!(&reply, Reply::Error(text) if text.starts_with("NOPERM")), "{command}: {reply}");
    }
}

const DESTRUCTIVE: &[&str] = &["FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG SET save 1", "SHUTDOWN", "GET other"];

#[test]
fn p7_a_mirror_needs_no_more_than_its_users_rights_and_can_destroy_nothing() {
    let Some(server) = server() else { return };
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let mirror = mirror(&server, &store);
    for number in 0..3_000 {
        store.save(&event("plan", number)).expect("commits");
        if number == 1_500 {
            mirror.flush(FLUSH).expect("Redis equals the log");
            server.command(&["DEL", STREAM]);
        }
    }
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.command(&[
        "XGROUP",
        "DESTROY",
        STREAM,
        &format!("planbus:{}", store.stats().expect("stats").store_id),
    ]);
    store.save(&event("plan", 3_000)).expect("commits");
    mirror.flush(FLUSH).expect("Redis equals the log");
    let kept = server.entries(STREAM);
    assert!((200..3_000).contains(&kept.len()), "it was trimmed: {}", kept.len());
    let seqs: Vec<String> = kept.into_iter().map(|(_, fields)| fields).map(seq).collect();
    let expected: Vec<String> = (3_002 - seqs.len()..=3_001).map(|seq| seq.to_string()).collect();
    assert_eq!(seqs, expected);
    let mut wire = wire(&server, "planbus-mirror", 1);
    is_denied(&mut wire, DESTRUCTIVE);
    is_denied(
        &mut wire,
        &["DEL planbus:{default}:events", "XADD other * a 1", "XGROUP DESTROY planbus:{default}:events g"],
    );
}

fn seq(fields: Vec<(String, String)>) -> String {
    fields.into_iter().find(|(name, _)| name == "seq").expect("a seq").1
}

/// A group's consumer that fails the first attempt at each event, and each at what is poison.
fn consumer(server: &RedisServer, group: &str, ordering: Ordering) -> Consumer {
    let builder = Consumer::builder(endpoint(server, "planbus-consumer", 2)).group(group).ordering(ordering);
    let builder = builder.claim_idle(Duration::from_millis(200));
    let builder = builder.retry(RetryPolicy::delays([Duration::from_millis(10)]));
    let consumer = builder.handler(|delivery: &Delivery| {
        let is_poison = delivery.event().event_type().as_str() == "poison" && !delivery.is_replay();
        if delivery.attempt() == 1 || is_poison { Err("not yet") } else { Ok(()) }
    });
    consumer.expect("starts")
}

#[test]
fn p8_a_consumer_needs_no_more_than_its_users_rights_and_can_destroy_nothing() {
    let Some(server) = server() else { return };
    for (number, ordering) in [Ordering::Shared, Ordering::PerPlan].into_iter().enumerate() {
        let group = format!("workers-{number}");
        for fields in [["event_type", "note"], ["event_type", "poison"], ["no", "event"]] {
            server.command(&[&["XADD", STREAM, "*"][..], &fields].concat());
        }
        server.command(&["XGROUP", "CREATE", STREAM, &group, "0"]);
        let gone = "dead.01J8ZQ4X9T6V7W8Y0ABCDEFGHK";
        server.command(&["XREADGROUP", "GROUP", &group, gone, "COUNT", "1", "STREAMS", STREAM, ">"]);
        let consumer = consumer(&server, &group, ordering);
        let letters = DeadLetters::new(endpoint(&server, "planbus-consumer", 2), Profile::native());
        let of_group = DeadLetterQuery::new().group(group.clone());
        let count = || letters.list(&of_group).expect("lists").letters.len();
        let entries = 3 * (number as u64 + 1);
        let is_read = || {
            let counts = consumer.status().counts;
            (counts.handled, counts.undecodable) == (entries / 3, entries / 3)
        };
        wait_for("all is handled or a dead letter", || is_read() && count() as u64 == 2 * entries / 3);
        assert!(consumer.status().counts.claimed > 0 || ordering == Ordering::PerPlan);
        wait_for("the dead one is removed", || {
            let facts = server.call(&["XINFO", "CONSUMERS", STREAM, &group]).items().into_iter();
            facts.map(Reply::items).all(|facts| facts[1].to_string() != gone)
        });
        let report = letters.replay_all(&of_group, None).expect("replays");
        assert_eq!(report.replayed, 2 * entries / 3, "{report:?}");
        wait_for("what was poison is handled", || consumer.status().counts.handled == 2 * entries / 3);
        wait_for("what is none is there again", || count() as u64 == entries / 3);
        assert!(letters.count().is_ok_and(|counts| counts.len() == 1));
        letters.purge_all(&of_group).expect("purges");
        assert!(count() == 0 && consumer.status().last_error.is_none(), "{:?}", consumer.status());
        consumer.stop(FLUSH).expect("stops");
    }
    let mut wire = wire(&server, "planbus-consumer", 2);
    is_denied(&mut wire, DESTRUCTIVE);
    is_denied(
        &mut wire,
        &[
            "XADD other * a 1",
            "DEL other",
            "XGROUP SETID planbus:{default}:events workers-0 $",
            "XGROUP DESTROY planbus:{default}:events workers-0",
            "UNLINK planbus:{default}:events",
            "XREADGROUP GROUP g c STREAMS other >",
            "RENAME planbus:{default}:events other",
        ],
    );
}

#[test]
fn a_reader_sees_everything_and_changes_nothing() {
    let Some(server) = server() else { return };
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..20 {
        store.save(&event("plan", number)).expect("commits");
    }
    mirror(&server, &store).flush(FLUSH).expect("Redis equals the log");
    server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    server.command(&["XREADGROUP", "GROUP", "workers", "one", "COUNT", "3", "STREAMS", STREAM, ">"]);
    let streams = Streams::new(endpoint(&server, "planbus-reader", 3), Profile::native());
    assert_eq!(streams.list().expect("lists").streams, [STREAM]);
    let info = streams.info(STREAM).expect("is there");
    assert_eq!((info.groups[0].pending, info.bytes.is_some()), (3, true));
    assert_eq!(streams.recent(STREAM, 5, Filter::all()).expect("reads").len(), 5);
    assert_eq!(streams.read_after(STREAM, EntryId::ZERO, 50, Filter::all()).expect("reads").len(), 20);
    let mut follower = streams.follow(&[], FollowFrom::Beginning, Filter::all()).expect("follows");
    assert!(follower.next_timeout(FLUSH).expect("goes on").is_some());
    assert_eq!(streams.health().expect("healthy").streams, Some(1));
    for refused in [
        streams.trim(STREAM, TrimRule::MaxLen(1), true).map(|_| ()),
        streams.rebuild(STREAM).map(|_| ()),
        streams.delete(STREAM),
    ] {
        let error = refused.expect_err("may not");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    }
    let mut wire = wire(&server, "planbus-reader", 3);
    is_denied(&mut wire, DESTRUCTIVE);
    is_denied(&mut wire, &["XADD planbus:{default}:events * a 1", "XRANGE other - +"]);
}

#[test]
fn an_administrator_of_streams_trims_rebuilds_and_deletes_and_nothing_else() {
    let Some(server) = server() else { return };
    for number in 1..=20 {
        server.command(&["XADD", STREAM, &format!("{number}-0"), "a", "1"]);
    }
    server.command(&["XGROUP", "CREATE", STREAM, "workers", "5-0"]);
    let streams = Streams::new(endpoint(&server, "planbus-admin", 4), Profile::native());
    assert_eq!(streams.trim(STREAM, TrimRule::MaxLen(1), false).expect("trims").removed, 5);
    assert_eq!(streams.trim(STREAM, TrimRule::OlderThan(FLUSH), true).expect("trims").removed, 15);
    assert_eq!(streams.rebuild(STREAM).expect("rebuilds").groups, ["workers"]);
    streams.delete(STREAM).expect("deletes");
    let mut wire = wire(&server, "planbus-admin", 4);
    is_denied(&mut wire, DESTRUCTIVE);
    is_denied(&mut wire, &["XADD planbus:{default}:events * a 1", "UNLINK other"]);
}

#[test]
fn a_registry_asks_for_the_rights_on_its_set_and_for_no_others() {
    let Some(server) = server() else { return };
    allow(&server, "planbus-mirror", "resetkeys ~stream:* ~stream_registry +sadd");
    allow(&server, "planbus-reader", "resetkeys %R~stream:* %R~stream_registry +sscan");
    allow(&server, "planbus-admin", "resetkeys ~stream:* ~stream_registry +sscan +srem");
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    store.save(&event("plan", 1)).expect("commits");
    let profile = Profile::named("attune-registry").expect("a profile");
    let mirror =
        RedisMirror::builder(&store, endpoint(&server, "planbus-mirror", 1)).profile(profile.clone());
    let mirror = mirror.start().expect("starts");
    mirror.flush(FLUSH).expect("Redis equals the log");
    mirror.stop().expect("stops");
    let reader = Streams::new(endpoint(&server, "planbus-reader", 3), profile.clone());
    assert_eq!(reader.list().expect("lists").streams, ["stream:ToolCalled"]);
    let admin = Streams::new(endpoint(&server, "planbus-admin", 4), profile);
    admin.delete("stream:ToolCalled").expect("deletes");
    assert!(reader.list().expect("lists").streams.is_empty());
}

#[test]
fn in_a_cluster_a_user_needs_the_map_of_slots_besides() {
    let Some(cluster) = Cluster::start(false) else { return };
    for node in cluster.nodes() {
        make_users(node);
        allow(node, "planbus-mirror", "+cluster|slots");
        allow(node, "planbus-reader", "+cluster|slots");
    }
    let endpoint = |user: &str, number: u32| {
        let url = format!("redis+cluster://{user}:CHANGE-ME-{number}@{}", cluster.addresses().join(","));
        RedisEndpoint::parse(&url).expect("a URL")
    };
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..20 {
        store.save(&event("plan", number)).expect("commits");
    }
    let mirror = RedisMirror::builder(&store, endpoint("planbus-mirror", 1)).start().expect("starts");
    mirror.flush(FLUSH).expect("Redis equals the log");
    let streams = Streams::new(endpoint("planbus-reader", 3), Profile::native());
    assert_eq!(streams.list().expect("lists").streams, [STREAM]);
    assert_eq!(streams.recent(STREAM, 100, Filter::all()).expect("reads").len(), 20);
}

#[test]
fn the_page_shows_the_users_of_the_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("is there");
    let (page, file) = (read("EVENTS.md"), read("examples/redis/users.acl"));
    let shown: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("ACL SETUSER ")).collect();
    let users: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("user ")).collect();
    assert_eq!(shown, users);
    assert_eq!(users.len(), 5);
}
