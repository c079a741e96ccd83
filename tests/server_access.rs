//! Who may ask a server: tokens and what they see, sessions, tickets, and the pages of others.

#![cfg(feature = "server")]

mod server_support;

use planbus::{
    ErrorKind, Event, PlanStarted,
    server::{AccessToken, Server},
};
use serde_json::json;
use server_support::{
    Live, Sse,
    guarded::{ACME, CI, bearer, cookie, get, guarded, stream, ticket, with_token},
    wire::ask,
};

#[test]
fn whoever_shows_no_known_token_is_answered_alike() {
    let live = guarded();
    live.server.add_token(AccessToken::new("gone", "the-secret-of-gone")).expect("added");
    assert!(live.server.revoke("gone"));
    let refused = get(&live, "/events/stream", &[]);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    let ci = bearer(CI);
    let bearers = [
        bearer("the-secret-of-gone"),
        bearer("the-secret-of-nobody"),
        bearer(&"x".repeat(5_000)),
        bearer(""),
        bearer(&format!("{CI}, {CI}")),
        format!("Basic {CI}"),
        CI.to_owned(),
        "\u{e9}".to_owned(),
    ];
    let mut shown: Vec<Vec<(&str, &str)>> =
        bearers.iter().map(|bearer| vec![("Authorization", bearer.as_str())]).collect();
    shown.push(vec![("Authorization", &ci), ("Authorization", &ci)]);
    shown.push(vec![("Cookie", "planbus_session=the-secret-of-ci-ci")]);
    shown.push(vec![("Cookie", "planbus_session=; planbus_session")]);
    for headers in shown {
        let answer = get(&live, "/events/stream", &headers);
        assert_eq!((answer.status, &answer.body), (401, &refused.body), "{headers:?}");
    }
    for query in
        [format!("token={CI}"), format!("access_token={CI}"), format!("ticket={CI}"), "ticket=".to_owned()]
    {
        let answer = get(&live, &format!("/events/stream?{query}"), &[]);
        assert_eq!((answer.status, &answer.body), (401, &refused.body), "{query}");
    }
    assert_eq!(get(&live, "/nothing/here", &[]).body, refused.body, "nor is told which paths there are");
    assert_eq!(get(&live, "/metrics", &[]).status, 401);
    assert_eq!(
        get(&live, "/metrics", &[("Authorization", &bearer(ACME))]).status,
        403,
        "it counts all tenants"
    );
    for path in ["/healthz", "/readyz", "/.well-known/agent-card.json"] {
        assert_ne!(get(&live, path, &[]).status, 401, "{path} is for strangers too");
    }
    live.note("plan", 1);
    assert_eq!(stream(&live, "/events/stream?after=0", CI).message().seq(), 1);
}

#[test]
fn p10_a_tenants_token_reaches_nothing_of_another_tenant() {
    let live = guarded();
    let publish = |plan: &str, tenant: &str| {
        let event = Event::new(plan, PlanStarted::new(tenant)).with_tenant(tenant);
        live.bus.publish(event).expect("publishes").event_id
    };
    let foreign = publish("plan-7", "default");
    publish("plan-7", "acme");
    publish("theirs", "default");
    let acme = bearer(ACME);
    let headers = [("Authorization", acme.as_str())];
    // The plan of the same name is its own.
    let mut plan = stream(&live, "/plans/plan-7/events/stream", ACME);
    assert_eq!(plan.message().json()["tenant"], "acme");
    let refusal = get(&live, "/events/stream?tenant=default", &headers);
    let unheard = get(&live, "/events/stream?tenant=no-such-tenant", &headers);
    assert_eq!((refusal.status, unheard.status), (403, 403));
    assert_eq!(refusal.body, unheard.body, "a tenant that there is, is refused like one that there is not");
    let theirs = get(&live, "/plans/theirs/events/stream", &headers);
    let unknown = get(&live, "/plans/unknown/events/stream", &headers);
    assert_eq!((theirs.status, &theirs.body), (404, &unknown.body));
    // Another's event is no place in the log.
    let gap_after = |id: &str| {
        let headers = [("Authorization", acme.as_str()), ("Last-Event-ID", id)];
        let mut stream = Sse::open(&live.url("/events/stream"), &headers).expect("a stream");
        (stream.message(), stream.message())
    };
    let (gap, next) = gap_after(&foreign.to_string());
    assert_eq!((gap.event.as_deref(), next.seq()), (Some("Gap"), 2));
    assert_eq!(gap, gap_after("01J00000000000000000000001").0);
    // What follows is its own too.
    let mut all = stream(&live, "/events/stream?after=0", ACME);
    publish("plan-8", "default");
    publish("plan-8", "acme");
    assert_eq!(all.seqs(2), [2, 5]);
}

#[test]
fn a_token_of_several_tenants_is_asked_which() {
    let live = Live::with(|builder| builder.token(AccessToken::new("two", ACME).tenants(["acme", "t2"])));
    let answer = with_token(&live, "GET /events/stream", ACME);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("tenant: must be given"), "{}", answer.body);
    stream(&live, "/events/stream?tenant=t2", ACME);
}

#[test]
fn a_ticket_opens_one_stream_of_what_its_token_sees() {
    let live = guarded();
    live.bus.publish(Event::untyped("plan", "note", json!({})).with_tenant("acme")).expect("publishes");
    let one = ticket(&live, ACME);
    let mut stream = live.follow(&format!("/events/stream?after=0&ticket={one}"));
    assert_eq!(stream.message().json()["tenant"], "acme");
    assert_eq!(get(&live, &format!("/events/stream?ticket={one}"), &[]).status, 401);
    let two = ticket(&live, ACME);
    let refused = get(&live, &format!("/events/stream?tenant=default&ticket={two}"), &[]);
    assert_eq!(refused.status, 403);
    let three = ticket(&live, ACME);
    let posted = ask(live.server.addr(), &format!("POST /tickets?ticket={three}"), &[], "");
    assert_eq!(posted.status, 401, "a ticket makes no tickets");
}

#[test]
fn a_session_lives_in_a_cookie_that_no_script_reads_and_no_other_page_uses() {
    let live = guarded();
    let addr = live.server.addr();
    let opened = with_token(&live, "POST /session", CI);
    let set = opened.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.starts_with("planbus_session=") && !set.contains(CI), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200"), "{set}");
    let cookie = cookie(&opened);
    // Another server of this host has set a cookie of the same name.
    let both = format!("theme=dark; planbus_session=another; {cookie}");
    live.note("plan", 1);
    let mut stream = Sse::open(&live.url("/events/stream?after=0"), &[("Cookie", &both)]).expect("a stream");
    assert_eq!(stream.message().seq(), 1);
    let own = format!("http://{addr}");
    let asked = |line: &str, headers: &[(&str, &str)]| {
        let headers = [&[("Cookie", cookie.as_str())], headers].concat();
        ask(addr, line, &headers, "").status
    };
    assert_eq!(asked("POST /tickets", &[]), 403, "a browser must say which page asks");
    assert_eq!(asked("POST /tickets", &[("Origin", "http://evil.example")]), 403);
    assert_eq!(
        asked("POST /tickets", &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")]),
        403
    );
    assert_eq!(asked("POST /tickets", &[("Sec-Fetch-Site", "same-origin")]), 200);
    assert_eq!(asked("POST /tickets", &[("Origin", &own)]), 200);
    assert_eq!(asked("POST /session", &[("Origin", &own)]), 403, "no session prolongs itself");
    assert_eq!(asked("GET /events/stream", &[("Authorization", "Bearer wrong")]), 401);
    let closed = ask(addr, "DELETE /session", &[("Cookie", &cookie), ("Origin", &own)], "");
    assert_eq!(closed.status, 204);
    assert!(closed.header("set-cookie").is_some_and(|set| set.contains("Max-Age=0")), "{closed:?}");
    assert!(stream.next().is_none() && stream.cut.is_none(), "what was opened in it ends with it");
    assert_eq!(asked("GET /events/stream", &[]), 401);
    let proxied =
        Live::with(|builder| builder.token(AccessToken::new("ci", CI)).public_url("https://bus.example.org"));
    let set = with_token(&proxied, "POST /session", CI).header("set-cookie").expect("a cookie").to_owned();
    assert!(set.ends_with("; Secure"), "{set}");
}

#[test]
fn pages_of_a_listed_origin_may_ask_and_no_others() {
    let page = "https://ui.example.org";
    let live = Live::with(|builder| builder.token(AccessToken::new("ci", CI)).allow_origin(page));
    let ci = bearer(CI);
    let preflight = [("Origin", page), ("Access-Control-Request-Method", "GET")];
    let answer = ask(live.server.addr(), "OPTIONS /events/stream", &preflight, "");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(page)));
    assert!(
        answer.header("access-control-allow-headers").is_some_and(|names| names.contains("Last-Event-ID"))
    );
    let answer = get(&live, "/nothing", &[("Origin", page), ("Authorization", &ci)]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (404, Some(page)));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(get(&live, "/nothing", &[("Origin", page)]).header("access-control-allow-origin"), Some(page));
    let foreign = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")];
    for line in ["OPTIONS /events/stream", "GET /events/stream", "POST /session"] {
        let answer = ask(live.server.addr(), line, &[foreign[0], foreign[1], ("Authorization", &ci)], "");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{line}");
    }
    let unsaid = get(&live, "/nothing", &[("Authorization", &ci)]);
    assert_eq!((unsaid.header("access-control-allow-origin"), unsaid.header("vary")), (None, Some("Origin")));
}

#[test]
fn every_answer_keeps_browsers_from_guessing() {
    let live = guarded();
    let ci = bearer(CI);
    for headers in [&[][..], &[("Authorization", ci.as_str())], &[("Host", "evil.example")]] {
        let answer = get(&live, "/nothing", headers);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
    }
}

#[test]
fn a_server_that_others_reach_takes_a_token() {
    let live = Live::start();
    let refused = Server::builder(&live.bus).bind("0.0.0.0:0").start().expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::InvalidOption);
    assert!(refused.to_string().starts_with("bind must be a loopback address where there is no token"));
    let server = Server::builder(&live.bus).bind("0.0.0.0:0").token(AccessToken::new("ci", CI)).start();
    let server = server.expect("starts");
    let addr = (std::net::Ipv4Addr::LOCALHOST, server.addr().port()).into();
    assert_eq!(server.url(), format!("http://{addr}"), "as this machine reaches it");
    assert_eq!(ask(addr, "GET /events", &[("Host", "192.0.2.7:80")], "").status, 401);
    assert_eq!(ask(addr, "GET /", &[("Host", "evil.example")], "").status, 421);
    let same_name = Server::builder(&live.bus)
        .bind("127.0.0.1:0")
        .token(AccessToken::new("ci", CI))
        .token(AccessToken::new("ci", ACME))
        .start();
    assert_eq!(same_name.expect_err("refused").kind(), ErrorKind::Conflict);
}
