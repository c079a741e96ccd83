//! What each kind of user needs on a Redis: the rights of `examples/redis/users.acl` are enough, and
//! none of them can destroy what is not theirs.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod redis_support;
mod store_support;

use std::{fs, path::Path, time::Duration};

use planbus::{
    redis::{EntryId, FollowFrom, Profile, RedisEndpoint, RedisMirror, Streams, TrimRule},
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

#[test]
fn a_consumer_reads_and_acks_and_can_neither_append_nor_remove() {
    let Some(server) = server() else { return };
    server.command(&["XADD", STREAM, "1-0", "a", "1"]);
    let mut wire = wire(&server, "planbus-consumer", 2);
    for command in [
        "XGROUP CREATE planbus:{default}:events workers 0",
        "XREADGROUP GROUP workers one COUNT 10 STREAMS planbus:{default}:events >",
        "XPENDING planbus:{default}:events workers - + 10",
        "XCLAIM planbus:{default}:events workers two 0 1-0 JUSTID",
        "XAUTOCLAIM planbus:{default}:events workers one 0 0",
        "XACK planbus:{default}:events workers 1-0",
        "XINFO CONSUMERS planbus:{default}:events workers",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = wire.call(&words).expect("answers");
        assert!(!matches!(reply, Reply::Error(_)), "{command}: {reply}");
    }
    is_denied(&mut wire, DESTRUCTIVE);
    is_denied(
        &mut wire,
        &[
            "XADD planbus:{default}:events * a 1",
            "XTRIM planbus:{default}:events MAXLEN 0",
            "XDEL planbus:{default}:events 1-0",
            "XGROUP SETID planbus:{default}:events workers $",
            "XGROUP DESTROY planbus:{default}:events workers",
            "UNLINK planbus:{default}:events",
            "XREADGROUP GROUP g c STREAMS other >",
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
