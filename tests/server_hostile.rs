//! Requests that no honest client sends: each is answered or cut off, and the server serves on.

#![cfg(feature = "server")]

mod server_support;

use std::time::Duration;

use planbus::server::ServerBuilder;
use server_support::{
    Live, Sse,
    wire::{Wire, ask, check_serves},
};

/// A server that is soon tired of waiting.
fn impatient() -> Live {
    Live::with(|builder| builder.request_time(Duration::from_millis(300)))
}

/// What is answered to these bytes, after which nothing comes.
fn status(live: &Live, bytes: impl AsRef<[u8]>) -> u16 {
    let mut wire = Wire::open(live.server.addr());
    wire.send(bytes);
    wire.answer().status
}

#[test]
fn a_foreign_page_is_refused_by_name_and_by_origin_also_when_it_asks_for_a_web_socket() {
    let live = Live::start();
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for path in ["/events/stream", "/events/ws", "/plans/honest/events/ws", "/a2a", "/", "/healthz"] {
        for (headers, expected) in [
            (vec![("Host", "evil.example")], 421),
            (vec![("Host", "evil.example:7070"), ("Origin", "http://evil.example:7070")], 421),
            (vec![("Origin", "http://evil.example")], 403),
            (vec![("Origin", "null")], 403),
        ] {
            let line = format!("GET {path}");
            assert_eq!(ask(live.server.addr(), &line, &headers, "").status, expected, "{path} {headers:?}");
            let headers = [&headers[..], &upgrade].concat();
            assert_eq!(ask(live.server.addr(), &line, &headers, "").status, expected, "{path} {headers:?}");
        }
    }
    let addr = live.server.addr();
    assert_eq!(status(&live, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), 400, "no name");
    assert_eq!(
        status(&live, format!("GET / HTTP/1.1\r\nConnection: close\r\nHost: {addr}\r\nHost: {addr}\r\n\r\n")),
        400
    );
    assert_eq!(
        status(
            &live,
            format!("GET http://evil.example/ HTTP/1.1\r\nConnection: close\r\nHost: {addr}\r\n\r\n")
        ),
        421
    );
    check_serves(&live);
}

#[test]
fn p11_an_id_with_a_line_break_is_refused_by_name_and_splits_no_answer() {
    let live = Live::start();
    let get = |target: &str, headers: &[(&str, &str)]| {
        ask(live.server.addr(), &format!("GET {target}"), headers, "")
    };
    for (target, field) in [
        ("/plans/a%0Ab/events/stream", "plan_id"),
        ("/plans/a%00/events/stream", "plan_id"),
        ("/plans/a%0d%0aSet-Cookie:%20x/events/stream", "plan_id"),
        ("/plans/%ff/events/stream", "path"),
        ("/plans/%zz/events/stream", "path"),
        ("/events/stream?tenant=a%0Ab", "tenant"),
        ("/events/stream?source=a%0Ab", "source"),
        ("/events/stream?correlation=a%0Ab", "correlation"),
        ("/events/stream?type=a%0Ab", "type"),
        ("/events/stream?after=1%0A2", "after"),
        ("/events/stream?a%0Ab=1", "a b"),
        ("/events/stream?tenant=%ff", "query"),
        ("/events/stream?tenant=%", "query"),
    ] {
        let answer = get(target, &[]);
        assert_eq!(answer.status, 400, "{target}");
        assert!(answer.body.contains(field), "{target}: {}", answer.body);
        assert!(answer.header("set-cookie").is_none(), "{target}");
    }
    let answer = get("/events/stream", &[("Last-Event-ID", "a\tb")]);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("Last-Event-ID"), "{}", answer.body);
    for bytes in [&b"1\n 2"[..], b"1\0", b"1\r2", b"\x01"] {
        let mut request =
            format!("GET /events/stream HTTP/1.1\r\nHost: {}\r\nLast-Event-ID: ", live.server.addr())
                .into_bytes();
        request.extend_from_slice(bytes);
        request.extend_from_slice(b"\r\n\r\n");
        assert_eq!(status(&live, request), 400, "{bytes:?}");
    }
    check_serves(&live);
}

#[test]
fn p11_what_is_too_large_is_refused_with_its_own_status() {
    const MAX: usize = 64 << 10;
    let live = Live::with(|builder| builder.body_bytes_max(MAX));
    let addr = live.server.addr();
    let post = |body: &str, headers: &[(&str, &str)]| ask(addr, "POST /agui/none", headers, body).status;
    assert_eq!(post(&" ".repeat(MAX), &[]), 404, "there is no such plan");
    assert_eq!(post(&" ".repeat(MAX + 1), &[]), 413);
    assert_eq!(post(&" ".repeat(4 << 20), &[]), 413, "also told to who sends all before it listens");
    let waiting = format!(
        "POST /agui/none HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        MAX + 1
    );
    assert_eq!(status(&live, waiting), 413, "and to who waits with its body");
    let head = format!("POST /agui/none HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
    let chunk = format!("{MAX:x}\r\n{}\r\n", "x".repeat(MAX));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    assert_eq!(status(&live, chunked), 413);
    // Who asks first is told before it sends anything.
    let expecting = format!("{head}Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n");
    let mut wire = Wire::open(addr);
    wire.send(expecting);
    assert_eq!(wire.answer().status, 413);
    // A body without an end is not read without one.
    let mut wire = Wire::open(addr);
    wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
    while wire.send(&chunk) {}
    wire.rest();

    let get = |target: &str, headers: &str| {
        status(&live, format!("GET {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{headers}\r\n"))
    };
    assert_eq!(get(&format!("/{}", "a".repeat(8 << 10)), ""), 414);
    assert_eq!(get(&format!("/?{}", "a".repeat(8 << 10)), ""), 414);
    assert_eq!(get("/", &"X-A: b\r\n".repeat(200)), 431);
    assert_eq!(get("/", &format!("X-A: {}\r\n", "b".repeat(40 << 10))), 431);
    assert_eq!(get("/nothing", &"X-A: b\r\n".repeat(50)), 404);
    let many = (0..300).map(|at| format!("type=t{at}&")).collect::<String>();
    assert_eq!(get(&format!("/events/stream?{many}"), ""), 400);
    check_serves(&live);
}

#[test]
fn a_client_that_never_finishes_its_request_is_cut_off() {
    let live = impatient();
    let addr = live.server.addr();
    let pause = Duration::from_millis(20);
    let head = format!("GET / HTTP/1.1\r\nHost: {addr}\r\nX-A: ");
    let endless = || head.bytes().chain(std::iter::repeat(b'a'));
    let answer = Wire::open(addr).drip(endless().take(1_000), pause);
    assert!(matches!(answer.status, 0 | 408), "{answer:?}");
    let mut wire = Wire::open(addr);
    wire.send(format!("POST /agui/none HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 100000\r\n\r\n"));
    let answer = wire.drip(std::iter::repeat_n(b'x', 1_000), pause);
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(answer.body.contains("body: must be sent within"), "{answer:?}");
    // Nor does a connection stay on which nothing is asked, before the first request or after it.
    assert_eq!(Wire::open(addr).rest(), b"");
    let mut wire = Wire::open(addr);
    wire.send(format!("GET /nothing HTTP/1.1\r\nHost: {addr}\r\n\r\n"));
    assert_eq!(wire.answer().status, 404);
    check_serves(&live);
}

#[test]
fn a_stream_outlives_the_time_that_a_request_may_take() {
    let live = Live::with(|builder| {
        builder.request_time(Duration::from_millis(300)).heartbeat(Duration::from_millis(250))
    });
    let mut stream = live.follow("/events/stream");
    // Clients that are cut off one after another are the clock here.
    (0..3).for_each(|_| drop(Wire::open(live.server.addr()).rest()));
    let seq = live.note("plan", 1);
    assert_eq!(stream.message().seq(), seq);
    assert!(stream.comments >= 3, "{} heartbeats came meanwhile", stream.comments);
}

#[test]
fn p11_what_is_no_request_is_answered_or_cut_and_never_waited_for() {
    let live = impatient();
    let addr = live.server.addr();
    let host = format!("Host: {addr}\r\n");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HTTP/0.9", b"GET /\r\n".to_vec()),
        ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("a TLS hello", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(40)),
        ("an unknown version", format!("GET / HTTP/7.3\r\n{host}\r\n").into()),
        ("a method of no kind", format!("G@T / HTTP/1.1\r\n{host}\r\n").into()),
        ("a space before a colon", format!("GET / HTTP/1.1\r\n{host}A : b\r\n\r\n").into()),
        ("a header without a name", format!("GET / HTTP/1.1\r\n{host}: b\r\n\r\n").into()),
        ("a target with a space", format!("GET /a b HTTP/1.1\r\n{host}\r\n").into()),
        ("a NUL in the target", format!("GET /\0 HTTP/1.1\r\n{host}\r\n").into()),
        (
            "two lengths",
            format!("POST /agui/none HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
                .into(),
        ),
        ("a negative length", format!("POST /agui/none HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n").into()),
        (
            "an immense length",
            format!("POST /agui/none HTTP/1.1\r\n{host}Content-Length: {}9\r\n\r\n", u64::MAX).into(),
        ),
        (
            "a coding of no kind",
            format!("POST /agui/none HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n\r\n").into(),
        ),
        (
            "a chunk of no size",
            format!(
                "POST /agui/none HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"
            )
            .into(),
        ),
        (
            "an immense chunk",
            format!(
                "POST /agui/none HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"
            )
            .into(),
        ),
        (
            "a chunk that is cut",
            format!("POST /agui/none HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n10\r\nabc").into(),
        ),
        (
            "a body that is cut",
            format!("POST /agui/none HTTP/1.1\r\n{host}Content-Length: 10\r\n\r\nabc").into(),
        ),
    ];
    for (what, bytes) in &cases {
        // Whether the client then leaves or stays and says nothing more.
        for leaves in [true, false] {
            let mut wire = Wire::open(addr);
            wire.send(bytes);
            if leaves {
                wire.finish();
            }
            let answer = wire.answer();
            assert!(answer.status == 0 || (400..=505).contains(&answer.status), "{what}: {answer:?}");
        }
    }
    check_serves(&live);
}

#[test]
fn what_stands_behind_a_request_is_one_only_where_the_body_says_so() {
    // Long enough for what is sent at once, and not long to wait for what does not come.
    let live = Live::with(|builder| builder.request_time(Duration::from_secs(1)));
    let addr = live.server.addr();
    let host = format!("Host: {addr}\r\n");
    let hidden = format!("GET /events/stream HTTP/1.1\r\n{host}\r\n");
    let said = |bytes: String| {
        let mut wire = Wire::open(addr);
        wire.send(bytes);
        String::from_utf8_lossy(&wire.rest()).into_owned()
    };
    // Both lengths: a proxy that believes the other one would let the hidden request pass unseen.
    for (first, second) in [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
    ] {
        let body = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
        let text = said(format!("POST /agui/none HTTP/1.1\r\n{host}{first}\r\n{second}\r\n\r\n{body}"));
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
        assert!(!text.contains("text/event-stream"), "{text}");
    }
    let text =
        said(format!("POST /agui/none HTTP/1.1\r\n{host}Content-Length: {}\r\n\r\n{hidden}", hidden.len()));
    assert!(!text.contains("text/event-stream"), "{text}");
    // Garbage behind a good request does not harm the answer to it.
    let text = said(format!("GET /nothing HTTP/1.1\r\n{host}\r\n\0\x01garbage\r\n\r\n"));
    assert!(text.starts_with("HTTP/1.1 404 "), "{text}");
    let text = said(format!("GET /nothing HTTP/1.1\r\n{host}\r\n").repeat(50));
    assert_eq!(text.matches("HTTP/1.1 404 ").count(), 50);
    check_serves(&live);
}

#[test]
fn a_crowd_of_idle_connections_leaves_room_for_whoever_asks() {
    let wanted = idle_connections();
    let live = Live::with(|builder: ServerBuilder| {
        builder.connections_max(wanted + 100).request_time(Duration::from_secs(600))
    });
    let mut stream = live.follow("/events/stream");
    let crowd: Vec<_> = (0..wanted).map(|_| Wire::open(live.server.addr())).collect();
    let seqs: Vec<_> = (0..200).map(|at| live.note("plan", at)).collect();
    assert_eq!(stream.seqs(200), seqs);
    check_serves(&live);
    let is_cut = |wire: &Wire| {
        wire.0.set_nonblocking(true).expect("nonblocking");
        wire.0.peek(&mut [0]).is_ok()
    };
    assert_eq!(crowd.iter().filter(|wire| is_cut(wire)).count(), 0, "none was in the way, none was cut off");
}

#[test]
fn one_connection_too_many_is_closed_and_the_others_are_served() {
    let live = Live::with(|builder| builder.connections_max(3));
    let mut streams: Vec<Sse> = (0..3).map(|_| live.follow("/events/stream")).collect();
    assert_eq!(Wire::open(live.server.addr()).rest(), b"");
    live.note("plan", 1);
    streams.iter_mut().for_each(|stream| assert_eq!(stream.message().seq(), 1));
    drop(streams);
    // The places are free again as soon as the server sees that the clients are gone.
    let mut last = 0;
    while last == 0 {
        last = ask(live.server.addr(), "GET /nothing", &[], "").status;
    }
    assert_eq!(last, 404);
}

/// As many idle connections as a test can hold, each with two ends in this process: 5,000 where the
/// system lets it.
fn idle_connections() -> usize {
    const WANTED: u64 = 5_000;
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        let needed = (2 * WANTED + 1_000).min(hard);
        if soft < needed {
            setrlimit(Resource::RLIMIT_NOFILE, needed, hard).expect("a limit below the hard one");
        }
        let files = soft.max(needed);
        usize::try_from(WANTED.min(files.saturating_sub(1_000) / 2)).expect("a count")
    }
    #[cfg(not(unix))]
    {
        WANTED as usize
    }
}
