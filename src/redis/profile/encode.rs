//! An event of the log as an entry: its key, its fields, and what stands for a payload too large.

use super::{
    Entry, Inexpressible, Profile, attune, built_in::Codec, native, orchestration, per_type, record::Record,
    tenant,
};
use crate::event::Event;

impl Profile {
    /// Writes an event of the log `store` as an entry.
    ///
    /// Where the fields would have more than `max_bytes`, a reference stands in place of the payload.
    ///
    /// # Errors
    /// The profile cannot say the event; `entry` holds nothing then that may be sent.
    pub(crate) fn encode(
        &self,
        event: &Event,
        store: &str,
        max_bytes: usize,
        entry: &mut Entry,
    ) -> Result<(), Inexpressible> {
        let mut record = Record::new(event, store, self.type_name(event)?)?;
        if record.payload.len() <= max_bytes {
            self.write(&record, entry)?;
            if entry.bytes() <= max_bytes {
                return Ok(());
            }
        }
        record.refer();
        self.write(&record, entry)?;
        match entry.bytes() <= max_bytes {
            true => Ok(()),
            false => Err(Inexpressible::new("the envelope is too large for an entry", "entry", "")),
        }
    }

    fn write(&self, record: &Record<'_>, entry: &mut Entry) -> Result<(), Inexpressible> {
        entry.clear();
        self.0.keys.push_key(&mut entry.key, record);
        match self.0.built_in.codec {
            Codec::Native => native::encode(record, entry),
            Codec::Tenant => tenant::encode(record, entry)?,
            Codec::PerType => per_type::encode(record, entry),
            Codec::Orchestration => orchestration::encode(record, entry),
            Codec::Attune => attune::encode(record, entry),
        }
        Ok(())
    }

    /// What an event's type is called in the profile's system.
    fn type_name<'a>(&'a self, event: &'a Event) -> Result<&'a str, Inexpressible> {
        let own = event.event_type().as_str();
        match self.0.types.name(event.event_type(), || has_failed(event)) {
            Some(name) => Ok(name),
            None if self.0.built_in.is_open || self.0.built_in.has(own) => Ok(own),
            None => Err(Inexpressible::new("the type is not in the type map", "event_type", own)),
        }
    }
}

/// Whether an event's payload says that it did not succeed.
fn has_failed(event: &Event) -> bool {
    #[derive(serde::Deserialize)]
    struct Outcome {
        ok: bool,
    }
    let outcome = event.payload_json().ok().and_then(|text| serde_json::from_str(text).ok());
    outcome.is_some_and(|Outcome { ok }| !ok)
}
