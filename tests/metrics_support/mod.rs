//! A page of metrics, as Prometheus's own client library reads it.
//!
//! Never guesses: what that library refuses fails the test.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use planbus::{ChannelOptions, Event, Filter};
use serde_json::{Value, json};

use crate::{
    redis_support::python,
    server_support::{Live, agent},
};

/// One line of a page: a name, its labels, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A page that was read.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Type and help text by the name of the family.
    pub(crate) families: BTreeMap<String, (String, String)>,
    pub(crate) samples: Vec<Sample>,
}

impl Page {
    /// Scrapes a server; `None` where the test is to return.
    pub(crate) fn scrape(live: &Live) -> Option<Self> {
        let python = python()?;
        Some(Self::parse(&python, &text(live)))
    }

    fn parse(python: &Path, text: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/openmetrics.py");
        let mut parser = Command::new(python);
        parser.arg("-B").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut parser = parser.spawn().expect("python starts");
        let mut input = parser.stdin.take().expect("is piped");
        input.write_all(text.as_bytes()).expect("is read");
        drop(input);
        let output = parser.wait_with_output().expect("ends");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "not OpenMetrics: {complaint}\n{text}");
        let mut page = Self { families: BTreeMap::new(), samples: Vec::new() };
        for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
            page.add(&serde_json::from_str(line).expect("a line of JSON"));
        }
        page
    }

    fn add(&mut self, family: &Value) {
        let told = |key: &str| family[key].as_str().expect("a text").to_owned();
        let described = self.families.insert(told("name"), (told("type"), told("help")));
        assert_eq!(described, None, "a family is told once");
        for sample in family["samples"].as_array().expect("a list") {
            self.samples.push(Sample {
                name: sample[0].as_str().expect("a name").to_owned(),
                labels: serde_json::from_value(sample[1].clone()).expect("labels"),
                value: sample[2].as_f64().expect("a number"),
            });
        }
    }

    /// The value of a sample, by its name and some of its labels; 0 where there is none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or(0.0)
    }

    pub(crate) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Sample| {
            labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
        };
        let mut found = self.samples.iter().filter(|sample| sample.name == name && has(sample));
        let first = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "{name} {labels:?} is one sample: {self:?}");
        first
    }

    /// All names of samples.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|sample| sample.name.as_str()).collect()
    }

    /// All samples of counters, which never fall: those of histograms too.
    pub(crate) fn counters(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| {
            let ends = ["_total", "_count", "_sum", "_bucket"];
            ends.iter().any(|end| sample.name.ends_with(end))
        })
    }
}

/// The page as it is sent.
pub(crate) fn text(live: &Live) -> String {
    let mut response = agent().get(live.url("/metrics")).call().expect("an answer");
    assert_eq!(response.status(), 200);
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    assert_eq!(kind, Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    response.body_mut().read_to_string().expect("a body")
}

/// Has a server do something of everything; what must not be seen of it is called secret.
pub(crate) fn keep_busy(live: &Live) {
    let bus = &live.bus;
    let bad = bus.subscribe(Filter::all(), |_: &Event| -> () { panic!("boom") }).expect("subscribes");
    let worse = bus.subscribe(Filter::all(), |_: &Event| Err("no luck")).expect("subscribes");
    let full = bus.channel(Filter::all(), ChannelOptions::bounded(1)).expect("a channel");
    let run = bus.plan("secret-plan").tenant("secret-tenant").start(json!({"goal": "x"})).expect("starts");
    run.decide("secret decision", json!({})).expect("publishes");
    run.complete(json!({})).expect("completes");
    for at in 0..10 {
        live.note("secret-plan", at);
    }
    drop((bad, worse, full));
    let store = bus.store().expect("a store");
    store.save_cursor("billing", 3).expect("saves");
    let mut stream = live.follow("/events/stream?after=0");
    assert_eq!(stream.seqs(10).len(), 10);
    assert_eq!(live.get("/nothing/secret-plan").0, 404);
    assert_eq!(live.get("/plans/secret-plan/events/stream?format=none").0, 400);
}
