//! Where a stream stands that does not have the mirror's group, or is not known yet.
//!
//! A stream that was filled before and lost only its group is not filled twice: its own last entry
//! says how far it is. One that is new, or was deleted or flushed, begins at the beginning.

use std::collections::BTreeSet;

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
const LOOK_BACK_ENTRIES: usize = 500;
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
        // All of them: readers that put an entry back at the end leave the newest for last but one.
        let (mut own, mut before, mut left) = (BTreeSet::new(), "+".to_owned(), LOOK_BACK_MAX_ENTRIES);
        while left > 0 && !seen.is_empty() {
            let page = script::newest(stream, &before, LOOK_BACK_ENTRIES.min(left));
            let entries = match self.client.call(&page)? {
                Ok(entries) => reply::entries(entries)?,
                Err(refusal) => return self.refused(stream, refusal).map(|()| None),
            };
            let Some((last, _)) = entries.last() else { break };
            before = format!("({last}");
            left -= entries.len().min(left);
            own.extend(entries.iter().filter_map(|(_, fields)| self.own_seq(fields)));
        }
        for seq in own.into_iter().rev() {
            if self.worker.encoder.belongs(seq, stream)? != Some(false) {
                let bits = match self.worker.store.chain_at(seq)? {
                    ChainAt::Bits(bits) => bits,
                    ChainAt::Pruned | ChainAt::Beyond => 0,
                };
                return Ok(Some((Position { seq, bits }, seen)));
            }
        }
        Ok(Some((Position::START, seen)))
    }

    /// The seq of an entry of this store.
    fn own_seq(&self, fields: &[(Vec<u8>, Vec<u8>)]) -> Option<u64> {
        let encoder = &self.worker.encoder;
        let (store, seq) = encoder.profile.origin(fields)?;
        (store == encoder.store.store_id()).then_some(seq)
    }

    /// Makes a stream known to the readers of its profile, where they look streams up.
    pub(super) fn registration(&self, stream: &str) -> Option<::redis::Cmd> {
        let set = self.worker.encoder.profile.registry()?;
        let mut command = ::redis::cmd("SADD");
        command.arg(set).arg(stream);
        Some(command)
    }
}
