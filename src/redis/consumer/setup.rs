//! [`Setup`]: what a consumer was told to do, and what it makes of an entry. Decides, never acts.

use std::time::Duration;

use super::{
    board::{Limits, Plan},
    delivery::{Delivery, Key},
    outcome::{End, Grave, Outcome, told},
    policy::RetryPolicy,
    scripts::{Caller, Taken},
    source::Source,
    state::Arrival,
    worker::Handler,
};
use crate::{
    error::Result,
    event::{Event, hash_of},
    filter::{CompiledFilter, Scope},
    redis::{
        EntryId, Profile, RedisEndpoint,
        dead_letters::{DeadLetterReason, replayed},
        failures::FailureRecord,
        reply::Fields,
    },
};

/// Where a group begins that is not there yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupStart {
    /// With the oldest entry of the stream.
    #[default]
    Beginning,
    /// With entries that come after the group was made. A stream that is made later is read from its
    /// beginning.
    Now,
    /// Behind this entry of each stream.
    After(EntryId),
}

/// Whether the events of a plan keep their order within a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ordering {
    /// A stream's entries are shared freely among the consumers of a group and their workers. A plan's
    /// events may be handled at the same time, and one that is tried again comes after later ones.
    #[default]
    Shared,
    /// A plan's events are handled one after the other, in the order of the stream: what comes behind
    /// one that failed waits until that was handled or is a dead letter. Events of other plans do not
    /// wait. One consumer at a time has a stream for its group; the others stand by and take it over
    /// when that one ends.
    PerPlan,
}

/// What a consumer was told to do.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) endpoint: RedisEndpoint,
    pub(super) profile: Profile,
    pub(super) filter: CompiledFilter,
    /// What the keys of its streams look like, as patterns of Redis.
    pub(super) patterns: Vec<String>,
    pub(super) caller: Caller,
    pub(super) start: GroupStart,
    pub(super) ordering: Ordering,
    pub(super) policy: RetryPolicy,
    pub(super) limits: Limits,
    /// How many threads call the handler; 0 where deliveries are taken by hand.
    pub(super) workers: usize,
    pub(super) dedupe: usize,
    pub(super) claim_idle: Duration,
    pub(super) handler_timeout: Option<Duration>,
    pub(super) dead_letters_max: u64,
    /// Where it is noted what was handled.
    #[cfg(feature = "sqlite")]
    pub(super) inbox: Option<crate::store::Inbox>,
}

impl Setup {
    /// Knows the inbox of a handler that has one.
    pub(super) fn follow(&mut self, handler: Option<&Handler>) {
        #[cfg(feature = "sqlite")]
        if let Some(Handler::InInbox(handler)) = handler {
            self.inbox = Some(handler.inbox.clone());
        }
        #[cfg(not(feature = "sqlite"))]
        let _ = handler;
    }

    /// Where the group begins in a stream in which it is not there. One that the inbox knows began
    /// before: what it has handled is known as well.
    pub(super) fn start_in(&self, source: &Source, is_begun: bool) -> Result<String> {
        let zero = EntryId::ZERO.to_string();
        #[cfg(feature = "sqlite")]
        if let Some(inbox) = &self.inbox
            && inbox.knows(&source.group, &source.stream)?
        {
            return Ok(zero);
        }
        Ok(match self.start {
            _ if is_begun || source.is_replay => zero,
            GroupStart::Beginning => zero,
            GroupStart::Now => "$".to_owned(),
            GroupStart::After(id) => id.to_string(),
        })
    }

    /// Whether the store of an event is asked for.
    fn wants_store(&self) -> bool {
        #[cfg(feature = "sqlite")]
        return self.inbox.is_some();
        #[cfg(not(feature = "sqlite"))]
        false
    }

    pub(super) fn is_per_plan(&self) -> bool {
        self.ordering == Ordering::PerPlan
    }

    /// Whether the stream of this key may hold events that are wanted.
    pub(super) fn wants_stream(&self, key: &str) -> bool {
        let (Scope::Tenant(tenant) | Scope::Plan(tenant, _)) = &self.filter.scope else { return true };
        self.profile.tenant_of(key).is_none_or(|owner| owner == tenant.as_str())
    }

    /// What becomes of an entry that was read or taken over.
    pub(super) fn arrival(&self, source: &Source, taken: Taken, is_retry: bool) -> Arrival {
        let key = Key { source: source.number, id: taken.id };
        let mut record = FailureRecord::parse(&taken.record);
        if self.policy.republishes && record.attempts == 0 {
            record.attempts = retry_count(&taken.fields);
        }
        let has_traces = source.is_replay || record.attempts > 0;
        let settle = |end| Arrival::Settle(Outcome { key, has_traces, end });
        let bury = |reason, attempts, error| {
            let (deliveries, first_failed_ms) = (taken.deliveries, record.first_failed_ms);
            settle(End::Bury(Box::new(Grave { reason, attempts, deliveries, first_failed_ms, error })))
        };
        let bytes = taken.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        let (event, place) = match self.read(source, taken.id, taken.fields) {
            Ok(read) => read,
            Err(error) => return bury(DeadLetterReason::Undecodable, record.attempts, told(&error)),
        };
        let plan = self.is_per_plan().then(|| Plan {
            source: source.number,
            hash: hash_of(event.tenant().as_str()).rotate_left(1) ^ hash_of(event.plan_id().as_str()),
        });
        match plan {
            Some(plan) if taken.is_waiting => return Arrival::Wait { key, plan },
            _ if !self.filter.matches(&event) => return settle(End::Done),
            _ => {}
        }
        if taken.deliveries > self.policy.deliveries_max {
            let error = format!(
                "delivered {} times, and no handler said how it ended: it may end the process that handles it",
                taken.deliveries
            );
            return bury(DeadLetterReason::Deliveries, record.attempts, error);
        }
        let delivery = Delivery {
            key,
            event,
            stream: place.stream,
            id: place.id,
            group: source.group.clone(),
            deliveries: taken.deliveries,
            record,
            is_replay: source.is_replay,
            comes_again: false,
            store: place.store,
            bytes,
        };
        Arrival::Handle { delivery: Box::new(delivery), plan, is_retry }
    }

    /// The event of an entry, and where it stands or stood.
    fn read(&self, source: &Source, id: EntryId, mut fields: Fields) -> Result<(Event, At)> {
        let back = if source.is_replay { replayed(&mut fields) } else { None };
        let (stream, id) = match back {
            Some(back) => (back.stream.into(), back.id),
            None => (source.stream.clone(), id),
        };
        let event = self.profile.decode(&stream, &id.to_string(), &fields)?;
        let store = match self.wants_store() {
            true => self.profile.origin(&fields).map(|(store, _)| store.into()),
            false => None,
        };
        Ok((event, At { stream, id, store }))
    }
}

/// How often an entry failed that was added to its stream again.
fn retry_count(fields: &Fields) -> u32 {
    let count = fields.iter().find(|(name, _)| name == b"_retry_count");
    let count = count.and_then(|(_, value)| str::from_utf8(value).ok()?.parse().ok());
    count.unwrap_or_default()
}

/// Where an event stands, or stood before it was a dead letter.
struct At {
    stream: std::sync::Arc<str>,
    id: EntryId,
    store: Option<Box<str>>,
}
