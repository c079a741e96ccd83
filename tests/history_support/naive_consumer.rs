//! The consumers that one writes first: one acks what it got and then handles it, the other puts what
//! failed into the stream again.
//!
//! They are here to be caught: a check that finds nothing wrong with them finds nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    consumer::{Handling, Kind, Runs},
    journal::ATTEMPTS,
};
use crate::redis_support::{Reply, Wire};

const LIMIT: Duration = Duration::from_millis(300);
/// How many entries are asked for at once, and how many milliseconds to wait for one.
const COUNT: &str = "50";
const BLOCK: &str = "50";
/// What a stream of the profile is called that they read.
const STREAMS: [&str; 2] = ["planbus:{default}:events", "planbus:{acme}:events"];
/// The field that counts the attempts of what was published again.
const RETRIES: &str = "_retry_count";

/// A thread that reads as a group, and handles.
pub(crate) struct Naive {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Naive {
    pub(crate) fn start(handling: Handling) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let ordered = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !ordered.load(Ordering::Relaxed) {
                if consume(&handling, &ordered).is_none() {
                    thread::park_timeout(Duration::from_millis(20));
                }
            }
        });
        Self { stop, thread }
    }
}

impl Runs for Naive {
    fn status(&self) -> String {
        format!("runs: {}", !self.thread.is_finished())
    }

    fn stop(self: Box<Self>) -> String {
        self.stop.store(true, Ordering::Relaxed);
        format!("{:?}", self.thread.join())
    }
}

/// On one connection, until something goes wrong or it is to stop.
fn consume(handling: &Handling, stop: &AtomicBool) -> Option<()> {
    let role = &handling.role;
    let port = handling.url.split('?').next()?.rsplit(':').next()?.parse().ok()?;
    let mut wire = Wire::tcp_within(port, LIMIT).ok()?;
    for stream in STREAMS {
        // It may be there.
        let _ = wire.call(&["XGROUP", "CREATE", stream, &role.group, "0", "MKSTREAM"]).ok()?;
    }
    let name = role.name();
    let read = ["XREADGROUP", "GROUP", &role.group, &name, "COUNT", COUNT, "BLOCK", BLOCK, "STREAMS"];
    // What a consumer of the same name had and has not acked, then what nobody had.
    let mut from = "0";
    while !stop.load(Ordering::Relaxed) {
        let reply = wire.call(&[read.as_slice(), &STREAMS, &[from, from]].concat()).ok()?;
        if matches!(reply, Reply::Error(_)) {
            return None;
        }
        let mut is_nothing = true;
        for of_stream in reply.items() {
            let mut parts = of_stream.items().into_iter();
            let (stream, entries) = (parts.next()?.to_string(), parts.next()?.items());
            let ids: Vec<String> = entries.iter().map(|entry| entry.clone().items()[0].to_string()).collect();
            if ids.is_empty() {
                continue;
            }
            is_nothing = false;
            let ack = |ids: &[String]| {
                let head = ["XACK".to_owned(), stream.clone(), role.group.clone()];
                [head.as_slice(), ids].concat()
            };
            if role.kind == Kind::AckFirst {
                wire.call(&ack(&ids)).ok()?;
            }
            for (id, entry) in ids.iter().zip(entries) {
                handle(handling, &mut wire, &stream, entry)?;
                if role.kind != Kind::AckFirst {
                    wire.call(&ack(std::slice::from_ref(id))).ok()?;
                }
            }
        }
        if is_nothing {
            from = ">";
        }
    }
    Some(())
}

fn handle(handling: &Handling, wire: &mut Wire, stream: &str, entry: Reply) -> Option<()> {
    let fields: Vec<String> =
        entry.items().into_iter().nth(1)?.items().iter().map(Reply::to_string).collect();
    let named: HashMap<&str, &str> =
        fields.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let event_id = *named.get("event_id")?;
    let attempt = 1 + named.get(RETRIES).and_then(|retries| retries.parse().ok()).unwrap_or(0);
    let result = handling.attempt(event_id, attempt, || Ok(()));
    if result.is_err() && handling.role.kind == Kind::Republish {
        let retries = attempt.to_string();
        let group = handling.role.group.as_str();
        let mut add: Vec<&str> = match attempt < ATTEMPTS {
            true => vec!["XADD", stream, "*"],
            false => return bury(wire, stream, group, &fields),
        };
        let rest = fields.chunks_exact(2).filter(|pair| pair[0] != RETRIES).flatten();
        add.extend(rest.map(String::as_str));
        add.extend([RETRIES, &retries]);
        wire.call(&add).ok()?;
    }
    Some(())
}

fn bury(wire: &mut Wire, stream: &str, group: &str, fields: &[String]) -> Option<()> {
    let dlq = format!("{stream}:dlq");
    let mut add = vec!["XADD", &dlq, "*"];
    add.extend(fields.iter().map(String::as_str));
    add.extend(["_dlq_group", group]);
    wire.call(&add).ok().map(drop)
}
