//! Dead letters as an operator sees them: listed, shown, replayed, purged, counted, whoever wrote them.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod redis_support;

use planbus::{
    ErrorKind, Filter, Timestamp,
    redis::{
        DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterQuery, DeadLetters, EntryId, Profile, RedisEndpoint,
    },
};
use redis_support::*;

const STREAM: &str = "planbus:{acme}:events";
const DLQ: &str = "planbus:{acme}:events:dlq";

fn letters(server: &RedisServer, profile: Profile) -> DeadLetters {
    DeadLetters::new(RedisEndpoint::parse(&server.url()).expect("a URL"), profile)
}

fn id(text: &str) -> EntryId {
    text.parse().expect("an id")
}

/// A letter as planbus writes it, at second `at` of an hour.
fn add(server: &RedisServer, queue: &str, entry: &str, group: &str, at: u64, error: &str) {
    let stream = queue.strip_suffix(":dlq").expect("a queue");
    let tenant = stream.split(['{', '}']).nth(1).expect("a tenant");
    let plan = format!("plan-{at}");
    let time = format!("2026-02-11T12:{:02}:{:02}.000000+00:00", at / 60, at % 60);
    let fields = [
        ("event_id", "01K0A1B2C3D4E5F6G7H8J9KAMB"),
        ("event_type", if at.is_multiple_of(2) { "ToolCalled" } else { "ToolCompleted" }),
        ("plan_id", &plan),
        ("timestamp", "2026-02-11T12:58:38.123456Z"),
        ("tenant", tenant),
        ("payload", r#"{"call_id":"call-1"}"#),
        ("_dlq_group", group),
        ("_dlq_consumer", "one.01"),
        ("_dlq_original_stream", stream),
        ("_dlq_original_id", "7-1"),
        ("_dlq_retry_count", "4"),
        ("_dlq_deliveries", "5"),
        ("_dlq_error", error),
        ("_dlq_reason", "failed"),
        ("_dlq_first_failed_at", &time),
        ("_dlq_timestamp", &time),
        ("_dlq_fields", "11"),
    ];
    let words = fields.iter().flat_map(|(name, value)| [*name, *value]);
    let command: Vec<&str> = ["XADD", queue, entry].into_iter().chain(words).collect();
    server.command(&command);
}

fn ids(letters: &[DeadLetter]) -> Vec<String> {
    letters.iter().map(|letter| format!("{} {}", letter.queue, letter.id)).collect()
}

fn list(letters: &DeadLetters, query: DeadLetterQuery) -> Vec<String> {
    ids(&letters.list(&query).expect("lists").letters)
}

#[test]
fn a_query_gives_the_letters_that_meet_all_of_its_conditions() {
    let Some(server) = RedisServer::start() else { return };
    let other = "planbus:{other}:events:dlq";
    add(&server, DLQ, "1-1", "writers", 0, "disk full");
    add(&server, DLQ, "1-2", "readers", 1, "timed out after 5 s");
    add(&server, DLQ, "1-3", "writers", 2, "timed out after 9 s");
    add(&server, other, "1-1", "writers", 2, "timed out");
    server.command(&["XADD", DLQ, "1-4", "raw", "no event"]);
    // What is no queue of the profile, whatever its name is like.
    server.command(&["XADD", "planbus:{a:b}:events:dlq", "1-1", "a", "b"]);
    server.command(&["SET", "planbus:{text}:events:dlq", "x"]);
    let letters = letters(&server, Profile::native());
    let query = DeadLetterQuery::new;
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    let acme = |entries: &[&str]| entries.iter().map(|entry| format!("{DLQ} {entry}")).collect::<Vec<_>>();
    let all = [acme(&["1-1", "1-2", "1-3", "1-4"]), vec![format!("{other} 1-1")]].concat();
    assert_eq!(list(&letters, query()), all);
    let backwards: Vec<String> = all.iter().rev().cloned().collect();
    assert_eq!(list(&letters, query().newest_first()), backwards);
    assert_eq!(list(&letters, query().stream(STREAM)), all[..4]);
    assert_eq!(list(&letters, query().stream(other)), all[4..]);
    assert_eq!(list(&letters, query().group("writers").stream(DLQ)), acme(&["1-1", "1-3"]));
    assert_eq!(list(&letters, query().error("timed out after")), acme(&["1-2", "1-3"]));
    assert_eq!(list(&letters, query().since(time("2026-02-11T12:00:02Z"))), [&all[2..3], &all[4..]].concat());
    // The letter that says nothing has the time of its id.
    assert_eq!(list(&letters, query().until(time("2026-02-11T12:00:01Z"))), acme(&["1-1", "1-4"]));
    let plan = Filter::all().tenant("acme").plan("plan-2");
    assert_eq!(list(&letters, query().filter(plan)), acme(&["1-3"]));
    assert_eq!(list(&letters, query().filter(Filter::all().types(["ToolCompleted"]))), acme(&["1-2"]));
    assert_eq!(list(&letters, query().filter(Filter::all()).stream(DLQ)).len(), 3);
    assert!(list(&letters, query().group("writers").error("5 s")).is_empty());
}

#[test]
fn pages_give_every_letter_once_in_both_directions() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        let queues = ["planbus:{a}:events:dlq", "planbus:{b}:events:dlq"];
        for queue in queues {
            for number in 1..=150 {
                let group = if number % 3 == 0 { "readers" } else { "writers" };
                add(&server, queue, &format!("1-{number}"), group, number, "no");
            }
        }
        let letters = letters(&server, Profile::native());
        for newest_first in [false, true] {
            let mut query = DeadLetterQuery::new().group("writers").limit(33);
            if newest_first {
                query = query.newest_first();
            }
            let mut found = Vec::new();
            loop {
                let page = letters.list(&query).expect("lists");
                assert!(page.letters.len() <= 33);
                found.extend(page.letters.iter().map(|letter| (letter.queue.clone(), letter.id)));
                let Some(next) = page.next else { break };
                query = query.after(next);
            }
            let mut expected: Vec<(String, EntryId)> = queues
                .iter()
                .flat_map(|queue| (1..=150).map(move |number| ((*queue).to_owned(), number)))
                .filter(|(_, number)| number % 3 != 0)
                .map(|(queue, number)| (queue, id(&format!("1-{number}"))))
                .collect();
            if newest_first {
                expected.reverse();
            }
            assert_eq!(found, expected, "{kind:?} {newest_first}");
        }
    }
}

#[test]
fn replaying_and_purging_by_a_query_take_what_it_wants_and_nothing_else() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        for number in 1..=250 {
            let group = if number % 2 == 0 { "readers" } else { "writers" };
            add(&server, DLQ, &format!("1-{number}"), group, number, "no");
        }
        for group in ["readers", "writers", "auditors"] {
            server.command(&["XGROUP", "CREATE", STREAM, group, "0", "MKSTREAM"]);
        }
        let letters = letters(&server, Profile::native());
        let report =
            letters.replay_all(&DeadLetterQuery::new().group("writers").limit(7), None).expect("replays");
        assert_eq!((report.replayed, report.gone, report.refused.len()), (125, 0, 0));
        let replay = |group: &str| format!("{DLQ}:{group}:replay");
        assert_eq!(server.command(&["XLEN", &replay("writers")]), "125");
        assert_eq!(server.command(&["EXISTS", &replay("readers")]), "0");
        assert_eq!(server.command(&["XLEN", STREAM]), "0");
        let query = DeadLetterQuery::new().until("2026-02-11T12:01:40Z".parse().expect("a time"));
        assert_eq!(letters.replay_all(&query, Some("auditors")).expect("replays").replayed, 49);
        assert_eq!(server.command(&["XLEN", &replay("auditors")]), "49");
        assert_eq!(letters.purge(STREAM, &[id("1-250"), id("1-249"), id("9-9")]).expect("purges"), 1);
        assert_eq!(letters.purge_all(&DeadLetterQuery::new().limit(10)).expect("purges"), 75);
        let count = &letters.count().expect("counts")[0];
        assert_eq!((count.queue.as_str(), count.stream.as_deref()), (DLQ, Some(STREAM)));
        assert_eq!((count.waiting, count.replayed, count.purged), (0, 174, 76));
    }
}

#[test]
fn what_the_original_systems_moved_is_listed_and_goes_to_the_group_that_is_named() {
    let Some(server) = RedisServer::start() else { return };
    let (stream, queue) = ("t:acme:events:main", "t:acme:events:main:dlq");
    server.command(&["XGROUP", "CREATE", stream, "writers", "0", "MKSTREAM"]);
    let dead = ["_dlq_original_stream", stream, "_dlq_original_id", "7-1", "_dlq_error", "boom"];
    let facts =
        ["_dlq_retry_count", "3", "_dlq_timestamp", "2026-02-11T12:58:38.123456+00:00", "_retry_count", "3"];
    server.command(&[&["XADD", queue, "9-1", "event_type", "task.failed"], &dead[..], &facts].concat());
    let tenant = letters(&server, Profile::tenant());
    let letter = tenant.show(queue, id("9-1")).expect("is there");
    assert_eq!((letter.stream.as_deref(), letter.original_id), (Some(stream), Some(id("7-1"))));
    assert_eq!((letter.group, letter.attempts, letter.error.as_deref()), (None, Some(3), Some("boom")));
    assert_eq!(letter.fields, [(b"event_type".to_vec(), b"task.failed".to_vec())]);
    let report = tenant.replay(queue, &[id("9-1")], None).expect("answers");
    let error = &report.refused[0].error;
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().starts_with("group: "), "{error}");
    assert_eq!(tenant.replay(queue, &[id("9-1")], Some("writers")).expect("replays").replayed, 1);
    let replayed = server.entries("t:acme:events:main:dlq:writers:replay");
    let names: Vec<&str> = replayed[0].1.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["event_type", "_replay_stream", "_replay_id", "_replay_of", "_replay_fields"]);

    let (stream, queue) = ("orchestration:events", "orchestration:events:dlq");
    server.command(&["XGROUP", "CREATE", stream, "workers", "0", "MKSTREAM"]);
    let metadata =
        r#"{"dlq_reason":"boom","dlq_retry_count":3,"dlq_original_stream":"orchestration:events"}"#;
    server.command(&["XADD", queue, "9-1", "event_type", "\"task_failed\"", "metadata", metadata]);
    let orchestration = letters(&server, Profile::orchestration());
    let letter = &orchestration.list(&DeadLetterQuery::new()).expect("lists").letters[0];
    assert_eq!((letter.error.as_deref(), letter.attempts), (Some("boom"), Some(3)));
    assert_eq!((letter.stream.as_deref(), &letter.group), (Some(stream), &None));
    assert_eq!(orchestration.replay(stream, &[id("9-1")], Some("workers")).expect("replays").replayed, 1);
}

#[test]
fn p10_a_letter_that_claims_the_stream_of_another_tenant_is_of_its_own_queue() {
    let Some(server) = RedisServer::start() else { return };
    add(&server, DLQ, "1-1", "writers", 0, "no");
    let claim =
        ["_dlq_group", "writers", "_dlq_original_stream", "planbus:{other}:events", "_dlq_fields", "3"];
    server.command(&[&["XADD", DLQ, "1-2", "plan_id", "p"], &claim[..]].concat());
    for stream in [STREAM, "planbus:{other}:events"] {
        server.command(&["XGROUP", "CREATE", stream, "writers", "0", "MKSTREAM"]);
    }
    let letters = letters(&server, Profile::native());
    assert_eq!(letters.show(DLQ, id("1-2")).expect("is there").stream.as_deref(), Some(STREAM));
    assert_eq!(letters.replay_all(&DeadLetterQuery::new(), None).expect("replays").replayed, 2);
    assert_eq!(server.command(&["XLEN", &format!("{DLQ}:writers:replay")]), "2");
    assert_eq!(server.command(&["KEYS", "planbus:{other}*"]), "planbus:{other}:events");
}

#[test]
fn letters_that_several_streams_share_a_queue_for_go_back_to_their_own() {
    let Some(server) = RedisServer::start() else { return };
    let profile = Profile::native()
        .with_key("bus:{<tenant>}:<plan>")
        .and_then(|profile| profile.with_dlq_key("dead:{<tenant>}"))
        .expect("templates");
    let fields = ["plan_id", "p", "_dlq_original_stream", "bus:{acme}:p", "_dlq_fields", "2"];
    server.command(&[&["XADD", "dead:{acme}", "1-1"], &fields[..]].concat());
    server.command(&["XADD", "dead:{acme}", "1-2", "plan_id", "p"]);
    server.command(&["XGROUP", "CREATE", "bus:{acme}:p", "writers", "0", "MKSTREAM"]);
    let letters = letters(&server, profile);
    assert_eq!(letters.count().expect("counts")[0].stream, None);
    let report = letters.replay_all(&DeadLetterQuery::new(), Some("writers")).expect("replays");
    assert_eq!((report.replayed, report.refused.len()), (1, 1));
    assert!(report.refused[0].error.to_string().starts_with("stream: nothing says"), "{report:?}");
}

#[test]
fn p11_a_wrong_name_or_option_is_refused_by_name() {
    let Some(server) = RedisServer::start() else { return };
    let letters = letters(&server, Profile::native());
    let list = |query: DeadLetterQuery| letters.list(&query).expect_err("wrong");
    for limit in [0, DEAD_LETTERS_PAGE_MAX + 1] {
        let error = list(DeadLetterQuery::new().limit(limit));
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert_eq!(error.to_string(), format!("limit must be 1 to 1000, got {limit}"));
    }
    let error = list(DeadLetterQuery::new().filter(Filter::all().plan("")));
    assert!(error.to_string().starts_with("plan"), "{error}");
    assert_eq!(list(DeadLetterQuery::new().stream("other")).kind(), ErrorKind::InvalidInput);
    assert_eq!(list(DeadLetterQuery::new().stream(STREAM)).kind(), ErrorKind::NotFound);
    server.command(&["XADD", STREAM, "*", "a", "b"]);
    assert!(letters.list(&DeadLetterQuery::new().stream(STREAM)).expect("lists").letters.is_empty());
    let error = letters.show(STREAM, id("1-1")).expect_err("none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), format!("show a dead letter: there is no 1-1 in {DLQ}"));
    assert!(letters.list(&DeadLetterQuery::new()).expect("lists").letters.is_empty());
}

#[test]
fn p8_of_several_who_replay_at_once_each_letter_is_replayed_by_one() {
    let Some(server) = RedisServer::start() else { return };
    server.command(&["XGROUP", "CREATE", STREAM, "writers", "0", "MKSTREAM"]);
    for number in 1..=300 {
        add(&server, DLQ, &format!("1-{number}"), "writers", number, "no");
    }
    let letters = letters(&server, Profile::native());
    let replayed: Vec<u64> = std::thread::scope(|scope| {
        let replay = || letters.replay_all(&DeadLetterQuery::new().limit(20), None).expect("replays");
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(replay)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic").replayed).collect()
    });
    assert_eq!(replayed.iter().sum::<u64>(), 300, "{replayed:?}");
    assert_eq!(server.command(&["XLEN", &format!("{DLQ}:writers:replay")]), "300");
    assert_eq!(letters.count().expect("counts")[0].replayed, 300);
}

#[test]
fn dead_letters_of_a_cluster_are_found_and_replayed_where_they_are() {
    let Some(cluster) = Cluster::start(false) else { return };
    let queues = ["acme", "b", "c", "d", "e"].map(|tenant| format!("planbus:{{{tenant}}}:events:dlq"));
    for queue in &queues {
        let master = cluster.master_of(queue);
        let stream = queue.strip_suffix(":dlq").expect("a queue");
        master.command(&["XGROUP", "CREATE", stream, "writers", "0", "MKSTREAM"]);
        (1..=2).for_each(|number| add(master, queue, &format!("1-{number}"), "writers", number, "no"));
    }
    let endpoint = RedisEndpoint::parse(&cluster.url()).expect("a URL");
    let letters = DeadLetters::new(endpoint, Profile::native());
    let found = list(&letters, DeadLetterQuery::new());
    let all = queues.iter().flat_map(|queue| [1, 2].map(|number| format!("{queue} 1-{number}")));
    assert_eq!(found, all.collect::<Vec<_>>());
    let odd = DeadLetterQuery::new().filter(Filter::all().types(["ToolCompleted"]));
    assert_eq!(letters.replay_all(&odd, None).expect("replays").replayed, 5);
    assert_eq!(letters.purge_all(&DeadLetterQuery::new()).expect("purges"), 5);
    for (count, queue) in letters.count().expect("counts").into_iter().zip(&queues) {
        assert_eq!((&count.queue, count.waiting, count.replayed, count.purged), (queue, 0, 1, 1));
        assert_eq!(cluster.entries(&format!("{queue}:writers:replay")).len(), 1);
    }
}

#[test]
fn the_user_of_the_example_looks_after_dead_letters_and_can_destroy_nothing_else() {
    const USER: &str = "planbus-dead-letters";
    for kind in [ServerKind::Redis7, ServerKind::Valkey] {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/redis/users.acl");
        let users = std::fs::read_to_string(path).expect("the example is there");
        let rules = users.lines().find_map(|line| line.strip_prefix("user planbus-dead-letters "));
        let rules = rules.expect("the user is there").split(' ');
        let command: Vec<&str> = ["ACL", "SETUSER", USER].into_iter().chain(rules).collect();
        server.command(&command);
        server.command(&["XGROUP", "CREATE", STREAM, "writers", "0", "MKSTREAM"]);
        (1..=3).for_each(|number| add(&server, DLQ, &format!("1-{number}"), "writers", number, "no"));
        let endpoint = RedisEndpoint::parse(&server.url_as(USER, "CHANGE-ME-5")).expect("a URL");
        let letters = DeadLetters::new(endpoint, Profile::native());
        assert_eq!(letters.list(&DeadLetterQuery::new()).expect("lists").letters.len(), 3);
        letters.show(STREAM, id("1-1")).expect("shows");
        assert_eq!(letters.replay(STREAM, &[id("1-1")], None).expect("replays").replayed, 1);
        assert_eq!(letters.purge_all(&DeadLetterQuery::new()).expect("purges"), 2);
        assert_eq!(letters.count().expect("counts")[0].purged, 2);
        let mut wire = server.wire().expect("connects");
        wire.call(&["AUTH", USER, "CHANGE-ME-5"]).expect("answers");
        for command in [
            &["FLUSHALL"][..],
            &["KEYS", "*"],
            &["DEL", STREAM],
            &["UNLINK", DLQ],
            &["XTRIM", STREAM, "MAXLEN", "0"],
            &["XGROUP", "DESTROY", STREAM, "writers"],
            &["XACK", STREAM, "writers", "1-1"],
            &["XADD", "elsewhere", "*", "a", "b"],
        ] {
            let reply = wire.call(command).expect("answers");
            assert!(
                matches!(&reply, Reply::Error(told) if told.starts_with("NOPERM")),
                "{command:?}: {reply:?}"
            );
        }
    }
}
