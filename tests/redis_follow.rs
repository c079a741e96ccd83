//! Following streams on real servers: every entry once, whatever becomes of the server.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod redis_support;
mod store_support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use planbus::{
    redis::{EntryId, FollowFrom, Profile, RedisEndpoint, StreamEntry, StreamFollower, Streams},
    *,
};
use redis_support::*;

const STREAM: &str = "planbus:{default}:events";
/// How long one wait for an entry lasts.
const WAIT: Duration = Duration::from_millis(100);

fn follow(url: &str, names: &[&str], from: FollowFrom, filter: Filter) -> StreamFollower {
    let endpoint = RedisEndpoint::builder(url)
        .back_off(Duration::from_millis(10), Duration::from_millis(100))
        .build()
        .expect("a URL");
    Streams::new(endpoint, Profile::native()).follow(names, from, filter).expect("a filter")
}

/// Appends entries, none of which is an event.
fn append(server: &RedisServer, stream: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        server.command(&["XADD", stream, "*", "number", &number.to_string()]);
    }
}

fn number(entry: &StreamEntry) -> u64 {
    let (_, value) = entry.fields.iter().find(|(name, _)| name == b"number").expect("a number");
    String::from_utf8_lossy(value).parse().expect("a number")
}

/// The next entries, as many as asked for.
fn take(follower: &mut StreamFollower, count: usize) -> Vec<StreamEntry> {
    let begun = Instant::now();
    let mut taken = Vec::new();
    while taken.len() < count {
        assert!(begun.elapsed() < store_support::LIMIT, "waited too long: {} of {count}", taken.len());
        taken.extend(follower.next_timeout(WAIT).expect("goes on"));
    }
    taken
}

fn numbers(follower: &mut StreamFollower, count: usize) -> Vec<u64> {
    take(follower, count).iter().map(number).collect()
}

/// Lets the follower look at the server once.
fn begin(follower: &mut StreamFollower) {
    assert!(follower.next_timeout(Duration::ZERO).expect("goes on").is_none());
}

#[test]
fn a_follower_begins_where_it_was_told_to() {
    let Some(server) = RedisServer::start() else { return };
    append(&server, STREAM, 0..5);
    let third: EntryId = server.entries(STREAM)[2].0.parse().expect("an id");
    let url = server.url();
    let mut now = follow(&url, &[STREAM], FollowFrom::Now, Filter::all());
    begin(&mut now);
    let mut beginning = follow(&url, &[STREAM], FollowFrom::Beginning, Filter::all());
    let mut after = follow(&url, &[STREAM], FollowFrom::After(third), Filter::all());
    append(&server, STREAM, 5..7);
    assert_eq!(numbers(&mut now, 2), [5, 6]);
    assert_eq!(numbers(&mut beginning, 7), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(&mut after, 4), [3, 4, 5, 6]);
}

#[test]
fn a_stream_that_comes_later_is_followed_from_its_beginning() {
    let Some(server) = RedisServer::start() else { return };
    append(&server, STREAM, 0..1);
    let mut follower = follow(&server.url(), &[], FollowFrom::Now, Filter::all());
    begin(&mut follower);
    let other = "planbus:{other}:events";
    append(&server, other, 0..3);
    let came = take(&mut follower, 3);
    assert!(came.iter().all(|entry| entry.stream == other));
    assert_eq!(came.iter().map(number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(follower.streams().collect::<Vec<_>>(), [STREAM, other]);
}

#[test]
fn a_filter_lets_through_what_it_wants() {
    let Some(server) = RedisServer::start() else { return };
    let dir = store_support::Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for at in 0..6 {
        store.save(&store_support::event(if at % 2 == 0 { "even" } else { "odd" }, at)).expect("commits");
    }
    let endpoint = RedisEndpoint::parse(&server.url()).expect("a URL");
    let mirror = planbus::redis::RedisMirror::builder(&store, endpoint).start().expect("starts");
    mirror.flush(Duration::from_secs(30)).expect("Redis equals the log");
    let mut follower = follow(&server.url(), &[], FollowFrom::Beginning, Filter::all().plan("odd"));
    let seqs: Vec<_> = take(&mut follower, 3)
        .iter()
        .map(|entry| entry.event.as_ref().expect("an event").seq().expect("a seq"))
        .collect();
    assert_eq!(seqs, [2, 4, 6]);
}

#[test]
fn no_entry_is_lost_or_comes_twice_while_the_server_is_killed_and_comes_back() {
    let aof = Persistence::Aof { fsync: Fsync::Always };
    let Some(server) = RedisServer::builder().persistence(aof).start() else { return };
    append(&server, STREAM, 0..10);
    let mut follower = follow(&server.url(), &[], FollowFrom::Beginning, Filter::all());
    assert_eq!(numbers(&mut follower, 4), [0, 1, 2, 3]);
    for round in 1..4 {
        server.kill();
        // What was read already is still given; then it says why nothing comes.
        let mut rest = Vec::new();
        while follower.last_error().is_none() {
            rest.extend(follower.next_timeout(WAIT).expect("goes on").as_ref().map(number));
        }
        assert_eq!(rest, (round * 10 - 6..round * 10).collect::<Vec<_>>());
        assert_eq!(follower.last_error().map(Error::kind), Some(ErrorKind::Unavailable));
        server.restart();
        append(&server, STREAM, round * 10..round * 10 + 10);
        assert_eq!(numbers(&mut follower, 4), (round * 10..round * 10 + 4).collect::<Vec<_>>());
        assert!(follower.last_error().is_none());
    }
}

#[test]
fn a_server_that_stands_still_holds_up_no_caller() {
    let Some(server) = RedisServer::start() else { return };
    let url = format!("{}?read_timeout=200ms", server.url());
    append(&server, STREAM, 0..1);
    let mut follower = follow(&url, &[], FollowFrom::Beginning, Filter::all());
    assert_eq!(numbers(&mut follower, 1), [0]);
    server.stop();
    store_support::wait_until("it says so", || {
        assert!(follower.next_timeout(WAIT).expect("goes on").is_none());
        follower.last_error().is_some()
    });
    server.cont();
    append(&server, STREAM, 1..2);
    assert_eq!(numbers(&mut follower, 1), [1]);
}

#[test]
fn a_stream_that_begins_anew_with_lower_ids_is_read_from_its_beginning() {
    let Some(server) = RedisServer::start() else { return };
    append(&server, STREAM, 0..3);
    let mut follower = follow(&server.url(), &[], FollowFrom::Beginning, Filter::all());
    assert_eq!(numbers(&mut follower, 3), [0, 1, 2]);
    server.command(&["DEL", STREAM]);
    server.command(&["XADD", STREAM, "1-1", "number", "7"]);
    assert_eq!(numbers(&mut follower, 1), [7]);
}

#[test]
fn what_does_not_pass_by_itself_is_told() {
    let Some(server) = RedisServer::start() else { return };
    server.command(&["SET", "text", "1"]);
    let mut follower = follow(&server.url(), &["text"], FollowFrom::Now, Filter::all());
    assert!(follower.next_timeout(WAIT).is_err());
    server.command(&["ACL", "SETUSER", "default", "-xread"]);
    let mut follower = follow(&server.url(), &[STREAM], FollowFrom::Now, Filter::all());
    assert_eq!(follower.next_timeout(WAIT).expect_err("may not").kind(), ErrorKind::Unauthorized);
}

#[test]
fn streams_of_several_slots_are_followed_together() {
    let Some(cluster) = Cluster::start(false) else { return };
    let mut follower = follow(
        &format!("redis+cluster://{}", cluster.addresses().join(",")),
        &[],
        FollowFrom::Beginning,
        Filter::all(),
    );
    let names: Vec<String> = (0..12).map(|tenant| format!("planbus:{{t{tenant}}}:events")).collect();
    for round in 0..3 {
        for name in &names {
            cluster.master_of(name).command(&["XADD", name, "*", "number", &round.to_string()]);
        }
        let mut came: Vec<String> = take(&mut follower, names.len())
            .into_iter()
            .map(|entry| {
                assert_eq!(number(&entry), round);
                entry.stream
            })
            .collect();
        came.sort_by_key(|name| names.iter().position(|known| known == name));
        assert_eq!(came, names);
    }
}

#[test]
fn p11_a_wait_of_any_length_is_one() {
    let Some(server) = RedisServer::start() else { return };
    append(&server, STREAM, 0..1);
    let mut follower = follow(&server.url(), &[STREAM], FollowFrom::Beginning, Filter::all());
    let entry = follower.next_timeout(Duration::MAX).expect("goes on").expect("it is there");
    assert_eq!(number(&entry), 0);
}

#[test]
fn one_read_takes_few_entries_of_many_streams_and_none_of_them_starves() {
    const STREAMS: usize = 1_200;
    const ENTRIES: usize = 4;
    let Some(server) = RedisServer::start() else { return };
    let mut seen = server.wire().expect("connects");
    let names: Vec<String> = (0..STREAMS).map(|tenant| format!("planbus:{{t{tenant}}}:events")).collect();
    let mut wire = server.wire().expect("connects");
    for name in names.iter().flat_map(|name| [name; ENTRIES]) {
        wire.send(&["XADD", name, "*", "number", "1"]).expect("sends");
    }
    (0..STREAMS * ENTRIES).for_each(|_| drop(wire.receive().expect("answers")));
    seen.call(&["MONITOR"]).expect("watches");
    let mut follower = follow(&server.url(), &[], FollowFrom::Beginning, Filter::all());
    let mut came: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
    for entry in take(&mut follower, 1_500) {
        came.entry(entry.stream).or_default().push(entry.id);
    }
    assert_eq!(came.len(), STREAMS, "each had its turn before one had its second");
    for entry in take(&mut follower, STREAMS * ENTRIES - 1_500) {
        came.entry(entry.stream).or_default().push(entry.id);
    }
    assert!(came.values().all(|ids| ids.len() == ENTRIES && ids.is_sorted_by(|one, next| one < next)));
    server.command(&["PING"]);
    let mut reads = 0;
    loop {
        let line = seen.receive().expect("tells").to_string();
        let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        match words[..] {
            ["PING"] => break,
            ["XREAD", "COUNT", count, ..] => {
                let at = words.iter().position(|word| *word == "STREAMS").expect("streams");
                let (count, streams) =
                    (count.parse::<usize>().expect("a number"), (words.len() - at - 1) / 2);
                assert!(count * streams <= 500, "{count} entries of {streams} streams");
                reads += 1;
            }
            _ => {}
        }
    }
    assert!(reads >= STREAMS * ENTRIES / 500, "{reads} reads were seen");
}
