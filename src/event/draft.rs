//! [`Draft`]: an event in the hands of the `redact` hook, before anything else sees it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{
    AgentId, Event, EventType, Payload, PlanId, Tenant, json,
    outline::{Key, Members},
    payload::PayloadCell,
};
use crate::error::{Error, ErrorKind, Result};

/// What stands in place of a value that [`Draft::mask`] removed.
const MASKED: &str = "\"[redacted]\"";

/// An event that is about to be published, for the `redact` hook to change.
///
/// ```
/// use planbus::{Event, EventBus, Filter, ToolCalled};
/// use serde_json::json;
///
/// let bus = EventBus::builder().in_memory().redact(|draft| {
///     draft.mask("/arguments/token")?;
///     Ok(())
/// }).build()?;
/// let rx = bus.channel(Filter::all(), Default::default())?;
/// bus.publish(Event::new("plan-7", ToolCalled::new("c1", "login", json!({"token": "s3cret"}))))?;
/// assert!(rx.recv()?.payload_json()?.contains(r#""token":"[redacted]""#));
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Debug)]
pub struct Draft<'a>(&'a mut Event);

impl<'a> Draft<'a> {
    pub(crate) fn new(event: &'a mut Event) -> Self {
        Self(event)
    }

    /// What happened.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        self.0.event_type()
    }

    /// The plan that it happened to.
    #[must_use]
    pub fn plan_id(&self) -> &PlanId {
        self.0.plan_id()
    }

    /// Whose event it is.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        self.0.tenant()
    }

    /// The agent that it comes from.
    #[must_use]
    pub fn source(&self) -> Option<&AgentId> {
        self.0.source()
    }

    /// The payload's JSON text.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge` when a typed payload cannot be written as JSON.
    pub fn payload_json(&self) -> Result<&str> {
        self.0.payload_json()
    }

    /// The payload as a `P`, to change in place. Its JSON is then written anew from the `P`: numbers
    /// that the fields of a `P` cannot hold, such as integers of more than 64 bits in a
    /// [`Json`](super::Json), become the nearest that they can. [`mask`](Self::mask) and
    /// [`replace_payload`](Self::replace_payload) keep every number as it is written.
    ///
    /// # Errors
    /// `InvalidInput` when the payload does not have the shape of a `P`.
    pub fn payload_mut<P: Payload>(&mut self) -> Result<&mut P> {
        Arc::make_mut(&mut self.0.0).payload.edit()
    }

    /// Replaces the payload by the text of another JSON object.
    ///
    /// # Errors
    /// As for publishing a payload: `InvalidInput` or `TooLarge`.
    pub fn replace_payload(&mut self, text: impl Into<String>) -> Result<()> {
        let text = json::parse(text.into(), usize::MAX)?;
        Arc::make_mut(&mut self.0.0).payload = PayloadCell::text(text);
        Ok(())
    }

    /// Replaces the value at a [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901), like
    /// `/arguments/token`, by `"[redacted]"`, and says whether there was one. All other values
    /// stay as they are written. A key that spells no text, because it has a lone surrogate, is
    /// named as it is written, escapes included: `/\ud800`.
    ///
    /// # Errors
    /// `InvalidInput` when the pointer does not begin with `/`, or a typed payload cannot be
    /// written as JSON.
    pub fn mask(&mut self, pointer: &str) -> Result<bool> {
        let Some(path) = pointer.strip_prefix('/') else {
            return Err(Error::invalid("pointer", format!("must begin with '/', got {pointer:?}")));
        };
        let path: Vec<String> =
            path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        match masked(self.payload_json()?, &path)? {
            Some(text) => self.replace_payload(text).map(|()| true),
            None => Ok(false),
        }
    }
}

/// `text` with the value at `path` masked, or `None` where there is no such value.
fn masked(text: &str, path: &[String]) -> Result<Option<String>> {
    let Some((step, rest)) = path.split_first() else { return Ok(Some(MASKED.to_owned())) };
    let parts = match Parts::of(text)? {
        Some(parts) => parts,
        None => return Ok(None),
    };
    let Some(at) = parts.find(step) else { return Ok(None) };
    let Some(inner) = masked(parts.values[at].get(), rest)? else { return Ok(None) };
    Ok(Some(parts.write_with(at, &inner)))
}

/// The values of an object or array, with the keys of an object, all as they are written.
struct Parts<'a> {
    keys: Option<Vec<&'a RawValue>>,
    values: Vec<&'a RawValue>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Option<Self>> {
        let unreadable =
            |cause| Error::with_source(ErrorKind::InvalidInput, "payload: cannot be redacted", cause);
        Ok(match text.bytes().next() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text).map_err(unreadable)?;
                let (keys, values) = members.into_iter().unzip();
                Some(Self { keys: Some(keys), values })
            }
            Some(b'[') => Some(Self { keys: None, values: serde_json::from_str(text).map_err(unreadable)? }),
            _ => None,
        })
    }

    fn find(&self, step: &str) -> Option<usize> {
        match &self.keys {
            Some(keys) => {
                let place = |wanted: Key<'_>| keys.iter().position(|key| Key::new(key.get()) == wanted);
                place(Key::Decoded(step.into())).or_else(|| place(Key::Undecodable(step)))
            }
            None => step.parse().ok().filter(|index| *index < self.values.len()),
        }
    }

    fn write_with(&self, replaced: usize, text: &str) -> String {
        let (open, close) = if self.keys.is_some() { ('{', '}') } else { ('[', ']') };
        let mut out = String::from(open);
        for (at, value) in self.values.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            if let Some(keys) = &self.keys {
                out.push_str(keys[at].get());
                out.push(':');
            }
            out.push_str(if at == replaced { text } else { value.get() });
        }
        out.push(close);
        out
    }
}
