//! The board against what it promises, over random days of a consumer.

use proptest::prelude::*;

use super::*;
use crate::{
    event::{Event, EventId},
    redis::failures::FailureRecord,
};

const LIMITS: Limits = Limits { entries: 8, bytes: 1 << 20, parked: 1_000 };

fn key(number: u64) -> Key {
    Key { source: 0, id: format!("{number}-1").parse().expect("an id") }
}

fn plan_of(number: u64) -> Plan {
    Plan { source: 0, hash: number % 3 }
}

fn delivery(number: u64) -> Box<Delivery> {
    let event = Event::raw(format!("plan-{}", number % 3), "agent.heartbeat", "{}");
    Box::new(Delivery {
        key: key(number),
        event: event.with_event_id(EventId::from_u128(number.into())),
        stream: "stream".into(),
        id: key(number).id,
        group: "group".into(),
        deliveries: 1,
        record: FailureRecord::default(),
        is_replay: false,
        comes_again: false,
        store: None,
        bytes: 10,
    })
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many entries are read, as far as there is room.
    Read(usize),
    /// A worker takes the next delivery.
    Take,
    /// A worker that has one is done with it, the first or the last that began.
    Done(bool),
    /// Or it failed, and its time comes later.
    Fail(bool),
    /// The time of one that failed has come.
    Due,
    /// Entries whose turn has come are read again.
    ReadAgain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_usize..6).prop_map(Step::Read),
        Just(Step::Take),
        Just(Step::Take),
        any::<bool>().prop_map(Step::Done),
        any::<bool>().prop_map(Step::Fail),
        Just(Step::Due),
        Just(Step::ReadAgain),
    ]
}

/// A consumer over its board, with what it should know.
struct Day {
    board: Board,
    keeps_order: bool,
    last_read: u64,
    out: Vec<u64>,
    waiting: Vec<u64>,
    done: Vec<u64>,
}

impl Day {
    fn new(keeps_order: bool) -> Self {
        let (out, waiting, done) = (Vec::new(), Vec::new(), Vec::new());
        Self { board: Board::new(LIMITS), keeps_order, last_read: 0, out, waiting, done }
    }

    fn plan(&self, number: u64) -> Option<Plan> {
        self.keeps_order.then(|| plan_of(number))
    }

    fn read(&mut self, most: usize) {
        for _ in 0..most.min(self.board.room()) {
            self.last_read += 1;
            self.board.arrive(delivery(self.last_read), self.plan(self.last_read), false);
        }
    }

    fn take(&mut self) {
        let Some(taken) = self.board.next() else { return };
        let number = taken.id.halves().0;
        if self.keeps_order {
            let before = (1..number).filter(|other| plan_of(*other) == plan_of(number));
            let open: Vec<u64> = before.filter(|other| !self.done.contains(other)).collect();
            assert!(open.is_empty(), "{number} was given out before {open:?} of its plan");
        }
        assert!(!self.out.contains(&number) && !self.done.contains(&number), "{number} twice");
        self.out.push(number);
    }

    fn end(&mut self, is_first: bool) -> Option<u64> {
        let at = if is_first { 0 } else { self.out.len().checked_sub(1)? };
        (at < self.out.len()).then(|| self.out.remove(at))
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Read(most) => self.read(most),
            Step::Take => self.take(),
            Step::Done(is_first) => {
                if let Some(number) = self.end(is_first) {
                    self.done.push(number);
                    self.board.leave(&key(number));
                }
            }
            Step::Fail(is_first) => {
                if let Some(number) = self.end(is_first) {
                    self.waiting.push(number);
                    self.board.fail(&key(number));
                }
            }
            Step::Due => {
                if let Some(number) = self.waiting.pop() {
                    self.board.arrive(delivery(number), self.plan(number), true);
                }
            }
            Step::ReadAgain => {
                let room = self.board.room_for_wanted();
                for wanted in self.board.wanted(room) {
                    let number = wanted.id.halves().0;
                    self.board.arrive(delivery(number), self.plan(number), true);
                }
            }
        }
        self.check();
    }

    /// The counts are those of the slots, and what is held stays near its limit.
    fn check(&self) {
        let held = self.board.slots.values().filter(|slot| slot.phase.is_held()).count();
        let ready = self.board.slots.values().filter(|slot| matches!(slot.phase, Phase::Ready(_))).count();
        let parked = self.board.slots.values().filter(|slot| matches!(slot.phase, Phase::Parked)).count();
        assert_eq!((self.board.held, self.board.ready(), self.board.parked), (held, ready, parked));
        assert_eq!(self.board.held_bytes, held * 10);
        assert!(held <= LIMITS.entries + WANTED_MIN + self.waiting.len() + 3, "{held} are held");
    }

    /// Handles all that was read, without another failure.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            [Step::Due, Step::ReadAgain, Step::Take, Step::Done(true)]
                .iter()
                .for_each(|step| self.run(*step));
            if self.done.len() as u64 == self.last_read {
                return;
            }
        }
        panic!("{} of {} are done: {:?}", self.done.len(), self.last_read, self.board);
    }
}

proptest! {
    #[test]
    fn p8_per_plan_nothing_is_given_out_before_its_turn_and_nothing_stays_behind(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut day = Day::new(true);
        steps.into_iter().for_each(|step| day.run(step));
        day.finish();
        prop_assert_eq!((day.board.held, day.board.parked, day.board.plans.len()), (0, 0, 0));
    }

    #[test]
    fn p8_shared_everything_is_given_out_once_an_attempt_and_nothing_stays_behind(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut day = Day::new(false);
        steps.into_iter().for_each(|step| day.run(step));
        day.finish();
        prop_assert!(day.board.slots.is_empty() && day.board.room() == LIMITS.entries);
    }
}

#[test]
fn p8_a_plan_that_fails_never_fills_the_room_of_others() {
    let mut board = Board::new(LIMITS);
    board.arrive(delivery(3), Some(plan_of(0)), false);
    board.next().expect("is ready");
    board.fail(&key(3));
    for number in 2..300 {
        board.arrive(delivery(3 * number), Some(plan_of(0)), false);
    }
    assert_eq!(board.parked, 298 - LIMITS.entries / 2);
    assert!(board.room() >= LIMITS.entries / 2, "no room for others: {}", board.room());
    board.arrive(delivery(301), Some(plan_of(1)), false);
    assert_eq!(board.next().expect("another plan's").id, key(301).id);
}

#[test]
fn what_was_not_begun_is_given_back_whole() {
    let mut board = Board::new(LIMITS);
    (1..=6).for_each(|number| board.arrive(delivery(number), Some(plan_of(number)), false));
    board.next().expect("is ready");
    assert_eq!((board.take_unbegun().len(), board.ready(), board.held), (5, 0, 1));
    assert!(board.next().is_none());
}
