//! P7: a log that is not the one that a stream was filled from, and several logs in one stream.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod mirror_support;
mod redis_support;
mod store_support;

use std::{path::PathBuf, time::Instant};

use mirror_support::*;
use planbus::{
    redis::{MirrorState, Profile, RedisMirror, Streams},
    *,
};
use redis_support::*;
use store_support::*;

/// A store of 30 events that was backed up, then got 20 more which were mirrored, and was closed.
fn mirrored_beyond_its_backup(server: &RedisServer, dir: &Dir) -> PathBuf {
    let store = open(&dir.db());
    publish(&store, 0..30);
    let backup = dir.path().join("backup.db");
    store.backup(&backup).expect("is backed up");
    publish(&store, 30..50);
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    mirror.stop().expect("ends");
    store.close().expect("closes");
    backup
}

fn restored(dir: &Dir, backup: &PathBuf) -> EventStore {
    let restored = dir.path().join("restored.db");
    EventStore::restore(backup, &restored).expect("is restored");
    open(&restored)
}

/// Checks that the mirror says `Forked`, and what to do.
fn assert_forked(mirror: &RedisMirror) {
    let error = mirror.flush(FLUSH).expect_err("is forked");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", told(&error));
    let told = told(&error);
    assert!(told.contains(&format!("planbus streams rebuild {STREAM}")), "{told}");
    let status = mirror.status();
    assert_eq!(status.state, MirrorState::Forked, "{status:?}");
    assert_eq!(status.troubled.len(), 1, "{status:?}");
    assert_eq!(status.troubled[0].stream, STREAM);
}

#[test]
fn p7_a_store_restored_from_an_older_backup_is_forked_until_its_stream_is_rebuilt() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let backup = mirrored_beyond_its_backup(&server, &dir);
    let before = server.entries(STREAM);
    let store = restored(&dir, &backup);
    let mirror = started(mirror(&store, &server.url()));
    assert_forked(&mirror);
    // Below the old head, at it, and beyond: the chain tells the two histories apart.
    for numbers in [100..110, 110..120, 120..140] {
        publish(&store, numbers);
        assert_forked(&mirror);
        assert_eq!(server.entries(STREAM), before, "the stream is left as it is");
    }
    let streams = Streams::new(endpoint(&server.url()), Profile::native());
    assert_eq!(streams.rebuild(STREAM).expect("rebuilds").removed, 50);
    wait_for_state(&mirror, MirrorState::Live);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
}

/// How often a server was asked for the groups of a stream.
fn looks(server: &RedisServer) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_xinfo|groups:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).expect("it was asked")
}

#[test]
fn a_mirror_that_waits_for_somebody_looks_once_a_second_also_after_a_flush() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let backup = mirrored_beyond_its_backup(&server, &dir);
    let store = restored(&dir, &backup);
    let mirror = started(mirror(&store, &server.url()));
    assert_forked(&mirror);
    let (start, before) = (Instant::now(), looks(&server));
    wait_for("it looks again", || looks(&server) >= before + 3);
    let (made, taken) = (looks(&server) - before, start.elapsed());
    assert!(made <= 2 + taken.as_secs(), "{made} looks in {taken:?}");
}

#[test]
fn p7_a_copy_of_a_store_that_went_its_own_way_is_forked_until_the_stream_is_deleted() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let backup = mirrored_beyond_its_backup(&server, &dir);
    let store = restored(&dir, &backup);
    publish(&store, 200..300);
    let mirror = started(mirror(&store, &server.url()));
    assert_forked(&mirror);
    assert_eq!(server.entries(STREAM).len(), 50);
    server.command(&["DEL", STREAM]);
    // By itself: nobody asks the mirror to look.
    wait_for("the stream is filled anew", || server.entries(STREAM).len() == 130);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
}

#[test]
fn p7_a_fork_is_seen_by_the_entries_where_the_mirrors_group_was_destroyed() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let backup = mirrored_beyond_its_backup(&server, &dir);
    let store = restored(&dir, &backup);
    publish(&store, 200..300);
    // As it was when the backup was restored: that mirror knows that it has written the stream.
    let mirror_before = started(mirror(&store, &server.url()));
    assert_forked(&mirror_before);
    let group = format!("planbus:{}", store.store_id());
    assert_eq!(server.command(&["XGROUP", "DESTROY", STREAM, &group]), "1");
    publish(&store, 300..310);
    assert_forked(&mirror_before);
    assert_eq!(server.entries(STREAM).len(), 50, "nothing is appended behind another history");
}

#[test]
fn p7_a_log_that_lost_its_end_is_forked_also_once_it_went_on() {
    if !has_program("sqlite3", &["--version"]) {
        println!("no sqlite3: left out");
        return;
    }
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..50);
    let first = started(mirror(&store, &server.url()));
    first.flush(FLUSH).expect("Redis equals the log");
    first.stop().expect("ends");
    store.close().expect("closes");
    let mut sqlite = std::process::Command::new("sqlite3");
    sqlite.arg(dir.db()).arg("DELETE FROM plan_events WHERE id > 40");
    assert!(sqlite.status().expect("sqlite3 runs").success());
    // An owner with `Durability::Process` said that what it left is taken as it is.
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()));
    assert_forked(&mirror);
    publish(&store, 100..120);
    assert_forked(&mirror);
    assert_eq!(server.entries(STREAM).len(), 50);
    server.command(&["DEL", STREAM]);
    wait_for_state(&mirror, MirrorState::Live);
    mirror.flush(FLUSH).expect("Redis equals the log");
    let seqs: Vec<u64> = own(&server.entries(STREAM), &store).iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, (1..=40).chain(51..=70).collect::<Vec<_>>());
    let skipped = &mirror.status().skipped;
    assert_eq!((skipped.len(), skipped[0].events, skipped[0].first_seq), (1, 10, 41), "{skipped:?}");
}

#[test]
fn p7_two_stores_into_one_stream_have_their_events_there_once_and_in_order_each() {
    let Some(server) = RedisServer::start() else { return };
    let dirs = [Dir::new(), Dir::new()];
    let stores: Vec<EventStore> = dirs.iter().map(|dir| open(&dir.db())).collect();
    let mirrors: Vec<RedisMirror> =
        stores.iter().map(|store| started(mirror(store, &server.url()))).collect();
    for round in 0..4 {
        std::thread::scope(|scope| {
            for store in &stores {
                scope.spawn(|| publish(store, 0..150));
            }
            match round {
                1 => drop(server.command(&["FLUSHALL"])),
                2 => drop(server.command(&["DEL", STREAM])),
                _ => {}
            }
        });
        for mirror in &mirrors {
            mirror.flush(FLUSH).expect("Redis equals the log");
        }
        stores.iter().for_each(|store| assert_equal(&server, store));
    }
    assert_eq!(server.entries(STREAM).len(), 1_200);
}
