//! The scenarios with a store, on logs that are written before anything is counted.
//!
//! Commits do not wait for the disk: a wait has no instructions.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use planbus::*;

use crate::{
    callgrind::{Work, done},
    scenarios::event,
};

/// How many events each plan of a log has.
const PLAN_EVENTS: u64 = 100;

/// Folders with a log of each size: first the models, then a copy for each scenario.
pub(crate) struct Logs(PathBuf);

impl Logs {
    pub(crate) const SMALL: u64 = 500;
    pub(crate) const LARGE: u64 = 50_000;

    /// The logs in this folder.
    pub(crate) fn within(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Writes the models.
    pub(crate) fn write(folder: &Path) -> Result<Self> {
        let logs = Self::within(folder);
        for size in [Self::SMALL, Self::LARGE] {
            let bus = EventBus::builder().store(open(&logs.path(size))?).build()?;
            let plans = size / PLAN_EVENTS;
            for _ in 0..PLAN_EVENTS {
                bus.publish_all((0..plans).map(|plan| event(&format!("plan-{plan}"))))?;
            }
        }
        Ok(logs)
    }

    /// Copies them, so that a scenario writes to its own.
    pub(crate) fn copy_to(&self, folder: &Path) -> io::Result<()> {
        for file in fs::read_dir(&self.0)? {
            let file = file?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        Ok(())
    }

    fn path(&self, size: u64) -> PathBuf {
        self.0.join(format!("{size}.db"))
    }

    fn open(&self, size: u64) -> EventStore {
        open(&self.path(size)).expect("a log opens")
    }
}

fn open(path: &Path) -> Result<EventStore> {
    EventStore::options().durability(Durability::Process).open(path)
}

fn bus(logs: &Logs, size: u64) -> EventBus {
    EventBus::builder().store(logs.open(size)).build().expect("a bus")
}

pub(crate) fn publish(logs: &Logs, size: u64) -> Work {
    let bus = bus(logs, size);
    Box::new(move || done(bus.publish(event("plan-1")).expect("publishes")))
}

pub(crate) fn publish_all(logs: &Logs) -> Work {
    let bus = bus(logs, Logs::SMALL);
    Box::new(move || {
        done(bus.publish_all((0..100).map(|_| event("plan-1"))).expect("publishes"));
    })
}

pub(crate) fn get(logs: &Logs) -> Work {
    let store = logs.open(Logs::LARGE);
    let found = store.read_after(Logs::LARGE / 2, 1).expect("reads");
    let id = found.first().expect("an event").event_id();
    Box::new(move || done(store.get(id).expect("reads").expect("is there")))
}

pub(crate) fn list_by_plan(logs: &Logs, size: u64) -> Work {
    let store = logs.open(size);
    Box::new(move || assert_eq!(store.list_by_plan("plan-3", None).expect("reads").len() as u64, PLAN_EVENTS))
}

pub(crate) fn read_after(logs: &Logs) -> Work {
    let store = logs.open(Logs::LARGE);
    Box::new(move || assert_eq!(store.read_after(20_000, 500).expect("reads").len(), 500))
}

pub(crate) fn tail(logs: &Logs) -> Work {
    let bus = bus(logs, Logs::LARGE);
    let mut tail = bus.tail(Filter::all(), Start::Beginning).expect("a tail");
    Box::new(move || {
        for _ in 0..500 {
            done(tail.next_timeout(Duration::ZERO).expect("reads").expect("is there"));
        }
    })
}
