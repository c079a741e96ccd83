//! Dead letters over HTTP: listed, shown, and sent back to their groups by whoever may, and by no page of
//! another site.

#![cfg(all(feature = "redis", feature = "server", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod server_redis_support;
mod server_support;
mod store_support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use consumer_support::{Calls, builder};
use planbus::{
    redis::{Delivery, Profile, RedisEndpoint, Streams},
    server::AccessToken,
};
use redis_support::{RedisServer, wait_for};
use serde_json::{Value, json};
use server_redis_support::{
    QUEUE, QUEUE_PATH, REPLAY, STREAM, add_letter, mirror, post, refusal, replay, watching,
};
use server_support::{
    Live,
    guarded::{CI, bearer, cookie, json as body_of, with_token},
    wire::ask,
};

fn letters(live: &Live, query: &str) -> Vec<Value> {
    let (status, mut page) = live.get(&format!("/redis/dead-letters{query}"));
    assert_eq!(status, 200, "{page}");
    page["letters"].take().as_array().expect("a list").clone()
}

fn ids(letters: &[Value]) -> Vec<&str> {
    letters.iter().map(|letter| letter["id"].as_str().expect("an id")).collect()
}

/// How many letters wait in the queue.
fn waiting(redis: &RedisServer) -> String {
    redis.command(&["XLEN", QUEUE])
}

#[test]
fn p8_what_a_group_gave_up_is_listed_shown_replayed_and_handled_then() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    let seqs: Vec<u64> = (1..=6).map(|at| live.note("plan/poison", at)).collect();
    let _mirror = mirror(&live, &redis);
    let (is_mended, handled) = (Arc::new(AtomicBool::new(false)), Calls::default());
    let (mended, noted) = (Arc::clone(&is_mended), handled.clone());
    let consumer = builder(&redis, "writers").handler(move |delivery: &Delivery| {
        let is_poison = delivery.event().seq().is_some_and(|seq| seq % 3 == 0);
        if is_poison && !mended.load(Ordering::SeqCst) {
            return Err("no such column: <script>alert(1)</script>");
        }
        noted.note(delivery);
        Ok(())
    });
    let _consumer = consumer.expect("starts");
    wait_for("both are given up", || waiting(&redis) == "2");
    let mut found = letters(&live, "?group=writers&error=column&order=asc");
    let newest_first: Vec<Value> = found.iter().rev().cloned().collect();
    assert_eq!(letters(&live, ""), newest_first);
    let seqs_of = |letters: &[Value]| letters.iter().map(|letter| letter["seq"].as_u64()).collect::<Vec<_>>();
    // Whichever came to its last attempt first.
    found.sort_by_key(|letter| letter["seq"].as_u64());
    assert_eq!(seqs_of(&found), [Some(seqs[2]), Some(seqs[5])]);
    let first = &found[0];
    let stored = live.get("/events?limit=6").1["events"][2].clone();
    let failed_at = first["failed_at"].as_str().expect("a time").to_owned();
    assert!(failed_at.parse::<planbus::Timestamp>().is_ok(), "{first}");
    assert_eq!(
        *first,
        json!({
            "stream": QUEUE, "id": first["id"], "group": "writers", "event_type": "note",
            "plan_id": "plan/poison", "tenant": "default", "event_id": stored["event_id"], "seq": seqs[2],
            "reason": "failed", "error": "no such column: <script>alert(1)</script>", "attempts": 4,
            "failed_at": failed_at,
        })
    );
    let id = first["id"].as_str().expect("an id").to_owned();
    for name in [QUEUE_PATH, QUEUE_PATH.trim_end_matches(":dlq")] {
        let (status, shown) = live.get(&format!("/redis/dead-letters/{name}/{id}"));
        assert_eq!((status, &shown["event"]), (200, &stored), "the event as it was published");
        assert_eq!(shown["fields"]["plan_id"], "plan/poison", "{shown}");
        assert_eq!((&shown["error"], &shown["stream"]), (&first["error"], &json!(QUEUE)));
    }
    is_mended.store(true, Ordering::SeqCst);
    let request = json!({"stream": QUEUE, "ids": [id, "1-1"], "group": null});
    assert_eq!(replay(&live, &request), (200, json!({"replayed": 1, "gone": 1, "refused": []})));
    wait_for("it is handled", || handled.all().len() == 5);
    assert_eq!(seqs_of(&letters(&live, "")), [Some(seqs[5])]);
    assert_eq!(live.get(&format!("/redis/dead-letters/{QUEUE_PATH}/{id}")).0, 404);
    assert_eq!(replay(&live, &request).1, json!({"replayed": 0, "gone": 2, "refused": []}));
    wait_for("no replay is under way", || {
        let told = &live.get("/redis").1["dead_letters"][0];
        (&told["queue"], &told["waiting"], &told["replaying"]) == (&json!(QUEUE), &json!(1), &json!(0))
    });
}

#[test]
fn what_is_sent_back_is_told_at_once_as_such() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    redis.command(&["XGROUP", "CREATE", STREAM, "writers", "0", "MKSTREAM"]);
    (1..=3).for_each(|number| add_letter(&redis, &format!("1-{number}"), "writers", "no"));
    let told =
        |waiting: u64, replaying: u64| json!([{"queue": QUEUE, "waiting": waiting, "replaying": replaying}]);
    assert_eq!(live.get("/redis").1["dead_letters"], told(3, 0));
    let answer = replay(&live, &json!({"stream": STREAM, "ids": ["1-1", "1-3"]}));
    assert_eq!(answer, (200, json!({"replayed": 2, "gone": 0, "refused": []})));
    // Nobody reads for the group.
    assert_eq!(live.get("/redis").1["dead_letters"], told(1, 2), "what was known before is forgotten");
    assert_eq!(ids(&letters(&live, "")), ["1-2"]);
}

#[test]
fn no_page_of_another_site_sends_a_letter_back() {
    let Some(redis) = RedisServer::start() else { return };
    let open = watching(&redis);
    let endpoint = RedisEndpoint::parse(&redis.url()).expect("a URL");
    let closed = Live::with(|server| {
        server.redis(Streams::new(endpoint, Profile::native())).token(AccessToken::new("ci", CI))
    });
    redis.command(&["XGROUP", "CREATE", STREAM, "writers", "0", "MKSTREAM"]);
    add_letter(&redis, "1-1", "writers", "no");
    let body = json!({"stream": QUEUE, "ids": ["1-1"]}).to_string();
    let session = cookie(&with_token(&closed, "POST /session", CI));
    let json = ("Content-Type", "application/json");
    // A page of another site, where everybody may ask who reaches the server: its user does.
    for headers in [
        &[("Origin", "http://evil.example"), json][..],
        &[("Origin", "null"), json],
        &[("Origin", "http://localhost:1"), json],
        &[("Sec-Fetch-Site", "cross-site"), json],
        &[("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "navigate"), json],
    ] {
        let answer = ask(open.server.addr(), REPLAY, headers, &body);
        assert_eq!(answer.status, 403, "{headers:?}: {answer:?}");
    }
    // What a form sends, should a browser tell nothing of where it comes from.
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; application/json",
        "application/jsonp",
        "",
    ] {
        let answer = ask(open.server.addr(), REPLAY, &[("Content-Type", kind)], &body);
        assert_eq!(answer.status, 415, "{kind}: {answer:?}");
        assert_eq!(body_of(&answer)["error"]["message"], "Content-Type: must be application/json");
    }
    assert_eq!(ask(open.server.addr(), REPLAY, &[], &body).status, 415);
    assert_eq!(ask(open.server.addr(), REPLAY, &[json, ("Content-Type", "text/plain")], &body).status, 415);
    let preflight = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")];
    let answer = ask(open.server.addr(), "OPTIONS /redis/dead-letters/replay", &preflight, "");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
    let get = format!("GET /redis/dead-letters/replay?stream={QUEUE_PATH}&ids=1-1");
    assert_eq!(ask(open.server.addr(), &get, &[], "").status, 405);
    // A browser sends the cookie, whoever made it ask.
    let asked = |headers: &[(&str, &str)]| {
        post(&closed, REPLAY, &[&[("Cookie", session.as_str())], headers].concat(), &body).status
    };
    assert_eq!(asked(&[]), 403);
    assert_eq!(asked(&[("Origin", "http://evil.example")]), 403);
    assert_eq!(post(&closed, REPLAY, &[], &body).status, 401);
    let ticket = body_of(&with_token(&closed, "POST /tickets", CI))["ticket"].as_str().map(str::to_owned);
    let with_ticket = format!("{REPLAY}?ticket={}", ticket.expect("a ticket"));
    assert_eq!(post(&closed, &with_ticket, &[], &body).status, 401);
    assert_eq!(waiting(&redis), "1", "it was sent back");
    // The page of the server's own, and a program.
    let own = closed.server.url();
    assert_eq!(asked(&[("Origin", &own)]), 200);
    assert_eq!(waiting(&redis), "0");
    let ci = bearer(CI);
    assert_eq!(post(&closed, REPLAY, &[("Authorization", &ci)], &body).status, 200);
}

#[test]
fn p11_a_wrong_replay_is_refused_by_name_and_sends_nothing_back() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    redis.command(&["XGROUP", "CREATE", STREAM, "writers", "0", "MKSTREAM"]);
    add_letter(&redis, "1-1", "writers", "no");
    let many: Vec<String> = (0..101).map(|number| format!("1-{number}")).collect();
    let long = "x".repeat(1 << 20);
    let body = |stream: &str, ids: Value, group: Value| {
        json!({"stream": stream, "ids": ids, "group": group}).to_string()
    };
    let one = || json!(["1-1"]);
    for (body, said) in [
        (String::new(), "body: "),
        ("[]".to_owned(), "body: "),
        ("{".to_owned(), "body: "),
        (r#"{"stream":"a","stream":"a"}"#.to_owned(), "body: duplicate field `stream`"),
        (json!({"stream": QUEUE, "ids": one(), "grup": "a"}).to_string(), "body: unknown field `grup`"),
        (json!({"ids": one()}).to_string(), "stream: must be given"),
        (body("", one(), json!(null)), "stream: must be 1 to 512 bytes, got 0"),
        (body(&long, one(), json!(null)), "stream: must be 1 to 512 bytes, got 1048576"),
        (json!({"stream": 7, "ids": one()}).to_string(), "stream: must be a string"),
        (body("elsewhere", one(), json!(null)), "stream: elsewhere is no stream of the profile native"),
        (json!({"stream": QUEUE}).to_string(), "ids: must be 1 to 100, got 0"),
        (body(QUEUE, json!([]), json!(null)), "ids: must be 1 to 100, got 0"),
        (body(QUEUE, json!(many), json!(null)), "ids: must be 1 to 100, got 101"),
        (body(QUEUE, json!("1-1"), json!(null)), "ids: must be a list of strings"),
        (body(QUEUE, json!(["1-1", 7]), json!(null)), "ids: must be a list of strings"),
        (body(QUEUE, json!(["1-1", "*"]), json!(null)), "ids: entry id: must be like"),
        (body(QUEUE, one(), json!(7)), "group: must be a string"),
        (body(QUEUE, one(), json!("")), "group: must be 1 to 256 bytes, got 0"),
        (body(QUEUE, one(), json!("a\nb")), "group: must have no control characters"),
        (body(QUEUE, one(), json!("planbus:01J8ZQ4X9T6V7W8Y0ABCDEFGHK")), "group: \"planbus:"),
    ] {
        let answer = post(&live, REPLAY, &[], &body);
        let message = body_of(&answer)["error"]["message"].as_str().expect("a message").to_owned();
        let shown: String = body.chars().take(80).collect();
        assert!(answer.status == 400 && message.starts_with(said), "{shown}: {} {message}", answer.status);
        assert!(message.len() < 300, "{shown}: {message}");
    }
    assert_eq!(post(&live, &format!("{REPLAY}?all=true"), &[], &body(QUEUE, one(), json!(null))).status, 400);
    assert_eq!(waiting(&redis), "1");
}

#[test]
fn what_redis_refuses_is_told_in_its_words_and_no_password_is() {
    let Some(redis) = RedisServer::builder().tcp().requirepass("canary-7f3").start() else { return };
    redis.command(&["XGROUP", "CREATE", STREAM, "writers", "0", "MKSTREAM"]);
    (1..=3).for_each(|number| add_letter(&redis, &format!("1-{number}"), "writers", "no"));
    redis.command(&["ACL", "SETUSER", "reader", "on", ">canary-8e2", "~*", "+@all", "-eval", "-evalsha"]);
    redis.command(&["ACL", "SETUSER", "nobody", "on", ">canary-8e2", "~*", "+@connection", "+info"]);
    let as_user = |user: &str, password: &str| {
        let endpoint = RedisEndpoint::parse(&redis.url_as(user, password)).expect("a URL");
        Live::with(|server| server.redis(Streams::new(endpoint, Profile::native())))
    };
    let request = json!({"stream": QUEUE, "ids": ["1-1", "1-2"]});
    let mut told = Vec::new();
    // It may list letters, and not move them: each stays where it is.
    let reader = as_user("reader", "canary-8e2");
    let (status, answer) = replay(&reader, &request);
    assert_eq!((status, &answer["replayed"], &answer["refused"][1]["id"]), (200, &json!(0), &json!("1-2")));
    let reason = answer["refused"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("refused by the server: NOPERM"), "{reason}");
    told.push(answer.to_string());
    // It may do nothing here, and that is not for want of a token of ours.
    let nobody = as_user("nobody", "canary-8e2");
    for (status, kind, message) in
        [refusal(nobody.get("/redis/dead-letters")), refusal(replay(&nobody, &request))]
    {
        assert_eq!((status, kind.as_str()), (502, "Unauthorized"), "{message}");
        assert!(message.contains("NOPERM"), "{message}");
        told.push(message);
    }
    let (_, whole) = nobody.get("/redis");
    assert_eq!(whole["is_up"], true, "it answers: {whole}");
    assert!(whole["error"].as_str().is_some_and(|error| error.contains("NOPERM")), "{whole}");
    told.push(whole.to_string());
    let (status, kind, message) = refusal(as_user("reader", "canary-wrong").get("/redis/dead-letters"));
    assert_eq!((status, kind.as_str()), (502, "Unauthorized"), "{message}");
    told.push(message);
    // A master that became a replica takes nothing, and what it says is told, not that a connection is over.
    let writer = as_user("default", "canary-7f3");
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let (status, kind, message) = refusal(replay(&writer, &request));
    assert_eq!((status, kind.as_str()), (503, "Unavailable"), "{message}");
    assert!(message.contains("a replica: name its master"), "{message}");
    told.push(message);
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(waiting(&redis), "3");
    assert_eq!(replay(&writer, &request).1["replayed"], 2);
    assert!(!told.concat().contains("canary"), "{told:?}");
}

#[test]
fn a_letter_that_has_no_group_to_go_to_stays_and_is_told_why() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    redis.command(&["XGROUP", "CREATE", STREAM, "auditors", "0", "MKSTREAM"]);
    add_letter(&redis, "1-1", "writers", "no");
    redis.command(&["XADD", QUEUE, "1-2", "event_type", "note"]);
    let request = json!({"stream": QUEUE, "ids": ["1-1", "1-2", "1-3"]});
    let (status, answer) = replay(&live, &request);
    assert_eq!((status, &answer["replayed"], &answer["gone"]), (200, &json!(0), &json!(1)));
    let refused: Vec<_> = answer["refused"].as_array().expect("a list").iter().collect();
    assert!(
        refused[0]["reason"].as_str().is_some_and(|told| told.contains("has no group writers")),
        "{answer}"
    );
    assert!(refused[1]["reason"].as_str().is_some_and(|told| told.starts_with("group: ")), "{answer}");
    let named = json!({"stream": QUEUE, "ids": ["1-1", "1-2"], "group": "auditors"});
    assert_eq!(replay(&live, &named).1, json!({"replayed": 2, "gone": 0, "refused": []}));
}

#[test]
fn pages_give_every_letter_once_and_what_is_rare_costs_no_page_more_than_its_turn() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    let other = "planbus:{other}:events:dlq";
    let script = "for number = ARGV[1], ARGV[2] do
        local text = number == 2 and 'rare: a/b&c=d é' or 'often'
        redis.call('XADD', KEYS[1], '1-' .. number, 'a', 'b', '_dlq_error', text, '_dlq_fields', '2')
    end";
    let fill =
        |queue: &str, first: &str, last: &str| redis.command(&["EVAL", script, "1", queue, first, last]);
    fill(QUEUE, "1", "1150");
    fill(other, "1", "150");
    let pages = |path: &str| {
        let (mut pages, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let (status, mut page) = live.get(&path);
            assert_eq!(status, 200, "{path}: {page}");
            let letters = page["letters"].take();
            let place = |letter: &Value| format!("{} {}", letter["stream"], letter["id"]);
            pages.push(letters.as_array().expect("a list").iter().map(place).collect::<Vec<_>>());
            next = page["next"].as_str().map(str::to_owned);
        }
        pages
    };
    let expected = |queue: &str, last: usize| {
        (1..=last).map(|number| format!("\"{queue}\" \"1-{number}\"")).collect::<Vec<_>>()
    };
    let mut all = [expected(QUEUE, 1_150), expected(other, 150)].concat();
    assert_eq!(pages("/redis/dead-letters?order=asc&limit=100").concat(), all);
    all.reverse();
    assert_eq!(pages("/redis/dead-letters?limit=97").concat(), all, "the newest first");
    fill(QUEUE, "1151", "25000");
    let rare = pages(&format!("/redis/dead-letters?stream={QUEUE_PATH}&error=a/b%26c%3Dd+%C3%A9&limit=7"));
    assert_eq!(rare.concat(), expected(QUEUE, 2)[1..]);
    assert_eq!(rare.len(), 3, "25,000 letters are not looked through for one answer");
}

#[test]
fn p11_what_is_no_event_is_shown_as_it_is() {
    let Some(redis) = RedisServer::start() else { return };
    let live = watching(&redis);
    let fields: [&[u8]; 8] = [b"raw", b"\xff\x00", b"twice", b"1", b"twice", b"2", "é".as_bytes(), b"\"<b>"];
    redis.command(&[&[b"XADD", QUEUE.as_bytes(), b"1-1"][..], &fields].concat());
    let (status, shown) = live.get(&format!("/redis/dead-letters/{QUEUE_PATH}/1-1"));
    assert_eq!((status, &shown["event"]), (200, &Value::Null), "{shown}");
    assert_eq!(shown["fields"], json!({"raw": r"\xff\x00", "twice": ["1", "2"], "é": "\"<b>"}));
    let listed = &letters(&live, "")[0];
    for name in ["group", "event_type", "plan_id", "tenant", "event_id", "seq", "reason", "error", "attempts"]
    {
        assert!(listed.get(name).is_some_and(Value::is_null), "{name}: {listed}");
    }
    assert_eq!(listed["failed_at"], "1970-01-01T00:00:00.001000Z", "the time of its id");
}
