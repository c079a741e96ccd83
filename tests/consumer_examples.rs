//! The three example workers side by side on one stream: each group gets every event, and the rows that
//! `db_writer` writes are there once, though it is killed between the effect and the ack.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use consumer_support::{Fed, STREAM, is_done, is_read, pending};
use planbus::{Event, EventBus, rusqlite::Connection};
use redis_support::{Fault, Proxy, wait_for};
use serde_json::json;
use store_support::Dir;

/// The tool calls of one plan.
const CALLS: usize = 50;

/// An example that runs, and what it has printed so far.
struct Example {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Example {
    /// Starts the example that was built beside this test.
    fn start(name: &str, url: &str, arguments: &[&Path]) -> Self {
        let mut command = Command::new(binary(name));
        command.arg(url).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cargo build --examples: {name}: {error}"));
        let (lines, stdout) = (Arc::default(), child.stdout.take().expect("piped"));
        let told: Arc<Mutex<Vec<String>>> = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                told.lock().expect("no panic").push(line.expect("UTF-8"));
            }
        });
        Self { child, lines, reader: Some(reader) }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }

    /// Waits until it prints a line that begins so, and gives the rest of it.
    fn line(&self, start: &str) -> String {
        let found = || self.lines().iter().find_map(|line| line.strip_prefix(start).map(str::to_owned));
        wait_for(start, || found().is_some());
        found().expect("was there")
    }

    /// Ends its stdin, and gives all that it printed until it ended.
    fn finish(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("is ours");
        self.reader.take().expect("once").join().expect("no panic");
        assert!(status.success(), "{status}: {:?}", self.lines());
        self.lines()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It has ended already, unless it was to be killed or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this binary");
    let profile = test.parent().and_then(Path::parent).expect("stands in target/PROFILE/deps");
    profile.join("examples").join(name)
}

/// A plan with its tool calls, every fifth of which fails.
fn run_plan(bus: &EventBus, plan: &str) {
    let run = bus.plan(plan).source("planner").start(json!({})).expect("commits");
    for number in 0..CALLS {
        let act = || if number % 5 == 0 { Err("no such file") } else { Ok(number) };
        let _ = run.tool("read_file", json!({"number": number}), act);
    }
    run.complete(json!({})).expect("commits");
}

fn rows(database: &Path) -> usize {
    let count = "SELECT count(*) FROM answered_calls";
    let app = Connection::open(database).expect("opens");
    let rows: u32 = app.query_row(count, [], |row| row.get(0)).expect("the writer has made its table");
    rows as usize
}

#[test]
fn p8_three_groups_share_a_stream_and_a_killed_writer_leaves_each_row_once() {
    let Some(fed) = Fed::start() else { return };
    let (dir, bus) = (Dir::new(), EventBus::builder().store(fed.store.clone()).build().expect("builds"));
    let publish = |plan: &str| {
        run_plan(&bus, plan);
        fed.mirror.flush(redis_support::SERVER_LIMIT).expect("Redis equals the log");
    };
    let (url, database) = (fed.server.url(), dir.path().join("app.db"));
    let proxy = Proxy::before(fed.server.port());

    // The mirror makes the stream; a fan-out begins with what comes after it.
    publish("before");
    let fan_out = Example::start("fan_out", &url, &[]);
    let client = TcpStream::connect(fan_out.line("listening on ")).expect("is listening");
    fan_out.line("a client is connected");
    let has_group = |group: &str| fed.server.command(&["XINFO", "GROUPS", STREAM]).contains(group);
    wait_for("the fan-out's group is there", || has_group("websocket_workers"));
    let metrics = Example::start("metrics_collector", &url, &[]);
    let writer = Example::start("db_writer", &proxy.url(), &[&database]);
    wait_for("the writer's group is there", || has_group("db_writers"));
    let is_acked = |events| is_done(&fed.server, STREAM, "db_writers", events);
    wait_for("the first rows are written and acked", || is_acked(per_plan()));

    // The effect happens, the ack does not come through, and the writer is killed.
    let app = Connection::open(&database).expect("opens");
    app.execute_batch("BEGIN IMMEDIATE").expect("holds the writer up");
    publish("middle");
    wait_for("the writer has them, and all else is acked", || {
        is_read(&fed.server, STREAM, "db_writers") && pending(&fed.server, STREAM, "db_writers") == CALLS
    });
    proxy.set(Fault::BlackHole);
    app.execute_batch("ROLLBACK").expect("lets the writer go on");
    wait_for("the rows are there", || rows(&database) == 2 * CALLS);
    drop(writer);
    proxy.cut_now();
    proxy.set(Fault::None);
    assert_eq!(pending(&fed.server, STREAM, "db_writers"), CALLS, "no ack came through");

    let writer = Example::start("db_writer", &proxy.url(), &[&database]);
    publish("after");
    wait_for("the other writer has done all", || is_acked(3 * per_plan()));
    assert_eq!(rows(&database), 3 * CALLS, "each row is there once");
    let told = writer.finish();
    let expected = format!("wrote {CALLS} rows; {CALLS} events had theirs already");
    assert!(told.contains(&expected), "{told:?}");

    let logged = fed.store.read_after(0, usize::MAX).expect("the log can be read");
    assert_eq!(logged.len(), 3 * per_plan());
    check_figures(metrics, &logged);
    wait_for("all was sent", || is_done(&fed.server, STREAM, "websocket_workers", logged.len()));
    let sent = &logged[per_plan()..];
    assert_eq!(fan_out.finish().last(), Some(&format!("sent {} events", sent.len())));
    let received: Vec<String> = BufReader::new(client).lines().map(|line| line.expect("UTF-8")).collect();
    let expected: Vec<String> = sent.iter().map(|event| event.to_json().expect("writable")).collect();
    assert_eq!(received, expected, "the client got each event once, in order");
}

/// The events of one plan.
fn per_plan() -> usize {
    2 + 2 * CALLS
}

/// Compares what the collector prints with the log.
fn check_figures(mut metrics: Example, logged: &[Event]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in logged {
        *counts.entry(event.event_type().as_str()).or_default() += 1;
    }
    let line = |event_type: &str, count| format!("planbus_events_total{{type=\"{event_type}\"}} {count}");
    let expected: Vec<String> = counts.iter().map(|(event_type, count)| line(event_type, *count)).collect();
    wait_for("all is counted", || {
        writeln!(metrics.child.stdin.as_mut().expect("piped")).expect("it reads");
        expected.iter().all(|line| metrics.lines().contains(line))
    });
    let told = metrics.finish();
    let last =
        told.iter().rposition(|line| line.starts_with("# TYPE planbus_events_total")).expect("is there");
    let counted: Vec<&String> = told[last + 1..].iter().take_while(|line| !line.starts_with('#')).collect();
    assert_eq!(counted, expected.iter().collect::<Vec<_>>());
    let timed = format!("planbus_event_duration_seconds_count{{type=\"ToolCompleted\"}} {}", 3 * CALLS);
    assert!(told[last..].contains(&timed), "{told:?}");
}
