//! The commands of the program that a person waits for, and how soon a follower in another process has an
//! event.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

use planbus::{Event, EventBus};
use serde_json::json;

use super::{Answers, Log, Picked};
use crate::measure::median;

/// Names the program; `./bench` builds it and sets this.
const PROGRAM: &str = "PLANBUS_PROGRAM";
/// How many events a follower is shown.
const FOLLOWED: usize = 100;

pub(super) fn ask(log: &Log, picked: &Picked, answers: &mut Answers) {
    let Some(program) = env::var_os(PROGRAM) else {
        println!("\nleft out: {PROGRAM} names no program");
        return;
    };
    let plan = picked.plan.as_str();
    let commands: [&[&str]; 11] = [
        &["plans", "--last", "50"],
        &["plans", "--last", "50", "--status", "running"],
        &["plans", "--last", "50", "--status", "failed"],
        &["show", plan],
        &["show", plan, "--timeline"],
        &["export", "--plan", plan, "--subplans"],
        &["stats"],
        &["prune", "--older-than", "30d", "--dry-run"],
        &["events", "--plan", plan],
        &["events", "--last", "50", "--type", "PlanFailed"],
        &["events", "--last", "50", "--source", "planner"],
    ];
    for arguments in commands {
        let words = arguments.join(" ").replace(plan, "PLAN");
        answers.ask(&format!("planbus {words}"), || finish(planbus(&program, log).args(arguments)));
    }
    let followed = follow(&program, log);
    answers.note("publish, until --follow printed it", followed);
}

/// Runs a command to its end, which must be a good one.
pub(super) fn finish(command: &mut Command) {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn planbus(program: &OsString, log: &Log) -> Command {
    let mut command = Command::new(program);
    command.arg("--db").arg(&log.path);
    command
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

/// The median nanoseconds from before a publish until a follower in another process printed the event.
fn follow(program: &OsString, log: &Log) -> f64 {
    let store = log.open();
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let mut command = planbus(program, log);
    command.args(["events", "--follow", "--last", "0", "-o", "json"]).stdout(Stdio::piped());
    let mut follower = Follower(command.spawn().expect("runs"));
    let mut lines = BufReader::new(follower.0.stdout.take().expect("a pipe")).lines();
    let publish = |number: usize| {
        let event = Event::raw("followed", "Note", json!({"number": number}).to_string());
        bus.publish(event).expect("publishes");
    };
    // It follows from where the log ends when it begins; only what it prints tells when that is.
    let (told, tells) = mpsc::channel();
    let median = thread::scope(|threads| {
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
        let one = |number: usize| {
            let begun = Instant::now();
            publish(number + 2);
            (tells.recv().expect("the follower runs").0 - begun).as_nanos() as f64
        };
        let took = (0..FOLLOWED).map(one).collect();
        drop((tells, follower));
        median(took)
    });
    bus.close();
    store.close().expect("closes");
    median
}
