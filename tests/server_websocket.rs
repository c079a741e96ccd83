//! WebSockets: the same events as server-sent ones, and how a connection ends.

#![cfg(feature = "server")]

mod server_support;

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use planbus::{Event, Retention};
use serde_json::{Value, json};
use server_support::{
    Live, PATIENCE,
    socket::{Socket, seq},
};
use tungstenite::Message;

fn open(live: &Live, path: &str) -> Socket {
    Socket::open(live, path, &[]).expect("a WebSocket")
}

#[test]
fn p6_a_plan_is_replayed_then_followed_to_its_end_as_in_the_log() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").source("planner").start(json!({"goal": "notes"})).expect("starts");
    live.note("another", 1);
    let mut socket = open(&live, "/plans/plan-7/events/ws");
    let first = socket.next().expect("a message");
    assert_eq!((&first["event"], seq(&first)), (&json!("PlanStarted"), 1));
    run.tool("grep", json!({"q": "TODO \u{1F600}"}), || Ok::<_, std::io::Error>("found")).expect("runs");
    run.complete(json!({"sections": 4})).expect("completes");
    let (rest, code, reason) = socket.rest();
    assert_eq!((code, reason.as_str()), (1000, "plan ended"));
    let log = live.bus.store().expect("a store").list_by_plan("plan-7", None).expect("reads");
    let told: Vec<&Value> = [&first].into_iter().chain(&rest).map(|message| &message["data"]).collect();
    let held: Vec<Value> = log.iter().map(|event| serde_json::to_value(event).expect("JSON")).collect();
    assert_eq!(told, held.iter().collect::<Vec<_>>());
    // Who comes again has it all.
    assert_eq!(open(&live, "/plans/plan-7/events/ws?after=5").rest(), (vec![], 1000, reason));
}

#[test]
fn p6_a_client_goes_on_where_it_was_and_is_sent_what_its_filter_matches() {
    let live = Live::start();
    for at in 1..=500 {
        live.note(if at % 2 == 0 { "even" } else { "odd" }, at);
    }
    let mut socket = Socket::open(&live, "/events/ws", &[("Last-Event-ID", "490")]).expect("a WebSocket");
    assert_eq!(socket.seqs(10), (491..=500).collect::<Vec<_>>());
    let mut plan = open(&live, "/plans/even/events/ws?after=490");
    assert_eq!(plan.seqs(5), [492, 494, 496, 498, 500]);
    let mut acme = open(&live, "/events/ws?tenant=acme&type=alarm&format=cloudevents&after=0");
    live.bus.publish(Event::untyped("even", "note", json!({})).with_tenant("acme")).expect("publishes");
    live.bus.publish(Event::untyped("even", "alarm", json!({})).with_tenant("acme")).expect("publishes");
    let alarm = acme.next().expect("a message");
    assert_eq!((&alarm["event"], seq(&alarm)), (&json!("alarm"), 502));
    assert_eq!(alarm["data"]["specversion"], "1.0");
    live.note("odd", 503);
    assert_eq!(socket.seqs(1), [503], "another tenant's events are not for it");
}

#[test]
fn p9_a_client_whose_place_is_no_longer_in_the_log_is_told() {
    let live = Live::start();
    for at in 0..50 {
        live.note("plan", at);
    }
    live.bus.store().expect("a store").prune(Retention::keep_last(10)).expect("prunes");
    let mut socket = open(&live, "/events/ws?after=7");
    let gap = json!({"event": "Gap", "id": null, "data": {"after_seq": 7, "oldest_seq": 41}});
    assert_eq!(socket.next(), Some(gap));
    assert_eq!(socket.seqs(10), (41..=50).collect::<Vec<_>>());
}

#[test]
fn p11_what_is_wrong_with_a_request_is_told_before_it_is_upgraded() {
    let live = Live::start();
    let refused = |path: &str| match Socket::open(&live, path, &[]) {
        Err((status, body)) => {
            let body: Value = serde_json::from_str(&body).expect("JSON");
            (status, body["error"]["message"].as_str().expect("a message").to_owned())
        }
        Ok(_) => panic!("{path} was upgraded"),
    };
    assert_eq!(refused("/plans/nobody/events/ws").0, 404);
    let (status, message) = refused("/events/ws?tenat=acme");
    assert_eq!((status, message.as_str()), (400, "tenat: is not a parameter of this request"));
    assert!(refused("/events/ws?format=xml").1.starts_with("format: "));
    // Without an upgrade there is no WebSocket.
    let (status, body) = live.get("/events/ws");
    assert_eq!((status, &body["error"]["kind"]), (400, &json!("InvalidInput")));
}

#[test]
fn p11_what_a_client_sends_is_left_alone_while_it_is_small_text() {
    let live = Live::start();
    let mut socket = open(&live, "/events/ws?after=0");
    for _ in 0..100 {
        socket.inner.send(Message::text("x".repeat(4_096))).expect("sends");
    }
    live.note("plan", 1);
    assert_eq!(socket.seqs(1), [1]);
    let ended = |message: Message| {
        let mut socket = open(&live, "/events/ws");
        socket.inner.send(message).expect("sends");
        socket.rest().1
    };
    assert_eq!(ended(Message::text("x".repeat(4_097))), 1009);
    assert_eq!(ended(Message::binary(vec![0_u8])), 1003);
    assert_eq!(ended(Message::text("x".repeat(70_000))), 1009);
    // A frame that is none: not masked.
    let mut socket = open(&live, "/events/ws");
    socket.inner.get_mut().write_all(&[0x81, 0x01, b'x']).expect("sends");
    assert_eq!(socket.rest().1, 1009);
    assert_eq!(socket_after(&live), [1], "the server goes on");
}

fn socket_after(live: &Live) -> Vec<u64> {
    open(live, "/events/ws?after=0").seqs(1)
}

#[test]
fn a_client_that_closes_is_answered() {
    let live = Live::start();
    let mut socket = open(&live, "/events/ws");
    socket.inner.close(None).expect("closes");
    assert!(matches!(socket.read(), Err(None)), "the goodbye comes back");
    let mut rest = Vec::new();
    assert_eq!(socket.inner.get_mut().read_to_end(&mut rest).expect("the end"), 0);
}

#[test]
fn a_stop_says_goodbye_and_waits_for_it() {
    let live = Live::start();
    let mut sockets: Vec<Socket> = (0..20).map(|_| open(&live, "/events/ws?after=0")).collect();
    live.note("plan", 1);
    sockets.iter_mut().for_each(|socket| assert_eq!(socket.seqs(1), [1]));
    let readers: Vec<_> =
        sockets.into_iter().map(|mut socket| std::thread::spawn(move || socket.rest())).collect();
    let Live { server, bus: _bus, dir: _dir } = live;
    assert!(server.stop(PATIENCE), "all ended by themselves");
    for reader in readers {
        assert_eq!(reader.join().expect("reads"), (vec![], 1001, "the server stops".to_owned()));
    }
}

#[test]
fn a_silent_stream_pings_with_the_place_up_to_which_all_was_looked_at() {
    let live = Live::with(|server| server.heartbeat(Duration::from_millis(100)));
    for at in 0..5 {
        live.note("plan", at);
    }
    let mut socket = open(&live, "/events/ws?type=alarm&after=0");
    socket.pings(3);
    live.bus.publish(Event::untyped("plan", "alarm", json!({}))).expect("publishes");
    assert_eq!(socket.seqs(1), [6]);
    assert_eq!(socket.last_ping.as_deref(), Some("5"));
}

#[test]
fn a_client_that_answers_no_ping_is_cut_off() {
    let live = Live::with(|server| {
        server.heartbeat(Duration::from_millis(100)).slow_client(Duration::from_millis(500))
    });
    let mut alive = open(&live, "/events/ws");
    let mut silent = open(&live, "/events/ws");
    let begun = Instant::now();
    let reader = std::thread::spawn(move || alive.next());
    // What is read from the socket itself answers nothing.
    let mut rest = Vec::new();
    silent.inner.get_mut().read_to_end(&mut rest).expect("the end");
    assert!(begun.elapsed() >= Duration::from_millis(500), "it was given its time");
    live.note("plan", 1);
    assert!(reader.join().expect("reads").is_some(), "one that answers stays");
}
