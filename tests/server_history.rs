//! P6 and P9 over histories of faults: whatever is cut, stalled or killed while a plan runs, every client
//! ends with each event that it asked for exactly once, in order, as the log has it; and what retention
//! took before it could read it, it is told.

#![cfg(all(feature = "server", target_os = "linux"))]

mod server_history_support;
mod store_support;

use planbus::Event;
use server_history_support::{
    ask::{ALL, Ask, CLIENTS, PLAN, Said},
    cell::Cell,
    check::{self, Got, Violations},
    child::{self, Kind},
    events,
    naive::Naive,
    random::Random,
};

/// How many histories of a kind are run, and from which seed on.
const SEEDS: &str = "PLANBUS_SEEDS";
const FIRST_SEED: &str = "PLANBUS_SEED";

/// How often the processes of a history are killed.
const KILLS: usize = 10;
/// How often each client is cut off, beside that.
const CUTS: usize = 20;
/// How many events are published at a time.
const ROUND_EVENTS: usize = 100;
/// How many rounds a history has at most; where clients were not cut off often enough by then, it fails.
const ROUNDS_MAX: usize = 200;
/// How many are enough to find a naive server out, which may never send a client enough to be cut off.
const ROUNDS_NAIVE: usize = 20;

const ROLE: &str = "child_of_a_history";

#[test]
fn child_of_a_history() {
    if let Some(db) = store_support::role(ROLE) {
        child::run(&db);
    }
}

/// What a history is made of.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    /// The processes: the owner of the store first.
    kinds: &'static [Kind],
    clients: &'static [Ask],
    /// How often each client is cut off.
    cuts: usize,
    kills: usize,
    /// Whether the log is pruned all the time.
    prunes: bool,
}

impl Plan {
    /// All clients of a process that publishes and serves.
    fn of(seed: u64) -> Self {
        Self { seed, kinds: &[Kind::Both], clients: &CLIENTS, cuts: CUTS, kills: KILLS, prunes: false }
    }

    /// Runs the history; what was wrong for its clients, together, and how often they were told of a gap.
    fn run(self) -> (Violations, usize) {
        let mut cell = Cell::start(ROLE, self.seed, self.kinds);
        self.clients.iter().for_each(|ask| cell.follow(*ask, self.cuts));
        let mut random = Random::new(self.seed);
        let mut rounds = 0;
        // One of the kills is kept for the end.
        while cell.kills + 1 < self.kills || !cell.are_cut_enough() {
            if cell.is_naive() && rounds == ROUNDS_NAIVE {
                break;
            }
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "{self:?}: clients are not cut off: {cell}");
            let events = ROUND_EVENTS / 2 + random.below(ROUND_EVENTS);
            cell.publish(events);
            if cell.kills + 1 < self.kills && random.chance() {
                cell.kill_within(events, &mut random);
            }
            if self.prunes && random.chance() {
                cell.prune(&mut random);
            }
            cell.wait_published();
            cell.let_follow(&mut random);
        }
        cell.end((self.kills > 0).then_some(&mut random));
        let is_whole = cell.cuts() >= self.cuts * self.clients.len() && cell.kills == self.kills;
        assert!(cell.is_naive() || is_whole, "{cell}");
        let mut sum = Violations::default();
        for (ask, violations) in cell.violations() {
            assert!(
                cell.is_naive() || ask.forgets || violations.are_none(),
                "{self:?}: {}: {violations}",
                ask.name
            );
            sum += violations;
        }
        println!("seed {}, {:?}: {cell}, {rounds} rounds: {sum}", self.seed, self.kinds);
        (sum, cell.gaps())
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

/// Runs a history for each seed, of which none may find anything wrong; how many gaps were told.
fn histories(plan: impl Fn(u64) -> Plan) -> usize {
    let first = number(FIRST_SEED, 0);
    let runs = (first..first + number(SEEDS, 1)).map(|seed| {
        let (violations, gaps) = plan(seed).run();
        assert!(violations.are_none(), "seed {seed}: {violations}");
        gaps
    });
    runs.sum()
}

#[test]
fn p6_every_client_has_each_event_once_and_in_order_after_200_cuts_and_10_kills() {
    assert_eq!(histories(Plan::of), 0, "gaps in a log that has all");
}

#[test]
fn p6_so_it_has_from_a_server_beside_the_process_that_publishes() {
    let gaps = histories(|seed| Plan { kinds: &[Kind::Owner, Kind::Reader], ..Plan::of(seed) });
    assert_eq!(gaps, 0, "gaps in a log that has all");
}

#[test]
fn p9_where_retention_was_faster_a_client_is_told_of_each_gap_and_of_no_other() {
    let gaps = histories(|seed| Plan { prunes: true, ..Plan::of(seed) });
    assert!(gaps > 0, "retention was never faster than a client");
}

#[test]
fn p6_the_same_histories_find_naive_servers_and_clients_out() {
    const SLOW: [Ask; 2] = [Ask { is_slow: true, ..ALL }, ALL];
    const FORGETFUL: [Ask; 2] = [Ask { forgets: true, ..ALL }, Ask { forgets: true, ..PLAN }];
    let plan = |kinds, clients| Plan { kinds, clients, cuts: 10, kills: 0, ..Plan::of(0) };
    let (seam, _) = plan(&[Kind::Naive(Naive::Seam)], &SLOW).run();
    let (drops, _) = plan(&[Kind::Naive(Naive::Drops)], &SLOW).run();
    let (inclusive, _) = plan(&[Kind::Naive(Naive::Inclusive)], &SLOW).run();
    let silent = Plan { prunes: true, ..plan(&[Kind::Naive(Naive::Silent)], &SLOW) };
    let (silent, _) = silent.run();
    let (forgetful, _) = plan(&[Kind::Both], &FORGETFUL).run();
    println!(
        "seam: {seam}\ndrops: {drops}\ninclusive: {inclusive}\nsilent: {silent}\nforgetful: {forgetful}"
    );
    assert!(seam.lost > 0 && drops.lost > 0 && silent.lost > 0, "the check finds nothing lost");
    assert!(inclusive.doubled > 0, "the check finds nothing doubled");
    assert!(forgetful.doubled > 0 && forgetful.lost > 0, "the check finds nothing of a client");
}

#[test]
fn the_check_finds_each_thing_that_can_be_wrong() {
    let dir = store_support::Dir::new();
    let store = planbus::EventStore::open(dir.db()).expect("opens");
    for seq in 1..=40 {
        store.save(&events::event(0, seq)).expect("commits");
    }
    let log = store.read_after(0, usize::MAX).expect("reads");
    let said = |event: &Event| Said {
        seq: event.seq().expect("a seq"),
        event_type: event.event_type().to_string(),
        text: event.to_json().expect("JSON").replace(['\n', '\r'], " "),
    };
    let all: Vec<Got> =
        log.iter().filter(|event| PLAN.wants(event)).map(|event| Got::Event(said(event))).collect();
    let other = log.iter().find(|event| !PLAN.wants(event)).map(|event| Got::Event(said(event)));
    let check = |floor, change: &dyn Fn(&mut Vec<Got>)| {
        let mut got = all.clone();
        change(&mut got);
        check::compare(&PLAN, &log, floor, &got)
    };
    let right = Violations::default();
    let seq = |at: usize| match &all[at] {
        Got::Event(said) => said.seq,
        Got::Gap { .. } => unreachable!("there is none"),
    };
    let gap = |after: Option<usize>, oldest| Got::Gap { after_seq: after.map(seq), oldest_seq: oldest };
    assert!(all.len() > 8);
    assert_eq!(check(1, &|_| {}), right);
    assert_eq!(check(1, &|got| drop(got.remove(3))), Violations { lost: 1, ..right });
    assert_eq!(check(1, &|got| drop(got.pop())), Violations { lost: 1, ..right });
    assert_eq!(check(1, &|got| got.insert(4, all[3].clone())), Violations { doubled: 1, ..right });
    assert_eq!(check(1, &|got| got.swap(3, 4)), Violations { disordered: 1, ..right });
    assert_eq!(
        check(1, &|got| got.push(other.clone().expect("there is one"))),
        Violations { foreign: 1, ..right }
    );
    let longer = |got: &mut Vec<Got>| match &mut got[3] {
        Got::Event(said) => said.text.push(' '),
        Got::Gap { .. } => unreachable!("there is none"),
    };
    assert_eq!(check(1, &longer), Violations { changed: 1, ..right });
    // Events 2 and 3 are gone, of which a client is told.
    let told = |after, oldest| move |got: &mut Vec<Got>| drop(got.splice(2..4, [gap(after, oldest)]));
    let false_gap = Violations { false_gaps: 1, ..right };
    let floor = seq(4);
    assert_eq!(check(floor, &told(Some(1), floor)), right);
    assert_eq!(check(floor, &told(None, floor)), right);
    assert_eq!(check(floor, &told(Some(0), floor)), false_gap, "it has had more");
    assert_eq!(check(floor - 1, &told(Some(1), floor)), false_gap, "the log has what is said to be gone");
    assert_eq!(check(floor + 9, &told(Some(1), floor + 1)), false_gap, "it comes all the same");
    assert_eq!(check(floor, &told(Some(1), floor - 1)), Violations { lost: 1, ..right });
    assert_eq!(check(floor, &|got| got.insert(2, gap(Some(1), seq(1) + 1))), false_gap, "nothing is missing");
}
