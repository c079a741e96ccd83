//! What the tests of import and export share: recorded lines, and events in each exported form.
//!
//! Everything is read here by hand, with none of the code under test, so that both must be right.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json, value::RawValue};

/// The project's own recorded runs.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/traces/sample.jsonl")
}

/// The recorded runs of real agents, if they are here.
pub(crate) fn real_files() -> Option<Vec<PathBuf>> {
    let folder = std::env::var_os("PLANBUS_TRACES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traces"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no recorded runs in {}; PLANBUS_TRACES names another folder", folder.display());
        return None;
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no .jsonl file", folder.display());
    Some(files)
}

/// A line of a recorded run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) plan: String,
    pub(crate) parent: Option<String>,
    pub(crate) kind: String,
    pub(crate) agent: String,
    /// The value as JSON; `None` where there is no such key.
    pub(crate) at: Option<Value>,
    /// The value as it is written.
    pub(crate) data: String,
}

/// The lines of a file that are not blank, with their numbers.
pub(crate) fn recorded(text: &str) -> Vec<(usize, Recorded)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| (at + 1, Recorded::of_line(line))).collect()
}

impl Recorded {
    fn of_line(line: &str) -> Self {
        let mut fields: HashMap<String, Box<RawValue>> = serde_json::from_str(line).expect("a line of JSON");
        let mut text = |name: &str| {
            let value = fields.remove(name).unwrap_or_else(|| panic!("no {name} in {line}"));
            serde_json::from_str::<Option<String>>(value.get()).expect("text or null")
        };
        let (plan, parent, kind) = (text("plan"), text("parent"), text("kind"));
        let agent = text("agent");
        let at = fields.remove("at").map(|at| serde_json::from_str(at.get()).expect("JSON"));
        let data = fields.remove("data").expect("data").get().to_owned();
        assert!(fields.is_empty(), "{line}");
        Self {
            plan: plan.expect("a plan"),
            parent,
            kind: kind.expect("a kind"),
            agent: agent.expect("an agent"),
            at,
            data,
        }
    }

    /// The line that an imported event was made of: the file's name, the line's number, the line.
    pub(crate) fn of_event(json: &str) -> (String, usize, Self) {
        let fields: HashMap<String, Box<RawValue>> = serde_json::from_str(json).expect("an event");
        let text = |name: &str| -> String { serde_json::from_str(fields[name].get()).expect(name) };
        let (plan, correlation) = (text("plan_id"), text("correlation_id"));
        let kind = match text("event_type").as_str() {
            "PlanStarted" => "plan_started".to_owned(),
            "PlanCompleted" => "plan_completed".to_owned(),
            "PlanFailed" => "plan_failed".to_owned(),
            "DecisionMade" => "decision".to_owned(),
            "ToolCalled" => "tool_called".to_owned(),
            "ToolCompleted" => "tool_completed".to_owned(),
            "SubplanSpawned" => "subplan_spawned".to_owned(),
            "SubplanCompleted" => "subplan_completed".to_owned(),
            other => other.to_owned(),
        };
        let references: Vec<String> = serde_json::from_str(fields["context_refs"].get()).expect("texts");
        let [reference] = references.try_into().expect("one reference");
        let (file, place) =
            reference.strip_prefix("trace:").and_then(|rest| rest.split_once("#line=")).expect("a place");
        let (place, odd_kind) =
            place.split_once("&kind=").map_or((place, None), |(place, kind)| (place, Some(kind)));
        let (number, at) = place.split_once("&at=").map_or((place, None), |(number, at)| (number, Some(at)));
        let at = match at {
            None => Some(json!(text("timestamp"))),
            Some("null") => Some(Value::Null),
            Some("missing") => None,
            Some(at) => Some(json!(percent_decoded(at))),
        };
        let recorded = Self {
            parent: (correlation != plan).then_some(correlation),
            kind: odd_kind.map_or(kind, str::to_owned),
            agent: text("source"),
            at,
            data: fields["payload"].get().to_owned(),
            plan,
        };
        (percent_decoded(file), number.parse().expect("a number"), recorded)
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let hex = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                u8::from_str_radix(std::str::from_utf8(&hex).expect("ASCII"), 16).expect("hex")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// The fields of an event's JSON in their order, and how each stands there.
const FIELDS: [(&str, Kind); 16] = [
    ("seq", Kind::Json),
    ("event_id", Kind::Text),
    ("event_type", Kind::Text),
    ("plan_id", Kind::Text),
    ("timestamp", Kind::Text),
    ("recorded_at", Kind::Text),
    ("tenant", Kind::Text),
    ("source", Kind::Text),
    ("call_chain", Kind::Json),
    ("correlation_id", Kind::Text),
    ("causation_id", Kind::Text),
    ("trace_parent", Kind::Text),
    ("priority", Kind::Text),
    ("context_refs", Kind::Json),
    ("schema_version", Kind::Json),
    ("payload", Kind::Json),
];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Json,
}

/// An event's JSON, put together from its fields as text.
fn event_json(mut field: impl FnMut(&str) -> Option<String>) -> String {
    let fields = FIELDS.iter().filter_map(|(name, kind)| {
        let value = field(name)?;
        let value = match kind {
            Kind::Text => json!(value).to_string(),
            Kind::Json => value,
        };
        Some(format!("\"{name}\":{value}"))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// The events of an export as CSV, each as its JSON.
pub(crate) fn of_csv(text: &str) -> Vec<String> {
    let mut records = csv_records(text).into_iter();
    let head = records.next().expect("a head");
    assert_eq!(head, FIELDS.map(|(name, _)| name));
    let event = |record: Vec<String>| {
        assert_eq!(record.len(), head.len(), "{record:?}");
        let mut values: HashMap<&str, String> = head.iter().map(String::as_str).zip(record).collect();
        event_json(|name| values.remove(name).filter(|value| !value.is_empty()))
    };
    records.map(event).collect()
}

/// RFC 4180, to the letter.
fn csv_records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    let mut in_quotes = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => record.push(std::mem::take(&mut field)),
            '\r' if !in_quotes => {
                assert_eq!(chars.next(), Some('\n'));
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(!in_quotes && field.is_empty() && record.is_empty(), "the last record has no end");
    records
}

/// The events of an export as CloudEvents, each as its JSON.
pub(crate) fn of_cloud_events(text: &str) -> Vec<String> {
    let event = |line: &str| {
        let mut fields: HashMap<String, Box<RawValue>> = serde_json::from_str(line).expect("a CloudEvent");
        let data = fields.remove("data").expect("data").get().to_owned();
        let mut text = |name: &str| {
            let value = fields.remove(name)?;
            Some(serde_json::from_str::<String>(value.get()).expect(name))
        };
        assert_eq!(text("specversion").as_deref(), Some("1.0"));
        assert_eq!(text("datacontenttype").as_deref(), Some("application/json"));
        let (subject, source) = (text("subject"), text("source").expect("a source"));
        assert_eq!(text("partitionkey"), subject);
        let event = event_json(|name| match name {
            "seq" => text("sequence").map(|seq| {
                assert_eq!(seq.len(), 20, "sorts as text");
                seq.trim_start_matches('0').to_owned()
            }),
            "event_id" => text("id"),
            "event_type" => text("type").and_then(|name| name.strip_prefix("planbus.").map(str::to_owned)),
            "plan_id" => subject.clone(),
            "timestamp" => text("time"),
            "source" => text("agent"),
            "payload" => Some(data.clone()),
            "tenant" => {
                let tenant = text("tenant");
                assert_eq!(source.rsplit('/').next(), tenant.as_deref());
                tenant
            }
            other => text(&other.replace('_', "")),
        });
        assert!(fields.is_empty(), "{fields:?} are left");
        event
    };
    text.lines().map(event).collect()
}

/// The events that plain `sqlite3` finds in a database, each as its JSON.
pub(crate) fn of_sqlite3(database: &Path) -> Vec<String> {
    let columns = FIELDS.map(|(name, _)| if name == "seq" { "id AS seq" } else { name }).join(", ");
    let output = Command::new("sqlite3")
        .args(["-readonly", "-json"])
        .arg(database)
        .arg(format!("SELECT {columns} FROM plan_events ORDER BY id"))
        .output()
        .expect("sqlite3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<HashMap<String, Value>> = serde_json::from_slice(&output.stdout).expect("rows");
    let event = |row: HashMap<String, Value>| {
        event_json(|name| match &row[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    };
    rows.into_iter().map(event).collect()
}
