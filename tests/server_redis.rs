//! What a server tells of a Redis: how it stands, its streams and groups, what they have in hand; also
//! where it stands still or is gone.

#![cfg(all(feature = "redis", feature = "server", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod server_redis_support;
mod server_support;
mod store_support;

use std::{
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

use consumer_support::{builder, endpoint};
use planbus::redis::{Delivery, Profile, RedisEndpoint, RedisMirror, RetryPolicy, Streams};
use redis_support::{RedisServer, Reply, wait_for};
use serde_json::{Value, json};
use server_redis_support::{QUEUE, QUEUE_PATH, STREAM, add_letter, mirror, refusal, replay, watching};
use server_support::{
    Live,
    guarded::{ACME, CI, guarded, with_token},
    wire::Wire,
};

/// How long a caller waits for a Redis that does not answer, with a machine that has much else to do.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// More callers than there are places for calls of Redis, and for reads of the log.
const CALLERS: usize = 12;
/// How often the log is read at least while they wait, which is for seconds.
const READS_MIN: usize = 20;

fn names(list: &Value, name: &str) -> Vec<String> {
    let entries = list.as_array().expect("a list").iter();
    entries.map(|entry| entry[name].as_str().expect("a name").to_owned()).collect()
}

fn publish(live: &Live, notes: RangeInclusive<u64>) {
    for at in notes {
        live.note("plan", at);
    }
}

#[test]
fn streams_groups_and_dead_letters_are_told_with_how_the_server_is() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    publish(&live, 1..=5);
    let _mirror = mirror(&live, &redis);
    redis.command(&["XGROUP", "CREATE", STREAM, "writers", "0"]);
    redis.command(&["XREADGROUP", "GROUP", "writers", "one", "COUNT", "2", "STREAMS", STREAM, ">"]);
    redis.command(&["XADD", QUEUE, "1-1", "event_type", "note"]);
    let (status, told) = live.get("/redis");
    assert_eq!((status, &told["is_up"], &told["error"]), (200, &json!(true), &json!(null)), "{told}");
    let server = &told["server"];
    assert_eq!(server["kind"].as_str().map(str::to_lowercase).as_deref(), Some("redis"));
    assert!(server["used_memory"].as_u64() > Some(0) && server["clients"].as_u64() > Some(0), "{server}");
    assert!(server["latency_us"].as_u64() > Some(0) && server["max_memory"].is_null(), "{server}");
    assert!(server["warnings"][0].as_str().is_some_and(|told| told.contains("restart")), "{server}");
    let last = redis.entries(STREAM).last().expect("entries").0.clone();
    let stream = json!({"name": STREAM, "length": 5, "last_id": last, "mirrored_seq": 5, "lag": 0});
    assert_eq!(told["streams"], json!([stream]));
    let group = json!({
        "stream": STREAM, "group": "writers", "consumers": 1, "pending": 2, "lag": 3, "waiting": 0
    });
    assert_eq!(told["groups"], json!([group]));
    assert_eq!(told["dead_letters"], json!([{"queue": QUEUE, "waiting": 1, "replaying": 0}]));
    assert_eq!(told["left_out"], 0);
}

#[test]
fn the_mirrors_of_the_process_are_told_as_they_are_also_when_they_ended() {
    let Some(redis) = RedisServer::builder().tcp().requirepass("canary-7f3").start() else { return };
    let mut mirrors = Vec::new();
    let live = Live::with_bus(|bus, mut server| {
        for profile in [Profile::native(), Profile::orchestration()] {
            let builder = RedisMirror::builder(bus.store().expect("a store"), endpoint(&redis));
            let mirror = builder.profile(profile).start().expect("starts");
            server = server.mirror(&mirror);
            mirrors.push(mirror);
        }
        server
    });
    // The other profile has no word for it.
    publish(&live, 1..=4);
    mirrors.iter().for_each(|mirror| mirror.flush(ANSWER_MAX).expect("Redis equals the log"));
    let place = format!("redis://default:***@127.0.0.1:{}", redis.port());
    let told = |name: &str, state: &str, skipped: u64| {
        json!({
            "name": name, "state": state, "lag": 0, "redis": place, "last_error": null, "skipped": skipped
        })
    };
    let (status, stats) = live.get("/stats");
    assert_eq!(status, 200);
    assert_eq!(stats["mirrors"], json!([told("native", "live", 0), told("orchestration", "live", 4)]));
    assert_eq!(stats["has_redis"], false, "that is for `redis` to say");
    drop(mirrors);
    let stats = live.get("/stats").1;
    assert_eq!(stats["mirrors"][0], told("native", "stopped", 0));
}

#[test]
fn p7_a_stream_that_lost_what_its_mirror_brought_lags_behind_the_log() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    publish(&live, 1..=3);
    let old = {
        let mirror = mirror(&live, &redis);
        let Reply::Bytes(old) = redis.call(&["DUMP", STREAM]) else { panic!("is there") };
        publish(&live, 4..=9);
        mirror.flush(ANSWER_MAX).expect("Redis equals the log");
        old
    };
    // As after a restart from an old snapshot, with no mirror to mend it.
    redis.command(&[b"RESTORE", STREAM.as_bytes(), b"0", &old, b"REPLACE"]);
    let stream = &live.get("/redis").1["streams"][0];
    assert_eq!((&stream["mirrored_seq"], &stream["lag"]), (&json!(3), &json!(6)), "{stream}");
}

#[test]
fn a_redis_that_stands_still_is_told_in_time_and_holds_up_no_one_who_does_not_ask_for_it() {
    let Some(redis) = RedisServer::start() else { return };
    // Longer than anybody is to wait.
    let endpoint = RedisEndpoint::parse(&format!("{}?connect_timeout=60s&read_timeout=60s", redis.url()))
        .expect("a URL");
    let live = Live::with(|server| server.redis(Streams::new(endpoint, Profile::native())));
    live.note("plan", 1);
    assert_eq!(live.get("/redis").1["is_up"], true);
    let known = format!("/redis/dead-letters/{QUEUE_PATH}/1-1");
    assert_eq!(live.get(&known).0, 404);
    redis.stop();
    let pending = "/redis/pending?stream=planbus:%7Bdefault%7D:events&group=writers";
    let (addr, begun) = (live.server.addr(), Instant::now());
    let ask = |path: &str| {
        let mut wire = Wire::open(addr);
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"));
        thread::spawn(move || wire.answer())
    };
    let paths = ["/redis/dead-letters", pending, &known].into_iter().cycle();
    let callers: Vec<_> = paths.take(CALLERS).map(ask).collect();
    // While all of them wait, the log is read as ever.
    let mut reads = 0;
    while callers.iter().all(|caller| !caller.is_finished()) {
        assert_eq!(live.get("/events").1["events"][0]["seq"], 1);
        assert_eq!(live.get("/readyz").0, 200);
        reads += 1;
    }
    assert!(reads >= READS_MIN, "of {reads} reads some waited for Redis");
    for caller in callers {
        let answer = caller.join().expect("is answered");
        let told = "\"kind\":\"Unavailable\",\"message\":\"redis: no answer within 4s; try again later\"";
        assert!(answer.status == 503 && answer.body.contains(told), "{answer:?}");
    }
    assert!(begun.elapsed() < ANSWER_MAX, "they waited {:?}", begun.elapsed());
    wait_for("what was known is too old", || live.get("/redis").1["is_up"] == false);
    let (status, told) = live.get("/redis");
    assert_eq!(status, 200, "that Redis is away is no failure of the server");
    assert!(told["error"].as_str().is_some_and(|error| error.contains("no answer")), "{told}");
    assert_eq!((&told["server"], &told["streams"]), (&json!(null), &json!([])), "nothing old in its place");
    redis.cont();
    wait_for("it is there again", || live.get("/redis").1["is_up"] == true);
    assert_eq!(live.get("/redis/dead-letters").0, 200);
}

#[test]
fn a_redis_that_is_gone_is_told_as_such() {
    let Some(redis) = RedisServer::builder().tcp().start() else { return };
    let live = watching(&redis);
    redis.kill();
    let (status, told) = live.get("/redis");
    assert_eq!((status, &told["is_up"]), (200, &json!(false)), "{told}");
    let address = format!("127.0.0.1:{}", redis.port());
    assert!(told["error"].as_str().is_some_and(|error| error.contains(&address)), "{told}");
    let (status, kind, message) = refusal(live.get("/redis/dead-letters"));
    assert_eq!((status, kind.as_str()), (503, "Unavailable"));
    assert!(message.starts_with("redis: ") && message.contains("refused"), "{message}");
    let (status, kind, _) = refusal(replay(&live, &json!({"stream": QUEUE, "ids": ["1-1"]})));
    assert_eq!((status, kind.as_str()), (503, "Unavailable"));
}

#[test]
fn a_server_without_a_redis_says_how_it_gets_one() {
    let live = Live::start();
    let list = format!("/redis/dead-letters/{QUEUE_PATH}/1-1");
    for path in ["/redis", "/redis/pending", "/redis/dead-letters", &list] {
        let (status, kind, message) = refusal(live.get(path));
        assert_eq!((status, kind.as_str()), (501, "Unsupported"), "{path}");
        assert!(message.contains("`planbus serve --redis URL`"), "{message}");
    }
    assert_eq!(replay(&live, &json!({"stream": QUEUE, "ids": ["1-1"]})).0, 501);
}

#[test]
fn what_a_group_has_in_hand_is_told_with_its_failures_page_by_page() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    publish(&live, 1..=230);
    let _mirror = mirror(&live, &redis);
    let group = "a group: é";
    let fail = |delivery: &Delivery| match delivery.attempt() {
        1 => Err("the disk is full"),
        _ => Ok(()),
    };
    // Nothing is tried again while the test runs.
    let slowly = RetryPolicy::delays([Duration::from_secs(3_600)]);
    let consumer = builder(&redis, group).retry(slowly).handler(fail).expect("starts");
    let path = "/redis/pending?stream=planbus:%7Bdefault%7D:events&group=a+group:+%C3%A9";
    let failed = |entry: &Value| entry["attempts"] == 1;
    wait_for("each has failed once", || {
        let (_, page) = live.get(&format!("{path}&limit=1000"));
        page["entries"].as_array().is_some_and(|list| list.len() == 230 && list.iter().all(failed))
    });
    let (mut entries, mut sizes, mut next) = (Vec::new(), Vec::new(), Some(format!("{path}&limit=110")));
    while let Some(path) = next {
        let (status, mut page) = live.get(&path);
        assert_eq!(status, 200, "{page}");
        let part = page["entries"].take();
        sizes.push(part.as_array().expect("a list").len());
        entries.extend(part.as_array().expect("a list").clone());
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(sizes, [110, 110, 10]);
    let all: Vec<String> = redis.entries(STREAM).into_iter().map(|(id, _)| id).collect();
    assert_eq!(names(&Value::from(entries.clone()), "id"), all, "each once, the oldest first");
    let first = &entries[0];
    let of = |name: &str| first[name].as_str().unwrap_or_default();
    assert_eq!((of("event_type"), of("plan_id"), of("last_error")), ("note", "plan", "the disk is full"));
    assert_eq!(live.get(&format!("/events/{}", of("event_id"))).1["seq"], 1);
    assert!(of("consumer").contains('.') || !of("consumer").is_empty(), "{first}");
    assert_eq!((&first["deliveries"], first["idle_us"].is_u64()), (&json!(1), true), "{first}");
    let due: planbus::Timestamp = of("due_at").parse().expect("a time");
    let wait = due.duration_since(planbus::Timestamp::now());
    assert!(wait > Duration::from_secs(3_000) && wait <= Duration::from_secs(3_600), "{wait:?}");
    drop(consumer);
}

#[test]
fn p11_what_is_wrong_with_a_question_is_told_by_name() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    redis.command(&["XADD", "of-somebody-else", "*", "a", "b"]);
    redis.command(&["XADD", STREAM, "*", "a", "b"]);
    let stream = "stream=planbus:%7Bdefault%7D:events";
    let long = "x".repeat(600);
    for (path, status, said) in [
        ("/redis?x=1".to_owned(), 400, "x: is not a parameter"),
        ("/redis/pending".to_owned(), 400, "stream: must be given"),
        (format!("/redis/pending?{stream}"), 400, "group: must be given"),
        (format!("/redis/pending?group=g&stream={long}"), 400, "stream: must be 1 to 512 bytes, got 600"),
        (format!("/redis/pending?{stream}&group={long}"), 400, "group: must be 1 to 256 bytes, got 600"),
        (format!("/redis/pending?{stream}&group=g%0a"), 400, "group: must have no control"),
        (format!("/redis/pending?{stream}&group=g&after=x"), 400, "after: entry id: must be like"),
        (format!("/redis/pending?{stream}&group=g&limit=1001"), 400, "limit: must be 1 to 1000, got 1001"),
        (format!("/redis/pending?{stream}&group=none"), 404, "look at a group: "),
        ("/redis/pending?group=g&stream=of-somebody-else".to_owned(), 400, "stream: of-somebody-else is no"),
        ("/redis/dead-letters?limit=0".to_owned(), 400, "limit: must be 1 to 1000, got 0"),
        ("/redis/dead-letters?order=up".to_owned(), 400, "order: must be asc or desc"),
        ("/redis/dead-letters?after=1-1".to_owned(), 400, "after: must be one that `next` gave"),
        ("/redis/dead-letters?stream=of-somebody-else".to_owned(), 400, "stream: of-somebody-else is no"),
        (format!("/redis/dead-letters/{QUEUE_PATH}/one"), 400, "id: entry id: must be like"),
        ("/redis/dead-letters/of-somebody-else/1-1".to_owned(), 400, "stream: of-somebody-else is no"),
        (format!("/redis/dead-letters/{QUEUE_PATH}/1-1"), 404, "show a dead letter: there is no 1-1"),
        ("/redis/elsewhere".to_owned(), 404, "there is nothing at this path"),
    ] {
        let (found, _, message) = refusal(live.get(&path));
        assert!(found == status && message.starts_with(said), "{path}: {found} {message}");
    }
}

#[test]
fn p10_a_token_that_sees_some_tenants_learns_nothing_of_redis() {
    let live = guarded();
    let one = format!("GET /redis/dead-letters/{QUEUE_PATH}/1-1");
    for line in [
        "GET /redis",
        "GET /redis/",
        "GET /redis/pending",
        "GET /redis/dead-letters",
        &one,
        "POST /redis/dead-letters/replay",
        "GET /redis/elsewhere",
        "GET /metrics",
    ] {
        let refused = with_token(&live, line, ACME);
        assert_eq!(refused.status, 403, "{line}: {refused:?}");
        assert!(refused.body.contains("path: needs a token that sees all tenants"), "{refused:?}");
        assert_ne!(with_token(&live, line, CI).status, 403, "{line}");
    }
    // What only begins alike is another path.
    assert_eq!(with_token(&live, "GET /rediscovered", ACME).status, 404);
}

#[test]
fn a_reader_who_may_move_dead_letters_needs_no_more_rights() {
    let Some(redis) = RedisServer::start() else { return };
    let users = include_str!("../examples/redis/users.acl");
    let of = |name: &str| users.lines().find_map(|line| line.strip_prefix(name)).expect("is there");
    let (reader, letters) = (of("user planbus-reader "), of("user planbus-dead-letters "));
    // What takes rights away stands in both, and counts once.
    let more = letters.split(' ').filter(|rule| rule.starts_with(['~', '+']));
    let rules = reader.split(' ').chain(more);
    redis.command(&["ACL", "SETUSER", "server"].into_iter().chain(rules).collect::<Vec<_>>());
    let endpoint = RedisEndpoint::parse(&redis.url_as("server", "CHANGE-ME-3")).expect("a URL");
    let live = Live::with(|server| server.redis(Streams::new(endpoint, Profile::native())));
    publish(&live, 1..=3);
    let _mirror = mirror(&live, &redis);
    redis.command(&["XGROUP", "CREATE", STREAM, "writers", "0"]);
    redis.command(&["XREADGROUP", "GROUP", "writers", "one", "COUNT", "2", "STREAMS", STREAM, ">"]);
    add_letter(&redis, "1-1", "writers", "no");
    let (_, told) = live.get("/redis");
    assert_eq!((&told["error"], &told["groups"][0]["pending"]), (&json!(null), &json!(2)), "{told}");
    for path in [
        "/redis/pending?stream=planbus:%7Bdefault%7D:events&group=writers".to_owned(),
        "/redis/dead-letters".to_owned(),
        format!("/redis/dead-letters/{QUEUE_PATH}/1-1"),
    ] {
        let (status, told) = live.get(&path);
        assert_eq!(status, 200, "{path}: {told}");
    }
    let (status, told) = replay(&live, &json!({"stream": QUEUE, "ids": ["1-1"]}));
    assert_eq!((status, &told["replayed"]), (200, &json!(1)), "{told}");
    assert!(live.get("/metrics").1.as_str().is_some_and(|page| page.contains("\nplanbus_redis_up 1\n")));
}
