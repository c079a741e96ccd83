//! A durable, ordered, in-process event bus for agent runtimes.
//!
//! Agents publish plan events; closures in the same process receive them at once; every event is in
//! SQLite before [`publish`](EventBus::publish) returns. No broker, no runtime, no thread of its own.
//!
//! ```
//! use planbus::{Event, EventBus, EventStore, EventType, Filter};
//! use serde_json::json;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("planbus.db");
//! let bus = EventBus::builder().store(EventStore::open(&path)?).build()?;
//! let failures = bus.subscribe(Filter::all().types([EventType::PlanFailed]), |event: &Event| {
//!     eprintln!("plan {} failed", event.plan_id());
//! })?;
//!
//! let run = bus.plan("release-notes").source("planner").start(json!({"goal": "notes for 1.4"}))?;
//! let text = run.tool("read_file", json!({"path": "Cargo.toml"}), || std::fs::read_to_string("Cargo.toml"))?;
//! run.decide("split in four", json!({"reason": format!("{} bytes are too many", text.len())}))?;
//! run.complete(json!({"sections": 4}))?;
//!
//! let log = bus.store().expect("built with one").list_by_plan("release-notes", None)?;
//! assert_eq!(log.len(), 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where to go on: [`EventBus`] to publish and subscribe, [`PlanRun`] to report a plan from an agent
//! runtime, `EventStore` to ask the log, and the repository's `EVENTS.md` for the events themselves.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bus;
mod error;
mod event;
pub mod families;
mod filter;
mod plan;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "sqlite")]
mod store;
mod sync;
pub mod testing;

/// The crate whose types [`redis::InboxTransaction`] hands out. A program links one SQLite, and a
/// connection has the types of one version of the crate: this is the one that fits.
#[cfg(all(feature = "sqlite", feature = "redis"))]
pub use crate::store::rusqlite;
#[cfg(feature = "sqlite")]
pub use crate::store::{
    BackupReport, Broken, ChainHash, CommitStats, Cursor, Damage, Durability, EventQuery, EventStore,
    Histogram, PLAN_TREE_MAX_DEPTH, PLAN_TREE_MAX_PLANS, PlanQuery, PlanStatus, PlanSummary, PlanTree,
    PruneReport, Retention, Saved, StoreOptions, StoreStats, Unfinished, UnfinishedPlan, UnfinishedPlans,
    Verification,
};
pub use crate::{
    bus::{
        BATCH_MAX_EVENTS, BusStats, CHANNEL_MAX_EVENTS, ChannelOptions, DeliveryCounts, EventBus,
        EventBusBuilder, EventReceiver, HandlerFailure, OnFull, Outcome, Published, Subscription,
        SubscriptionId, SubscriptionState, SubscriptionStats, Tail, TypedHandler,
    },
    error::{Error, ErrorKind, Result},
    event::{
        AgentId, CorrelationId, CustomType, DecisionMade, Draft, Event, EventId, EventType, ID_MAX_BYTES,
        Json, JsonObject, NAME_MAX_BYTES, PAYLOAD_MAX_BYTES, PAYLOAD_MAX_DEPTH, Payload, PlanCompleted,
        PlanFailed, PlanId, PlanStarted, Priority, SubplanCompleted, SubplanSpawned, Tenant, Timestamp,
        ToolCalled, ToolCompleted, TraceParent,
    },
    filter::{Filter, Start, TypePattern},
    plan::{PlanBuilder, PlanRun, ToolError},
};

/// The Rust examples of the pages, run as documentation tests.
#[cfg(doctest)]
mod pages {
    #[cfg(feature = "server")]
    #[doc = include_str!("../docs/http.md")]
    struct Http;
    #[doc = include_str!("../EVENTS.md")]
    struct Events;
    #[doc = include_str!("../README.md")]
    struct Readme;
}
