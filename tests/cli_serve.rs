//! `planbus serve`: what another process commits is followed over HTTP, whoever comes and goes.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod serve_support;
mod server_support;
mod store_support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use cli_support::{Place, fails, planbus, run, signal, stderr};
use planbus::{Event, EventBus, EventStore, PlanCompleted, PlanStarted};
use serde_json::json;
use serve_support::Serving;
use server_support::agent;
use store_support::{Killed, child, has_program, role, wait_until};

/// `planbus serve` on a port of its own.
fn serve(directory: &Path, arguments: &[&str]) -> Serving {
    Serving::start(planbus(directory).args(["serve", "--addr", "127.0.0.1:0"]).args(arguments))
}

fn owner(database: &Path) -> EventBus {
    let store = EventStore::open(database).expect("a store");
    EventBus::builder().store(store).build().expect("a bus")
}

/// A place with a bus whose log holds one plan that runs.
fn live() -> (Place, EventBus) {
    let place = Place::new();
    let bus = owner(&place.path().join("planbus.db"));
    bus.publish(Event::new("plan-1", PlanStarted::new("goal"))).expect("publishes");
    (place, bus)
}

fn note(number: u64) -> Event {
    Event::untyped("plan-1", "note", json!({"number": number}))
}

#[test]
fn p6_beside_a_writer_a_plan_is_followed_from_its_begin_to_its_end() {
    let (place, bus) = live();
    let serving = serve(place.path(), &[]);
    let seqs = std::thread::scope(|threads| {
        threads.spawn(|| {
            for number in 0..2_000 {
                bus.publish(note(number)).expect("publishes");
            }
            bus.publish(Event::new("plan-1", PlanCompleted::new())).expect("publishes");
        });
        // Connected while events are committed.
        serving.follow("/plans/plan-1/events/stream").map(|message| message.seq()).collect::<Vec<_>>()
    });
    assert_eq!(seqs, (1..=2_002).collect::<Vec<_>>());
    let ended = serving.interrupt();
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""), "{ended:?}");
}

#[test]
fn p6_a_survey_that_is_run_beside_it_is_seen_whole() {
    let place = Place::with_tree();
    place.demo();
    let before = place.events().len() as u64;
    let serving = serve(place.path(), &[]);
    let mut stream = serving.follow(&format!("/events/stream?after={before}"));
    let survey = place.demo();
    let events = &place.events()[before as usize..];
    assert_eq!(events.len() as u64, survey["events"].as_u64().expect("a count"));
    for event in events {
        assert_eq!(stream.message().data, event.to_json().expect("JSON"), "what is sent is what the log has");
    }
}

/// The child: publishes for ever.
#[test]
fn publisher() {
    let Some(path) = role("publisher") else { return };
    let bus = owner(&path);
    for number in 0.. {
        let seq = bus.publish(note(number)).expect("publishes").seq.expect("a seq");
        writeln!(std::io::stdout(), "published {seq}").expect("the parent reads");
    }
}

#[test]
fn p6_a_client_misses_nothing_when_owners_are_killed_and_others_come() {
    let place = Place::new();
    let database = place.path().join("planbus.db");
    owner(&database).close();
    let serving = serve(place.path(), &[]);
    let mut stream = serving.follow("/events/stream?after=0");
    let mut next = 1;
    for round in 0..5 {
        let mut child = Killed(child("publisher", &database).spawn().expect("starts"));
        // Live, and not only what the last one left: it is read while the owner runs.
        let live = EventStore::open_read_only(&database).expect("opens").head().expect("reads") + 100;
        while next <= live {
            assert_eq!(stream.message().seq(), next, "round {round}");
            next += 1;
        }
        child.0.kill().expect("kill -9");
        child.0.wait().expect("it ends");
        let lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        let said =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("published ")?.parse().ok());
        let acknowledged: u64 = said.last().unwrap_or(0);
        while next <= acknowledged {
            assert_eq!(stream.message().seq(), next, "round {round}: acknowledged before the kill");
            next += 1;
        }
    }
    assert_eq!(serving.interrupt().code, Some(0));
}

#[test]
fn ctrl_c_ends_it_and_its_streams_as_success() {
    for name in ["INT", "TERM"] {
        let (place, _bus) = live();
        let serving = serve(place.path(), &[]);
        let mut stream = serving.follow("/events/stream?after=0");
        stream.message();
        signal(name, serving.id());
        assert_eq!(stream.next(), None);
        assert!(stream.cut.is_none(), "its end was sent: {:?}", stream.cut);
        let ended = serving.ended();
        assert_eq!((ended.code, ended.stderr.contains("cut off")), (Some(0), false), "{ended:?}");
    }
}

#[test]
fn a_second_ctrl_c_waits_for_no_client() {
    let (place, bus) = live();
    let long = json!({"text": "x".repeat(2 << 20)});
    bus.publish(Event::untyped("plan-1", "note", long)).expect("publishes");
    let serving = serve(place.path(), &[]);
    // One that stops to read amid an event, which is longer than what the system keeps, holds up the
    // first.
    let mut silent = TcpStream::connect(serving.url.trim_start_matches("http://")).expect("connects");
    silent.write_all(b"GET /events/stream?after=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("asks");
    let mut begun = BufReader::with_capacity(1_024, silent);
    while begun.fill_buf().is_ok_and(|seen| !seen.ends_with(b"xxx")) {
        let seen = begun.buffer().len();
        begun.consume(seen);
    }
    signal("INT", serving.id());
    wait_until("nobody is taken any more", || serving.is_closed());
    let asked = Instant::now();
    assert_eq!(serving.interrupt().code, Some(130));
    assert!(asked.elapsed() < Duration::from_secs(4), "not after its five seconds for clients");
}

#[test]
fn json_says_in_one_line_where_it_serves() {
    let (place, _bus) = live();
    let mut serving = serve(place.path(), &["-o", "json"]);
    let mut line = String::new();
    BufReader::new(serving.child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
    let told: serde_json::Value = serde_json::from_str(&line).expect("an object");
    assert_eq!(told["url"], json!(serving.url));
    assert_eq!(told["addr"], json!(serving.url.trim_start_matches("http://")));
    assert_eq!(told["db"], json!("planbus.db"));
    assert_eq!(serving.interrupt().stdout, "", "it is the only line");
}

#[test]
fn what_is_wrong_is_told_before_anything_is_served() {
    let place = Place::new();
    let at = place.path();
    fails(at, &["serve"], 3, &["there is no store at", "run `planbus demo` first", "--db FILE"]);
    assert!(!at.join("planbus.db").exists(), "no store was made");
    drop(owner(&at.join("planbus.db")));
    fails(at, &["serve", "--addr", "7070"], 2, &["--addr", "must be HOST:PORT, such as 127.0.0.1:7070"]);
    fails(at, &["serve", "--addr", "no host:7070"], 2, &["bind must be HOST:PORT", "no host:7070"]);
    fails(at, &["serve", "--connections-max", "0"], 2, &["--connections-max", "at least 1"]);
    fails(at, &["serve", "--tenant", "acme"], 2, &["--tenant: serve serves all tenants"]);
    fails(at, &["serve", "-o", "tree"], 2, &["serve has no tree"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
    let taken = taken.local_addr().map(|addr| (taken, addr.to_string())).expect("an address");
    let told = [&*format!("listen at {}: Address already in use", taken.1), "--addr, or port 0"];
    fails(at, &["serve", "--addr", &taken.1], 4, &told);
    fails(at, &["demo", "--path", "tree", "--serve", &taken.1], 4, &["listen at", "--serve, or port 0"]);
    fs::write(at.join("text.db"), "no store at all, but long enough to be the header of one\n".repeat(40))
        .expect("writes");
    fails(at, &["serve", "--db", "text.db"], 5, &["no planbus store"]);
}

#[test]
fn a_store_that_was_moved_or_replaced_ends_it_and_is_told() {
    for is_replaced in [false, true] {
        let (place, bus) = live();
        bus.close();
        bus.store().expect("a store").close().expect("closes");
        let serving = serve(place.path(), &[]);
        let database = place.path().join("planbus.db");
        fs::rename(&database, place.path().join("old.db")).expect("moved");
        if is_replaced {
            drop(owner(&database));
        }
        let ended = serving.ended();
        let told = "planbus: the store planbus.db was moved, removed or replaced; start planbus serve again";
        assert!(ended.stderr.contains(told), "{ended:?}");
        assert_eq!(ended.code, Some(4));
    }
}

#[test]
fn p6_from_a_read_only_mount_an_owner_elsewhere_is_followed() {
    if !has_program("unshare", &["-m", "true"]) {
        println!("skipped: no permission to mount");
        return;
    }
    let (place, bus) = live();
    bus.close();
    bus.store().expect("a store").close().expect("closes");
    drop(bus);
    let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(place.path());
    command.arg(env!("CARGO_BIN_EXE_planbus")).args(["--db", "planbus.db", "serve", "--addr", "127.0.0.1:0"]);
    let serving = Serving::start(&mut command);
    let mut stream = serving.follow("/events/stream?after=0");
    assert_eq!(stream.message().seq(), 1);
    let bus = owner(&place.path().join("planbus.db"));
    for number in 0..10 {
        let seq = bus.publish(note(number)).expect("publishes").seq.expect("a seq");
        assert_eq!(stream.message().seq(), seq);
    }
}

#[test]
fn quiet_says_nothing() {
    let (place, _bus) = live();
    let probe = TcpListener::bind("127.0.0.1:0").expect("binds");
    let addr = probe.local_addr().expect("an address").to_string();
    drop(probe);
    let mut command = planbus(place.path());
    let mut child = Killed(command.args(["serve", "-q", "--addr", &addr]).spawn().expect("planbus starts"));
    wait_until("it serves", || TcpStream::connect(&addr).is_ok());
    assert!(agent().get(format!("http://{addr}/nothing")).call().is_ok());
    signal("INT", child.0.id());
    assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
    assert_eq!(stderr(&run(place.path(), &["plans", "-q"])), "", "and the store is as it was");
}

#[test]
fn the_index_of_words_is_kept_where_it_is_told() {
    let (place, _bus) = live();
    let serving = serve(place.path(), &["--search-file", "elsewhere.search"]);
    wait_until("the index is there", || place.path().join("elsewhere.search").exists());
    assert!(!place.path().join("planbus.db.search").exists(), "and nowhere else");
    assert_eq!(serving.interrupt().code, Some(0));
    fails(
        place.path(),
        &["serve", "--addr", "127.0.0.1:0", "--search-file", "none/words"],
        3,
        &["none/words"],
    );
}
