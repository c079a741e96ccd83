//! An event of the log as an entry: its key, its fields, and what stands for a payload too large.

use std::borrow::Cow;

use super::{Codec, Entry, Inexpressible, Profile, hash::Fnv, native, record::Record, template::Placeholder};
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
        let mut record = Record::new(event, store, event.event_type().as_str())?;
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
        self.0.key.write(&mut entry.key, |placeholder| self.value(placeholder, record));
        match self.0.codec {
            Codec::Native => native::encode(record, entry),
        }
        Ok(())
    }

    /// What a placeholder stands for.
    fn value<'a>(&self, placeholder: Placeholder, record: &Record<'a>) -> Cow<'a, str> {
        let tenant = record.event.tenant().as_str();
        let plan = record.event.plan_id().as_str();
        match placeholder {
            Placeholder::Tenant => tenant.into(),
            Placeholder::Type => record.name.into(),
            Placeholder::Family => record.name.split('.').next().unwrap_or(record.name).into(),
            Placeholder::Plan => plan.into(),
            Placeholder::Partition => {
                let hash = Fnv::new().text(tenant).text(plan).finish();
                (hash % u128::from(self.0.partitions)).to_string().into()
            }
        }
    }
}
