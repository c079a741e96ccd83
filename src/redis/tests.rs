//! [`Client`] against real servers: what no caller of the public interface can see.

use std::time::{Duration, Instant};

use ::redis::{Cmd, Value, cmd};

use super::{
    RedisEndpoint,
    client::Client,
    redis_support::{Cluster, Fault, Proxy, RedisServer, Sentinels, ServerKind, wait_for},
    reply,
};
use crate::error::ErrorKind;

/// A timeout that a test can wait for.
const SHORT: Duration = Duration::from_millis(300);

fn connect(url: &str) -> Client {
    RedisEndpoint::parse(url).expect("a URL").connect().expect("the server answers")
}

fn endpoint(url: &str) -> RedisEndpoint {
    let builder = RedisEndpoint::builder(url).read_timeout(SHORT).connect_timeout(2 * SHORT);
    builder.build().expect("a URL")
}

fn add(key: &str, value: &str) -> Cmd {
    cmd("XADD").arg(key).arg("*").arg("field").arg(value).to_owned()
}

fn length(client: &mut Client, key: &str) -> i64 {
    let reply = client.call(cmd("XLEN").arg(key)).expect("connected");
    reply::integer(reply.expect("allowed")).expect("a number")
}

#[test]
fn a_server_that_stands_still_costs_one_read_timeout_whatever_the_number_of_commands() {
    let Some(server) = RedisServer::start() else { return };
    let mut client = endpoint(&server.url()).connect().expect("the server answers");
    let commands: Vec<Cmd> = (0..20).map(|number| add("events", &number.to_string())).collect();
    server.stop();
    let start = Instant::now();
    client.send(&commands).expect("the system takes the bytes");
    let error = client.receive().expect_err("nobody answers");
    let taken = start.elapsed();
    server.cont();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("no answer in time"), "{error}");
    assert!(taken >= SHORT && taken < 5 * SHORT, "20 commands took {taken:?}, the timeout is {SHORT:?}");
    // What comes late is taken for no later command's answer: this connection answers nothing more.
    let error = client.call(&cmd("PING")).expect_err("a lost connection");
    assert!(error.to_string().contains("given up"), "{error}");
    // The bytes were sent once, and the server runs them once.
    let mut other = connect(&server.url());
    wait_for("the server has run what it was sent", || length(&mut other, "events") == 20);
    assert_eq!(length(&mut other, "events"), 20);
}

#[test]
fn answers_come_in_the_order_of_their_commands_and_refusals_stand_among_them() {
    let Some(server) = RedisServer::start() else { return };
    let mut client = connect(&server.url());
    client.send(&[cmd("SET").arg("text").arg("a").to_owned(), add("text", "b")]).expect("connected");
    client.send(&[cmd("GET").arg("text").to_owned()]).expect("connected");
    let replies = client.receive().expect("connected");
    assert_eq!(replies[0], Ok(Value::Okay));
    assert_eq!(replies[1].as_ref().map_err(|refusal| refusal.code.as_str()), Err("WRONGTYPE"));
    assert_eq!(replies[2], Ok(Value::BulkString(b"a".to_vec())));
    assert_eq!(client.receive().expect("nothing is missing"), []);
}

#[test]
fn a_connection_has_its_database_its_user_and_a_name_that_operators_see() {
    let Some(server) = RedisServer::builder().acl("app", "~* +@all", "s3cret").start() else { return };
    let url = format!("unix://{}?db=3&user=app&pass=s3cret", server.socket().display());
    let mut client = connect(&url);
    client.call(&add("events", "a")).expect("connected").expect("allowed");
    assert!(server.command(&["INFO", "keyspace"]).contains("db3:keys=1"));
    let clients = server.command(&["CLIENT", "LIST"]);
    assert!(
        clients.lines().any(|line| line.contains("name=planbus") && line.contains("user=app")),
        "{clients}"
    );
}

#[test]
fn a_script_that_finds_no_memory_or_no_master_is_refused_with_that_code_by_every_kind_of_server() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        let script = "return redis.call('XADD', KEYS[1], '*', 'field', ARGV[1])";
        let append = cmd("EVAL").arg(script).arg(1).arg("events").arg("a").to_owned();
        let mut client = connect(&server.url());
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let full = client.call(&append).expect("connected").expect_err("no memory is left");
        assert!(full.code == "OOM" && full.is_transient() && !full.needs_reconnect(), "{kind:?}: {full:?}");
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        client.call(&append).expect("connected").expect("there is memory again");
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
        let moved = client.call(&append).expect("connected").expect_err("no master");
        assert!(moved.code == "READONLY" && moved.needs_reconnect(), "{kind:?}: {moved:?}");
    }
}

#[test]
fn a_read_that_blocks_has_a_timeout_of_its_own() {
    let Some(server) = RedisServer::start() else { return };
    let block = |time: Duration| {
        let millis = time.as_millis() as u64;
        cmd("XREAD").arg("BLOCK").arg(millis).arg("STREAMS").arg("none").arg("$").to_owned()
    };
    let mut client = endpoint(&server.url()).connect().expect("the server answers");
    client.set_read_timeout(20 * SHORT).expect("connected");
    assert_eq!(client.call(&block(2 * SHORT)).expect("longer than the usual timeout"), Ok(Value::Nil));
    client.set_read_timeout(SHORT).expect("connected");
    assert!(client.call(&block(20 * SHORT)).is_err());
}

#[test]
fn a_master_that_became_a_replica_is_left() {
    let Some(server) = RedisServer::start() else { return };
    let mut client = connect(&server.url());
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let refusal = client.call(&add("events", "a")).expect("connected").expect_err("read only");
    assert!(refusal.needs_reconnect() && refusal.is_transient(), "{refusal:?}");
    let error = client.call(&cmd("PING")).expect_err("the connection is given up");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let server = connect(&server.url()).server().clone();
    assert!(
        server.role == "replica" && server.warnings.iter().any(|told| told.contains("replica")),
        "{server:?}"
    );
}

#[test]
fn an_answer_that_is_cut_loses_the_connection_and_no_command_is_sent_again() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    for after_bytes in [0, 1, 5, 30] {
        proxy.set(Fault::None);
        let mut client = endpoint(&proxy.url()).connect().expect("the server answers");
        let key = format!("cut after {after_bytes}");
        proxy.set(Fault::CutReply { after_bytes });
        client.send(&[add(&key, "a"), add(&key, "b")]).expect("the proxy takes the bytes");
        assert_eq!(client.receive().expect_err("cut").kind(), ErrorKind::Unavailable);
        let mut other = connect(&server.url());
        wait_for("the server has run what it was sent", || length(&mut other, &key) == 2);
        assert_eq!(length(&mut other, &key), 2, "{key}");
    }
}

#[test]
fn after_a_failover_the_next_connection_is_to_the_new_master() {
    let Some(sentinels) = Sentinels::start(1) else { return };
    let url = format!("redis+sentinel://{}/{}", sentinels.addresses().join(","), sentinels.name());
    let mut client = connect(&url);
    assert_eq!(client.server().mode, "sentinel");
    client.call(&add("events", "a")).expect("connected").expect("a master");
    // One Sentinel out of reach: the others are asked.
    sentinels.sentinels()[0].stop();
    assert_eq!(length(&mut endpoint(&url).connect().expect("two are left"), "events"), 1);
    sentinels.sentinels()[0].cont();
    // A server that the Sentinels still name, but which is no master any more, is not taken for one.
    sentinels.primary().command(&["REPLICAOF", "127.0.0.1", "1"]);
    match endpoint(&url).connect() {
        Ok(client) => assert_eq!(client.server().role, "master"),
        Err(error) => {
            assert!(error.is_transient() && error.to_string().contains("is no master now"), "{error}")
        }
    }
    sentinels.primary().command(&["REPLICAOF", "NO", "ONE"]);
    sentinels.kill_primary();
    assert_eq!(client.call(&cmd("PING")).expect_err("its server is gone").kind(), ErrorKind::Unavailable);
    let mut client = connect(&url);
    client.call(&add("events", "b")).expect("connected").expect("a master");
    let unknown = format!("redis+sentinel://{}/nobody", sentinels.addresses().join(","));
    let error = endpoint(&unknown).connect().expect_err("no such master");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("knows no master named nobody"), "{error}");
    let one = format!("redis://{}", sentinels.addresses()[1]);
    let error = endpoint(&one).connect().expect_err("a Sentinel holds nothing");
    assert!(error.to_string().contains("use redis+sentinel://"), "{error}");
}

#[test]
fn in_a_cluster_each_command_goes_to_the_owner_of_its_first_key() {
    let Some(cluster) = Cluster::start(false) else { return };
    let url = format!("redis+cluster://{}", cluster.addresses()[0]);
    let mut client = connect(&url);
    let keys: Vec<String> = (0..30).map(|number| format!("stream:{number}")).collect();
    let commands: Vec<Cmd> = keys.iter().map(|key| add(key, key)).collect();
    client.send(&commands).expect("connected");
    assert!(client.receive().expect("connected").iter().all(Result::is_ok));
    let script = "return redis.call('XLEN', KEYS[1])";
    for key in &keys {
        assert_eq!(cluster.entries(key).len(), 1, "{key}");
        let reply = client.call(cmd("EVAL").arg(script).arg(1).arg(key)).expect("connected");
        assert_eq!(reply, Ok(Value::Int(1)));
    }
    let names: Vec<(String, i64)> = client
        .each_master(&cmd("DBSIZE"))
        .expect("connected")
        .into_iter()
        .map(|(name, reply)| (name, reply::integer(reply.expect("allowed")).expect("a number")))
        .collect();
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|(_, keys)| *keys > 0), "{names:?}");
    assert_eq!(names.iter().map(|(_, keys)| keys).sum::<i64>(), 30);
    let error = endpoint(&format!("redis://{}", cluster.addresses()[0])).connect().expect_err("one node");
    assert!(error.to_string().contains("use redis+cluster://"), "{error}");
}

#[test]
fn in_a_cluster_a_node_that_stands_still_costs_one_read_timeout_and_runs_what_it_got_once() {
    let Some(cluster) = Cluster::start(false) else { return };
    let mut client =
        endpoint(&format!("redis+cluster://{}", cluster.addresses()[0])).connect().expect("whole");
    let keys: Vec<String> = (0..20).map(|number| format!("stream:{number}")).collect();
    // All nodes have a connection, so that none is made while one stands still.
    client.each_master(&cmd("PING")).expect("connected");
    let stopped = cluster.master_of(&keys[0]);
    stopped.stop();
    let start = Instant::now();
    client
        .send(&keys.iter().map(|key| add(key, "a")).collect::<Vec<_>>())
        .expect("the system takes the bytes");
    let error = client.receive().expect_err("one of them does not answer");
    let taken = start.elapsed();
    stopped.cont();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(taken >= SHORT && taken < 5 * SHORT, "20 commands took {taken:?}, the timeout is {SHORT:?}");
    cluster.wait_until_whole();
    wait_for("every node has run what it was sent", || {
        keys.iter().all(|key| !cluster.entries(key).is_empty())
    });
    keys.iter().for_each(|key| assert_eq!(cluster.entries(key).len(), 1, "{key}"));
}

#[test]
fn in_a_cluster_a_slot_that_moved_is_found_by_the_next_connection() {
    let Some(cluster) = Cluster::start(true) else { return };
    // Any node will do to ask, a replica too; commands go to masters.
    for address in cluster.addresses() {
        let mut client = connect(&format!("redis+cluster://{address}"));
        client.call(&add(&address, "a")).expect("connected").expect("a master");
        assert_eq!(client.server().role, "master");
        assert!(!client.server().warnings.iter().any(|told| told.contains("replica")), "{client:?}");
    }
    let url = format!("redis+cluster://{}", cluster.addresses().join(","));
    let mut client = connect(&url);
    client.call(&add("events", "a")).expect("connected").expect("a master");
    // The old master is a replica now, and says where the slot is; nothing is sent there by itself.
    cluster.failover("events");
    let refusal = client.call(&add("events", "b")).expect("connected").expect_err("the slot moved");
    assert!(refusal.code == "MOVED" && refusal.needs_reconnect(), "{refusal:?}");
    assert!(client.call(&cmd("PING")).is_err(), "this connection knows the old owners");
    let mut client = None;
    // A node that has not heard of it yet names the old master: then the one after is asked again.
    wait_for("a connection finds the new master", || {
        let mut next = connect(&url);
        let is_found = next.call(&add("events", "c")).is_ok_and(|reply| reply.is_ok());
        client = Some(next);
        is_found
    });
    // The master is gone for good: its replica takes over.
    cluster.kill_master_of("events");
    assert!(client.is_some_and(|mut client| client.call(&add("events", "d")).is_err()));
    wait_for("a connection finds the new master", || {
        endpoint(&url)
            .connect()
            .and_then(|mut client| client.call(&add("events", "e")))
            .is_ok_and(|reply| reply.is_ok())
    });
    let values: Vec<_> =
        cluster.entries("events").into_iter().map(|(_, fields)| fields[0].1.clone()).collect();
    // What was refused, or sent to nobody, was not run by another.
    assert!(values.ends_with(&["e".to_owned()]), "{values:?}");
    assert!(!values.iter().any(|value| value == "b" || value == "d"), "{values:?}");
}

#[test]
fn a_node_of_a_cluster_that_is_cut_off_is_not_believed() {
    let Some(cluster) = Cluster::start(false) else { return };
    let [alone, others @ ..] = cluster.nodes() else { return };
    let is_theirs = |key: &String| cluster.master_of(key).port() != alone.port();
    let keys: Vec<String> = (0..10).map(|number| format!("stream:{number}")).filter(is_theirs).collect();
    assert!(!keys.is_empty());
    // It forgets the others, as if a partition had begun long ago.
    let mut wire = alone.wire().expect("answers");
    for other in others {
        wire.send(&["CLUSTER", "FORGET", &other.command(&["CLUSTER", "MYID"])]).expect("sends");
    }
    others.iter().for_each(|_| assert_eq!(wire.receive().expect("answers").to_string(), "OK"));
    let says = |state: &str| wait_for(state, || alone.command(&["CLUSTER", "INFO"]).contains(state));
    says("cluster_state:fail");
    let addresses = cluster.addresses();
    let endpoint = endpoint(&format!("redis+cluster://{},{}", addresses[0], addresses[1]));
    let append = || {
        let mut client = endpoint.connect().expect("a node answers");
        client.send(&keys.iter().map(|key| add(key, "a")).collect::<Vec<_>>()).expect("connected");
        client.receive().expect("connected").iter().all(Result::is_ok)
    };
    assert!((0..4).all(|_| append()), "it is passed over");
    // One that believes itself well is found out by what it cannot do, and another is asked.
    alone.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    says("cluster_state:ok");
    assert!([append(), append()].contains(&true), "it is asked for ever");
}
