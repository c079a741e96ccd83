//! A task's stream: the task as it stands, then what its events say, until the plan ends.
//!
//! What one client is sent differs from another's only in what is put around each message.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use crate::{
    event::PlanId,
    server::{
        access::Caller,
        counters::Transport,
        followed::Following,
        frame::{Frame, one_line},
        rendering::Rendering,
        state::Shared,
        stream::{self, Encoder},
        subscriber::Gap,
        task::{self, Dialect, GapBounds, GapMetadata},
    },
};

/// What a client is about to be sent.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) dialect: Dialect,
    pub(super) task_id: PlanId,
    pub(super) context_id: String,
    /// The task as it stands, as a message.
    pub(super) snapshot: String,
    /// What follows it; `None` where the client has everything.
    pub(super) following: Option<Following>,
}

/// What stands around each message.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrapping {
    before: Bytes,
    after: &'static [u8],
}

impl Wrapping {
    /// The answer to a request of JSON-RPC.
    pub(super) fn rpc(id: &RawValue) -> Self {
        let before = one_line(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#));
        Self { before: before.into(), after: b"}" }
    }
}

impl Stream {
    pub(super) fn respond(self, state: &Shared, caller: Caller, wrapping: Wrapping) -> Response {
        let Self { dialect, task_id, context_id, snapshot, following } = self;
        let mut words = Words { dialect, task_id, context_id, snapshot, wrapping };
        match following {
            Some(following) => stream::respond(state, caller, following, words),
            None => {
                let mut out = BytesMut::new();
                words.open(&mut out);
                let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
                (kind, out.freeze()).into_response()
            }
        }
    }
}

/// Says events as A2A does.
struct Words {
    dialect: Dialect,
    task_id: PlanId,
    context_id: String,
    snapshot: String,
    wrapping: Wrapping,
}

impl Words {
    fn write(&self, out: &mut BytesMut, id: Option<u64>, event: &str, message: &[u8]) {
        // Clients take a message of this name for the end of the stream.
        let event = (event != "error").then_some(event);
        stream::write_message(out, id, event, &[&self.wrapping.before, message, self.wrapping.after]);
    }
}

impl Encoder for Words {
    const TRANSPORT: Transport = Transport::A2a;

    fn open(&mut self, out: &mut BytesMut) {
        let snapshot = one_line(std::mem::take(&mut self.snapshot));
        self.write(out, None, "Task", snapshot.as_bytes());
    }

    fn event(&mut self, frame: &Frame, _: bool, out: &mut BytesMut) {
        let messages = frame.messages(match self.dialect {
            Dialect::V1 => Rendering::A2a,
            Dialect::V03 => Rendering::A2a03,
        });
        for (at, message) in messages.iter().enumerate() {
            // A client that is cut off between two messages of an event is sent both again.
            let id = (at + 1 == messages.len()).then(|| frame.seq());
            self.write(out, id, frame.event().event_type().as_str(), message);
        }
    }

    fn gap(&mut self, gap: Gap, out: &mut BytesMut) {
        let bounds =
            GapBounds { after: gap.after_seq.map(|seq| seq.to_string()), oldest: gap.oldest_seq.to_string() };
        let task = (self.task_id.as_str(), self.context_id.as_str());
        let message = task::gap(self.dialect, task, GapMetadata { gap: bounds });
        self.write(out, None, "Gap", one_line(message).as_bytes());
    }
}
