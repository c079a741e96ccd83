//! An entry as an event, whoever wrote it, and the marks of the entries that planbus wrote.

use std::borrow::Cow;

use super::{
    Profile, attune,
    built_in::Codec,
    fields::Fields,
    marks, native,
    object::Object,
    orchestration,
    parts::{Place, seq},
    per_type, tenant,
};
use crate::{error::Result, event::Event};

impl Profile {
    /// Reads an entry.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge` that names the stream, the entry and the field.
    pub(crate) fn decode(&self, key: &str, id: &str, fields: &[(Vec<u8>, Vec<u8>)]) -> Result<Event> {
        let place = Place { key, id, tenant: self.tenant_of(key) };
        let fields = Fields(fields);
        let parts = match self.0.built_in.codec {
            Codec::Native => native::decode(fields),
            Codec::Tenant => tenant::decode(fields),
            Codec::PerType => per_type::decode(fields),
            Codec::Orchestration => orchestration::decode(fields),
            Codec::Attune => attune::decode(fields),
        };
        let event = parts.and_then(|parts| parts.event(&place));
        event.map_err(|fault| fault.within(format_args!("stream {key:?}, entry {id}")))
    }

    /// The store and the seq of an entry that planbus wrote; `None` for any other.
    pub(crate) fn origin<'a>(&self, fields: &'a [(Vec<u8>, Vec<u8>)]) -> Option<(Cow<'a, str>, u64)> {
        let fields = Fields(fields);
        let metadata = match self.0.built_in.codec {
            Codec::Native => {
                let at = seq("seq", fields.get("seq").ok()??).ok()?;
                return Some((fields.get("store").ok()??.into(), at));
            }
            Codec::Tenant | Codec::Attune => return marks::origin(&fields).ok()?,
            Codec::PerType => {
                Object::read("data", fields.get("data").ok()??).ok()?.object("metadata").ok()??
            }
            Codec::Orchestration => Object::read("metadata", fields.get("metadata").ok()??).ok()?,
        };
        marks::origin(&metadata.object("planbus").ok()??).ok()?
    }
}
