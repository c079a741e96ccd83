//! [`ConsumerFault`]: what is broken on purpose while consumers are at work, and what they are let off
//! for it.

use std::time::{Duration, Instant};

use super::{
    check::Mark,
    consumer_cell::ConsumerCell,
    fault::{Fault, dealt},
    group,
    journal::POISONED,
    random::Random,
};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerFault {
    /// A consumer is killed, and another one takes its place.
    Kill,
    /// All consumers are killed.
    KillAll,
    /// A consumer stands still for longer than what it holds may be idle, and goes on.
    Freeze,
    /// A consumer ends in order, and comes again.
    Leave,
    /// A group is destroyed.
    DestroyGroup,
    /// Entries leave a stream, be they handled or not.
    Trim,
    /// Somebody else's entries come that say nothing.
    Malformed,
    /// What the mirror, too, has to live with.
    Also(Fault),
}

/// How long a consumer is frozen at most: its rivals wait for what it holds, or for the lock that it has
/// on the effects.
const FROZEN_MAX: Duration = Duration::from_secs(3);

impl ConsumerFault {
    pub(crate) const ALL: [Self; 20] = [
        Self::Kill,
        Self::KillAll,
        Self::Freeze,
        Self::Leave,
        Self::DestroyGroup,
        Self::Trim,
        Self::Malformed,
        Self::Also(Fault::KillPublisher),
        Self::Also(Fault::ClientKill),
        Self::Also(Fault::StopServer),
        Self::Also(Fault::RestartWithAof),
        Self::Also(Fault::RestartEmpty),
        Self::Also(Fault::FlushAll),
        Self::Also(Fault::DeleteStream),
        Self::Also(Fault::ScriptFlush),
        Self::Also(Fault::OutOfMemory),
        Self::Also(Fault::PromoteLagging),
        Self::Also(Fault::CutRequest),
        Self::Also(Fault::CutReply),
        Self::Also(Fault::BlackHole),
    ];

    /// What befalls consumers and connections, and leaves alone what Redis holds.
    pub(crate) const LOSSLESS: [Self; 10] = [
        Self::Kill,
        Self::Also(Fault::CutReply),
        Self::Freeze,
        Self::Also(Fault::ClientKill),
        Self::KillAll,
        Self::Also(Fault::CutRequest),
        Self::Leave,
        Self::Also(Fault::RestartWithAof),
        Self::Malformed,
        Self::Also(Fault::BlackHole),
    ];

    /// So many of these kinds, as [`Fault::of_history`] does.
    pub(crate) fn of_history(kinds: &[Self], seed: u64, faults: usize) -> Vec<Self> {
        dealt(kinds, seed, faults)
    }

    /// Breaks it, beside whatever the cell is doing, and mends what does not mend by itself.
    pub(crate) fn strike(self, cell: &mut ConsumerCell, random: &mut Random) {
        match self {
            Self::Kill => {
                let seat = ConsumerCell::seat(random);
                cell.consumers[seat].kill();
                if random.chance() {
                    cell.cell.publisher.publish(20);
                    cell.cell.publisher.wait_published();
                }
                cell.seat_again(seat);
            }
            Self::KillAll => {
                cell.consumers.iter_mut().for_each(super::consumer::Consumer::kill);
                (0..cell.consumers.len()).for_each(|seat| cell.seat_again(seat));
            }
            Self::Freeze => freeze(cell, random),
            Self::Leave => {
                let seat = ConsumerCell::seat(random);
                cell.consumers[seat].stop();
                cell.cell.publisher.publish(20);
                cell.cell.publisher.wait_published();
                cell.seat_again(seat);
            }
            Self::DestroyGroup => {
                let stream = cell.cell.stream(random);
                cell.cell.server.call(&["XGROUP", "DESTROY", &stream, POISONED]);
            }
            Self::Trim => trim(cell, random),
            Self::Malformed => {
                for _ in 0..3 {
                    let stream = cell.cell.stream(random);
                    let text = format!("nonsense-{}", cell.allowed.malformed.len());
                    let field = if random.chance() { "data" } else { "event_id" };
                    cell.cell.server.command(&["XADD", &stream, "*", field, &text]);
                    cell.allowed.malformed.insert(text, true);
                }
            }
            Self::Also(fault) => fault.strike(&mut cell.cell, random),
        }
        self.allow(cell);
    }

    /// Lets the consumers off for what nobody could do now.
    fn allow(self, cell: &mut ConsumerCell) {
        // What the mirror does not fill in again is gone with a stream.
        let is_loss = matches!(
            self,
            Self::Trim
                | Self::Also(
                    Fault::RestartEmpty | Fault::FlushAll | Fault::DeleteStream | Fault::PromoteLagging
                )
        );
        if is_loss {
            cell.allowed.malformed.values_mut().for_each(|is_sure| *is_sure = false);
        }
        // The dead letters stay, and the group knows nothing of what it did.
        if matches!(self, Self::DestroyGroup | Self::Also(Fault::DeleteStream)) {
            cell.allowed.rewinds += 1;
        }
    }
}

/// Lets a consumer stand still until its rival has what it held.
fn freeze(cell: &mut ConsumerCell, random: &mut Random) {
    let seat = ConsumerCell::poisoned_seat(random);
    let consumer = &cell.consumers[seat];
    consumer.freeze();
    cell.cell.publisher.publish(40);
    cell.cell.publisher.wait_published();
    let (start, name) = (Instant::now(), consumer.role.name());
    while group::pending_of(&cell.cell.server, POISONED, &name) > 0 && start.elapsed() < FROZEN_MAX {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    cell.consumers[seat].thaw();
}

/// Keeps only the last entries of a stream, and notes what went.
fn trim(cell: &mut ConsumerCell, random: &mut Random) {
    let stream = cell.cell.stream(random);
    let kept = random.below(20).to_string();
    let mut wire = cell.cell.server.wire().expect("the server answers");
    let reply = wire.call(&["EVAL", TRIM, "1", &stream, &kept]).expect("the server answers");
    let gone = crate::redis_support::entries(reply);
    let ids = gone.iter().filter_map(|(_, fields)| Some(Mark::of(fields)?.event_id));
    cell.allowed.trimmed.extend(ids);
}

const TRIM: &str = "
    local before = redis.call('XRANGE', KEYS[1], '-', '+')
    redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[1])
    for _ = 1, math.min(#before, tonumber(ARGV[1])) do table.remove(before) end
    return before";
