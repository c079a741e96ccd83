//! The servers of the tests: that they start, break and end as the tests of the mirror rely on.

#![cfg(all(feature = "redis", target_os = "linux"))]

mod redis_support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use redis_support::*;

/// How long a stopped server must be silent.
const SILENCE: Duration = Duration::from_millis(50);

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

#[test]
fn a_stopped_server_answers_when_it_goes_on_and_ends_even_while_stopped() {
    let Some(redis) = RedisServer::start() else { return };
    redis.stop();
    let mut wire = redis.wire().expect("the kernel accepts");
    wire.send(&["SET", "key", "late"]).expect("the kernel takes it");
    wire.set_limit(SILENCE).expect("sets");
    assert!(wire.receive().is_err(), "nothing answers");
    wire.set_limit(SERVER_LIMIT).expect("sets");
    redis.cont();
    assert_eq!(wire.receive().expect("answers").to_string(), "OK");
    assert_eq!(redis.command(&["GET", "key"]), "late");
    redis.stop();
    let pid = redis.pid();
    drop(redis);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn users_and_the_limit_of_memory_are_as_asked() {
    let builder = RedisServer::builder().requirepass("canary").acl("mirror", "~planbus:* +xadd", "secret");
    let Some(redis) = builder.maxmemory(2 << 20, "noeviction").start() else { return };
    assert!(redis.url().contains("pass=canary") && redis.url_as("mirror", "secret").contains("user=mirror"));
    let mut stranger = Wire::unix(&redis.socket()).expect("connects");
    let refused = stranger.call(&["PING"]).expect("answers").to_string();
    assert!(refused.starts_with("NOAUTH"), "{refused}");
    stranger.call(&["AUTH", "mirror", "secret"]).expect("answers");
    let added = stranger.call(&["XADD", "planbus:x", "*", "a", "b"]).expect("answers");
    assert!(matches!(added, Reply::Bytes(_)), "{added}");
    let refused = stranger.call(&["XADD", "other", "*", "a", "b"]).expect("answers").to_string();
    assert!(refused.starts_with("NOPERM"), "{refused}");
    let full = redis.call(&["SET", "big", &"x".repeat(4 << 20)]).to_string();
    let full = if full == "OK" { redis.call(&["SET", "more", "x"]).to_string() } else { full };
    assert!(full.starts_with("OOM"), "{full}");
}

#[test]
fn tls_is_spoken_with_who_trusts_the_authority_and_with_nobody_else() {
    let Some(redis) = RedisServer::builder().tls().start() else { return };
    assert!(redis.url().starts_with("rediss://"));
    let port = redis.port().to_string();
    let ping = |authority: &Path| {
        let mut client = Command::new("redis-cli");
        client.args(["--tls", "-h", "127.0.0.1", "-p", &port, "--cacert"]).arg(authority).arg("PING");
        String::from_utf8(client.output().expect("redis-cli starts").stdout).expect("text")
    };
    let [ca, other_ca] = redis.authorities();
    assert_eq!(ping(ca), "PONG\n");
    assert_eq!(ping(other_ca), "");
    assert!(Wire::tcp(redis.port()).and_then(|mut plain| plain.call(&["PING"])).is_err(), "no plain text");
}

#[test]
fn a_replica_behind_a_black_hole_is_promoted_without_the_tail() {
    let Some(primary) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(primary.port());
    primary.command(&["XADD", "stream", "1-0", "n", "1"]);
    let Some(replica) = RedisServer::builder().tcp().replica_of(proxy.port()).start() else { return };
    replica.wait_until_synced();
    primary.command(&["XADD", "stream", "2-0", "n", "2"]);
    wait_for("the replica has it", || replica.entries("stream").len() == 2);
    proxy.set(Fault::BlackHole);
    primary.command(&["XADD", "stream", "3-0", "n", "3"]);
    primary.kill();
    assert!(!primary.is_running());
    proxy.cut_now();
    replica.promote();
    assert_eq!(replica.entries("stream").len(), 2, "the tail is lost");
    replica.command(&["XADD", "stream", "4-0", "n", "4"]);
}

#[test]
fn a_cluster_goes_on_when_the_master_of_a_key_is_killed() {
    let Some(cluster) = Cluster::start(true) else { return };
    let key = "planbus:{default}:events";
    cluster.master_of(key).command(&["XADD", key, "*", "n", "1"]);
    // So that the fail-over below has nothing to lose.
    cluster.master_of(key).command(&["WAIT", "1", "0"]);
    cluster.failover(key);
    assert_eq!(cluster.entries(key).len(), 1);
    cluster.wait_until_whole();
    let killed = cluster.kill_master_of(key);
    let master = cluster.master_of(key);
    assert_ne!(master.port(), killed.port());
    assert_eq!(cluster.entries(key).len(), 1);
    killed.restart();
    cluster.wait_until_whole();
    assert!(killed.command(&["INFO", "replication"]).contains("role:slave"));
    assert_eq!(cluster.addresses().len(), 6);
}

#[test]
fn sentinels_name_a_replica_when_the_primary_is_killed() {
    let Some(watched) = Sentinels::start(1) else { return };
    let primary = watched.primary();
    primary.command(&["SET", "key", "value"]);
    primary.command(&["WAIT", "1", "0"]);
    let killed = watched.kill_primary();
    assert_eq!(killed.port(), primary.port());
    assert_ne!(watched.primary().port(), killed.port());
    assert_eq!(watched.primary().command(&["GET", "key"]), "value");
    assert_eq!(watched.addresses().len(), 3);
}

/// The variable that makes a child of this test binary start a server and wait to be killed.
const HOLD: &str = "PLANBUS_TEST_HOLD";

#[test]
fn a_server_ends_with_a_test_binary_that_is_killed() {
    if std::env::var_os(HOLD).is_some() {
        let Some(redis) = RedisServer::start() else { return };
        println!("\npid {}", redis.pid());
        loop {
            std::thread::park();
        }
    }
    if ServerKind::Redis7.program().is_none() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", "a_server_ends_with_a_test_binary_that_is_killed", "--nocapture"]);
    let mut child = child.env(HOLD, "1").stdout(Stdio::piped()).spawn().expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut pids = lines.filter_map(|line| line.expect("text").strip_prefix("pid ").map(str::to_owned));
    let pid = pids.next().expect("the child tells its server's pid");
    let command_line = format!("/proc/{pid}/cmdline");
    assert!(fs::read_to_string(&command_line).expect("it runs").contains("redis-server"));
    child.kill().expect("SIGKILL");
    child.wait().expect("is reaped");
    wait_for("the server is gone", || fs::read_to_string(&command_line).unwrap_or_default().is_empty());
}

#[test]
fn a_server_outlives_the_thread_that_restarted_it() {
    let Some(redis) = RedisServer::start() else { return };
    let restart = || {
        redis.restart();
        fs::read_link("/proc/thread-self").expect("a thread has a place")
    };
    let thread = std::thread::scope(|scope| scope.spawn(restart).join().expect("restarts"));
    wait_for("the thread is gone", || !Path::new("/proc").join(&thread).exists());
    assert_eq!(redis.command(&["PING"]), "PONG");
    redis.kill();
}
