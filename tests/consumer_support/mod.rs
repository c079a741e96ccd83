//! What the tests of consumers share: a stream that a mirror fills, and looks into what a group left.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use planbus::{
    redis::{Consumer, ConsumerBuilder, Delivery, Profile, RedisEndpoint, RedisMirror, RetryPolicy},
    *,
};

use crate::{
    redis_support::{RedisServer, Reply, wait_for},
    store_support::Dir,
};

/// The stream of the tests' events.
pub(crate) const STREAM: &str = "planbus:{default}:events";

/// How long a mirror may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A server, and a log whose events are in it.
pub(crate) struct Fed {
    pub(crate) server: RedisServer,
    pub(crate) store: EventStore,
    pub(crate) mirror: RedisMirror,
    _dir: Dir,
}

impl Fed {
    /// `None` where the test is to return.
    pub(crate) fn start() -> Option<Self> {
        Self::on(RedisServer::builder().tcp().start()?, Profile::native())
    }

    /// A log whose events are in this server's streams of a profile.
    pub(crate) fn on(server: RedisServer, profile: Profile) -> Option<Self> {
        let dir = Dir::new();
        let options = EventStore::options().durability(Durability::Process);
        let store = options.open(dir.db()).expect("opens");
        let mirror =
            RedisMirror::builder(&store, endpoint(&server)).profile(profile).start().expect("starts");
        Some(Self { server, store, mirror, _dir: dir })
    }

    /// Publishes so many events of a plan, and waits until they are in their stream.
    pub(crate) fn publish(&self, plan: &str, events: usize) -> Vec<EventId> {
        let ids: Vec<EventId> = (0..events).map(|number| self.save(plan, number)).collect();
        self.mirror.flush(LIMIT).expect("Redis equals the log");
        ids
    }

    pub(crate) fn save(&self, plan: &str, number: usize) -> EventId {
        let event =
            Event::new(plan, ToolCalled::new(format!("call-{number}"), "grep", serde_json::json!({})));
        let id = event.event_id();
        self.store.save(&event).expect("commits");
        id
    }

    /// A consumer of this server, with short times.
    pub(crate) fn consumer(&self, group: &str) -> ConsumerBuilder {
        builder(&self.server, group)
    }
}

pub(crate) fn endpoint(server: &RedisServer) -> RedisEndpoint {
    RedisEndpoint::parse(&format!("{}?back_off_first=20ms&back_off_max=200ms", server.url())).expect("a URL")
}

/// A consumer with short times.
pub(crate) fn builder(server: &RedisServer, group: &str) -> ConsumerBuilder {
    Consumer::builder(endpoint(server)).group(group).claim_idle(Duration::from_secs(2)).retry(quick())
}

/// 50, 100 and 200 ms.
pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy::delays([50, 100, 200].map(Duration::from_millis))
}

/// How many entries of a stream a group has pending.
pub(crate) fn pending(server: &RedisServer, stream: &str, group: &str) -> usize {
    match server.call(&["XPENDING", stream, group]) {
        Reply::Error(error) => panic!("XPENDING: {error}"),
        reply => reply.items()[0].to_string().parse().expect("a number"),
    }
}

/// Whether a group was given the stream up to its last entry.
pub(crate) fn is_read(server: &RedisServer, stream: &str, group: &str) -> bool {
    let read = server.call(&["XINFO", "GROUPS", stream]);
    read.items().into_iter().any(|facts| {
        let facts: Vec<String> = facts.items().iter().map(Reply::to_string).collect();
        facts[1] == group && {
            let last = facts.iter().position(|fact| fact == "last-delivered-id").expect("is told");
            server.entries(stream).last().is_some_and(|(id, _)| *id == facts[last + 1])
        }
    })
}

/// Whether a group has read and acked a stream, which has at least so many entries.
pub(crate) fn is_done(server: &RedisServer, stream: &str, group: &str, entries: usize) -> bool {
    let is_read = is_read(server, stream, group);
    is_read && pending(server, stream, group) == 0 && server.entries(stream).len() >= entries
}

/// What handlers were called with.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<(EventId, u32)>>>);

impl Calls {
    pub(crate) fn note(&self, delivery: &Delivery) {
        self.0.lock().expect("no panic").push((delivery.event().event_id(), delivery.attempt()));
    }

    /// All of them, in their order.
    pub(crate) fn all(&self) -> Vec<(EventId, u32)> {
        self.0.lock().expect("no panic").clone()
    }

    /// The events of all calls, in their order.
    pub(crate) fn ids(&self) -> Vec<EventId> {
        self.all().into_iter().map(|(id, _)| id).collect()
    }

    /// How often each event was called with.
    pub(crate) fn times(&self) -> BTreeMap<EventId, usize> {
        let mut times = BTreeMap::new();
        self.ids().into_iter().for_each(|id| *times.entry(id).or_default() += 1);
        times
    }

    pub(crate) fn wait_for(&self, calls: usize) {
        wait_for("the handler is called", || self.all().len() >= calls);
    }
}
