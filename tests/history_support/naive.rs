//! The mirror that one writes first: a cursor in the store, and `XADD *` for what comes after it.
//!
//! It is here to be caught: a check that finds nothing wrong with it finds nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use planbus::*;

use crate::redis_support::{Reply, Wire};

const READER: &str = "naive";
const LIMIT: Duration = Duration::from_millis(300);

/// A thread that appends what comes after its cursor.
pub(crate) struct NaiveMirror {
    store: EventStore,
    cursor: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl NaiveMirror {
    pub(crate) fn start(store: &EventStore, url: &str) -> Self {
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let saved = store.cursors().expect("reads").into_iter().find(|cursor| cursor.reader == READER);
        let cursor = Arc::new(AtomicU64::new(saved.map_or(0, |cursor| cursor.seq)));
        let mirror = Self { store: store.clone(), cursor, stop: Arc::default() };
        let (store, cursor, stop) = (store.clone(), Arc::clone(&mirror.cursor), Arc::clone(&mirror.stop));
        thread::spawn(move || {
            let mut wire = None;
            while !stop.load(Ordering::Relaxed) {
                if append(&store, &cursor, port, &mut wire).is_none() {
                    wire = None;
                    thread::park_timeout(Duration::from_millis(20));
                }
            }
        });
        mirror
    }

    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let (head, start) = (self.store.head().expect("reads"), Instant::now());
        while self.cursor.load(Ordering::Acquire) < head {
            if start.elapsed() > limit {
                return false;
            }
            thread::yield_now();
        }
        true
    }
}

impl Drop for NaiveMirror {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One page; `None` when something went wrong on the way or nothing was there.
fn append(store: &EventStore, cursor: &AtomicU64, port: u16, wire: &mut Option<Wire>) -> Option<()> {
    let page = store.read_after(cursor.load(Ordering::Acquire), 100).ok()?;
    let wire = match wire {
        Some(wire) => wire,
        None => wire.insert(Wire::tcp_within(port, LIMIT).ok()?),
    };
    let last = page.last()?.seq()?;
    for event in &page {
        let (id, seq) = (event.event_id().to_string(), event.seq()?.to_string());
        let stream = "planbus:{default}:events";
        let command = ["XADD", stream, "*", "event_id", &id, "seq", &seq, "store", store.store_id()];
        wire.send(&command).ok()?;
    }
    for _ in &page {
        if matches!(wire.receive().ok()?, Reply::Error(_)) {
            return None;
        }
    }
    store.save_cursor(READER, last).ok()?;
    cursor.store(last, Ordering::Release);
    Some(())
}
