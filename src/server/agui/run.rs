//! [`Run`]: a plan's events as the run of one agent, message by message (pure).
//!
//! Whatever order the events come in, a client's own check accepts the messages: the run begins once
//! and ends last, every subagent that ends was begun under an id of its own, and a call id that is
//! used again names another call. Never reads the log.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, VecDeque},
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    input::RunInput,
    message::{
        Message,
        Place::{self, Last, More},
    },
};
use crate::event::{Event, EventId, EventType};

/// How many calls a run remembers; an older call id that comes again counts as new.
pub(super) const CALLS_MAX: usize = 10_000;

/// How many subplans may be open at once; further ones are told as `CUSTOM`.
pub(super) const SUBPLANS_MAX: usize = 10_000;

/// What is said of a subplan that had not come back when its plan completed.
const NOT_BACK: &str = "the plan completed before this subplan came back";

/// What a client is told that is left before the plan has ended.
const CUT: &str =
    "the server ended the connection before the plan: run again, with the last sequence as Last-Event-ID";

/// What a run of a plan has told so far, and what that lets it tell next.
#[derive(Debug)]
pub(super) struct Run {
    input: RunInput,
    calls: Calls,
    subplans: Subplans,
}

impl Run {
    pub(super) fn new(input: RunInput) -> Self {
        Self { input, calls: Calls::default(), subplans: Subplans::default() }
    }

    /// How every connection begins. Subplans that were open in what [`pass`](Self::pass) saw are
    /// begun again, so that their ends have a beginning.
    pub(super) fn opening(&self) -> Vec<Bytes> {
        let started = Message::run_started(&self.input.thread_id, &self.input.run_id);
        let subplans = self.subplans.open.iter().flat_map(|(name, runs)| {
            runs.iter().map(|&subagent_run_id| Message::SubagentStarted {
                subagent_run_id,
                name,
                description: None,
            })
        });
        std::iter::once(started).chain(subplans).map(|message| message.to_bytes(None)).collect()
    }

    /// Takes note of an event that the client has already.
    pub(super) fn pass(&mut self, event: &Event) {
        self.tell(event, false, |_, _| ());
    }

    /// What an event becomes: at least one message. `is_end` says that it ends the run; a completion
    /// or failure that does not, since the plan was started again, is one event among others.
    pub(super) fn messages(&mut self, event: &Event, is_end: bool) -> Vec<Bytes> {
        let mut messages = Vec::with_capacity(1);
        self.tell(event, is_end, |message, place| messages.push(message.to_bytes(Some((event, place)))));
        messages
    }

    /// Says that events are missing here.
    pub(super) fn gap(gap: &RawValue) -> Bytes {
        Message::Custom { name: "Gap", value: gap }.to_bytes(None)
    }

    /// Says that the client is left before the plan has ended. Where the connection just ended, the
    /// client would take the run for one that went well.
    pub(super) fn cut() -> Bytes {
        Message::RunError { message: CUT.into(), code: Some("disconnected") }.to_bytes(None)
    }

    fn tell(&mut self, event: &Event, is_end: bool, mut out: impl FnMut(Message<'_>, Place)) {
        // Events of the log hold their payload as text.
        let payload = event.payload_json().ok().and_then(|text| serde_json::from_str(text).ok());
        let payload: &RawValue = payload.unwrap_or(RawValue::NULL);
        let said: Said<'_> = serde_json::from_str(payload.get()).unwrap_or_default();
        let custom = Message::Custom { name: event.event_type().as_str(), value: payload };
        match event.event_type() {
            EventType::PlanCompleted if is_end => {
                for subagent_run_id in self.subplans.take_all() {
                    out(Message::SubagentError { subagent_run_id, message: NOT_BACK.into() }, More);
                }
                let RunInput { thread_id, run_id } = &self.input;
                out(Message::RunFinished { thread_id, run_id, result: payload }, Last)
            }
            EventType::PlanFailed if is_end => {
                let message = shown(said.error).or_else(|| shown(said.reason));
                out(
                    Message::RunError {
                        message: message.unwrap_or_else(|| "the plan failed".into()),
                        code: None,
                    },
                    Last,
                )
            }
            EventType::ToolCalled => {
                let Some((call, tool)) = text(said.call_id).zip(text(said.tool)) else {
                    return out(custom, Last);
                };
                let tool_call_id: &str = &self.calls.add(&call, event.event_id());
                out(Message::ToolCallStart { tool_call_id, tool_call_name: tool }, More);
                out(Message::ToolCallArgs { tool_call_id, delta: said.arguments() }, More);
                out(Message::ToolCallEnd { tool_call_id }, Last)
            }
            EventType::ToolCompleted => {
                let Some(call) = text(said.call_id) else { return out(custom, Last) };
                let answer = Message::ToolCallResult {
                    message_id: event.event_id(),
                    tool_call_id: &self.calls.id(&call),
                    content: said.content(),
                    role: "tool",
                    failed: said.has_failed(),
                };
                out(answer, Last)
            }
            EventType::SubplanSpawned => match text(said.subplan) {
                Some(name) if self.subplans.add(&name, event.event_id()) => out(
                    Message::SubagentStarted {
                        subagent_run_id: event.event_id(),
                        name: &name,
                        description: text(said.goal),
                    },
                    Last,
                ),
                _ => out(custom, Last),
            },
            EventType::SubplanCompleted => {
                let Some(subagent_run_id) = text(said.subplan).and_then(|name| self.subplans.take(&name))
                else {
                    return out(custom, Last);
                };
                if said.has_failed() {
                    let message = shown(said.error).unwrap_or_else(|| "the subplan failed".into());
                    return out(Message::SubagentError { subagent_run_id, message }, Last);
                }
                out(Message::SubagentFinished { subagent_run_id, result: payload }, Last)
            }
            _ => out(custom, Last),
        }
    }
}

/// What the payloads of plan events may say. Any field may be missing or of any kind.
#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    tool: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    ok: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    subplan: Option<&'a RawValue>,
    #[serde(borrow)]
    goal: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    /// The arguments' own JSON; a call without any is one with none set.
    fn arguments(&self) -> &'a str {
        self.arguments.map(RawValue::get).filter(|json| *json != "null").unwrap_or("{}")
    }

    fn has_failed(&self) -> bool {
        self.ok.is_some_and(|ok| ok.get() == "false")
    }

    /// What a tool returned, or why it did not: a text as it is, another value as its JSON.
    fn content(&self) -> Cow<'a, str> {
        let (first, second) =
            if self.has_failed() { (self.error, self.result) } else { (self.result, self.error) };
        shown(first).or_else(|| shown(second)).unwrap_or_default()
    }
}

fn text<'a>(value: Option<&'a RawValue>) -> Option<Cow<'a, str>> {
    let json = value?.get();
    // Borrowed where nothing is escaped, which is nearly always.
    serde_json::from_str::<&'a str>(json)
        .map(Cow::Borrowed)
        .or_else(|_| serde_json::from_str(json).map(Cow::Owned))
        .ok()
}

fn shown<'a>(value: Option<&'a RawValue>) -> Option<Cow<'a, str>> {
    text(value).or_else(|| value.map(RawValue::get).filter(|json| *json != "null").map(Cow::Borrowed))
}

/// The calls of a run, newest last.
#[derive(Debug, Default)]
struct Calls {
    /// A call id, and the event that used it again last; `None` for its first use.
    known: HashMap<String, Option<EventId>>,
    order: VecDeque<String>,
}

impl Calls {
    /// Notes a call, and says under which id the client knows it.
    fn add<'a>(&mut self, call: &'a str, event: EventId) -> Cow<'a, str> {
        if let Some(last) = self.known.get_mut(call) {
            *last = Some(event);
        } else {
            if self.order.len() == CALLS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.known.insert(call.to_owned(), None);
            self.order.push_back(call.to_owned());
        }
        self.id(call)
    }

    /// The id of the last call with this call id. A client keeps one call under one id: with another
    /// call's arguments behind its own they would be no JSON.
    fn id<'a>(&self, call: &'a str) -> Cow<'a, str> {
        match self.known.get(call) {
            Some(Some(event)) => Cow::Owned(format!("{call}#{event}")),
            _ => Cow::Borrowed(call),
        }
    }
}

/// The subplans that have not come back, each under the event that spawned it: a subplan's own id may
/// be used again, and a client takes an id once.
#[derive(Debug, Default)]
struct Subplans {
    open: BTreeMap<String, Vec<EventId>>,
    count: usize,
}

impl Subplans {
    /// Whether there was room for it.
    fn add(&mut self, name: &str, event: EventId) -> bool {
        let has_room = self.count < SUBPLANS_MAX;
        if has_room {
            self.count += 1;
            self.open.entry(name.to_owned()).or_default().push(event);
        }
        has_room
    }

    /// The last one of this name.
    fn take(&mut self, name: &str) -> Option<EventId> {
        let runs = self.open.get_mut(name)?;
        let event = runs.pop();
        if runs.is_empty() {
            self.open.remove(name);
        }
        self.count -= usize::from(event.is_some());
        event
    }

    fn take_all(&mut self) -> Vec<EventId> {
        self.count = 0;
        std::mem::take(&mut self.open).into_values().flatten().collect()
    }
}
