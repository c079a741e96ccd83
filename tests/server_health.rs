//! `/healthz` and `/readyz`: when a server says that it can serve clients, and when not.

#![cfg(feature = "server")]

mod server_support;
mod store_support;

use planbus::{Event, EventBus, EventStore, server::Server};
use serde_json::json;
use server_support::Live;
use store_support::wait_until;

#[test]
fn a_server_is_ready_from_its_start_until_its_bus_is_closed_and_alive_even_then() {
    let live = Live::start();
    let ready = json!({"ready": true, "checks": {"log": true, "feed": true, "server": true}});
    assert_eq!(live.get("/readyz"), (200, ready));
    assert_eq!(live.get("/healthz"), (200, json!("ok\n")));
    live.bus.close();
    let unready = json!({"ready": false, "checks": {"log": true, "feed": false, "server": true}});
    assert_eq!(live.get("/readyz"), (503, unready), "nothing will ever come");
    assert_eq!(live.get("/healthz").0, 200);
}

#[test]
fn a_log_that_cannot_be_read_makes_a_server_unready_and_names_no_cause() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let server = Server::builder(&bus).bind("127.0.0.1:0").start().expect("starts");
    let live = Live { server, bus, dir };
    assert_eq!(live.get("/readyz").0, 200);
    store.close().expect("closes");
    wait_until("what was known is too old", || live.get("/readyz").1["checks"]["log"] == false);
    let (status, told) = live.get("/readyz");
    assert_eq!((status, &told["ready"]), (503, &json!(false)));
    assert_eq!(live.get("/healthz").0, 200);
}

#[test]
fn a_row_that_cannot_be_read_cuts_off_who_meets_it_and_the_server_is_ready_all_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("planbus.db");
    let owner = EventStore::open(&path).expect("opens");
    let store = EventStore::open_read_only(&path).expect("opens");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    let server = Server::builder(&bus).bind("127.0.0.1:0").start().expect("starts");
    let live = Live { server, bus, dir };
    let mut stream = live.follow("/events/stream");
    // Behind the store's back, so that the row is there with its fault.
    let editor = rusqlite::Connection::open(&path).expect("opens");
    let trigger = "CREATE TRIGGER spoil AFTER INSERT ON plan_events
                   BEGIN UPDATE plan_events SET recorded_at = 'no time' WHERE id = new.id; END";
    editor.execute_batch(trigger).expect("is made");
    owner.save(&Event::untyped("plan", "note", json!({"at": 1}))).expect("commits");
    assert_eq!(stream.next(), None, "there is no way past it");
    assert_eq!(live.get("/readyz").0, 200);
    let page = live.get("/metrics").1;
    assert!(
        page.as_str().is_some_and(|page| page.contains("planbus_clients_cut_total{reason=\"failed\"} 1\n"))
    );
    editor.execute_batch("DROP TRIGGER spoil").expect("is gone");
    let mut behind = live.follow("/events/stream");
    owner.save(&Event::untyped("plan", "note", json!({"at": 2}))).expect("commits");
    assert_eq!(behind.seqs(1), [2]);
}
