//! An entry as an event, whoever wrote it, and the marks of the entries that planbus wrote.

use super::{
    Codec, Profile,
    fields::Fields,
    native,
    parts::{Place, seq},
};
use crate::{error::Result, event::Event};

impl Profile {
    /// Reads an entry.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge` that names the stream, the entry and the field.
    pub(crate) fn decode(&self, key: &str, id: &str, fields: &[(Vec<u8>, Vec<u8>)]) -> Result<Event> {
        let place = Place { key, id, tenant: self.tenant_of(key) };
        let parts = match self.0.codec {
            Codec::Native => native::decode(Fields(fields)),
        };
        let event = parts.and_then(|parts| parts.event(&place));
        event.map_err(|fault| fault.within(format_args!("stream {key:?}, entry {id}")))
    }

    /// The store and the seq of an entry that planbus wrote; `None` for any other.
    pub(crate) fn origin<'a>(&self, fields: &'a [(Vec<u8>, Vec<u8>)]) -> Option<(&'a str, u64)> {
        let fields = Fields(fields);
        let (store, at) = match self.0.codec {
            Codec::Native => (fields.get("store").ok()??, fields.get("seq").ok()??),
        };
        Some((store, seq("seq", at).ok()?))
    }
}
