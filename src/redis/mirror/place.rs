//! Where a stream stands that does not have the mirror's group, or is not known yet.
//!
//! A stream that was filled before and lost only its group is not filled twice: its own last entry
//! says how far it is. One that is new, or was deleted or flushed, begins at the beginning.

use super::{
    position::Position,
    script::{self, Appended},
    session::Session,
};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::reply,
    store::ChainAt,
};

/// The most entries that are looked through for the mirror's own last one.
const LOOK_BACK_MAX_ENTRIES: usize = 10_000;
/// How many of them are asked for at a time.
const LOOK_BACK_ENTRIES: usize = 100;
/// How often it is tried again because somebody else appended meanwhile.
const TRIES_MAX: usize = 5;

impl Session<'_> {
    /// Finds where a stream stands, and makes the mirror's group there.
    pub(super) fn place(&mut self, stream: &str) -> Result<()> {
        if let Some(registration) = self.registration(stream) {
            self.client.call(&registration)?.map_err(|refusal| refusal.into_error("register a stream"))?;
        }
        for _ in 0..TRIES_MAX {
            let was_written = self.worker.book.stream(stream).was_written();
            let (at, seen) = if was_written {
                let Some((at, seen)) = self.look_back(stream)? else { return Ok(()) };
                (at, Some(seen))
            } else {
                (Position::START, None)
            };
            let command = script::place(stream, &self.worker.encoder.group, at, seen.as_deref());
            let reply = self.client.call(&command)?;
            match Appended::of_reply(reply) {
                Ok(Appended { at: Some(at), .. }) => {
                    // Whatever it refused before was of a stream that is gone.
                    self.worker.book.unblock(stream);
                    return self.found(stream, at);
                }
                Ok(Appended { at: None, .. }) => {}
                Err(refusal) => return self.refused(stream, refusal),
            }
        }
        let problem = format!("mirror into {stream}: somebody else appends to it too fast");
        Err(Error::new(ErrorKind::Unavailable, problem))
    }

    /// The position by the stream's own entries, and the last id by which that was found; `None`
    /// when the server refused to tell, which is noted.
    fn look_back(&mut self, stream: &str) -> Result<Option<(Position, String)>> {
        let info = self.client.call(&script::info(stream))?;
        let seen = match script::last_id(info) {
            Ok(seen) => seen,
            Err(refusal) => return self.refused(stream, refusal).map(|()| None),
        };
        let (mut before, mut left) = ("+".to_owned(), LOOK_BACK_MAX_ENTRIES);
        while left > 0 && !seen.is_empty() {
            let mut page = ::redis::cmd("XREVRANGE");
            page.arg(stream).arg(&before).arg("-").arg("COUNT").arg(LOOK_BACK_ENTRIES.min(left));
            let entries = match self.client.call(&page)?.map(Entries::of_reply) {
                Ok(entries) => entries?,
                Err(refusal) => return self.refused(stream, refusal).map(|()| None),
            };
            let Some((last, _)) = entries.0.last() else { break };
            before = format!("({last}");
            left = left.saturating_sub(entries.0.len());
            for (_, fields) in &entries.0 {
                if let Some(at) = self.own_position(stream, fields)? {
                    return Ok(Some((at, seen)));
                }
            }
        }
        Ok(Some((Position::START, seen)))
    }

    /// The position of an entry that this mirror appended.
    fn own_position(&mut self, stream: &str, fields: &[(Vec<u8>, Vec<u8>)]) -> Result<Option<Position>> {
        let encoder = &mut self.worker.encoder;
        let own_seq = encoder.profile.origin(fields).filter(|(store, _)| *store == encoder.store.store_id());
        let Some((_, seq)) = own_seq else { return Ok(None) };
        if encoder.belongs(seq, stream)? == Some(false) {
            return Ok(None);
        }
        let bits = match self.worker.store.chain_at(seq)? {
            ChainAt::Bits(bits) => bits,
            ChainAt::Pruned | ChainAt::Beyond => 0,
        };
        Ok(Some(Position { seq, bits }))
    }

    /// Makes a stream known to the readers of its profile, where they look streams up.
    pub(super) fn registration(&self, stream: &str) -> Option<::redis::Cmd> {
        let set = self.worker.encoder.profile.registry()?;
        let mut command = ::redis::cmd("SADD");
        command.arg(set).arg(stream);
        Some(command)
    }
}

/// Entries as the server lists them.
struct Entries(Vec<(String, Vec<(Vec<u8>, Vec<u8>)>)>);

impl Entries {
    fn of_reply(value: ::redis::Value) -> Result<Self> {
        let entries = reply::list(value)?.into_iter().map(|entry| {
            let mut parts = reply::list(entry)?.into_iter();
            let id = reply::text(parts.next().unwrap_or_default())?;
            let fields = reply::pairs(parts.next().unwrap_or_default())?;
            let fields = fields.into_iter().map(|(name, value)| Ok((name, reply::bytes(value)?)));
            Ok((id, fields.collect::<Result<_>>()?))
        });
        entries.collect::<Result<_>>().map(Self)
    }
}
