//! A password is in no text that planbus makes, whatever goes wrong: a canary is looked for in all.

#![cfg(all(feature = "redis", target_os = "linux"))]

mod redis_support;
mod tracing_support;

use std::{
    error::Error as _,
    io::{Read, Write as _},
    net::TcpListener,
};

use planbus::redis::RedisEndpoint;
use proptest::prelude::*;
use redis_support::*;
use tracing_support::Said;

const CANARY: &str = "canary-7f3";

/// Everything that an attempt to reach a URL makes a text of.
fn texts(url: &str) -> String {
    let said = Said::default();
    let mut texts = tracing::subscriber::with_default(said.clone(), || {
        let builder = RedisEndpoint::builder(url);
        let mut texts = format!("{builder:?} {builder:#?}");
        let error = match builder.build() {
            Ok(endpoint) => {
                texts += &format!("{endpoint} {endpoint:?} {endpoint:#?}");
                match endpoint.health() {
                    Ok(health) => return texts + &format!("{health:?}"),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        texts += &format!("{error} {error:?} {error:#?}");
        let mut next = error.source();
        while let Some(cause) = next {
            texts += &format!("{cause} {cause:?} {cause:#?}");
            next = cause.source();
        }
        texts
    });
    texts += &said.text();
    texts
}

/// A server that repeats what it gets in a refusal, as servers do with a command they do not know.
fn parrot() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut got = [0; 4_096];
            let count = stream.read(&mut got).unwrap_or(0);
            let heard = String::from_utf8_lossy(&got[..count]).replace("\r\n", " ");
            // One answer a command; a client that left hears none.
            let _ = stream.write_all(format!("-ERR unknown command: {heard}\r\n").repeat(4).as_bytes());
        }
    });
    port
}

#[test]
fn a_password_is_in_no_text_whatever_fails() {
    let Some(server) = RedisServer::builder().tls().requirepass("other").start() else { return };
    let Some(plain) = RedisServer::builder().tcp().requirepass(CANARY).start() else { return };
    let [ca, other_ca] = server.authorities().map(|path| path.display().to_string());
    let (port, parrot) = (server.port(), parrot());
    let urls = [
        plain.url(),
        format!("rediss://app:{CANARY}@127.0.0.1:{port}?ca_file={ca}"),
        format!("rediss://:{CANARY}@127.0.0.1:{port}?ca_file={ca}"),
        format!("rediss://app:{CANARY}@127.0.0.1:{port}?ca_file={other_ca}"),
        format!("rediss://app:{CANARY}@127.0.0.1:{port}?ca_file=/no/such/file"),
        format!("redis://app:{CANARY}@127.0.0.1:{port}"),
        format!("redis://app:{CANARY}@127.0.0.1:1"),
        format!("redis://app:{CANARY}@no-such-host.invalid"),
        format!("redis://app:{CANARY}@127.0.0.1:{parrot}"),
        format!("redis://:{CANARY}@127.0.0.1:{parrot}"),
        format!("redis+cluster://app:{CANARY}@127.0.0.1:{parrot}"),
        format!("redis+cluster://app:{CANARY}@127.0.0.1:{}", plain.port()),
        format!("redis+sentinel://app:{CANARY}@127.0.0.1:{}/m?sentinel_pass={CANARY}", plain.port()),
        format!("redis+sentinel://app:{CANARY}@127.0.0.1:{parrot}/m?sentinel_user=u&sentinel_pass={CANARY}"),
        format!("unix:///no/such/socket?user=app&pass={CANARY}"),
        // What cannot be read: a password that is not written as a URL needs it, or no URL at all.
        format!("redis://app:{CANARY}"),
        format!("redis://app:{CANARY}:x@h:y"),
        format!("redis://app:/{CANARY}@h"),
        format!("redis://app:x?{CANARY}@h"),
        format!("redis://app:x#{CANARY}@h"),
        format!("redis://app:x&{CANARY}=1@h"),
        format!("redis://app:x@{CANARY}:99999"),
        format!("redis://app:{CANARY}%ff@h"),
        format!("redis://app:x {CANARY}@h"),
        format!("unix:///s?pass=x&{CANARY}=1"),
        format!("unix:///s?pass=x&{CANARY}"),
        format!("unix://{CANARY}@h/s"),
        format!("app:{CANARY}@h"),
        format!("{CANARY}://h"),
        CANARY.to_owned(),
    ];
    for url in urls {
        let texts = texts(&url);
        assert!(!texts.contains(CANARY), "{url}:\n{texts}");
        assert!(texts.len() > 100, "nothing was looked at: {texts}");
    }
}

proptest! {
    #[test]
    fn p11_any_text_is_an_endpoint_or_refused_without_repeating_it(
        before in "(redis|rediss|unix|redis\\+sentinel|redis\\+cluster|.{0,8})://?.{0,8}[:/?#@&=,%\\[\\]]{0,3}",
        after in "[:/?#@&=,%\\[\\]]{0,3}.{0,12}",
    ) {
        let url = format!("{before}:{CANARY}{after}");
        if let Err(error) = RedisEndpoint::parse(&url) {
            prop_assert!(!format!("{error} {error:?}").contains(CANARY), "{url}: {error}");
        }
        if let Ok(endpoint) = RedisEndpoint::parse(&format!("redis://app:{}@h", percent(&url))) {
            prop_assert!(!format!("{endpoint} {endpoint:?}").contains(CANARY), "{url}");
        } else {
            prop_assert!(url.contains('\0'), "{url}");
        }
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
