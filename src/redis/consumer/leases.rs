//! The leases by which one consumer alone has a stream for its group, where plans keep their order.
//!
//! Who has more than its share lets the others have some: it ends what its handlers have begun, and
//! gives the stream away. Every script of such a group looks at the lease, so that who has lost it
//! without knowing does no harm.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::redis::Cmd;

use super::{
    refused::Refused,
    scripts::{Caller, Held},
    shared::Shared,
    source::Source,
    upkeep::exchange,
};
use crate::{error::Result, redis::client::Client};

/// How often leases are taken and kept, at most.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// For how long a stream that was given away is left to others.
const SHUN: Duration = Duration::from_secs(3);

/// Takes what is free, keeps what is ours, and gives away what is more than our share.
pub(super) fn hold(
    shared: &Shared,
    caller: &Caller,
    client: &mut Client,
    sources: &[Arc<Source>],
) -> Result<Refused> {
    let (now, setup) = (Instant::now(), &shared.setup);
    let (mut commands, mut asked) = (Vec::<Cmd>::new(), Vec::new());
    for source in sources {
        match shared.lease_wish(source.number, now) {
            Wish::Hold => {
                commands.push(caller.hold(&source.keys, setup.claim_idle));
                asked.push(Some(source));
            }
            Wish::Free => {
                commands.push(caller.free(&source.keys));
                asked.push(None);
            }
            Wish::Nothing => {}
        }
    }
    let (mut ours, mut members, mut refused) = (Vec::new(), 1, Refused::default());
    for (source, reply) in asked.into_iter().zip(exchange(client, &commands)?) {
        let answer = refused.answer(reply, || "hold the leases of streams".to_owned())?;
        let (Some(source), Some(answer)) = (source, answer) else { continue };
        let held = Held::of(answer)?;
        if let Held::Ours { standbys, .. } = held {
            members = members.max(standbys + 1);
            ours.extend((!source.is_replay).then_some(source.number));
        }
        shared.note_lease(source.number, held, now + setup.claim_idle);
    }
    let streams = sources.iter().filter(|source| !source.is_replay).count();
    for number in ours.into_iter().skip(streams.div_ceil(members)) {
        shared.drain(number, now + SHUN);
    }
    Ok(refused)
}

/// What to do about the lease of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Take it or keep it.
    Hold,
    /// It was drained: give it away.
    Free,
    Nothing,
}
