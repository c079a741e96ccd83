//! A token that is taken back: what it opened ends at once, over every transport, and nothing else does.

#![cfg(feature = "server")]

mod server_support;

use std::time::Instant;

use planbus::{ErrorKind, server::AccessToken};
use serde_json::json;
use server_support::{
    Live, Sse,
    guarded::{ACME, CI, HEARTBEAT, bearer, cookie, get, guarded, stream, ticket, with_token},
    socket::Socket,
    wire::ask,
};

#[test]
fn a_token_that_is_revoked_ends_its_streams_at_once() {
    let live = guarded();
    live.server.add_token(AccessToken::new("leaked", "the-secret-of-leaked")).expect("added");
    let session = with_token(&live, "POST /session", "the-secret-of-leaked");
    let cookie = cookie(&session);
    let by_ticket = format!("/events/stream?ticket={}", ticket(&live, "the-secret-of-leaked"));
    let unused = ticket(&live, "the-secret-of-leaked");
    let mut others = stream(&live, "/events/stream", CI);
    let mut streams = [
        stream(&live, "/events/stream", "the-secret-of-leaked"),
        Sse::open(&live.url("/events/stream"), &[("Cookie", &cookie)]).expect("a stream"),
        live.follow(&by_ticket),
    ];
    live.note("plan", 1);
    streams.iter_mut().for_each(|stream| assert_eq!(stream.message().seq(), 1));
    let revoked = Instant::now();
    assert!(live.server.revoke("leaked"));
    for stream in &mut streams {
        assert!(stream.next().is_none() && stream.cut.is_none());
    }
    // Not with the next event, nor with the next heartbeat.
    assert!(revoked.elapsed() < HEARTBEAT / 2, "{:?}", revoked.elapsed());
    live.note("plan", 2);
    assert_eq!(others.seqs(2), [1, 2], "another token's stream goes on");
    assert_eq!(with_token(&live, "GET /events/stream", "the-secret-of-leaked").status, 401);
    assert_eq!(get(&live, "/events/stream", &[("Cookie", &cookie)]).status, 401);
    assert_eq!(get(&live, &format!("/events/stream?ticket={unused}"), &[]).status, 401);
}

#[test]
fn the_first_token_closes_a_server_and_its_revocation_opens_it_for_nobody() {
    let live = Live::start();
    let mut before = live.follow("/events/stream");
    live.server.add_token(AccessToken::new("ci", CI)).expect("added");
    assert!(before.next().is_none() && before.cut.is_none());
    assert_eq!(get(&live, "/events/stream", &[]).status, 401);
    assert!(live.server.revoke("ci") && !live.server.revoke("ci"));
    assert_eq!(get(&live, "/events/stream", &[]).status, 401);
    let refused = live.server.add_token(AccessToken::new("ci", "short")).expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::InvalidOption);
}

#[test]
fn p10_a_web_socket_is_opened_and_closed_as_its_token_says() {
    let live = guarded();
    let acme = bearer(ACME);
    let open = |path: &str, headers: &[(&str, &str)]| Socket::open(&live, path, headers);
    assert_eq!(open("/events/ws", &[]).err().map(|refused| refused.0), Some(401));
    let foreign = open("/events/ws?tenant=default", &[("Authorization", &acme)]);
    assert_eq!(foreign.err().map(|refused| refused.0), Some(403));
    let by_page = open("/events/ws", &[("Authorization", &acme), ("Origin", "http://evil.example")]);
    assert_eq!(by_page.err().map(|refused| refused.0), Some(403));
    // A browser's WebSocket sends no header of a page's: a ticket stands in the address.
    let mut sockets = [
        open("/events/ws", &[("Authorization", &acme)]).expect("a socket"),
        open(&format!("/events/ws?ticket={}", ticket(&live, ACME)), &[]).expect("a socket"),
    ];
    let mut other = open("/events/ws", &[("Authorization", &bearer(CI))]).expect("a socket");
    live.note("not-theirs", 1);
    live.bus
        .publish(planbus::Event::untyped("plan", "note", json!({})).with_tenant("acme"))
        .expect("publishes");
    for socket in &mut sockets {
        assert_eq!(socket.next().expect("a message")["id"], "2");
    }
    let revoked = Instant::now();
    assert!(live.server.revoke("acme"));
    for socket in &mut sockets {
        let goodbye = socket.read().expect_err("a goodbye").expect("with a reason");
        assert_eq!(u16::from(goodbye.code), 1008, "{goodbye:?}");
    }
    assert!(revoked.elapsed() < HEARTBEAT / 2, "{:?}", revoked.elapsed());
    live.note("plan", 2);
    assert_eq!(other.next().expect("a message")["id"], "1", "another token's goes on");
    assert_eq!(other.next().expect("a message")["id"], "3");
}

#[test]
fn p10_agents_of_other_makers_see_the_tenants_of_their_token_only() {
    let live = guarded();
    live.bus.publish(planbus::Event::untyped("theirs", "note", json!({}))).expect("publishes");
    let rpc = r#"{"jsonrpc":"2.0","id":"1","method":"GetTask","params":{"id":"theirs"}}"#;
    let asked = |headers: &[(&str, &str)]| {
        let headers = [&[("A2A-Version", "1.0"), ("Content-Type", "application/json")], headers].concat();
        ask(live.server.addr(), "POST /a2a", &headers, rpc)
    };
    assert_eq!(asked(&[]).status, 401);
    assert!(asked(&[("Authorization", &bearer(CI))]).body.contains("result"));
    let refused = asked(&[("Authorization", &bearer(ACME))]);
    assert!(refused.body.contains("-32001"), "as if there were none: {}", refused.body);
    let attached = ask(live.server.addr(), "POST /agui/theirs", &[("Authorization", &bearer(ACME))], "{}");
    assert_eq!(attached.status, 404);
    let card = get(&live, "/.well-known/agent-card.json", &[]);
    assert_eq!(card.status, 200);
    assert!(card.body.to_lowercase().contains("bearer"), "it says what is needed: {}", card.body);
    let ready = get(&live, "/readyz", &[]);
    assert!(ready.status == 200 && !ready.body.contains("checks"), "{ready:?}");
    assert!(get(&live, "/readyz", &[("Authorization", &bearer(ACME))]).body.contains("checks"));
}
