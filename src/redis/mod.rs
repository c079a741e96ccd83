//! Redis: streams that equal the log, consumers of them, and their administration.
//!
//! [`RedisEndpoint`] says where a server is and makes connections to it. Commands of Redis stand
//! only in this folder, and no type of the client library leaves it.

#![cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "without a store there is no mirror"))]

mod back_off;
mod client;
mod cluster;
mod consumer;
mod dead_letters;
mod dial;
mod endpoint;
mod entry;
mod failures;
mod fault;
mod group;
mod group_keys;
mod groups;
mod handshake;
mod health;
#[cfg(feature = "sqlite")]
mod mirror;
mod node;
mod profile;
mod reply;
mod sentinel;
mod server;
mod session;
mod settings;
mod slots;
mod streams;
mod thread;
mod trim;
mod url;

#[cfg(feature = "sqlite")]
pub use self::mirror::{
    MirrorBuilder, MirrorState, MirrorStatus, OnInexpressible, RedisMirror, StreamTrouble,
};
pub use self::{
    consumer::{
        Consumer, ConsumerBuilder, ConsumerCounts, ConsumerState, ConsumerStatus, Deliveries, Delivery,
        Failure, GroupStart, ManualDelivery, Ordering, RetryPolicy, StopReport, Verdict,
    },
    dead_letters::{
        DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterCount, DeadLetterCursor, DeadLetterPage,
        DeadLetterQuery, DeadLetterReason, DeadLetters, RefusedReplay, ReplayReport,
    },
    endpoint::{RedisEndpoint, RedisEndpointBuilder},
    entry::{EntryId, StreamEntry},
    groups::{GroupConsumer, GroupStatus, PENDING_MAX_ENTRIES, PendingEntry, PendingQuery},
    health::{Health, HealthStatus, NodeHealth},
    profile::Profile,
    server::{Persistence, ServerInfo},
    streams::{
        FollowFrom, GroupInfo, Hold, LIST_MAX_STREAMS, MirrorPosition, READ_MAX_ENTRIES, RebuildReport,
        StreamFollower, StreamInfo, StreamList, Streams, StreamsHealth, TrimReport, TrimRule,
    },
};
#[cfg(feature = "server")]
pub(crate) use self::{
    dead_letters::Reading, group_keys::check_group, mirror::MirrorWatch, thread::spawn as spawn_thread,
};
#[cfg(feature = "sqlite")]
pub use crate::store::{Inbox, InboxBuilder, InboxFloor, InboxTransaction, Skipped};

#[cfg(all(test, target_os = "linux"))]
#[path = "../../tests/redis_support/mod.rs"]
mod redis_support;
#[cfg(all(test, target_os = "linux"))]
mod tests;
