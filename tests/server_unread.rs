//! Clients that never read: what they hold up (nobody), how they end (cut off), and that one which
//! reads at last and comes again has everything once.

#![cfg(all(feature = "server", target_os = "linux"))]

mod server_history_support;
mod server_support;
mod store_support;

use std::{io::BufReader, sync::Arc, thread, time::Duration};

use planbus::Event;
use serde_json::json;
use server_history_support::{
    ask::{ALL, Said},
    check::{self, Got, Violations},
    watch::Watch,
    wire::{self, Body, Pace},
};
use server_support::Live;
use store_support::wait_until;

/// How many events are published, and how large they are: far more than all buffers on the way hold.
const EVENTS: u64 = 48;
const EVENT_BYTES: usize = 64 << 10;

/// A client that asks for all events after a place, through the smallest buffer, and has read but the
/// head of the answer; none where the server has no place for it.
fn asks(live: &Live, after: u64) -> Option<BufReader<Body>> {
    let narrow = Pace::Slow { bytes: usize::MAX, events: 0, watch: Arc::<Watch>::default() };
    let stream = wire::dial(live.server.addr().port(), &narrow).expect("is accepted");
    let answer = wire::ask(stream, &ALL.request(Some(&after.to_string()))).ok()?;
    assert_eq!(answer.status, 200);
    Some(BufReader::new(answer.body))
}

/// Reads events until the stream ends or the last one is there.
fn read(body: &mut BufReader<Body>, got: &mut Vec<Got>) -> std::io::Result<()> {
    while let Some(message) = wire::message(body)? {
        let Some(text) = message.data else { continue };
        let seq = message.id.expect("an id").parse().expect("a seq");
        got.push(Got::Event(Said { seq, event_type: message.event.expect("a type"), text }));
        if seq == EVENTS {
            return Ok(());
        }
    }
    Ok(())
}

/// Publishes on a thread of its own, so that a publisher that is held up fails the test and not hangs it.
fn publish(live: &Live) {
    let bus = live.bus.clone();
    let publisher = thread::spawn(move || {
        let text = "x".repeat(EVENT_BYTES);
        for at in 0..EVENTS {
            let event = Event::untyped("plan", "note", json!({"at": at, "text": text}));
            bus.publish(event).expect("publishes");
        }
    });
    wait_until("all is published", || publisher.is_finished());
    publisher.join().expect("publishes");
}

fn compare(live: &Live, got: &[Got]) -> Violations {
    let log = live.bus.store().expect("a store").read_after(0, usize::MAX).expect("reads");
    check::compare(&ALL, &log, 1, got)
}

#[test]
fn clients_that_never_read_hold_up_neither_a_publisher_nor_other_clients() {
    // Nobody is cut off before the test is over.
    let live =
        Live::with(|builder| builder.slow_client(Duration::from_secs(600)).send_buffer_bytes(16 << 10));
    let mut stuck: Vec<_> = (0..20).map(|_| asks(&live, 0).expect("a place")).collect();
    let mut reader = asks(&live, 0).expect("a place");
    publish(&live);
    let mut got = Vec::new();
    read(&mut reader, &mut got).expect("all comes");
    assert_eq!(compare(&live, &got), Violations::default());
    // They are still connected, and what one did not take waits for it in the log.
    let mut got = Vec::new();
    read(&mut stuck[0], &mut got).expect("all comes");
    assert_eq!(compare(&live, &got), Violations::default());
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_goes_on_where_it_was() {
    let live = Live::with(|builder| {
        builder.slow_client(Duration::from_millis(100)).send_buffer_bytes(16 << 10).connections_max(1)
    });
    let mut client = asks(&live, 0).expect("a place");
    assert!(asks(&live, 0).is_none(), "it has the only place");
    publish(&live);
    let mut next = None;
    wait_until("it has lost its place", || {
        next = asks(&live, EVENTS);
        next.is_some()
    });
    let mut got = Vec::new();
    let end = read(&mut client, &mut got);
    assert!(end.is_err(), "what was cut off must not look like an end");
    let last = match got.last() {
        Some(Got::Event(said)) => said.seq,
        _ => 0,
    };
    assert!(last < EVENTS);
    drop(next);
    let mut rest = None;
    wait_until("there is a place", || {
        rest = asks(&live, last);
        rest.is_some()
    });
    read(&mut rest.expect("waited for"), &mut got).expect("the rest comes");
    assert_eq!(compare(&live, &got), Violations::default());
}
