//! The proxy of the tests: that each of its faults does what it says, to the byte.

#![cfg(all(feature = "redis", target_os = "linux"))]

mod redis_support;

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use redis_support::*;

/// How long nothing must come through a black hole.
const SILENCE: Duration = Duration::from_millis(50);

/// A listener in place of a server, a proxy before it, and both ends of a connection through it.
fn connected() -> (TcpListener, Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = Proxy::before(listener.local_addr().expect("is bound").port());
    let (client, server) = connect(&listener, &proxy);
    (listener, proxy, client, server)
}

fn connect(listener: &TcpListener, proxy: &Proxy) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(("127.0.0.1", proxy.port())).expect("connects");
    let (server, _) = listener.accept().expect("connects");
    for end in [&client, &server] {
        end.set_read_timeout(Some(SERVER_LIMIT)).expect("a limit");
        end.set_nodelay(true).expect("no delay");
    }
    (client, server)
}

fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8(bytes).expect("text")
}

fn read(stream: &mut TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("comes through");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_request_is_cut_after_so_many_bytes_once() {
    let (listener, proxy, mut client, mut server) = connected();
    proxy.set(Fault::CutRequest { after_bytes: 4 });
    client.write_all(b"request").expect("sends");
    assert_eq!((rest(&mut server), rest(&mut client)), ("requ".to_owned(), String::new()));
    assert_eq!((proxy.cuts(), proxy.fault()), (1, Fault::None));
    let (mut client, mut server) = connect(&listener, &proxy);
    client.write_all(b"request").expect("sends");
    assert_eq!(read(&mut server, 7), "request");
}

#[test]
fn a_reply_is_cut_after_so_many_bytes_and_the_request_has_passed() {
    for after_bytes in [0, 3] {
        let (_listener, proxy, mut client, mut server) = connected();
        proxy.set(Fault::CutReply { after_bytes });
        client.write_all(b"request").expect("sends");
        assert_eq!(read(&mut server, 7), "request");
        server.write_all(b"reply").expect("sends");
        assert_eq!(rest(&mut client), "reply"[..after_bytes]);
        assert_eq!(proxy.cuts(), 1);
    }
}

#[test]
fn a_reply_ends_in_each_way_after_so_many_bytes() {
    for ending in [Ending::Close, Ending::Reset, Ending::HalfClose, Ending::Stall] {
        let (_listener, proxy, mut client, mut server) = connected();
        proxy.set(Fault::EndReply { after_bytes: 3, ending });
        server.write_all(b"reply").expect("sends");
        assert_eq!(read(&mut client, 3), "rep", "{ending:?}");
        match ending {
            Ending::Close => assert_eq!((rest(&mut client), rest(&mut server)), Default::default()),
            Ending::Reset => {
                for end in [&mut client, &mut server] {
                    assert_eq!(end.read(&mut [0]).expect_err("is reset").kind(), ErrorKind::ConnectionReset);
                }
            }
            Ending::HalfClose => {
                assert_eq!(server.read(&mut [0]).expect("is told"), 0);
                assert_eq!(read(&mut client, 2), "ly", "what the server still says comes through");
                drop(server);
                assert_eq!(rest(&mut client), "");
            }
            Ending::Stall => {
                assert_eq!(proxy.fault(), Fault::BlackHole);
                proxy.cut_now();
                assert_eq!(rest(&mut client), "");
            }
        }
        assert_eq!(proxy.cuts(), 1, "{ending:?}");
    }
}

#[test]
fn what_a_black_hole_took_arrives_when_it_ends_even_from_a_client_that_is_gone() {
    let (_listener, proxy, mut client, mut server) = connected();
    proxy.set(Fault::BlackHole);
    client.write_all(b"late").expect("the kernel takes it");
    drop(client);
    server.set_read_timeout(Some(SILENCE)).expect("sets");
    assert_eq!(server.read(&mut [0]).expect_err("nothing comes").kind(), ErrorKind::WouldBlock);
    server.set_read_timeout(Some(SERVER_LIMIT)).expect("sets");
    proxy.set(Fault::None);
    assert_eq!(rest(&mut server), "late");
    assert_eq!(proxy.cuts(), 0, "the client ended it");
}

#[test]
fn a_dribble_gives_one_byte_a_pause_and_a_delay_holds_each_piece() {
    let pause = Duration::from_millis(2);
    let (_listener, proxy, mut client, mut server) = connected();
    let start = Instant::now();
    proxy.set(Fault::Dribble(pause));
    client.write_all(b"0123456789").expect("sends");
    assert_eq!(read(&mut server, 10), "0123456789");
    assert!(start.elapsed() >= 10 * pause);
    let start = Instant::now();
    proxy.set(Fault::Delay(10 * pause));
    server.write_all(b"0123456789").expect("sends");
    assert_eq!(read(&mut client, 10), "0123456789");
    assert!(start.elapsed() >= 10 * pause);
}

#[test]
fn cuts_refusals_and_another_server_are_as_told() {
    let (listener, proxy, mut client, mut server) = connected();
    proxy.cut_now();
    assert_eq!((rest(&mut server), rest(&mut client)), (String::new(), String::new()));
    proxy.set(Fault::Refuse);
    let mut refused = TcpStream::connect(("127.0.0.1", proxy.port())).expect("is accepted");
    assert_eq!(rest(&mut refused), "");
    proxy.set(Fault::None);
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    proxy.forward_to(other.local_addr().expect("is bound").port());
    drop(listener);
    let (mut client, mut server) = connect(&other, &proxy);
    client.write_all(b"request").expect("sends");
    assert_eq!(read(&mut server, 7), "request");
    assert_eq!((proxy.cuts(), proxy.accepted()), (2, 3));
    drop(proxy);
    assert_eq!((rest(&mut server), rest(&mut client)), (String::new(), String::new()));
}

#[test]
fn a_server_has_done_what_was_asked_when_its_reply_is_cut() {
    let Some(redis) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(redis.port());
    let mut wire = Wire::tcp(proxy.port()).expect("connects");
    assert_eq!(wire.call(&["PING"]).expect("answers").to_string(), "PONG");
    proxy.set(Fault::CutReply { after_bytes: 0 });
    assert!(wire.call(&["XADD", "stream", "*", "n", "1"]).is_err());
    assert_eq!(redis.entries("stream").len(), 1);
    let mut wire = Wire::tcp(proxy.port()).expect("connects");
    proxy.set(Fault::CutRequest { after_bytes: 20 });
    assert!(wire.call(&["XADD", "stream", "*", "n", "2"]).is_err());
    assert_eq!(redis.entries("stream").len(), 1);
}
