//! The servers of the tests: that they start, break and end as the tests of the mirror rely on.

#![cfg(all(feature = "redis", target_os = "linux"))]

mod redis_support;

use std::{fs, path::Path};

use redis_support::*;

#[test]
fn every_kind_of_server_answers_and_ends_with_its_test() {
    let mut ended = Vec::new();
    for kind in ServerKind::ALL {
        let Some(redis) = RedisServer::builder().kind(kind).start() else { continue };
        redis.command(&["XADD", "stream", "*", "field", "a\r\nb"]);
        let entries = redis.entries("stream");
        assert_eq!(entries[0].1, [("field".to_owned(), "a\r\nb".to_owned())], "{kind:?}");
        let server = redis.command(&["INFO", "server"]);
        println!("{kind:?}: {:?}", server.lines().find(|line| line.contains("_version:")));
        ended.push((redis.pid(), redis.dir().to_owned()));
    }
    for (pid, dir) in ended {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} is gone");
        assert!(!dir.exists(), "{} is gone", dir.display());
    }
}

#[test]
fn entries_come_in_pages_and_in_order() {
    let Some(redis) = RedisServer::start() else { return };
    let mut wire = redis.wire().expect("connects");
    for number in 0..2_500 {
        wire.send(&["XADD", "stream", &format!("{}-{number}", number / 7 + 1), "n", &number.to_string()])
            .expect("sends");
    }
    (0..2_500).for_each(|_| drop(wire.receive().expect("answers")));
    let numbers: Vec<String> =
        redis.entries("stream").into_iter().map(|(_, mut fields)| fields.remove(0).1).collect();
    assert_eq!(numbers, (0..2_500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(redis.entries("no such stream").is_empty());
}

#[test]
fn a_restart_keeps_what_the_persistence_promises() {
    let aof = Persistence::Aof { fsync: Fsync::Always };
    for (persistence, kept) in [(Persistence::None, ""), (Persistence::Rdb, "saved"), (aof, "last")] {
        let Some(redis) = RedisServer::builder().persistence(persistence).tcp().start() else { return };
        let (url, pid) = (redis.url(), redis.pid());
        redis.command(&["SET", "key", "saved"]);
        redis.command(&["SAVE"]);
        if matches!(persistence, Persistence::None) {
            fs::remove_file(redis.dir().join("dump.rdb")).expect("was saved");
        }
        redis.command(&["SET", "key", "last"]);
        redis.restart();
        assert_eq!(redis.command(&["GET", "key"]), kept, "{persistence:?}");
        assert_ne!(redis.pid(), pid);
        assert_eq!(redis.url(), url);
        redis.shutdown_nosave();
        redis.restart();
    }
}
