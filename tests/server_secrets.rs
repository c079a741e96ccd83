//! What a server says of its requests: to whom, what and how it was answered, and never a secret.

#![cfg(feature = "server")]

mod server_support;
mod tracing_support;

use planbus::server::{AccessToken, Server};
use server_support::{Live, wire::ask};
use tracing_support::Said;

const SECRET: &str = "canary-4d1-canary-4d1";

#[test]
fn no_secret_is_said_or_shown_and_no_request_splits_a_line() {
    let said = Said::default();
    // The server's threads speak too.
    tracing::subscriber::set_global_default(said.clone()).expect("the only one");
    let live = Live::with(|builder| {
        let builder = builder.token(AccessToken::new("ci", SECRET));
        said.push(format_args!("{builder:?} {builder:#?}\n"));
        builder
    });
    let bearer = format!("Bearer {SECRET}");
    let asked = |line: &str, headers: &[(&str, &str)]| ask(live.server.addr(), line, headers, "");
    let opened = asked("POST /session", &[("Authorization", &bearer)]);
    let made = asked("POST /tickets", &[("Authorization", &bearer)]);
    let cookie = opened.header("set-cookie").and_then(|set| set.split(';').next()).expect("a cookie");
    let session = cookie.split_once('=').expect("a pair").1;
    let made: serde_json::Value = serde_json::from_str(&made.body).expect("JSON");
    let ticket = made["ticket"].as_str().expect("a ticket");

    live.note("plan", 1);
    let mut stream = live.follow(&format!("/events/stream?after=0&ticket={ticket}"));
    assert_eq!(stream.message().seq(), 1);
    asked(&format!("GET /events/stream?ticket={ticket}"), &[]);
    asked(&format!("GET /events/stream?token={SECRET}"), &[]);
    asked(&format!("GET /nothing?ticket={SECRET}&ticket={SECRET}"), &[("Cookie", cookie)]);
    asked("GET /%0aforged:%20line", &[("Authorization", &bearer)]);
    asked("GET /\u{85}forged", &[("Authorization", &bearer)]);
    asked("GET /nothing", &[("Authorization", &format!("Bearer\t{SECRET}"))]);
    let again = Server::builder(&live.bus).token(AccessToken::new("ci", SECRET).tenants(["a b"])).start();
    let refused = again.expect_err("refused");
    said.push(format_args!("{refused} {refused:?}\n"));
    let refused = live.server.add_token(AccessToken::new("other", SECRET)).expect_err("refused");
    said.push(format_args!("{refused} {refused:?} {:?} {:#?}\n", live.server, live.server));
    assert!(live.server.revoke("ci") && stream.next().is_none() && stream.cut.is_none());

    let text = said.text();
    for status in ["status=200", "status=401", "status=400", "status=404"] {
        assert!(text.contains(status), "{status} is said: {text}");
    }
    assert!(text.contains(r#"path="/events/stream""#), "{text}");
    for secret in [SECRET, session, ticket] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
    assert!(!text.contains('\u{85}'), "{text}");
}
