//! [`Floors`]: the thread that notes in an inbox how far its group is, so that the inbox stays small.
//!
//! It writes nothing to Redis, and never lowers what it noted.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{shared::Shared, source::Source};
use crate::{
    error::{Error, Result},
    redis::{EntryId, client::Client, reply},
    store::Inbox,
};

const FLOOR: &str = include_str!("floor.lua");
/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many entries it looks at, which may come from several stores.
const ENTRIES: usize = 16;

/// For how long what no planbus wrote is known by its id once it was handled.
const FOREIGN_KEPT_MS: u64 = 3_600_000;

/// The thread that notes how far a group is.
pub(super) struct Floors {
    shared: Arc<Shared>,
    inbox: Inbox,
    client: Option<Client>,
    /// Up to where each source was noted.
    noted: BTreeMap<usize, EntryId>,
}

impl Floors {
    pub(super) fn new(shared: Arc<Shared>, inbox: Inbox) -> Self {
        Self { shared, inbox, client: None, noted: BTreeMap::new() }
    }

    /// Looks until the consumer is stopped.
    pub(super) fn run(mut self) {
        while !self.shared.is_stopping() {
            self.shared.pause(Instant::now() + INTERVAL);
            if let Err(error) = self.look() {
                // Whoever settles has the same trouble and tells it; the inbox is a little larger until then.
                self.client = None;
                tracing::debug!(%error, "planbus.consume: note how far the group is");
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        let sources = self.shared.sources();
        let sources: Vec<Arc<Source>> = sources.into_iter().filter(|source| !source.is_replay).collect();
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.shared.setup.endpoint.connect()?,
        };
        for source in sources {
            let mut command = ::redis::cmd("EVAL");
            command.arg(FLOOR).arg(1).arg(&source.keys.stream).arg(source.group.as_ref()).arg(ENTRIES);
            let Ok(answer) = client.call(&command)? else { continue };
            let mut parts = reply::list(answer)?.into_iter();
            let (Some(last), Some(entries)) = (parts.next(), parts.next()) else { continue };
            let last: EntryId = reply::text(last)?.parse()?;
            if self.noted.get(&source.number) != Some(&last) {
                self.note(&source, last, reply::entries(entries)?)?;
                self.noted.insert(source.number, last);
            }
        }
        self.client = Some(client);
        Ok(())
    }

    fn note(&self, source: &Source, last: EntryId, entries: Vec<(String, reply::Fields)>) -> Result<()> {
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        for (_, fields) in &entries {
            if let Some((store, seq)) = self.shared.setup.profile.origin(fields) {
                let place = places.entry(store.into_owned()).or_default();
                *place = seq.max(*place);
            }
        }
        let raise = |store: Option<&str>, place| -> Result<(), Error> {
            self.inbox.raise_floor(&source.group, &source.stream, store, place)
        };
        places.iter().try_for_each(|(store, place)| raise(Some(store), *place))?;
        let has_foreign =
            entries.iter().any(|(_, fields)| self.shared.setup.profile.origin(fields).is_none());
        if has_foreign {
            // Entries of others are placed by their time. A failover may undo acks of a while.
            raise(None, last.halves().0.saturating_sub(FOREIGN_KEPT_MS))?;
        }
        Ok(())
    }
}
