//! Bytes by chance, and requests that are wrong by chance: none hangs the server, none brings it down.

#![cfg(feature = "server")]

mod server_support;

use std::time::Duration;

use planbus::server::AccessToken;
use proptest::prelude::*;
use server_support::{
    Live,
    wire::{Wire, check_serves},
};

/// Something like a request, wrong here and there.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof!["GET|POST|HEAD|OPTIONS|DELETE|PUT|CONNECT|TRACE", "[A-Z]{1,9}", "\\PC{0,3}"];
    let target = prop_oneof![
        "/(events|plans|tickets|session|a2a|metrics)?(/[a-z%0-9A-F:]{0,12}){0,3}(\\?[a-z_=&%0-9]{0,30})?",
        "\\PC{0,40}",
        "[*]|http://[a-z.:0-9]{0,20}/|[a-z]{1,5}:[0-9]{1,6}",
    ];
    let version =
        prop_oneof![8 => Just("HTTP/1.1".to_owned()), 1 => Just("HTTP/1.0".to_owned()), 1 => "\\PC{0,9}"];
    let name = prop_oneof![
        "Host|Origin|Authorization|Cookie|Last-Event-ID|Content-Length|Transfer-Encoding|Expect|Connection|Upgrade|\
         Accept|Sec-WebSocket-Key|Sec-WebSocket-Version|Sec-Fetch-Site",
        "[A-Za-z-]{1,12}",
    ];
    let value = prop_oneof![
        "localhost|null|Bearer [a-z-]{0,30}|planbus_session=[a-f0-9]{0,70}|[0-9]{1,22}|chunked|100-continue|close|\
         Upgrade|websocket|13|cross-site",
        "\\PC{0,40}",
    ];
    let headers = prop::collection::vec((name, value), 0..8);
    let has_host = prop::bool::weighted(0.8);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    (method, target, version, has_host, headers, body).prop_map(
        |(method, target, version, has_host, headers, body)| {
            let host = if has_host { "Host: localhost\r\n" } else { "" };
            let mut text = format!("{method} {target} {version}\r\n{host}");
            headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
            [text.as_bytes(), b"\r\n", &body].concat()
        },
    )
}

fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..600);
    let broken = (request(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    let several = prop::collection::vec(request(), 1..4).prop_map(|requests| requests.concat());
    prop_oneof![1 => noise, 3 => broken, 3 => several]
}

#[test]
fn p11_whatever_bytes_come_are_answered_or_cut_and_the_server_serves_on() {
    let open = Live::with(|builder| builder.request_time(Duration::from_millis(300)));
    let guarded = Live::with(|builder| {
        builder.request_time(Duration::from_millis(300)).token(AccessToken::new("ci", "the-secret-of-ci"))
    });
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 400, ..ProptestConfig::default() });
    let outcome = runner.run(&hostile_bytes(), |bytes| {
        for live in [&open, &guarded] {
            let mut wire = Wire::open(live.server.addr());
            wire.send(&bytes);
            wire.finish();
            // It panics where neither comes.
            let said = wire.rest();
            prop_assert!(
                said.is_empty() || said.starts_with(b"HTTP/1."),
                "{}",
                String::from_utf8_lossy(&said)
            );
            prop_assert!(!said.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&said));
        }
        Ok(())
    });
    outcome.expect("holds");
    check_serves(&open);
}
