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

/// The most entries that are looked through for the mirror's own last one. Behind so many of others
/// it is not known how far the stream is: rather than to fill it twice, it is left alone.
const LOOK_BACK_MAX_ENTRIES: usize = 1_000_000;
/// How many more are looked through behind the first: readers that put an entry back at the end make
/// an older one the newest.
const LOOK_FURTHER_MAX_ENTRIES: usize = 1_000;
/// The most of them that are asked for at a time.
const LOOK_BACK_PAGE_MAX_ENTRIES: usize = 100;
/// What stands for the chain where the log does not have the entry's event: no log's chain begins so.
const NO_BITS: u64 = 0;
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
        let (mut before, mut looked, mut own, mut own_at) = ("+".to_owned(), 0, None, 0);
        while !seen.is_empty() && (own.is_none() || looked < own_at + LOOK_FURTHER_MAX_ENTRIES) {
            if own.is_none() && looked >= LOOK_BACK_MAX_ENTRIES {
                let problem = format!(
                    "stream {stream}: how far it is cannot be told behind {looked} entries of others: \
                     `planbus streams rebuild {stream}` fills it anew"
                );
                let floor = self.worker.store.floor()?;
                self.worker.book.block(stream, Error::new(ErrorKind::Conflict, problem), floor);
                return Ok(None);
            }
            self.check_stopped()?;
            let page = script::newest(stream, &before, LOOK_BACK_PAGE_MAX_ENTRIES);
            let entries = match self.client.call(&page)? {
                Ok(entries) => reply::entries(entries)?,
                Err(refusal) => return self.refused(stream, refusal).map(|()| None),
            };
            let Some((last, _)) = entries.last() else { break };
            before = format!("({last}");
            looked += entries.len();
            for (id, fields) in &entries {
                let at = self.own_position(stream, id, fields)?;
                if own.is_none() && at.is_some() {
                    own_at = looked;
                }
                own = [own, at].into_iter().flatten().max_by_key(|at: &Position| at.seq);
            }
        }
        Ok(Some((own.unwrap_or(Position::START), seen)))
    }

    /// The position of an entry that this mirror appended.
    fn own_position(
        &mut self,
        stream: &str,
        id: &str,
        fields: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<Option<Position>> {
        let encoder = &mut self.worker.encoder;
        let own_seq = encoder.profile.origin(fields).filter(|(store, _)| *store == encoder.store.store_id());
        let Some((_, seq)) = own_seq else { return Ok(None) };
        if let Some(event) = encoder.event_at(seq)? {
            let entry = encoder.profile.decode(stream, id, fields);
            if entry.is_ok_and(|entry| entry.event_id() != event.event_id()) {
                return Ok(Some(Position { seq, bits: NO_BITS }));
            }
            if !encoder.belongs(&event, stream) {
                return Ok(None);
            }
        }
        let bits = match self.worker.store.chain_at(seq)? {
            ChainAt::Bits(bits) => bits,
            ChainAt::Pruned | ChainAt::Missing => NO_BITS,
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
