//! What the page asks the server for: plans, events by filters and by words, a plan, figures.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use planbus::{EventBus, server::Server};
use serde_json::Value;

use super::{Answers, Log, Picked};

/// The largest log that is searched: of ten million events the index alone would take longer than all
/// else.
const SEARCHED_EVENTS_MAX: u64 = 1_000_000;
/// How long the index of such a log may take, and how long it is left alone before it is asked again.
const INDEX_LIMIT: Duration = Duration::from_secs(300);
const INDEX_POLL: Duration = Duration::from_millis(100);

pub(super) fn ask(log: &Log, picked: &Picked, answers: &mut Answers) {
    let store = log.open();
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let mut server = Server::builder(&bus).bind("127.0.0.1:0");
    let is_searched = answers.size <= SEARCHED_EVENTS_MAX;
    if is_searched {
        server = server.search();
    }
    let server = server.start().expect("starts");
    let addr = server.addr();
    if is_searched {
        wait_for_index(addr, store.head().expect("a head"));
    }
    let plan = picked.plan.as_str();
    let routes = [
        ("/plans, 50 roots", "/plans?roots=true&limit=50".to_owned()),
        ("/plans, 50 that failed", "/plans?roots=true&status=failed&limit=50".to_owned()),
        ("/plans, 50 that run", "/plans?roots=true&status=running&limit=50".to_owned()),
        ("/plans, with a text", "/plans?roots=true&text=plan-77&limit=50".to_owned()),
        ("a plan and its tree", format!("/plans/{plan}?tree=true")),
        ("a plan's events", format!("/plans/{plan}/events?format=brief")),
        ("/events, the newest 100", "/events?order=desc&format=brief&limit=100".to_owned()),
        ("/events, of a type", "/events?order=desc&format=brief&limit=100&type=PlanFailed".to_owned()),
        ("/events, of an agent", "/events?order=desc&format=brief&limit=100&source=planner".to_owned()),
        ("/events, with a text", "/events?order=desc&format=brief&limit=100&text=part-96".to_owned()),
        ("/stats", "/stats".to_owned()),
    ];
    for (what, route) in routes {
        answers.ask(what, || drop(get(addr, &route)));
    }
    if is_searched {
        answers.ask("/events, searched by words", || {
            drop(get(addr, "/events?q=budget+used&limit=100&format=brief"))
        });
    }
    server.stop(Duration::from_secs(5));
    bus.close();
    store.close().expect("closes");
}

/// The body of an answer, which must be a good one.
fn get(addr: SocketAddr, route: &str) -> String {
    let mut stream = TcpStream::connect(addr).expect("connects");
    write!(stream, "GET {route} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{route}: {answer}");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a body")
}

/// Waits until the index has read all of the log.
fn wait_for_index(addr: SocketAddr, head: u64) {
    let begun = Instant::now();
    let indexed = || {
        let stats: Value = serde_json::from_str(&get(addr, "/stats")).expect("JSON");
        stats["search"]["indexed_seq"].as_u64().unwrap_or(0)
    };
    while indexed() < head {
        assert!(begun.elapsed() < INDEX_LIMIT, "the index has read {} of {head} events", indexed());
        thread::park_timeout(INDEX_POLL);
    }
}
