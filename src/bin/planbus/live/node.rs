//! A plan as it is seen live, and its tool calls.
//!
//! Pure, and of bounded size whatever the events say.

use std::{collections::VecDeque, time::Duration};

use planbus::{Event, EventType, PlanId, Timestamp};

use crate::{
    describe,
    fields::{self, Fields},
    text::escape,
};

/// How many characters of a name or an error are kept: payloads may hold whole files.
const TEXT_MAX_CHARS: usize = 300;
/// How many open calls of one plan are kept, the newest.
const CALLS_MAX: usize = 64;

/// Under which names tools are told what they work on.
const PATHS: [&str; 4] = ["path", "file_path", "file", "filename"];

/// A plan that is open, or has ended just now.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: PlanId,
    pub(super) goal: String,
    pub(super) parent: Option<PlanId>,
    /// When its start came to the log, from which its time ticks.
    pub(super) begun: Timestamp,
    /// When that was by its own time, which of a record is another.
    started_at: Timestamp,
    pub(super) end: Option<End>,
    /// Calls that have not returned, the newest last.
    pub(super) calls: VecDeque<Call>,
    pub(super) last_call: Option<Answer>,
    pub(super) tools: u64,
    pub(super) failed_tools: u64,
    pub(super) decisions: u64,
    /// Subplans that are shown, in the order of their start.
    pub(super) children: Vec<PlanId>,
    pub(super) ended_children: u64,
    pub(super) failed_children: u64,
}

/// How a plan ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) lasted: Duration,
    /// What went wrong, where it failed.
    pub(super) error: Option<String>,
}

/// A tool call that has not returned.
#[derive(Clone, Debug)]
pub(super) struct Call {
    id: Option<String>,
    /// The tool, and the name of what it works on.
    pub(super) what: String,
    pub(super) begun: Timestamp,
    called_at: Timestamp,
}

/// The tool call that returned last.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) what: String,
    pub(super) has_failed: bool,
    pub(super) lasted: Duration,
}

impl Node {
    /// A plan that is begun by this event.
    pub(super) fn begin(event: &Event, fields: &Fields<'_>, parent: Option<PlanId>) -> Self {
        Self {
            id: event.plan_id().clone(),
            goal: short(&fields.words(fields::GOAL).unwrap_or_default()),
            parent,
            begun: moment(event),
            started_at: event.timestamp(),
            end: None,
            calls: VecDeque::new(),
            last_call: None,
            tools: 0,
            failed_tools: 0,
            decisions: 0,
            children: Vec::new(),
            ended_children: 0,
            failed_children: 0,
        }
    }

    /// Goes on: calls of the time before are not answered any more.
    pub(super) fn begin_again(&mut self, event: &Event) {
        (self.begun, self.started_at, self.end) = (moment(event), event.timestamp(), None);
        self.calls.clear();
    }

    pub(super) fn finish(&mut self, event: &Event, fields: &Fields<'_>) {
        let has_failed = event.event_type() == &EventType::PlanFailed;
        let error = || short(&fields.words(fields::ERROR).unwrap_or_else(|| "failed".to_owned()));
        let lasted = said(fields).unwrap_or_else(|| event.timestamp().duration_since(self.started_at));
        self.end = Some(End { at: moment(event), lasted, error: has_failed.then(error) });
        self.calls.clear();
    }

    pub(super) fn call(&mut self, event: &Event, fields: &Fields<'_>) {
        self.tools += 1;
        if self.calls.len() == CALLS_MAX {
            self.calls.pop_front();
        }
        let call = Call {
            id: fields.id("call_id"),
            what: in_short(fields),
            begun: moment(event),
            called_at: event.timestamp(),
        };
        self.calls.push_back(call);
    }

    /// Takes in the end of a call; whether it failed.
    pub(super) fn answer(&mut self, event: &Event, fields: &Fields<'_>) {
        let has_failed = fields.flag("ok") == Some(false);
        self.failed_tools += u64::from(has_failed);
        let id = fields.id("call_id");
        let at = self.calls.iter().rposition(|call| call.id == id);
        let call = at.and_then(|at| self.calls.remove(at));
        let since = call.as_ref().map(|call| event.timestamp().duration_since(call.called_at));
        self.last_call = Some(Answer {
            what: call.map_or_else(|| in_short(fields), |call| call.what),
            has_failed,
            lasted: said(fields).or(since).unwrap_or_default(),
        });
    }

    /// Whether it failed, or something in it did.
    pub(super) fn has_trouble(&self) -> bool {
        self.failed_tools > 0
            || self.failed_children > 0
            || self.end.as_ref().is_some_and(|end| end.error.is_some())
    }

    /// Its name under its parent, whose id most ids repeat; at the top what it is to reach, too.
    pub(super) fn name(&self) -> String {
        let id = self.id.as_str();
        let below =
            self.parent.as_ref().and_then(|parent| id.strip_prefix(parent.as_str())?.strip_prefix('/'));
        escape(below.unwrap_or(id)).into_owned()
    }
}

/// When an event came to the log: what is recorded elsewhere and imported may be years old.
pub(super) fn moment(event: &Event) -> Timestamp {
    event.recorded_at().unwrap_or_else(|| event.timestamp())
}

fn said(fields: &Fields<'_>) -> Option<Duration> {
    fields.number("duration_us").map(Duration::from_micros)
}

/// What a tool call that ended says, if it failed.
pub(super) fn failed_tool(fields: &Fields<'_>) -> Option<String> {
    let tool = (fields.flag("ok") == Some(false)).then(|| tool(fields))?;
    Some(match fields.words(fields::ERROR) {
        Some(error) => format!("{tool} failed: {error}"),
        None => format!("{tool} failed"),
    })
}

fn tool(fields: &Fields<'_>) -> String {
    fields.text("tool").or_else(|| fields.text("name")).unwrap_or_else(|| "(no name)".to_owned())
}

/// A call's tool, and the name of what it works on, or else what it was given.
fn in_short(fields: &Fields<'_>) -> String {
    let tool = tool(fields);
    let given = fields.value(fields::ARGUMENTS);
    let path = given.as_ref().and_then(|given| PATHS.iter().find_map(|name| given.get(name)?.as_str()));
    let what = match path {
        Some(path) => path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_owned(),
        None => given.as_ref().map(describe::value).unwrap_or_default(),
    };
    short(format!("{tool} {what}").trim_end())
}

/// The beginning of a text, fit for a terminal.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX_CHARS) {
        Some((end, _)) => escape(&format!("{}…", &text[..end])).into_owned(),
        None => escape(text).into_owned(),
    }
}
