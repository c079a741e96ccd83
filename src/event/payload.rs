//! [`Payload`]: the trait of every typed payload, and the cell that holds one or its JSON.
//!
//! A typed payload reaches typed handlers as it is; its JSON is made at most once, when the store,
//! a handler or a client first asks for it.

use std::{
    any::Any,
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{event_type::EventType, json};
use crate::error::{Error, ErrorKind, Result};

/// A typed payload: a struct that is the JSON object of one event type.
///
/// The eight plan events implement it, and so can any type of yours.
///
/// ```
/// use planbus::{Event, EventBus, EventType, Filter, Payload};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// struct Heartbeat { queue_depth: u32 }
///
/// impl Payload for Heartbeat {
///     const EVENT_TYPE: EventType = EventType::from_static("agent.heartbeat");
/// }
///
/// let bus = EventBus::builder().in_memory().build()?;
/// bus.subscribe_to::<Heartbeat>(Filter::all(), |event, beat| {
///     assert_eq!((event.plan_id().as_str(), beat.queue_depth), ("plan-7", 3));
/// })?.detach();
/// bus.publish(Event::new("plan-7", Heartbeat { queue_depth: 3 }))?;
/// # Ok::<(), planbus::Error>(())
/// ```
pub trait Payload: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The event type whose payload this is.
    const EVENT_TYPE: EventType;
    /// The version of the payload's shape, written to the envelope.
    const SCHEMA_VERSION: u32 = 1;
}

/// A [`Payload`] of any type.
pub(crate) trait AnyPayload: Any + Send + Sync {
    fn write(&self, max_bytes: usize) -> Result<Arc<RawValue>>;
}

impl<P: Payload> AnyPayload for P {
    fn write(&self, max_bytes: usize) -> Result<Arc<RawValue>> {
        json::write(self, max_bytes)
    }
}

/// A payload as it was given, and the other form once it was asked for.
#[derive(Clone)]
pub(crate) enum PayloadCell {
    /// Given typed; the JSON is made at most once.
    Typed(Arc<dyn AnyPayload>, OnceLock<Arc<RawValue>>),
    /// Given as JSON; read at most once into the type that is asked for first.
    Text(Arc<RawValue>, OnceLock<Arc<dyn AnyPayload>>),
    /// Refused; the event that holds it keeps the fault.
    Missing,
}

impl PayloadCell {
    #[inline]
    pub(crate) fn typed(payload: impl Payload) -> Self {
        Self::Typed(Arc::new(payload), OnceLock::new())
    }

    pub(crate) fn text(text: Arc<RawValue>) -> Self {
        Self::Text(text, OnceLock::new())
    }

    /// The payload's JSON, made now if it was not yet.
    ///
    /// The limit holds for text that is there already, too: it may come from elsewhere.
    pub(crate) fn json(&self, max_bytes: usize) -> Result<&Arc<RawValue>> {
        let text = match self {
            Self::Text(text, _) => text,
            Self::Typed(typed, text) => match text.get() {
                Some(text) => text,
                None => {
                    let written = typed.write(max_bytes)?;
                    text.get_or_init(|| written)
                }
            },
            Self::Missing => return Err(Error::invalid("payload", "is missing")),
        };
        check_size(text, max_bytes)?;
        Ok(text)
    }

    /// Checks the size of the JSON if it was made already.
    #[inline]
    pub(crate) fn check_size(&self, max_bytes: usize) -> Result<()> {
        match self {
            Self::Text(text, _) => check_size(text, max_bytes),
            Self::Typed(_, text) => text.get().map_or(Ok(()), |text| check_size(text, max_bytes)),
            Self::Missing => Ok(()),
        }
    }

    /// The payload as a `P`, if it is one already.
    #[inline]
    pub(crate) fn downcast<P: Payload>(&self) -> Option<&P> {
        let typed: &dyn Any = match self {
            Self::Typed(typed, _) => typed.as_ref(),
            Self::Text(_, typed) => typed.get()?.as_ref(),
            Self::Missing => return None,
        };
        typed.downcast_ref()
    }

    /// The payload as a `P`: borrowed where it is one, else read from the JSON.
    pub(crate) fn decode<P: Payload>(&self) -> Result<Cow<'_, P>> {
        if let Some(payload) = self.downcast() {
            return Ok(Cow::Borrowed(payload));
        }
        let text = self.json(usize::MAX)?;
        let payload: P = serde_json::from_str(text.get()).map_err(|cause| {
            let problem = format!("payload: is not a {}", P::EVENT_TYPE);
            Error::with_source(ErrorKind::InvalidInput, problem, cause)
        })?;
        if let Self::Text(_, typed) = self
            && typed.get().is_none()
        {
            // Another thread may be faster, with this type or another.
            let _ = typed.set(Arc::new(payload.clone()));
        }
        Ok(self.downcast().map_or(Cow::Owned(payload), Cow::Borrowed))
    }

    /// The payload as a `P` to change; its JSON is made anew afterwards.
    pub(crate) fn edit<P: Payload>(&mut self) -> Result<&mut P> {
        let payload = self.decode::<P>()?.into_owned();
        *self = Self::typed(payload);
        let typed: Option<&mut dyn Any> = match self {
            Self::Typed(typed, _) => Arc::get_mut(typed).map(|typed| typed as _),
            _ => None,
        };
        typed
            .and_then(|typed| typed.downcast_mut())
            .ok_or_else(|| Error::invalid("payload", "is of another type"))
    }
}

fn check_size(text: &RawValue, max_bytes: usize) -> Result<()> {
    let bytes = text.get().len();
    if bytes > max_bytes {
        let problem = format!("payload: must be at most {max_bytes} bytes, got {bytes}");
        return Err(Error::new(ErrorKind::TooLarge, problem));
    }
    Ok(())
}

impl fmt::Debug for PayloadCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(_, text) => f.write_str(text.get().map_or("(typed)", |text| text.get())),
            Self::Text(text, _) => f.write_str(text.get()),
            Self::Missing => f.write_str("(missing)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, PlanStarted};

    #[test]
    fn p11_the_size_is_checked_of_text_that_exists_and_none_is_made() {
        let raw = Event::raw("p", "t", r#"{"a":1}"#);
        assert!(raw.check_size(7).is_ok());
        let error = raw.check_size(6).expect_err("7 bytes");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(error.to_string(), "payload: must be at most 6 bytes, got 7");
        let typed = PayloadCell::typed(PlanStarted::new("a goal"));
        assert!(
            typed.check_size(0).is_ok()
                && matches!(&typed, PayloadCell::Typed(_, text) if text.get().is_none())
        );
        let bytes = typed.json(usize::MAX).expect("valid").get().len();
        assert!(typed.check_size(bytes).is_ok() && typed.check_size(bytes - 1).is_err());
    }
}
