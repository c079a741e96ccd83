//! A server beside a command that mirrors: it tells how the mirror and its Redis are, and what clients
//! start is mirrored too.

#![cfg(feature = "cli")]
#![cfg(target_os = "linux")]

mod cli_support;
mod redis_support;
mod serve_support;
mod server_support;
mod store_support;

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use cli_support::{Place, planbus};
use redis_support::{RedisServer, wait_for};
use serde_json::{Value, json};
use serve_support::Serving;
use server_support::agent;

const STREAM: &str = "planbus:{default}:events";

fn get(serving: &Serving, path: &str) -> Value {
    let mut answer = agent().get(format!("{}{path}", serving.url)).call().expect("an answer");
    answer.body_mut().read_json().expect("JSON")
}

/// Whether the server says that this Redis has all that the log has.
fn is_whole(serving: &Serving, place: &str) -> bool {
    let stats = get(serving, "/stats");
    let (mirror, head) = (&stats["mirrors"][0], &stats["log"]["last_seq"]);
    assert_eq!((&mirror["redis"], &stats["has_redis"]), (&json!(place), &json!(true)), "{stats}");
    let redis = get(serving, "/redis");
    let stream = &redis["streams"][0];
    mirror["state"] == "live" && mirror["lag"] == 0 && stream["name"] == STREAM && stream["length"] == *head
}

#[test]
fn p7_a_demo_that_serves_on_tells_of_its_mirror_and_mirrors_what_clients_start() {
    let Some(redis) = RedisServer::builder().requirepass("canary-7f3").start() else { return };
    let place = Place::with_tree();
    let arguments = ["demo", "--path", "tree", "--serve", "127.0.0.1:0", "-o", "json", "--redis"];
    let mut serving = Serving::start(planbus(place.path()).args(arguments).arg(redis.url()));
    let mut stdout = BufReader::new(serving.child.stdout.take().expect("piped"));
    let mut told = String::new();
    stdout.read_line(&mut told).expect("its summary, before it ends");
    serving.wait_until_still_serving();
    let shown = format!("unix://{}?user=default&pass=***", redis.socket().display());
    assert!(is_whole(&serving, &shown), "what was told at its end");
    assert!(!get(&serving, "/stats").to_string().contains("canary-7f3"));
    let before = redis.entries(STREAM).len();
    let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "survey ."}]});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": message}});
    let url = format!("{}/a2a", serving.url);
    agent().post(url).header("A2A-Version", "1.0").send(call.to_string()).expect("an answer");
    wait_for("what a client started is in Redis", || {
        redis.entries(STREAM).len() > before && is_whole(&serving, &shown)
    });
    // What is written as it ends is brought there, too.
    let ended = serving.interrupt();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let entries = redis.entries(STREAM).into_iter();
    let ids = entries
        .map(|(_, fields)| fields.into_iter().find(|(name, _)| name == "event_id").expect("an event").1);
    assert!(ids.eq(place.events().iter().map(|event| event.event_id().to_string())), "Redis equals the log");
}

#[test]
fn an_import_that_serves_tells_of_its_mirror_and_of_a_redis_that_went() {
    let Some(redis) = RedisServer::start() else { return };
    let place = Place::new();
    let mut command = planbus(place.path());
    command.args(["import", "-", "--serve", "127.0.0.1:0", "--redis"]).arg(redis.url()).stdin(Stdio::piped());
    let mut serving = Serving::start(&mut command);
    let mut stdin = serving.child.stdin.take().expect("piped");
    let line = r#"{"plan":"plan","parent":null,"kind":"plan_started","agent":"agent","at":null,"data":{}}"#;
    writeln!(stdin, "{line}").expect("written");
    wait_for("the mirror is live", || is_whole(&serving, &redis.url()));
    redis.kill();
    wait_for("the mirror tries again", || {
        let mirror = &get(&serving, "/stats")["mirrors"][0];
        mirror["state"] == "retrying"
            && mirror["last_error"].as_str().is_some_and(|told| told.contains("redis: "))
    });
    wait_for("it is told as gone", || get(&serving, "/redis")["is_up"] == false);
    drop(stdin);
    serving.wait_until_still_serving();
    assert_eq!(serving.interrupt().code, Some(0));
}
