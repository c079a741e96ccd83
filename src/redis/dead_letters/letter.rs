//! [`DeadLetter`]: an entry that a group gave up, and what is known of its failure.

use ::redis::Value;

use super::{form, reason::DeadLetterReason};
use crate::{
    error::Result,
    event::{Event, Timestamp},
    redis::{
        entry::EntryId,
        profile::Profile,
        reply::{self, Fields},
    },
};

/// An entry that a group gave up, with what is known of its failure.
///
/// What another system moved says less than planbus does: the parts that it does not know are `None`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The key of the dead letters among which it stands.
    pub queue: String,
    /// Its id there.
    pub id: EntryId,
    /// The stream in which it first stood.
    pub stream: Option<String>,
    /// Its id in that stream.
    pub original_id: Option<EntryId>,
    /// The group that gave it up.
    pub group: Option<String>,
    /// The consumer that moved it, by the name that Redis knows.
    pub consumer: Option<String>,
    /// How many times its handler failed.
    pub attempts: Option<u32>,
    /// How many times it was given to a consumer.
    pub deliveries: Option<u64>,
    /// When it first failed, by the server's clock.
    pub first_failed_at: Option<Timestamp>,
    /// When it last failed, by the server's clock.
    pub last_failed_at: Option<Timestamp>,
    /// What the last failure said: up to 4 KiB.
    pub error: Option<String>,
    /// Why it was moved.
    pub reason: Option<DeadLetterReason>,
    /// The entry's own fields, as they first were: in their order, a name maybe twice, and nothing
    /// need be UTF-8.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The event that the profile reads in the fields, or why it reads none.
    pub event: Result<Event>,
}

impl DeadLetter {
    /// Reads `[id, [name, value, ...]]`.
    pub(super) fn parse(queue: &str, entry: Value, profile: &Profile) -> Result<Self> {
        let (id, fields) = reply::entry(entry)?;
        Ok(Self::new(queue, id.parse()?, fields, profile))
    }

    fn new(queue: &str, id: EntryId, fields: Fields, profile: &Profile) -> Self {
        let (fields, facts) = form::read(fields, form::form(profile));
        // An entry cannot be of a stream whose dead letters are elsewhere, whatever it says.
        let told =
            facts.stream.filter(|stream| profile.is_stream(stream) && profile.dlq_key(stream) == queue);
        let stream = told.or_else(|| profile.stream_of(queue));
        let key = stream.as_deref().unwrap_or(queue);
        let event = profile.decode(key, &facts.id.unwrap_or(id).to_string(), &fields);
        Self {
            queue: queue.to_owned(),
            id,
            stream,
            original_id: facts.id,
            group: facts.group,
            consumer: facts.consumer,
            attempts: facts.attempts,
            deliveries: facts.deliveries,
            first_failed_at: facts.first_failed_at,
            last_failed_at: facts.last_failed_at,
            error: facts.error,
            reason: facts.reason,
            fields,
            event,
        }
    }

    /// When it failed for good: as it says, else as its id says.
    #[must_use]
    pub fn failed_at(&self) -> Option<Timestamp> {
        self.last_failed_at.or_else(|| self.id.time())
    }
}
