//! Deliberate slowdowns, as they slip into real code: the guard must refuse each.
//!
//! Nothing here is in the library; a scenario is made to do one before each of its operations.

use std::{sync::Mutex, time::SystemTime};

use planbus::ToolCalled;
use rusqlite::Connection;
use serde_json::json;

use crate::callgrind::{Work, done};

/// Something that costs, and the scenario that must be refused for it.
pub(crate) struct Slowdown {
    /// What the code does too much, for people and for the command line.
    pub(crate) name: &'static str,
    /// The scenario, or with it the promise of a ratio, that it is put into.
    pub(crate) scenario: &'static str,
    pub(crate) prepare: fn() -> Work,
}

/// All of them.
pub(crate) const SLOWDOWNS: &[Slowdown] = &[
    Slowdown { name: "one more look at the clock", scenario: "publish, 0 handlers", prepare: clock },
    Slowdown { name: "a lock and a copied list", scenario: "publish, 1 handler", prepare: copy },
    Slowdown {
        name: "a payload serialised for nobody",
        scenario: "build + publish, 1 typed handler",
        prepare: serialise,
    },
    Slowdown {
        name: "a search among the handlers for each handler",
        scenario: "publish, 64 handlers",
        prepare: pairs,
    },
    Slowdown {
        name: "a statement prepared each time",
        scenario: "durable publish, log of 500",
        prepare: statement,
    },
    Slowdown {
        name: "a search through all subscriptions",
        scenario: "publish, 10,000 plans, none matches",
        prepare: search,
    },
    Slowdown {
        name: "a search through the log",
        scenario: "durable publish, log of 50,000",
        prepare: search,
    },
];

fn clock() -> Work {
    Box::new(|| done(SystemTime::now()))
}

fn copy() -> Work {
    let list = Mutex::new(vec![0_usize; 8]);
    Box::new(move || done(list.lock().map(|list| list.clone())))
}

fn serialise() -> Work {
    let payload = ToolCalled::new("call-17", "search", json!({"path": "src/bus", "context": 3}));
    Box::new(move || done(serde_json::to_string(&payload)))
}

fn pairs() -> Work {
    let ids: Vec<String> = (0..64).map(|number| format!("handler-{number}")).collect();
    Box::new(move || {
        for id in &ids {
            done(ids.iter().position(|other| other == id));
        }
    })
}

fn statement() -> Work {
    let connection = Connection::open_in_memory().expect("opens");
    connection.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT)").expect("is created");
    Box::new(move || done(connection.prepare("INSERT INTO t(id, a, b) VALUES (?1, ?2, ?3)")))
}

fn search() -> Work {
    let ids: Vec<String> = (0..10_000).map(|number| format!("plan-{number}")).collect();
    Box::new(move || done(ids.iter().position(|id| *id == "plan-none")))
}
