//! Typed payloads of other systems' events, ready to publish and to subscribe to.
//!
//! Each module is one system's family of event types, as its programs read them from Redis Streams;
//! the profile of that system gives such an event its own type, without a map. Fields are named
//! where the system documents them; every other one is kept in `extra`, in its order.
//!
//! | module | types | profile |
//! |---|---|---|
//! | [`tenant`] | `task.assigned`, `handoff.request`, ... | `tenant` |
//! | [`workflow`] | `workflow.started`, `audit.failed`, `system.error`, ... | `per-type` |
//! | [`orchestration`] | `task_created`, `agent_failed`, `workflow_paused`, ... | `orchestration` |
//! | [`attune`] | `agent_heartbeat`, `coordination_signal`, ... | `attune`, `attune-registry` |
//!
//! ```
//! use planbus::{Event, EventBus, Filter, families::tenant::TaskAssigned};
//!
//! let bus = EventBus::builder().in_memory().build()?;
//! bus.subscribe_to::<TaskAssigned>(Filter::all(), |event, task| {
//!     assert_eq!((event.event_type().as_str(), &task.extra["title"]), ("task.assigned", &"tidy up".into()));
//! })?.detach();
//! let published = bus.publish(Event::new("plan-7", TaskAssigned::new().with("title", "tidy up")))?;
//! assert_eq!(published.delivered, 1);
//! # Ok::<(), planbus::Error>(())
//! ```

pub mod attune;
pub mod orchestration;
pub mod tenant;
pub mod workflow;

/// Makes a family: the payload of each type, and the list of all types.
///
/// A field that is not `required` is an `Option`, and left out where it is `None`.
macro_rules! family {
    ($($(#[$doc:meta])* $name:ident = $type:literal {
        $(required { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })?
        $(optional { $($(#[$option_doc:meta])* $option:ident: $option_kind:ty,)* })?
    })*) => {
        use $crate::event::{EventType, Json, JsonObject, Payload};
        use serde::{Deserialize, Serialize};

        /// The names of the family's types.
        pub const TYPES: &[&str] = &[$($type),*];

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[non_exhaustive]
            pub struct $name {
                $($($(#[$field_doc])* pub $field: $kind,)*)?
                $($(
                    $(#[$option_doc])*
                    #[serde(default, skip_serializing_if = "Option::is_none")]
                    pub $option: Option<$option_kind>,
                )*)?
                /// The fields that this type does not name, in their order.
                #[serde(flatten)]
                pub extra: JsonObject,
            }

            impl Payload for $name {
                const EVENT_TYPE: EventType = EventType::from_static($type);
            }

            impl $name {
                #[doc = concat!("The payload of a `", $type, "`; further fields can be set after it.")]
                #[must_use]
                pub fn new($($($field: impl Into<$kind>),*)?) -> Self {
                    Self { $($($field: $field.into(),)*)? ..Self::default() }
                }

                /// Adds a field that the type does not name. A name that it does name is refused as
                /// a duplicate key when the event is published.
                #[must_use]
                pub fn with(mut self, field: impl Into<String>, value: impl Into<Json>) -> Self {
                    self.extra.insert(field, value);
                    self
                }
            }
        )*
    };
}

use family;
