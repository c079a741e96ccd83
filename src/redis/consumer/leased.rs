//! How a [`Reader`] reads streams of which its consumer alone may, where plans keep their order.
//!
//! A script reads, which looks at the lease first. It cannot wait; a look for anything new at all waits
//! in its place, and takes nothing.

use std::{sync::Arc, time::Instant};

use ::redis::Value;

use super::{
    reader::{BLOCK_MAX, ROUND_PAUSE, Reader},
    refused::is_missing,
    scripts::Caller,
    setup::Ordering,
    source::Source,
    upkeep::exchange,
};
use crate::{
    error::Result,
    redis::{EntryId, session::Session},
};

impl Reader {
    /// Reads streams of which this consumer alone may, and waits where nothing is new.
    pub(super) fn read_leased(
        &mut self,
        session: &mut Session,
        sources: &[Arc<Source>],
        count: usize,
    ) -> Result<()> {
        let (caller, terms) = self.terms(sources);
        let asked = terms.iter().map(|(source, _)| caller.read_leased(&source.keys, count));
        let replies = exchange(session.client(), &asked.collect::<Vec<_>>())?;
        let mut came = false;
        for ((source, term), reply) in terms.into_iter().zip(replies) {
            match reply {
                // The lease is another's now; the keeper finds out.
                Ok(Value::Nil) => self.shared.lock().places[source.number].leased_until = None,
                Ok(entries) => came |= self.take_new(source, term, entries)?,
                Err(refusal) if is_missing(&refusal) => self.miss(std::slice::from_ref(source)),
                Err(refusal) => return Err(refusal.into_error("read a stream")),
            }
        }
        if came {
            return Ok(());
        }
        if std::mem::take(&mut self.is_woken) {
            // What came was another's: where we are in the streams is not where we thought.
            let mut state = self.shared.lock();
            sources.iter().for_each(|source| state.places[source.number].last_read = EntryId::ZERO);
        }
        self.wait_for_new(session, sources)
    }

    /// Those of the sources that may be read still, in which term, and as whom: known at one moment.
    fn terms<'a>(&self, sources: &'a [Arc<Source>]) -> (Arc<Caller>, Vec<(&'a Arc<Source>, u64)>) {
        let state = self.shared.lock();
        let of = |source: &'a Arc<Source>| {
            let place = &state.places[source.number];
            (place.search_after.is_none() && place.is_open(Ordering::PerPlan)).then_some((source, place.term))
        };
        (Arc::clone(&state.caller), sources.iter().filter_map(of).collect())
    }

    /// Waits until something is behind what was read, or the server has waited long enough.
    fn wait_for_new(&mut self, session: &mut Session, sources: &[Arc<Source>]) -> Result<()> {
        if self.is_split {
            self.shared.pause(Instant::now() + ROUND_PAUSE);
            return Ok(());
        }
        let mut command = ::redis::cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK_MAX.as_millis() as u64).arg("STREAMS");
        sources.iter().for_each(|source| {
            command.arg(&source.keys.stream);
        });
        let state = self.shared.lock();
        for source in sources {
            match state.places[source.number].last_read {
                EntryId::ZERO => command.arg("$"),
                last => command.arg(last.to_string()),
            };
        }
        drop(state);
        match session.client().call(&command)? {
            Ok(answer) => {
                self.is_woken = answer != Value::Nil;
                Ok(())
            }
            Err(refusal) if refusal.code == "CROSSSLOT" => {
                self.is_split = true;
                Ok(())
            }
            Err(refusal) if is_missing(&refusal) => {
                self.miss(sources);
                Ok(())
            }
            Err(refusal) => Err(refusal.into_error("wait for entries")),
        }
    }
}
