//! Questions that a person waits for: each query of docs/audit.md with the `sqlite3` program, the
//! commands of the program, single reads, and how soon a follower in another process sees an event.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use planbus::{Event, EventBus, EventId, EventStore, Retention};
use serde_json::json;

use super::log::DAYS;

/// How often each question is asked; the median counts.
const ROUNDS: usize = 5;
/// How many events a prune removes.
const PRUNED: u64 = 10_000;
/// How many events a follower is shown.
const FOLLOWED: usize = 200;
/// The page's queries, and what stands in them to be replaced.
const PAGE: &str = include_str!("../../docs/audit.md");

/// A plan with subplans, and events, from the middle of the log.
struct Picked {
    plan: String,
    /// An event with a cause, and a start of a plan.
    effect: EventId,
    cause: EventId,
    /// When the middle of the log was recorded.
    time: String,
    seq: u64,
}

fn pick(store: &EventStore) -> Picked {
    let seq = store.head().expect("a head") / 2;
    let page = store.read_after(seq, 5_000).expect("a page");
    let of_tenant = |event: &&Event| event.tenant().as_str() == "default";
    let child = page.iter().filter(of_tenant).find(|event| event.plan_id().as_str().contains('/'));
    let plan = child.expect("a subplan").plan_id().as_str();
    let plan = plan.split('/').next().unwrap_or(plan).to_owned();
    let events = store.list_by_plan(plan.as_str(), None).expect("events");
    let (first, last) = (events.first().expect("a start"), events.last().expect("an end"));
    let time = page.first().and_then(Event::recorded_at).expect("was stored").to_string();
    Picked { effect: last.event_id(), cause: first.event_id(), plan, time, seq }
}

/// The median and the longest of some rounds.
fn ask(what: &str, mut question: impl FnMut()) {
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            question();
            begun.elapsed()
        })
        .collect();
    row(what, &mut took);
}

fn row(what: &str, took: &mut [Duration]) {
    took.sort();
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    let (median, longest) = (millis(took[took.len() / 2]), millis(took[took.len() - 1]));
    let met = if median <= 1_000.0 { "yes" } else { "no" };
    println!("| {what} | {median:.2} | {longest:.2} | {met} |");
}

fn head(title: &str) {
    println!("\n{title}\n\n| what | median ms | longest ms | <= 1 s |\n|---|---|---|---|");
}

/// Runs a command to its end, which must be a good one.
fn finish(command: &mut Command) {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn queries(path: &Path, picked: &Picked) {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        println!("\nskipped: no sqlite3 program");
        return;
    }
    head(&format!("docs/audit.md with sqlite3; \"this week\" is 7 of the log's {DAYS} days"));
    for section in PAGE.split("\n### ").skip(1) {
        let (heading, text) = section.split_once('\n').expect("a heading");
        let sql = text.split("```sql\n").nth(1).and_then(|text| text.split("```").next()).expect("a query");
        let sql = sql
            .replace("plan-7", &picked.plan)
            .replace("01K0000000000000000000000A", &picked.effect.to_string())
            .replace("01K0000000000000000000000B", &picked.cause.to_string())
            .replace("2026-03-01T09:30:00", &picked.time);
        ask(heading, || finish(Command::new("sqlite3").arg("-readonly").arg(path).arg(&sql)));
    }
}

fn planbus(path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planbus"));
    command.arg("--db").arg(path);
    command
}

fn commands(path: &Path, picked: &Picked) {
    head("The program");
    let plan = picked.plan.as_str();
    let commands: [&[&str]; 13] = [
        &["plans", "--last", "50"],
        &["plans", "--last", "50", "--roots"],
        &["plans", "--last", "50", "--status", "running"],
        &["plans", "--last", "50", "--status", "failed"],
        &["show", plan],
        &["show", plan, "--timeline"],
        &["export", "--plan", plan, "--subplans"],
        &["stats"],
        &["prune", "--older-than", "30d", "--dry-run"],
        &["events", "--plan", plan],
        &["events", "--last", "50"],
        &["events", "--last", "50", "--type", "PlanFailed"],
        &["events", "--last", "50", "--source", "planner"],
    ];
    for arguments in commands {
        ask(&format!("planbus {}", arguments.join(" ")), || finish(planbus(path).args(arguments)));
    }
}

fn reads(store: &EventStore, picked: &Picked) {
    head("Single reads");
    ask("an event by its id", || assert!(store.get(picked.effect).expect("reads").is_some()));
    ask("1,000 events after a seq", || {
        assert_eq!(store.read_after(picked.seq, 1_000).expect("reads").len(), 1_000);
    });
    ask("the summary of a plan", || assert!(store.plan(picked.plan.as_str()).expect("reads").is_some()));
}

/// Opening looks for plans that were left unfinished.
fn open(path: &Path) -> EventStore {
    head("The owner");
    ask("opening and closing the store", || {
        EventStore::open(path).and_then(|store| store.close()).expect("opens")
    });
    EventStore::open(path).expect("opens")
}

fn prune(store: &EventStore) {
    let mut keep = store.stats().expect("reads").events;
    ask(&format!("pruning the oldest {PRUNED} events, and giving their space back"), || {
        keep -= PRUNED;
        assert_eq!(store.prune(Retention::keep_last(keep)).expect("prunes").removed, PRUNED);
    });
}

/// A process that is killed when the bench is done with it.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn follow(store: &EventStore, path: &Path) {
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let mut command = planbus(path);
    command.args(["events", "--follow", "--last", "0", "-o", "json"]).stdout(Stdio::piped());
    let mut follower = Follower(command.spawn().expect("runs"));
    let mut lines = BufReader::new(follower.0.stdout.take().expect("a pipe")).lines();
    let publish = |number: usize| {
        let event = Event::raw("followed", "Note", json!({"number": number}).to_string());
        bus.publish(event).expect("publishes");
    };
    // It follows from where the log ends when it begins; only what it prints tells when that is.
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            while let Some(Ok(line)) = lines.next() {
                if told.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        while tells.try_recv().is_err() {
            publish(0);
        }
        // The line of the last such event, so that the next line is the next event's.
        publish(1);
        let is_last = |line: &str| line.contains("\"number\":1}");
        while tells.recv().is_ok_and(|(_, line)| !is_last(&line)) {}
        let mut took: Vec<Duration> = (0..FOLLOWED)
            .map(|number| {
                let begun = Instant::now();
                publish(number + 2);
                tells.recv().expect("the follower runs").0 - begun
            })
            .collect();
        row("publish, until `planbus events --follow` printed it", &mut took);
        drop((tells, follower));
    });
}

pub(crate) fn run(path: &Path) {
    let store = open(path);
    println!(
        "{} events, {} MB",
        store.head().expect("a head"),
        path.metadata().map_or(0, |file| file.len() >> 20)
    );
    let picked = pick(&store);
    queries(path, &picked);
    commands(path, &picked);
    reads(&store, &picked);
    follow(&store, path);
    prune(&store);
    store.close().expect("closes");
}
