//! The mirror on every kind of Redis and every way to reach one, with servers that fail over under it.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod mirror_support;
mod redis_support;
mod store_support;

use std::time::Duration;

use mirror_support::*;
use planbus::{
    redis::{MirrorState, Profile, RedisEndpoint, RedisMirror},
    *,
};
use redis_support::*;
use store_support::*;

/// Publishes, breaks and mends in turn, and checks each time that the stream equals the log.
fn assert_mirrors(server: &RedisServer, endpoint: RedisEndpoint) {
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(RedisMirror::builder(&store, endpoint));
    for round in 0..4 {
        publish(&store, 0..250);
        match round {
            1 => drop(server.command(&["FLUSHALL"])),
            2 => drop(server.command(&["CLIENT", "KILL", "TYPE", "normal"])),
            _ => {}
        }
        mirror.flush(FLUSH).expect("Redis equals the log");
        assert_equal(server, &store);
    }
    assert_eq!(mirror.status().state, MirrorState::Live);
}

#[test]
fn p7_streams_equal_the_log_on_every_kind_of_server_by_its_port_and_its_socket() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).tcp().start() else { continue };
        for url in [server.url(), format!("unix://{}", server.socket().display())] {
            server.command(&["FLUSHALL"]);
            assert_mirrors(&server, endpoint(&url));
        }
    }
}

#[test]
fn p7_streams_equal_the_log_with_tls() {
    let Some(server) = RedisServer::builder().tls().start() else { return };
    let ca = server.authorities()[0];
    let endpoint = RedisEndpoint::builder(&server.url()).ca_file(ca).build().expect("a URL");
    assert_mirrors(&server, endpoint);
}

/// What the user of a mirror must be allowed, on the keys of its profile. `XDEL` takes back what was
/// appended where the position could not be moved with it, which needs no more than a lost right.
const RIGHTS: [&str; 13] = [
    "+eval",
    "+exists",
    "+xadd",
    "+xdel",
    "+xgroup|create",
    "+xgroup|setid",
    "+xinfo|groups",
    "+xinfo|stream",
    "+xlen",
    "+xpending",
    "+xrange",
    "+xrevrange",
    "+xtrim",
];

/// Lets a mirror do all that it ever does, as a user with these rights, and says what did not work.
fn mirrors_as(server: &RedisServer, rights: &[&str]) -> Result<(), String> {
    server.command(&["FLUSHALL"]);
    let rules = [&["ACL", "SETUSER", "mirror", "reset", "on", ">pass", "~planbus:*"], rights].concat();
    server.command(&rules);
    let dir = Dir::new();
    let store = open(&dir.db());
    let profile = Profile::native().with_max_len(Some(100)).expect("a limit");
    let mirror = mirror(&store, &server.url_as("mirror", "pass")).profile(profile);
    let mirror = started(mirror.batch_max_events(50));
    let flushed = || mirror.flush(FLUSH).map_err(|error| told(&error));
    publish(&store, 0..50);
    flushed()?;
    server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    server.command(&["XREADGROUP", "GROUP", "workers", "one", "COUNT", "9", "STREAMS", STREAM, ">"]);
    publish(&store, 50..400);
    flushed()?;
    if mirror.status().trim_held_by.is_empty() {
        return Err("the group is not looked at".to_owned());
    }
    server.command(&["XGROUP", "DESTROY", STREAM, "workers"]);
    publish(&store, 400..800);
    flushed()?;
    server.command(&["XGROUP", "DESTROY", STREAM, &format!("planbus:{}", store.store_id())]);
    flushed()?;
    match server.entries(STREAM).len() {
        length if length > 400 => Err(format!("{length} entries are there")),
        _ => Ok(()),
    }
}

#[test]
fn a_user_with_exactly_these_rights_mirrors_and_none_of_them_is_too_much() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    assert_eq!(mirrors_as(&server, &RIGHTS), Ok(()));
    for right in RIGHTS.into_iter().filter(|right| *right != "+xdel") {
        let rest: Vec<&str> = RIGHTS.into_iter().filter(|other| *other != right).collect();
        mirrors_as(&server, &rest).expect_err(right);
    }
}

#[test]
fn a_wrong_password_blocks_a_mirror_until_it_is_set_right() {
    let Some(server) = RedisServer::builder().tcp().acl("app", "~* +@all", "right").start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url_as("app", "s3cret")));
    publish(&store, 0..20);
    wait_for_state(&mirror, MirrorState::Blocked);
    let error = mirror.flush(FLUSH).expect_err("is let in by nobody");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!format!("{} {mirror:?} {:?}", told(&error), mirror.status()).contains("s3cret"));
    server.command(&["ACL", "SETUSER", "app", "resetpass", ">s3cret"]);
    wait_for_state(&mirror, MirrorState::Live);
    wait_for("the stream is filled", || server.entries(STREAM).len() == 20);
    // And when its rights are taken while it works.
    server.command(&["ACL", "SETUSER", "app", "-xadd"]);
    publish(&store, 20..30);
    wait_for_state(&mirror, MirrorState::Blocked);
    assert_eq!(mirror.flush(FLUSH).expect_err("may not append").kind(), ErrorKind::Unauthorized);
    server.command(&["ACL", "SETUSER", "app", "+xadd"]);
    wait_for("the stream is filled", || server.entries(STREAM).len() == 30);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
}

/// Publishes beside what happens to the servers.
fn while_publishing(store: &EventStore, tenants: &[&str], act: impl FnOnce()) {
    std::thread::scope(|scope| {
        for tenant in tenants {
            scope.spawn(move || {
                for number in 0..400 {
                    store.save(&event("plan", number).with_tenant(*tenant)).expect("commits");
                    // So that it goes on while the servers fail over.
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            });
        }
        act();
    });
}

#[test]
fn p7_streams_equal_the_log_after_sentinels_chose_another_primary() {
    let Some(servers) = Sentinels::start(1) else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &servers.url()));
    publish(&store, 0..100);
    mirror.flush(FLUSH).expect("Redis equals the log");
    while_publishing(&store, &["default"], || {
        servers.kill_primary();
    });
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(servers.primary(), &store);
    publish(&store, 100..200);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(servers.primary(), &store);
}

#[test]
fn p7_streams_equal_the_log_in_a_cluster_whose_masters_fail() {
    let Some(cluster) = Cluster::start(true) else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let tenants = ["a", "b", "c", "d", "e", "f"];
    let stream = |tenant: &str| format!("planbus:{{{tenant}}}:events");
    let ports: std::collections::BTreeSet<u16> =
        tenants.iter().map(|tenant| cluster.master_of(&stream(tenant)).port()).collect();
    assert!(ports.len() > 1, "the tenants are in several places");
    let mirror = started(mirror(&store, &cluster.url()));
    let check = || {
        mirror.flush(FLUSH).expect("Redis equals the log");
        let log = store.read_after(0, usize::MAX).expect("reads");
        for tenant in tenants {
            let expected = log.iter().filter(|event| event.tenant().as_str() == tenant);
            let expected: Vec<_> =
                expected.map(|event| (event.seq().expect("a seq"), event.event_id().to_string())).collect();
            assert_eq!(own(&cluster.entries(&stream(tenant)), &store), expected, "{tenant}");
        }
    };
    while_publishing(&store, &tenants, || cluster.failover(&stream("a")));
    check();
    while_publishing(&store, &tenants, || {
        cluster.kill_master_of(&stream("b"));
    });
    check();
}
