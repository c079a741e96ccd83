//! [`ConsumerBuilder`]: what a consumer is told to do. Each option is checked once, when it is started.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    Consumer,
    board::Limits,
    delivery::Delivery,
    keeper::Keeper,
    manual::Deliveries,
    policy::RetryPolicy,
    reader::Reader,
    scripts::Caller,
    setup::{GroupStart, Ordering, Setup},
    shared::Shared,
    worker::{self, Handler},
};
#[cfg(feature = "sqlite")]
use super::{floors::Floors, inbox::InboxHandler};
#[cfg(feature = "sqlite")]
use crate::store::{Inbox, InboxTransaction};
use crate::{
    bus::Outcome,
    error::{Error, ErrorKind, Result},
    event::check_name,
    filter::Filter,
    redis::{Profile, RedisEndpoint, group_keys::check_group},
};

const WORKERS: RangeInclusive<usize> = 1..=256;
const PREFETCH: RangeInclusive<usize> = 1..=10_000;
const PREFETCH_BYTES: RangeInclusive<usize> = 1 << 10..=4 << 30;
const PARKED: RangeInclusive<usize> = 1..=10_000_000;
const DEDUPE: RangeInclusive<usize> = 0..=10_000_000;
const DEAD_LETTERS: RangeInclusive<u64> = 1..=10_000_000;
const CLAIM_IDLE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3_600);
const PATTERNS_MAX: usize = 1_000;

/// Options of a [`Consumer`].
#[derive(Clone, Debug)]
#[must_use = "a consumer does nothing until it is started"]
pub struct ConsumerBuilder {
    endpoint: RedisEndpoint,
    profile: Profile,
    group: String,
    name: String,
    filter: Filter,
    streams: Vec<String>,
    start: GroupStart,
    ordering: Ordering,
    policy: RetryPolicy,
    workers: usize,
    limits: Limits,
    dedupe: usize,
    claim_idle: Duration,
    handler_timeout: Option<Duration>,
    dead_letters_max: u64,
}

impl ConsumerBuilder {
    pub(super) fn new(endpoint: RedisEndpoint) -> Self {
        Self {
            endpoint,
            profile: Profile::native(),
            group: String::new(),
            name: "consumer".to_owned(),
            filter: Filter::all(),
            streams: Vec::new(),
            start: GroupStart::default(),
            ordering: Ordering::default(),
            policy: RetryPolicy::default(),
            workers: 1,
            limits: Limits { entries: 256, bytes: 64 << 20, parked: 100_000 },
            dedupe: 10_000,
            claim_idle: Duration::from_secs(60),
            handler_timeout: None,
            dead_letters_max: 10_000,
        }
    }

    /// How events stand in streams: [`Profile::native`] unless said otherwise.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The group, 1 to 256 bytes without control characters. It must be given: each group gets every
    /// event once.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// The consumer's name, `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`: `consumer` unless said otherwise. In
    /// Redis an id of this run stands behind it, so that two never share a name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Which events are handled: all unless said otherwise. Others are acked without a call. Streams
    /// of a tenant that the filter does not want are not read.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Which streams are read, as keys or patterns of Redis like `events:workflow.*`: all of the
    /// profile unless said otherwise. Those that come later are read from their beginning.
    pub fn streams<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.streams = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Where the group begins in streams in which it is not there yet, when the consumer starts:
    /// [`GroupStart::Beginning`] unless said otherwise.
    pub fn start_at(mut self, start: GroupStart) -> Self {
        self.start = start;
        self
    }

    /// Whether a plan's events keep their order: [`Ordering::Shared`] unless said otherwise. All
    /// consumers of a group must say the same.
    pub fn ordering(mut self, ordering: Ordering) -> Self {
        self.ordering = ordering;
        self
    }

    /// When a failed delivery is tried again, and when it is given up.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How many threads call the handler, 1 to 256: 1 unless said otherwise.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The most entries in hand that are not settled yet, 1 to 10,000: 256 unless said otherwise.
    pub fn prefetch(mut self, entries: usize) -> Self {
        self.limits.entries = entries;
        self
    }

    /// About the most bytes of these entries, 1 KiB to 4 GiB: 64 MiB unless said otherwise.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// With [`Ordering::PerPlan`], the most entries that wait behind others of their plan and are
    /// remembered by their ids, 1 to 10,000,000: 100,000 unless said otherwise. Nothing new is read
    /// while there are so many.
    pub fn parked_max(mut self, entries: usize) -> Self {
        self.limits.parked = entries;
        self
    }

    /// How many events that were handled are remembered by their ids, 0 to 10,000,000: 10,000 unless
    /// said otherwise. One that comes again, as after a failover or a flush, is acked without a call.
    /// The memory ends with the process: across a crash an event is handled at least once, and exactly
    /// once only with an inbox.
    pub fn dedupe(mut self, events: usize) -> Self {
        self.dedupe = events;
        self
    }

    /// After which time an entry that nobody was heard of is taken over from its consumer, 100 ms to a
    /// day: 60 s unless said otherwise. A consumer of planbus renews what it has in hand three times
    /// in it, however long a handler takes; one of another kind must be done within it. With
    /// [`Ordering::PerPlan`] also how long a lease lasts.
    pub fn claim_idle(mut self, time: Duration) -> Self {
        self.claim_idle = time;
        self
    }

    /// From when on a handler that still runs is reported, in the status and by `tracing`. It is not
    /// cut off: a thread cannot be. Never, unless said otherwise.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.handler_timeout = Some(timeout);
        self
    }

    /// The most dead letters that a stream keeps, of all groups together, 1 to 10,000,000: 10,000
    /// unless said otherwise. The oldest are dropped beyond it, and counted.
    pub fn dead_letters_max(mut self, letters: u64) -> Self {
        self.dead_letters_max = letters;
        self
    }

    /// Starts the consumer, which calls the handler with each delivery: on its own threads, several at
    /// once where it has several workers. It needs no Redis for that: without one, it waits for it.
    ///
    /// What the handler returns as an error, and a panic, is a failed attempt. An `Ok` is acked.
    ///
    /// # Errors
    /// `InvalidOption` for an option out of its range; `InvalidInput` for a group, a name or a filter
    /// with a wrong field, and for a profile that the endpoint's Cluster cannot hold.
    pub fn handler<R: Outcome>(
        self,
        handler: impl Fn(&Delivery) -> R + Send + Sync + 'static,
    ) -> Result<Consumer> {
        let workers = self.workers;
        let handler = Handler::Plain(Arc::new(move |delivery| handler(delivery).failure()));
        self.start(workers, Some(handler))
    }

    /// As [`handler`](Self::handler), with an [`Inbox`](crate::redis::Inbox): the handler is given a
    /// transaction of the inbox's database, and what it writes there happens exactly once, whatever is
    /// killed. Effects elsewhere happen at least once.
    ///
    /// All consumers of the group must use the same database file. Deliveries that are ready share a
    /// transaction, and the handlers of one inbox run one after the other, also those of several workers.
    /// While the database cannot be written nothing is acked, nothing counts as an attempt, and the
    /// status says why.
    ///
    /// # Errors
    /// As [`handler`](Self::handler).
    #[cfg(feature = "sqlite")]
    pub fn handler_in_inbox<R: Outcome>(
        self,
        inbox: &Inbox,
        handler: impl Fn(&InboxTransaction<'_>, &Delivery) -> R + Send + Sync + 'static,
    ) -> Result<Consumer> {
        let workers = self.workers;
        let call = Arc::new(move |transaction: &InboxTransaction<'_>, delivery: &Delivery| {
            handler(transaction, delivery).failure()
        });
        let handler = InboxHandler { inbox: inbox.clone(), call };
        self.start(workers, Some(Handler::InInbox(handler)))
    }

    /// Starts the consumer without a handler: deliveries are taken from what is returned, on any
    /// thread, and each is acked, retried or moved to the dead letters by hand.
    ///
    /// # Errors
    /// As [`handler`](Self::handler).
    pub fn deliveries(self) -> Result<Deliveries> {
        self.start(0, None).map(Deliveries::new)
    }

    fn start(self, workers: usize, handler: Option<Handler>) -> Result<Consumer> {
        within("workers", self.workers, &WORKERS)?;
        let mut setup = self.setup()?;
        setup.workers = workers;
        setup.follow(handler.as_ref());
        let shared = Arc::new(Shared::new(setup));
        let consumer = Consumer::new(Arc::clone(&shared));
        let (reader, keeper) = (Reader::new(Arc::clone(&shared)), Keeper::new(Arc::clone(&shared)));
        consumer.spawn("read", move || reader.run())?;
        consumer.spawn("keep", move || keeper.run())?;
        #[cfg(feature = "sqlite")]
        if let Some(Handler::InInbox(handler)) = &handler {
            let floors = Floors::new(Arc::clone(&shared), handler.inbox.clone());
            consumer.spawn("note", move || floors.run())?;
        }
        for handler in std::iter::repeat_n(handler.as_ref(), workers).flatten() {
            let (shared, handler) = (Arc::clone(&shared), handler.clone());
            consumer.spawn_worker(move || worker::run(&shared, &handler))?;
        }
        Ok(consumer)
    }

    fn setup(self) -> Result<Setup> {
        check_group(&self.group)?;
        check_name("name", &self.name)?;
        self.policy.check()?;
        if self.policy.republishes
            && (self.profile.name() != Profile::tenant().name() || self.ordering == Ordering::PerPlan)
        {
            let problem = "retry: republish is of the profile tenant, where plans do not keep their order";
            return Err(Error::new(ErrorKind::InvalidOption, problem));
        }
        within("prefetch", self.limits.entries, &PREFETCH)?;
        within("prefetch_bytes", self.limits.bytes, &PREFETCH_BYTES)?;
        within("parked_max", self.limits.parked, &PARKED)?;
        within("dedupe", self.dedupe, &DEDUPE)?;
        within("dead_letters_max", self.dead_letters_max, &DEAD_LETTERS)?;
        if !CLAIM_IDLE.contains(&self.claim_idle) {
            let problem = format!("claim_idle must be 100 ms to a day, got {:?}", self.claim_idle);
            return Err(Error::new(ErrorKind::InvalidOption, problem));
        }
        within("streams", self.streams.len(), &(0..=PATTERNS_MAX))?;
        if self.endpoint.is_cluster() {
            self.profile.check_cluster()?;
        }
        let mut patterns = self.streams;
        if patterns.is_empty() {
            patterns.push(self.profile.stream_pattern());
        }
        let consumer = format!("{}.{}", self.name, ulid::Ulid::generate());
        let caller = Caller::new(self.group, consumer);
        let needs_lease = self.ordering == Ordering::PerPlan;
        Ok(Setup {
            endpoint: self.endpoint,
            profile: self.profile,
            filter: self.filter.compile()?,
            patterns,
            caller: if needs_lease { caller.with_next_tokens() } else { caller },
            start: self.start,
            ordering: self.ordering,
            policy: self.policy,
            limits: self.limits,
            workers: 0,
            dedupe: self.dedupe,
            claim_idle: self.claim_idle,
            handler_timeout: self.handler_timeout,
            dead_letters_max: self.dead_letters_max,
            #[cfg(feature = "sqlite")]
            inbox: None,
        })
    }
}

fn within<T: PartialOrd + std::fmt::Display>(name: &str, value: T, range: &RangeInclusive<T>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let problem = format!("{name} must be {} to {}, got {value}", range.start(), range.end());
    Err(Error::new(ErrorKind::InvalidOption, problem))
}
