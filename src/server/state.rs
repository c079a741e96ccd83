//! [`State`]: what all routes of a server share.

use std::sync::Arc;

#[cfg(feature = "redis")]
use super::redis::Redis;
use super::{
    access::Access,
    counters::Counters,
    feed::{Feed, FeedThread},
    options::Options,
    readiness::Readiness,
    reads::{Reads, Work},
    searching::Search,
    subscriber::A2AEventSubscriber,
};
use crate::{
    bus::EventBus,
    error::{Error, ErrorKind, Result},
    filter::{Filter, Start},
    store::EventStore,
};

/// What all routes of a server share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) bus: EventBus,
    pub(super) store: EventStore,
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
    pub(super) readiness: Readiness,
    pub(super) search: Option<Search>,
    #[cfg(feature = "redis")]
    pub(super) redis: Option<Redis>,
    pub(super) access: Arc<Access>,
    feed: FeedThread,
}

/// The state as routes get it.
pub(super) type Shared = Arc<State>;

impl State {
    pub(super) fn new(bus: EventBus, options: Options, runtime: tokio::runtime::Handle) -> Result<Shared> {
        let Some(store) = bus.store().cloned() else {
            let problem = "bus: must have a store; a server replays from it";
            return Err(Error::new(ErrorKind::InvalidOption, problem));
        };
        let access = Arc::new(Access::new(&options.access)?);
        let search = match &options.search {
            Some(file) => Search::start(&store, file)?,
            None => None,
        };
        let feed = FeedThread::start(&bus, &store, Reads::new(runtime))?;
        Ok(Arc::new(Self {
            #[cfg(feature = "redis")]
            redis: options.redis.clone().map(|streams| Redis::new(streams, store.clone())),
            bus,
            store,
            counters: Arc::default(),
            readiness: Readiness::default(),
            search,
            options,
            access,
            feed,
        }))
    }

    pub(super) fn feed(&self) -> &Arc<Feed> {
        self.feed.feed()
    }

    /// Whether clients that follow get what comes.
    pub(super) fn is_following(&self) -> bool {
        self.feed.is_well()
    }

    /// Reads as much of the store as an answer needs.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&EventStore) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        self.feed().reads().run(Work::Answer, move || read(&store)).await
    }

    /// Reads a few rows, which no long read holds up.
    pub(super) async fn look_up<T: Send + 'static>(
        &self,
        read: impl FnOnce(&EventStore) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        self.feed().reads().run(Work::LookUp, move || read(&store)).await
    }

    pub(super) async fn subscribe(&self, filter: Filter, start: Start) -> Result<A2AEventSubscriber> {
        let feed = Arc::clone(self.feed());
        self.look_up(move |_| A2AEventSubscriber::open(&feed, filter, start)).await
    }
}
