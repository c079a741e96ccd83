//! [`Fault`]: what is broken on purpose, and how it is mended where that needs somebody.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use planbus::EventStore;

use super::{cell::Cell, check, publisher::RARE, random::Random};
use crate::redis_support::{self as support, Proxy, SERVER_LIMIT, wait_for};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    KillPublisher,
    ClientKill,
    StopServer,
    RestartWithAof,
    RestartEmpty,
    FlushAll,
    DeleteStream,
    ForeignThenDelete,
    DeleteThenForeign,
    MaximalId,
    DestroyGroup,
    ScriptFlush,
    OutOfMemory,
    PromoteLagging,
    CutRequest,
    CutReply,
    BlackHole,
    Rival,
    RestoreBackup,
}

impl Fault {
    pub(crate) const ALL: [Self; 19] = [
        Self::KillPublisher,
        Self::ClientKill,
        Self::StopServer,
        Self::RestartWithAof,
        Self::RestartEmpty,
        Self::FlushAll,
        Self::DeleteStream,
        Self::ForeignThenDelete,
        Self::DeleteThenForeign,
        Self::MaximalId,
        Self::DestroyGroup,
        Self::ScriptFlush,
        Self::OutOfMemory,
        Self::PromoteLagging,
        Self::CutRequest,
        Self::CutReply,
        Self::BlackHole,
        Self::Rival,
        Self::RestoreBackup,
    ];

    /// All kinds in an order of the seed's: histories with neighbouring seeds go on where the one
    /// before ended, so that a few of them see every kind.
    pub(crate) fn of_history(seed: u64, faults: usize) -> Vec<Self> {
        dealt(&Self::ALL, seed, faults)
    }

    /// Breaks it, beside whatever the cell is doing, and mends what does not mend by itself.
    pub(crate) fn strike(self, cell: &mut Cell, random: &mut Random) {
        let stream = cell.stream(random);
        match self {
            Self::KillPublisher => cell.restart_publisher(),
            Self::ClientKill => drop(cell.server.command(&["CLIENT", "KILL", "TYPE", "normal"])),
            Self::StopServer => {
                cell.server.stop();
                wait_for_another_try(cell);
                cell.server.cont();
            }
            Self::RestartWithAof => cell.restart_server(|_| {}),
            Self::RestartEmpty => cell.restart_server(remove_aof),
            Self::FlushAll => drop(cell.server.command(&["FLUSHALL"])),
            Self::DeleteStream => drop(cell.server.command(&["DEL", &stream])),
            Self::ForeignThenDelete => {
                cell.server.command(&["XADD", &stream, "*", "by", "somebody else"]);
                cell.server.command(&["DEL", &stream]);
            }
            Self::DeleteThenForeign => {
                // Nobody comes in between: else this would be two faults.
                cell.server.command(&["EVAL", DELETE_AND_ADD, "1", &stream]);
            }
            Self::MaximalId => {
                let maximal = format!("{}-{}", u64::MAX, u64::MAX);
                cell.server.command(&["XADD", &stream, &maximal, "by", "somebody else"]);
                cell.publisher.publish(RARE);
                wait_for_state(cell, "blocked");
                cell.server.command(&["DEL", &stream]);
            }
            Self::DestroyGroup => {
                let store = EventStore::open_read_only(cell.db()).expect("opens");
                let group = format!("planbus:{}", store.store_id());
                cell.server.call(&["XGROUP", "DESTROY", &stream, &group]);
            }
            Self::ScriptFlush => drop(cell.server.command(&["SCRIPT", "FLUSH"])),
            Self::OutOfMemory => {
                cell.server.command(&["CONFIG", "SET", "maxmemory", "1"]);
                cell.publisher.publish(RARE);
                wait_for_state(cell, "retrying");
                cell.server.command(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            Self::PromoteLagging => promote_lagging(cell),
            Self::CutRequest => {
                let after_bytes = 1 + random.below(20_000);
                cut(cell, support::Fault::CutRequest { after_bytes });
            }
            Self::CutReply => {
                let after_bytes = random.below(40);
                cut(cell, support::Fault::CutReply { after_bytes });
            }
            Self::BlackHole => {
                cell.proxy.set(support::Fault::BlackHole);
                wait_for_another_try(cell);
                cell.proxy.set(support::Fault::None);
            }
            Self::Rival => rival(cell),
            Self::RestoreBackup => restore_backup(cell),
        }
    }
}

/// So many of these kinds, in an order of the seed's, each as often as the others in the long run.
pub(super) fn dealt<T: Copy>(kinds: &[T], seed: u64, count: usize) -> Vec<T> {
    let first = usize::try_from(seed).expect("a small seed") * count;
    let deck = |round: usize| {
        let (mut deck, mut random) = (kinds.to_vec(), Random::new(round as u64));
        for at in (1..deck.len()).rev() {
            deck.swap(at, random.below(at + 1));
        }
        deck
    };
    (first..first + count).map(|at| deck(at / kinds.len())[at % kinds.len()]).collect()
}

const DELETE_AND_ADD: &str =
    "redis.call('DEL', KEYS[1]) redis.call('XADD', KEYS[1], '*', 'by', 'somebody else')";

/// Waits until the mirror has given a connection up and made another one.
fn wait_for_another_try(cell: &mut Cell) {
    let before = cell.proxy.accepted();
    cell.publisher.publish(10);
    wait_for("the mirror tries again", || cell.proxy.accepted() > before);
}

/// Waits until the mirror says so; a naive one says nothing.
fn wait_for_state(cell: &mut Cell, state: &str) {
    if cell.is_naive() {
        cell.publisher.wait_published();
        return;
    }
    let start = Instant::now();
    while cell.publisher.state() != state {
        if start.elapsed() > SERVER_LIMIT {
            panic!("the mirror is not {state}: {:?}", cell.publisher.flush(Duration::from_secs(1)));
        }
        std::thread::yield_now();
    }
}

fn remove_aof(cell: &Cell) {
    let aof = cell.server.dir().join("appendonlydir");
    // Redis 6.2 has one file.
    let _ = std::fs::remove_dir_all(aof);
    let _ = std::fs::remove_file(cell.server.dir().join("appendonly.aof"));
}

/// The primary dies with what its replica has not heard of, and the replica takes its place.
fn promote_lagging(cell: &mut Cell) {
    let link = Proxy::before(cell.server.port());
    let replica = cell.replica_through(link.port()).expect("there is such a server");
    replica.wait_until_synced();
    link.set(support::Fault::BlackHole);
    cell.publisher.publish(50);
    cell.publisher.wait_published();
    // A naive mirror may never have them all.
    wait_for("the primary has them", || {
        cell.is_naive() || cell.publisher.flush(Duration::from_secs(1)).is_ok()
    });
    cell.server.kill();
    link.cut_now();
    replica.promote();
    cell.proxy.forward_to(replica.port());
    cell.proxy.cut_now();
    cell.server = replica;
    cell.is_promoted = true;
}

/// Lets the proxy cut, and publishes until it has.
fn cut(cell: &mut Cell, fault: support::Fault) {
    let before = cell.proxy.cuts();
    cell.proxy.set(fault);
    wait_for("a connection is cut", || {
        cell.publisher.publish(20);
        cell.publisher.wait_published();
        cell.proxy.cuts() > before
    });
}

/// Another process mirrors a copy of the store into the same stream, for a while.
fn rival(cell: &mut Cell) {
    let (backup, copy) = (cell.beside("backup.db"), cell.beside("copy.db"));
    remove_store(&copy);
    remove_store(&backup);
    let store = EventStore::open_read_only(cell.db()).expect("opens");
    store.backup(&backup).expect("is copied");
    EventStore::restore(&backup, &copy).expect("is restored");
    let mut rival = cell.another_publisher(&copy);
    cell.publisher.publish(50);
    // It says that it equals its log, or that the stream holds more than that.
    let _ = rival.flush(std::time::Duration::from_secs(5));
    rival.kill();
}

/// The store goes back to what it was, behind what Redis holds, and goes on otherwise.
fn restore_backup(cell: &mut Cell) {
    let backup = cell.beside("backup.db");
    remove_store(&backup);
    cell.publisher.wait_published();
    let _ = cell.publisher.flush(Duration::from_secs(10));
    EventStore::open_read_only(cell.db()).and_then(|store| store.backup(&backup)).expect("is copied");
    cell.publisher.publish(RARE);
    cell.publisher.wait_published();
    let _ = cell.publisher.flush(Duration::from_secs(10));
    cell.replace_publisher(|cell| {
        remove_store(&cell.db());
        EventStore::restore(&backup, cell.db()).expect("is restored");
    });
    // What the log does not have stays in the stream, and nothing comes behind it.
    cell.publisher.publish(2 * RARE);
    wait_for_state(cell, "forked");
    for stream in check::streams(&cell.server) {
        cell.server.command(&["DEL", &stream]);
    }
}

/// Removes a store with all that may stand beside it.
fn remove_store(db: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        // Not all of them are there.
        let _ = std::fs::remove_file(format!("{}{suffix}", db.display()));
    }
}
