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
    redis::{client::Reply, reply},
    store::ChainAt,
};

/// The most entries that are looked through for the mirror's own last one. Behind so many of others
/// it is not known how far the stream is: rather than to fill it twice, it is left alone.
const LOOK_BACK_MAX_ENTRIES: usize = 1_000_000;
/// How many more are looked through behind the first: readers that put an entry back at the end make
/// an older one the newest.
const LOOK_FURTHER_MAX_ENTRIES: usize = 1_000;
/// The most of them that are asked for at a time, and about how many bytes.
const PAGE_MAX_ENTRIES: usize = 500;
const PAGE_BYTES: usize = 1 << 20;
/// What stands for the chain where the log does not have the entry's event: no log's chain begins so.
const NO_BITS: u64 = 0;
/// How often it is tried again because somebody else appended meanwhile: each time only that is read.
const TRIES_MAX: usize = 20;
/// The most streams that one round trip makes groups in.
const PLACE_STREAMS_MAX: usize = 512;

/// How far a stream was looked through, from its end.
#[derive(Default)]
struct Look {
    /// The last id that it had when that began.
    seen: String,
    /// The position by the newest entry of this mirror, and the entry's id.
    own: Option<(Position, String)>,
    looked: usize,
    /// How many had been looked through at the first entry of this mirror.
    own_after: usize,
}

impl Look {
    fn is_over(&self) -> bool {
        self.own.is_some() && self.looked >= self.own_after + LOOK_FURTHER_MAX_ENTRIES
    }
}

impl Session<'_> {
    /// Makes the mirror's group in streams that it has never written to, many at a time.
    pub(super) fn place_new(&mut self, streams: &[String]) -> Result<()> {
        for streams in streams.chunks(PLACE_STREAMS_MAX) {
            self.check_stopped()?;
            let registrations: Vec<_> =
                streams.iter().filter_map(|stream| self.registration(stream)).collect();
            let group = &self.worker.encoder.group;
            let places = streams.iter().map(|stream| script::place(stream, group, Position::START, None));
            let commands: Vec<_> = registrations.into_iter().chain(places).collect();
            self.client.send(&commands)?;
            let mut replies = self.client.receive()?;
            let places = replies.split_off(replies.len() - streams.len());
            for (stream, reply) in streams.iter().zip(places) {
                match Appended::of_reply(reply) {
                    Ok(placed) => {
                        self.worker.book.unblock(stream);
                        self.found(stream, placed.at.unwrap_or(Position::START))?;
                    }
                    Err(refusal) => self.refused(stream, refusal)?,
                }
            }
            self.take_registrations(streams, replies)?;
        }
        Ok(())
    }

    /// Finds where a stream stands that lost the mirror's group, and makes the group there.
    pub(super) fn place(&mut self, stream: &str) -> Result<()> {
        self.check_stopped()?;
        if !self.worker.book.stream(stream).was_written() {
            return self.place_new(&[stream.to_owned()]);
        }
        let mut look = Look::default();
        for _ in 0..TRIES_MAX {
            if !self.look_back(stream, &mut look)? {
                return Ok(());
            }
            let (at, entry) = look.own.as_ref().map_or((Position::START, ""), |(at, id)| (*at, id.as_str()));
            let found_by = Some((look.seen.as_str(), entry));
            let command = script::place(stream, &self.worker.encoder.group, at, found_by);
            let reply = self.client.call(&command)?;
            match Appended::of_reply(reply) {
                Ok(Appended { at: Some(at), .. }) => {
                    // Whatever it refused before was of a stream that is gone.
                    self.worker.book.unblock(stream);
                    self.found(stream, at)?;
                    return self.register(stream);
                }
                Ok(Appended { at: None, .. }) => {}
                Err(refusal) => return self.refused(stream, refusal),
            }
        }
        let problem = format!("mirror into {stream}: somebody else appends to it too fast");
        Err(Error::new(ErrorKind::Unavailable, problem))
    }

    /// Looks through what a stream got since the last look; `false` when it is left alone, which is
    /// noted.
    fn look_back(&mut self, stream: &str, look: &mut Look) -> Result<bool> {
        if let Some((_, id)) = &look.own
            && !matches!(self.client.call(&script::entry(stream, id))?.map(reply::entries), Ok(Ok(found)) if !found.is_empty())
        {
            // The stream is not the one that was looked through.
            *look = Look::default();
        }
        let info = self.client.call(&script::info(stream))?;
        let seen = match script::last_id(info) {
            Ok(seen) => std::mem::replace(&mut look.seen, seen),
            Err(refusal) => return self.refused(stream, refusal).map(|()| false),
        };
        let after = if seen.is_empty() { "-".to_owned() } else { format!("({seen}") };
        let (mut before, mut count) = ("+".to_owned(), 1);
        while !look.seen.is_empty() && !look.is_over() {
            if look.own.is_none() && look.looked >= LOOK_BACK_MAX_ENTRIES {
                return self.leave_alone(stream, look.looked).map(|()| false);
            }
            self.check_stopped()?;
            let page = script::newest(stream, (&before, &after), count);
            let entries = match self.client.call(&page)? {
                Ok(entries) => reply::entries(entries)?,
                Err(refusal) => return self.refused(stream, refusal).map(|()| false),
            };
            let Some((last, _)) = entries.last() else { break };
            before = format!("({last}");
            look.looked += entries.len();
            for (id, fields) in &entries {
                let at = self.own_position(stream, id, fields)?;
                if look.own.is_none() && at.is_some() {
                    look.own_after = look.looked;
                }
                let found = at.map(|at| (at, id.clone()));
                look.own = [look.own.take(), found].into_iter().flatten().max_by_key(|(at, _)| at.seq);
            }
            let words = entries.iter().flat_map(|(_, fields)| fields);
            let bytes: usize = words.map(|(name, value)| name.len() + value.len()).sum();
            count = if bytes < PAGE_BYTES { (2 * count).min(PAGE_MAX_ENTRIES) } else { count.div_ceil(2) };
        }
        Ok(true)
    }

    fn leave_alone(&mut self, stream: &str, looked: usize) -> Result<()> {
        let problem = format!(
            "stream {stream}: how far it is cannot be told behind {looked} entries of others: \
             `planbus streams rebuild --force {stream}` fills it anew"
        );
        let floor = self.worker.store.floor()?;
        self.worker.book.block(stream, Error::new(ErrorKind::Conflict, problem), floor);
        Ok(())
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

    fn register(&mut self, stream: &str) -> Result<()> {
        let Some(registration) = self.registration(stream) else { return Ok(()) };
        let reply = self.client.call(&registration)?;
        self.take_registrations(&[stream.to_owned()], vec![reply])
    }

    /// A stream that cannot be made known is as good as not there for its readers.
    pub(super) fn take_registrations(&mut self, streams: &[String], replies: Vec<Reply>) -> Result<()> {
        let refused = streams.iter().zip(replies).filter_map(|(stream, reply)| Some((stream, reply.err()?)));
        for (stream, refusal) in refused {
            self.refused(stream, refusal)?;
        }
        Ok(())
    }
}
