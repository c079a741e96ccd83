//! A server with tokens, and those who hold them.

use std::time::Duration;

use planbus::server::AccessToken;
use serde_json::{Value, json};

use super::{
    Live, Sse,
    wire::{Answer, ask},
};

pub(crate) const CI: &str = "the-secret-of-ci-ci";
pub(crate) const ACME: &str = "the-secret-of-acme";
/// The longest that there is: what ends sooner did not end with it.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(3);

/// A server with a token that sees everything, and one that sees one tenant.
pub(crate) fn guarded() -> Live {
    Live::with(|builder| {
        let builder = builder.heartbeat(HEARTBEAT).token(AccessToken::new("ci", CI));
        builder.token(AccessToken::new("acme", ACME).tenants(["acme"]))
    })
}

pub(crate) fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

pub(crate) fn get(live: &Live, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(live.server.addr(), &format!("GET {path}"), headers, "")
}

pub(crate) fn with_token(live: &Live, line: &str, secret: &str) -> Answer {
    ask(live.server.addr(), line, &[("Authorization", &bearer(secret))], "")
}

pub(crate) fn stream(live: &Live, path: &str, secret: &str) -> Sse {
    Sse::open(&live.url(path), &[("Authorization", &bearer(secret))]).expect("a stream")
}

pub(crate) fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("JSON")
}

pub(crate) fn ticket(live: &Live, secret: &str) -> String {
    let answer = with_token(live, "POST /tickets", secret);
    assert_eq!((answer.status, &json(&answer)["expires_in"]), (200, &json!(60)), "{answer:?}");
    json(&answer)["ticket"].as_str().expect("a ticket").to_owned()
}

/// The cookie that a browser sends after this answer.
pub(crate) fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().expect("a pair").to_owned()
}
