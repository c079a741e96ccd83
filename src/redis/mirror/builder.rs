//! [`MirrorBuilder`]: what a mirror is told to do. Each option is checked once, when it is started.

use std::{ops::RangeInclusive, sync::Arc, time::Instant};

use super::{
    RedisMirror,
    batch::{Encoder, Limits, OnInexpressible},
    book::Book,
    shared::Shared,
    watch::MirrorWatch,
    worker::Worker,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::check_name,
    filter::Filter,
    redis::{Profile, RedisEndpoint, profile::Entry, thread},
    store::EventStore,
};

/// What a batch may hold at least and at most. The upper bound keeps within what a script can pass
/// on in one call.
const BATCH_EVENTS: RangeInclusive<usize> = 1..=2_000;
const BATCH_BYTES: RangeInclusive<usize> = 1_024..=64 << 20;
const ENTRY_BYTES: RangeInclusive<usize> = 1_024..=16 << 20;

/// The most bytes of a mirror's name: with what comes before it, it is a reader's name.
const NAME_MAX_BYTES: usize = 57;

/// Options of a [`RedisMirror`].
#[derive(Clone, Debug)]
#[must_use = "a mirror does nothing until it is started"]
pub struct MirrorBuilder {
    store: EventStore,
    endpoint: RedisEndpoint,
    profile: Profile,
    filter: Filter,
    is_filtered: bool,
    name: Option<String>,
    on_inexpressible: OnInexpressible,
    limits: Limits,
}

impl MirrorBuilder {
    pub(super) fn new(store: &EventStore, endpoint: RedisEndpoint) -> Self {
        Self {
            store: store.clone(),
            endpoint,
            profile: Profile::native(),
            filter: Filter::all(),
            is_filtered: false,
            name: None,
            on_inexpressible: OnInexpressible::default(),
            limits: Limits { events: 500, bytes: 1 << 20, entry_bytes: 1 << 20 },
        }
    }

    /// How events stand in streams: [`Profile::native`] unless said otherwise.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Which events are mirrored: all unless said otherwise. A mirror with a filter needs a
    /// [`name`](Self::name).
    ///
    /// A stream that was filled by another filter keeps what it has: rebuild it to fill it anew.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self.is_filtered = true;
        self
    }

    /// The mirror's name, `[A-Za-z0-9][A-Za-z0-9._-]{0,56}`: its profile's unless said otherwise. It names the mirror's cursor in the
    /// store, `mirror.<name>`, and its group in the streams, `planbus:<store id>:<name>`, or
    /// `planbus:<store id>` where no name is given.
    ///
    /// A name that was not used before is a new mirror, which appends the whole log: two mirrors of
    /// one store into one stream must differ in their filters, or every event is there twice.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What to do with an event that the profile cannot express: [`OnInexpressible::Skip`] unless
    /// said otherwise.
    pub fn on_inexpressible(mut self, rule: OnInexpressible) -> Self {
        self.on_inexpressible = rule;
        self
    }

    /// The most events in a batch, 1 to 2,000: 500 unless said otherwise.
    pub fn batch_max_events(mut self, events: usize) -> Self {
        self.limits.events = events;
        self
    }

    /// About the most bytes of payload in a batch, 1 KiB to 64 MiB: 1 MiB unless said otherwise. A
    /// single event that is larger is a batch of its own.
    pub fn batch_max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// The most bytes of an entry, 1 KiB to 16 MiB: 1 MiB unless said otherwise. An event that is
    /// larger is mirrored with a reference to the log in place of its payload.
    pub fn entry_max_bytes(mut self, bytes: usize) -> Self {
        self.limits.entry_bytes = bytes;
        self
    }

    /// Starts the mirror. It needs no Redis for that: without one, it waits for it.
    ///
    /// # Errors
    /// `InvalidOption` for an option out of its range, a name that another mirror of this store has,
    /// and a filter without a name; `InvalidInput` for a filter with a wrong field, and for a profile
    /// that the endpoint's Cluster cannot hold; `ReadOnly` when the store was not opened by its
    /// owner, `Closed` and `Storage` from it.
    pub fn start(self) -> Result<RedisMirror> {
        self.limits.check()?;
        if self.is_filtered && self.name.is_none() {
            return Err(invalid(
                "name",
                "must be given with a filter: it keeps the mirrors' positions apart",
            ));
        }
        let name = self.name.clone().unwrap_or_else(|| self.profile.name().to_owned());
        let reader = format!("mirror.{name}");
        if check_name("name", &name).is_err() || name.len() > NAME_MAX_BYTES {
            let last = NAME_MAX_BYTES - 1;
            let problem = format!("must match [A-Za-z0-9][A-Za-z0-9._-]{{0,{last}}}, got {name:?}");
            return Err(invalid("name", problem));
        }
        if self.endpoint.is_cluster() {
            self.profile.check_cluster()?;
        }
        self.store.check_owner()?;
        // One that reads otherwise in a later version begins anew, which does no harm.
        let setup = format!("{:?} {:?}", self.profile, self.filter);
        let group = match &self.name {
            Some(name) => format!("planbus:{}:{name}", self.store.store_id()),
            None => format!("planbus:{}", self.store.store_id()),
        };
        let claim = self.store.claim(&reader).ok_or_else(|| {
            invalid("name", format!("another mirror of this store is called {name}; give this one another"))
        })?;
        let mut progress = self.store.progress(&reader)?;
        // Streams of another key template are left to whoever looks after them.
        progress.streams.retain(|(key, _)| self.profile.is_stream(key));
        let book = Book::new(progress, &setup, self.store.floor()?);
        let shared = Arc::new(Shared::new(book.cursor()));
        let watch = MirrorWatch::new(self.store.clone(), Arc::clone(&shared), name, self.endpoint.clone());
        let encoder = Encoder {
            store: self.store.clone(),
            profile: self.profile,
            filter: self.filter.compile()?,
            group,
            limits: self.limits,
            on_inexpressible: self.on_inexpressible,
            entry: Entry::default(),
        };
        let mut worker = Worker {
            store: self.store,
            endpoint: self.endpoint,
            shared,
            encoder,
            book,
            claim,
            setup,
            saved_at: Instant::now(),
        };
        // From now on it holds retention back, be Redis there or not.
        worker.save()?;
        let thread = thread::spawn(format!("planbus-{reader}"), move || worker.run())
            .map_err(|cause| Error::with_source(ErrorKind::Storage, "start the mirror's thread", cause))?;
        Ok(RedisMirror::new(watch, thread))
    }
}

impl Limits {
    fn check(&self) -> Result<()> {
        let within = |name: &str, value: usize, range: RangeInclusive<usize>| {
            let problem = format!("must be {} to {}, got {value}", range.start(), range.end());
            if range.contains(&value) { Ok(()) } else { Err(invalid(name, problem)) }
        };
        within("batch_max_events", self.events, BATCH_EVENTS)?;
        within("batch_max_bytes", self.bytes, BATCH_BYTES)?;
        within("entry_max_bytes", self.entry_bytes, ENTRY_BYTES)
    }
}

fn invalid(option: &str, problem: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOption, format!("{option}: {problem}"))
}
