//! The program tells how groups of consumers stand, and what they have in hand and why.

#![cfg(all(target_os = "linux", feature = "cli"))]

mod cli_support;
mod consumer_support;
mod redis_support;
mod store_support;

use std::path::Path;

use cli_support::{fails, json_lines, run, stdout};
use consumer_support::{Fed, STREAM};
use planbus::{
    ErrorKind,
    redis::{DeadLetters, EntryId, PendingQuery, Profile, RedisEndpoint, Streams},
};
use redis_support::*;
use serde_json::{Value, json};
use store_support::Dir;

/// Runs consumers of a group with a command that fails, until all have failed once; the next attempt is
/// far away.
fn fail(dir: &Path, url: &str, group: &str) {
    let more = ["--exec", "echo no such table >&2; exit 7", "--retry", "1h", "--until-idle=500ms", "-q"];
    let output = run(dir, &[&["consume", "--redis", url, "--group", group][..], &more].concat());
    assert!(output.status.success(), "{}", cli_support::stderr(&output));
}

fn objects(dir: &Path, arguments: &[&str]) -> Vec<Value> {
    json_lines(&stdout(dir, &[arguments, &["-o", "json"]].concat()))
}

fn streams(url: &str) -> Streams {
    Streams::new(RedisEndpoint::parse(url).expect("a URL"), Profile::native())
}

#[test]
fn groups_are_listed_with_what_they_have_to_do() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        let Some(fed) = Fed::on(server, Profile::native()) else { continue };
        let (dir, url) = (Dir::new(), fed.server.url());
        let none = run(dir.path(), &["groups", "--redis", &url]);
        assert!(none.status.success() && none.stdout.is_empty(), "{kind:?}");
        fed.publish("plan-1", 3);
        fail(dir.path(), &url, "workers");
        fed.publish("plan-2", 2);
        fed.server.command(&["XGROUP", "CREATE", STREAM, "idle", "$"]);
        let all = objects(dir.path(), &["groups", "--redis", &url]);
        let facts = |group: &Value| {
            ["name", "pending", "lag", "waiting", "replays", "stream_dead_letters"]
                .map(|fact| group[fact].clone())
        };
        let told: Vec<_> = all.iter().map(facts).collect();
        let expected = [
            [json!("idle"), json!(0), json!(0), json!(0), json!(0), json!(0)],
            [json!("workers"), json!(3), json!(2), json!(3), json!(0), json!(0)],
        ];
        assert_eq!(told, expected, "{kind:?}");
        assert_eq!(all[0]["stream"], STREAM);
        let table = stdout(dir.path(), &["groups", "--redis", &url]);
        for word in ["workers", "idle", "TO RETRY", " ago", STREAM] {
            assert!(table.contains(word), "no {word:?} in {table}");
        }
    }
}

#[test]
fn a_group_is_shown_with_its_consumers() {
    let Some(fed) = Fed::start() else { return };
    let (dir, url) = (Dir::new(), fed.server.url());
    fed.publish("plan-1", 3);
    fed.server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    for (consumer, count) in [("beta", "1"), ("alpha", "2")] {
        let read = ["XREADGROUP", "GROUP", "workers", consumer, "COUNT", count, "STREAMS", STREAM, ">"];
        fed.server.command(&read);
    }
    let group = &objects(dir.path(), &["groups", "workers", "--redis", &url])[0];
    let members: Vec<_> = group["members"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| [&one["name"], &one["pending"]])
        .collect();
    assert_eq!(members, [[&json!("alpha"), &json!(2)], [&json!("beta"), &json!(1)]]);
    let table = stdout(dir.path(), &["groups", "workers", "--redis", &url]);
    assert!(table.contains("CONSUMER") && table.contains("alpha"), "{table}");
    let lease = format!("{STREAM}:dlq:workers:lease");
    fed.server.command(&["SET", &lease, "alpha"]);
    assert_eq!(objects(dir.path(), &["groups", "workers", "--redis", &url])[0]["lease"], "alpha");
    fails(
        dir.path(),
        &["groups", "nobody", "--redis", &url],
        3,
        &["no stream of the profile native", "nobody"],
    );
    fails(dir.path(), &["groups", "--tenant", "acme", "--redis", &url], 2, &["--tenant"]);
}

#[test]
fn pending_entries_are_told_with_their_failures_and_left_as_they_are() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        let Some(fed) = Fed::on(server, Profile::native()) else { continue };
        let (dir, url) = (Dir::new(), fed.server.url());
        let ids = fed.publish("plan-1", 2);
        fail(dir.path(), &url, "workers");
        let first = fed.server.entries(STREAM)[0].0.clone();
        fed.server.command(&["XDEL", STREAM, &first]);
        let list = ["pending", "--group", "workers", "--redis", &url];
        let all = objects(dir.path(), &list);
        let [deleted, failed] = &all[..] else { panic!("{kind:?}: {all:?}") };
        assert_eq!((&deleted["id"], &deleted["is_deleted"]), (&json!(first), &json!(true)));
        assert_eq!((&deleted["event_type"], &failed["is_deleted"]), (&Value::Null, &json!(false)));
        assert_eq!(failed["event_id"], json!(ids[1].to_string()));
        assert_eq!((&failed["event_type"], &failed["plan_id"]), (&json!("ToolCalled"), &json!("plan-1")));
        assert_eq!((&failed["failed_attempts"], &failed["deliveries"]), (&json!(1), &json!(1)));
        assert_eq!(failed["last_error"], "exit code 7: no such table");
        assert!(failed["consumer"].as_str().is_some_and(|name| name.starts_with("planbus.")), "{failed}");
        let due_in_ms = failed["due_in_ms"].as_u64().expect("a number");
        assert!((3_000_000..=3_600_000).contains(&due_in_ms), "{kind:?}: {due_in_ms}");
        assert_eq!(failed["first_failed_at"], failed["last_failed_at"]);
        let table = stdout(dir.path(), &list);
        for word in [STREAM, "in 59m", "ToolCalled", "deleted", "exit code 7: no such table"] {
            assert!(table.contains(word), "{kind:?}: no {word:?} in {table}");
        }
        assert_eq!(objects(dir.path(), &[&list[..], &["--first", "1"]].concat()).len(), 1);
        assert_eq!(objects(dir.path(), &[&list[..], &[STREAM]].concat())[1]["deliveries"], 1);
    }
}

#[test]
fn pending_entries_are_read_on_page_by_page() {
    let Some(fed) = Fed::start() else { return };
    let (dir, url) = (Dir::new(), fed.server.url());
    fed.publish("plan-1", 450);
    fed.server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    let read = ["XREADGROUP", "GROUP", "workers", "alpha", "COUNT", "450", "STREAMS", STREAM, ">"];
    fed.server.command(&read);
    let listed = objects(dir.path(), &["pending", "--group", "workers", "--redis", &url]);
    let listed: Vec<&str> = listed.iter().map(|entry| entry["id"].as_str().expect("an id")).collect();
    let entries = fed.server.entries(STREAM);
    assert_eq!(listed, entries.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
    let streams = streams(&url);
    let after: EntryId = entries[440].0.parse().expect("an id");
    let query = PendingQuery::new(STREAM, "workers").after(after);
    assert_eq!(streams.pending(&query).expect("answers").len(), 9);
    assert_eq!(streams.pending(&query.clone().limit(4)).expect("answers").len(), 4);
    assert!(streams.pending(&query.clone().replays()).expect("answers").is_empty());
    let wrong = streams.pending(&query.limit(0)).expect_err("no limit");
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
    for (stream, group) in [("nonesuch", "workers"), (STREAM, "nobody")] {
        let error = streams.pending(&PendingQuery::new(stream, group)).expect_err("is not there");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let error = streams.consumers(stream, group).expect_err("is not there");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    fails(dir.path(), &["pending", "--group", "nobody", "--redis", &url], 3, &["has a group nobody"]);
    fails(dir.path(), &["pending", "--redis", &url], 2, &["--group <NAME>"]);
}

#[test]
fn dead_letters_that_were_sent_back_are_pending_too() {
    let Some(fed) = Fed::start() else { return };
    let (dir, url) = (Dir::new(), fed.server.url());
    fed.publish("plan-1", 1);
    let refuse = ["consume", "--redis", &url, "-g", "workers", "--exec", "exit 65", "--until-idle", "-q"];
    assert!(run(dir.path(), &refuse).status.success());
    let queue = format!("{STREAM}:dlq");
    let letter: EntryId = fed.server.entries(&queue)[0].0.parse().expect("an id");
    let endpoint = RedisEndpoint::parse(&url).expect("a URL");
    let report = DeadLetters::new(endpoint, Profile::native()).replay(STREAM, &[letter], None);
    assert_eq!(report.expect("answers").replayed, 1);
    let group = &objects(dir.path(), &["groups", "--redis", &url])[0];
    assert_eq!((&group["replays"], &group["stream_dead_letters"]), (&json!(1), &json!(0)));
    let tell = "echo $PLANBUS_REPLAY $PLANBUS_ATTEMPT $PLANBUS_STREAM > told; exit 7";
    let again =
        ["consume", "--redis", &url, "-g", "workers", "--exec", tell, "--retry", "1h", "--until-idle", "-q"];
    assert!(run(dir.path(), &again).status.success());
    let told = std::fs::read_to_string(dir.path().join("told")).expect("was written");
    assert_eq!(told, format!("1 1 {STREAM}\n"));
    let all = objects(dir.path(), &["pending", "-g", "workers", "--redis", &url]);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["stream"], format!("{queue}:workers:replay"));
    assert_eq!((&all[0]["failed_attempts"], &all[0]["plan_id"]), (&json!(1), &json!("plan-1")));
    assert_eq!(objects(dir.path(), &["groups", "--redis", &url])[0]["waiting"], 1);
}
